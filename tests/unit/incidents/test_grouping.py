from __future__ import annotations

import pytest

from incidentlens.incidents import (
    MERGED_INTO,
    GroupingSettings,
    group,
    mark_analysed,
    merge,
    needs_analysis,
    relabel,
    split,
)
from incidentlens.model.clock import HOUR, MINUTE, SECOND
from incidentlens.model.incidents import Suppression
from incidentlens.model.terms import Severity, Status

START = 1_700_000_000 * SECOND


def test_unrelated_problems_at_the_same_time_stay_apart(make_problem):
    found = group([make_problem("orders", "disk full"), make_problem("mail", "smtp refused", 1)], [], START)
    assert len(found) == 2


def test_a_shared_trace_joins_and_says_so(make_problem):
    one = make_problem("orders", "pool exhausted", traces=("t1", "t2"))
    two = make_problem("payment", "timeout", 3, traces=("t2",))
    (incident,) = group([one, two], [], START)
    assert incident.services == ("orders", "payment")
    assert incident.count == 40
    assert "shares a trace" in incident.members[1].why


def test_a_line_that_names_the_other_service_joins(make_problem):
    one = make_problem("orders", "pool exhausted")
    two = make_problem("payment", "orders did not answer", 3, mentions=("orders",))
    (incident,) = group([one, two], [], START)
    assert "name orders" in incident.members[1].why


def test_a_configured_dependency_joins_only_near_onsets(make_problem):
    settings = GroupingSettings(dependencies={"payment": ("orders",)})
    one = make_problem("orders", "pool exhausted", lasts=1200)
    near = make_problem("payment", "slow", 10)
    far = make_problem("payment", "slow", 1000)
    assert len(group([one, near], [], START, settings)) == 1
    assert len(group([one, far], [], START, settings)) == 2


def test_signatures_of_one_service_that_begin_together_belong_together_only_where_onsets_are_known(make_problem):
    assert len(group([make_problem("a", "x"), make_problem("a", "y", 5)], [], START)) == 1
    cold = [make_problem("a", "x", baseline_per_minute=0.0), make_problem("a", "y", 5, baseline_per_minute=0.0)]
    assert len(group(cold, [], START)) == 2


def test_a_problem_that_goes_on_updates_its_incident_and_keeps_its_title(make_problem):
    first = make_problem("orders", "pool exhausted")
    (incident,) = group([first], [], START)
    more = first.model_copy(update={"count": 50, "last_seen": first.last_seen + SECOND})
    (later,) = group([more], [incident], START + 5 * SECOND)
    assert (later.id, later.title, later.count) == (incident.id, incident.title, 50)
    assert group([], [later], START) == []


def test_a_recurrence_within_the_cooldown_reopens_and_later_it_is_a_new_incident(make_problem):
    (incident,) = group([make_problem("orders", "pool exhausted")], [], START)
    ended = incident.model_copy(update={"status": Status.RESOLVED, "ended_at": START + 5 * MINUTE})
    again = make_problem("orders", "pool exhausted", 600)
    (back,) = group([again], [ended], START + 10 * MINUTE)
    assert (back.id, back.status, back.reopened, back.ended_at) == (incident.id, Status.OPEN, 1, None)
    late = make_problem("orders", "pool exhausted", 7200)
    (new,) = group([late], [ended], START + 2 * HOUR)
    assert new.id != incident.id


def test_an_incident_a_person_closed_stays_closed_while_the_same_span_goes_on(make_problem):
    first = make_problem("orders", "pool exhausted")
    (incident,) = group([first], [], START)
    closed = incident.model_copy(update={"status": Status.CLOSED, "ended_at": START + MINUTE})
    assert group([first.model_copy(update={"count": 99})], [closed], START + 2 * MINUTE) == []


def test_two_incidents_that_turn_out_to_be_one_become_the_older_one(make_problem):
    one = make_problem("orders", "pool exhausted")
    two = make_problem("payment", "timeout", 3)
    first = group([one], [], START)
    second = group([two], first, START + 5 * SECOND)
    tied = two.model_copy(update={"mentions": ("orders",), "count": 30})
    kept, gone = group([tied], [*first, *second], START + 10 * SECOND)
    assert kept.id == first[0].id
    assert kept.count == 50
    assert gone.status == Status.CLOSED
    assert gone.labels[MERGED_INTO] == kept.id
    more = tied.model_copy(update={"count": 31})
    (still,) = group([more], [gone, kept], START + 15 * SECOND)
    assert (still.id, still.count) == (kept.id, 51)


