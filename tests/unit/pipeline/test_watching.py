"""One look of the verifier, and what the history of an incident tells the policy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import T0, make_event, make_incident, make_problem, make_verification
from incidentlens.model.clock import MINUTE, SECOND
from incidentlens.model.signatures import SignatureCount
from incidentlens.model.terms import Level, Outcome, ProblemKind
from incidentlens.pipeline.contexts import history_of
from incidentlens.pipeline.situation import Situation
from incidentlens.pipeline.watching import above_usual, look
from incidentlens.policy.model import Policy
from incidentlens.store.memory import MemoryStore
from running import NAME

NOW = T0 + 5 * MINUTE
QUIET = make_problem(baseline_per_minute=0.0)


def counted(count, problem=QUIET):
    return [
        SignatureCount(service=problem.service, signature=problem.signature, level=Level.ERROR, bucket=T0, count=count)
    ]


def looked(watched, counts=(), problem=QUIET, **changes):
    return look(make_verification(**changes), make_incident(problems=(problem,)), counts, watched, NOW, Policy())


def test_what_loki_counted_is_what_was_seen():
    assert looked({"v1": 7}).checks[-1].count == 7
    assert looked({"v1": 0}).checks[-1].count == 0


def test_a_watch_that_was_not_asked_about_is_not_looked_at():
    assert looked({"another": 7}) is None
    assert looked({}) is None


def test_a_loki_that_did_not_answer_leaves_no_check():
    assert looked({"v1": None}).checks == ()


def test_without_loki_the_tick_s_own_records_of_the_incident_are_counted():
    other = make_problem(2, service="other")
    assert looked(None, [*counted(3), *counted(4, other)]).checks[-1].count == 3


@pytest.mark.parametrize("watched", [{}, {"v1": 9}, None])
def test_without_a_query_the_tick_s_own_records_are_counted_whatever_loki_says(watched):
    assert looked(watched, counted(3), query="").checks[-1].count == 3
    assert looked(watched, [], query="").checks[-1].count == 0


def test_an_alert_that_fires_is_no_quiet_also_beside_an_everyday_signature():
    firing = make_problem(1, kind=ProblemKind.ALERT, last_seen=NOW, baseline_per_minute=50.0)
    assert looked({"v1": 0}, problem=firing).checks[-1].count == 1
    over = make_problem(1, kind=ProblemKind.ALERT, last_seen=NOW - MINUTE, baseline_per_minute=0.0)
    assert looked({"v1": 0}, problem=over).checks[-1].count == 0
    assert looked({"v1": None}, problem=firing).checks == ()


@pytest.mark.parametrize("kind", [ProblemKind.SILENCE, ProblemKind.SEQUENCE, ProblemKind.LATENCY])
def test_what_no_count_of_lines_shows_lasts_as_long_as_detection_says_and_no_longer(kind):
    lasting = make_problem(1, kind=kind, last_seen=NOW - SECOND, baseline_per_minute=0.0)
    assert looked({}, problem=lasting, query="").checks[-1].count == 1
    over = make_problem(1, kind=kind, last_seen=T0 - SECOND, baseline_per_minute=0.0)
    healthy_again = counted(50, over)
    assert looked({}, healthy_again, problem=over, query="").checks[-1].count == 0


@given(st.floats(0, 1000), st.integers(1, 10**6), st.integers(0, 60))
def test_only_what_is_above_the_usual_keeps_an_incident_open(usual, count, minutes):
    incident = make_incident(problems=(make_problem(baseline_per_minute=usual),))
    above = above_usual(incident, count, minutes * MINUTE)
    if usual == 0 or minutes == 0:
        assert above
    if count <= usual * minutes:
        assert not above
    if count > 4 * (usual * minutes) + 20:
        assert above


def test_a_signature_that_never_came_before_has_no_everyday_share():
    new = make_problem(1, kind=ProblemKind.NEW, baseline_per_minute=0.0126)
    assert above_usual(make_incident(problems=(new,)), 1, 30 * SECOND)
    rare = make_problem(1, kind=ProblemKind.SPIKE, baseline_per_minute=0.5)
    assert not above_usual(make_incident(problems=(rare,)), 1, 30 * SECOND)


def test_a_few_more_than_usual_at_each_look_are_many_over_a_stretch_of_quiet():
    problem = make_problem(1, kind=ProblemKind.SPIKE, baseline_per_minute=3.0)
    incident = make_incident(problems=(problem,), last_seen=T0)
    watched = make_verification(started_at=T0)
    seen = []
    for second in range(10, 100, 10):
        watched = look(watched, incident, (), {"v1": 2}, T0 + second * SECOND, Policy())
        seen.append(watched.checks[-1].count)
    assert seen[0] == 0
    assert any(seen)
    everyday = make_verification(started_at=T0)
    for second in range(20, 600, 20):
        everyday = look(everyday, incident, (), {"v1": 1}, T0 + second * SECOND, Policy())
    assert everyday.outcome is Outcome.RESOLVED


async def test_re_escalations_count_since_the_incident_was_last_re_opened():
    store = MemoryStore()
    incident = make_incident(project=NAME, problems=(make_problem(project=NAME),))
    ended = {"outcome": Outcome.RE_ESCALATED, "ended_at": NOW}
    async with store.transaction(NAME) as tx:
        await tx.save_incident(incident)
        await tx.save_verification(make_verification("v1", started_at=T0, **ended))
        assert (await history_of(tx, incident, situation(), ())).re_escalated == 1
        await tx.add_event(make_event("reopened", at=T0 + MINUTE))
        assert (await history_of(tx, incident, situation(), ())).re_escalated == 0
        await tx.save_verification(make_verification("v2", started_at=T0 + MINUTE, **ended))
        await tx.save_verification(make_verification("v3", started_at=T0 + 2 * MINUTE, **ended))
        other = {**ended, "outcome": Outcome.STILL_FIRING}
        await tx.save_verification(make_verification("v4", started_at=T0 + 3 * MINUTE, **other))
        history = await history_of(tx, incident, situation(), ())
    assert history.re_escalated == 2
    assert history.reopened_at == (T0 + MINUTE,)


def situation():
    return Situation(
        now=NOW,
        live=[],
        decisions=[],
        deploys=[],
        maintenance=[],
        alerts=[],
        watches=[],
        first_seen={"db": T0 - SECOND},
    )