def test_an_incident_of_problems_that_are_held_back_is_held_back_until_one_is_not(make_problem):
    held = Suppression(reason="maintenance", detail="until 12:00")
    one = make_problem("orders", "pool exhausted", suppressed=held)
    (incident,) = group([one], [], START)
    assert (incident.status, incident.suppression) == (Status.SUPPRESSED, held)
    two = make_problem("payment", "timeout", 3, mentions=("orders",))
    (opened,) = group([two], [incident], START)
    assert (opened.status, opened.suppression) == (Status.OPEN, None)


def test_what_a_person_merged_is_kept_to(make_problem):
    one, two = make_problem("orders", "disk full"), make_problem("mail", "smtp refused", 1)
    first, second = group([one, two], [], START)
    kept, gone = merge(first, second, "ann", START + MINUTE)
    assert kept.pinned
    assert gone.labels[MERGED_INTO] == kept.id
    assert kept.members[-1].by == "ann"
    again = make_problem("mail", "smtp refused", 500)
    (later,) = group([again], [kept, gone], START + 500 * SECOND)
    assert later.id == kept.id
    assert "ann" in later.members[-1].why


def test_what_a_person_split_stays_apart(make_problem):
    one = make_problem("orders", "pool exhausted", traces=("t1",))
    two = make_problem("payment", "timeout", 3, traces=("t1",))
    (incident,) = group([one, two], [], START)
    kept, new = split(incident, [two.id], "ann", START + MINUTE)
    assert [p.id for p in kept.problems] == [one.id]
    assert [p.id for p in new.problems] == [two.id]
    more = two.model_copy(update={"count": 90})
    later = group([more], [kept, new], START + 2 * MINUTE)
    assert [(i.id, i.count) for i in later] == [(new.id, 90)]
    next_time = make_problem("payment", "timeout", 400, traces=("t9",))
    other = make_problem("orders", "pool exhausted", 399, traces=("t9",))
    homes = {i.id for i in group([other, next_time], [kept, new], START + 401 * SECOND)}
    assert homes == {kept.id, new.id}


def test_a_split_needs_two_parts_and_known_problems(make_problem):
    (incident,) = group([make_problem("orders", "pool exhausted")], [], START)
    with pytest.raises(ValueError, match="both have problems"):
        split(incident, [incident.problems[0].id], "ann", START)
    with pytest.raises(ValueError, match="not a problem"):
        split(incident, ["p_x"], "ann", START)


def test_a_relabelled_incident_keeps_a_persons_title_and_severity(make_problem):
    first = make_problem("orders", "pool exhausted")
    (incident,) = group([first], [], START)
    named = relabel(incident, "ann", START, title="Known flood", severity=Severity.LOW, labels={"team": "db"})
    fatal = make_problem("orders", "pool exhausted", 60, score=50.0)
    (later,) = group([fatal], [named], START + MINUTE)
    assert (later.title, later.severity, later.labels["team"]) == ("Known flood", Severity.LOW, "db")


def test_analysis_is_due_at_first_when_a_problem_joins_when_reopened_and_at_the_multiples(make_problem):
    first = make_problem("orders", "pool exhausted", count=10)
    (incident,) = group([first], [], START)
    assert needs_analysis(incident, None) == "not analysed yet"
    done = mark_analysed(incident)
    assert needs_analysis(done, done) is None
    grown = done.model_copy(update={"count": 49})
    assert needs_analysis(grown, done) is None
    much = done.model_copy(update={"count": 100})
    assert needs_analysis(much, grown) == "10 times the count at the first analysis"
    assert needs_analysis(mark_analysed(much), much) is None
    (joined,) = group([make_problem("orders", "boom", 5)], [done], START)
    assert needs_analysis(joined, done) == "a problem joined"
    assert needs_analysis(done.model_copy(update={"reopened": 1}), done) == "re-opened"


def test_a_storm_of_unrelated_problems_is_grouped_in_time(make_problem):
    problems = [make_problem(f"s{i % 50}", f"error {i}", i / 100, baseline_per_minute=0.0) for i in range(1000)]
    assert len(group(problems, [], START)) == 1000
