"""Is it really over?"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from builders import T0, make_decision, make_incident
from incidentlens.model.clock import MINUTE, SECOND
from incidentlens.model.decisions import Verification
from incidentlens.model.incidents import Incident
from incidentlens.model.terms import Disposition, Outcome, Status
from incidentlens.policy import Policy
from incidentlens.policy.model import CountEscalation
from incidentlens.runbooks import Runbook
from incidentlens.verification import begin, needs_watch, quiet_so_far, watch


def runbook(**verification: Any) -> Runbook:
    return Runbook(
        id="pool",
        name="Pool",
        default_severity="high",
        disposition="NEEDS_ONCALL",
        patterns=("pool exhausted",),
        steps=("Look at it.",),
        verification=verification,
    )


class Watch:
    """A watch and its looks: `at(minute, count)`, None where it could not be asked."""

    def __init__(self, incident: Incident | None = None, policy: Policy | None = None, **known: Any) -> None:
        self.incident = incident or make_incident(last_seen=T0, analysed_count=41, **known)
        self.policy = policy or Policy()
        self.now = begin(self.incident, make_decision(), None, self.policy, T0)

    def at(self, minute: float, count: int | None) -> Watch:
        self.now = watch(self.now, count, T0 + round(minute * MINUTE), self.incident, self.policy)
        return self

    @property
    def outcome(self) -> Outcome | None:
        return self.now.outcome


def test_a_watch_begins_with_the_policys_quiet_time_and_the_incidents_query() -> None:
    begun = begin(make_incident(), make_decision(), None, Policy(), T0)
    assert begun.quiet_ns == 5 * MINUTE
    assert begun.query == '{service="db"} |= "connection pool exhausted"'
    assert (begun.outcome, begun.started_at) == (None, T0)


def test_a_runbook_may_bring_its_own_quiet_time_and_query() -> None:
    begun = begin(make_incident(), make_decision(), runbook(quiet_minutes=30, query='{a="b"}'), Policy(), T0)
    assert (begun.quiet_ns, begun.query) == (30 * MINUTE, '{a="b"}')


def test_a_reopened_incident_must_be_quiet_for_longer_up_to_a_limit() -> None:
    times = [
        begin(make_incident(reopened=n), make_decision(), None, Policy(), T0).quiet_ns / MINUTE for n in (0, 1, 2, 50)
    ]
    assert times == [5, 7.5, 11.25, 20]


def test_it_is_resolved_after_the_quiet_time_and_not_before() -> None:
    line = Watch().at(1, 3).at(2, 0).at(5.9, 0)
    assert line.outcome is None
    assert "to go" in line.now.why
    line.at(6, 0)  # the last records may have come just at the look at minute 1
    assert line.outcome is Outcome.RESOLVED
    assert line.now.ended_at == T0 + 6 * MINUTE
    assert line.now.quiet_since == T0 + MINUTE


def test_quiet_counts_from_the_last_record_that_is_known() -> None:
    incident = make_incident(last_seen=T0 + 2 * MINUTE)
    assert Watch(incident).at(3, 0).at(6.9, 0).outcome is None
    assert Watch(incident).at(3, 0).at(7, 0).outcome is Outcome.RESOLVED


def test_a_relapse_starts_the_quiet_time_anew_and_makes_it_longer() -> None:
    line = Watch().at(1, 5).at(4, 0).at(5, 1)
    assert line.now.quiet_since is None
    assert line.now.quiet_ns == 10 * MINUTE  # it had stayed away for four
    assert "it had been quiet" in line.now.checks[-1].note
    assert line.at(14.9, 0).outcome is None
    assert line.at(15, 0).outcome is Outcome.RESOLVED


def test_a_flapping_fault_stays_one_incident_and_its_quiet_time_is_bounded() -> None:
    line = Watch(disposition=Disposition.ESCALATE)
    for minute in (1, 5, 14, 31):
        line.at(minute, 1).at(minute + 1, 0)
    assert line.outcome is None
    assert line.now.quiet_ns == 20 * MINUTE


def test_a_steady_drip_asks_for_no_more_quiet_than_its_gaps_do_and_ends_as_still_firing() -> None:
    line = Watch(disposition=Disposition.ESCALATE)
    for minute in range(1, 60, 2):
        line.at(minute, 1).at(minute + 1, 0)
    assert (line.outcome, line.now.quiet_ns) == (None, 5 * MINUTE)
    assert line.at(61, 1).outcome is Outcome.STILL_FIRING


def test_a_restart_cycle_whose_back_off_grows_is_not_called_over_between_two_restarts() -> None:
    line = Watch(disposition=Disposition.ESCALATE)
    for minute in (1, 3.7, 8.7, 18.7):
        line.at(minute, 1)
        for half in range(1, 5):
            line.at(minute + half / 2, 0)
    assert line.outcome is None


def test_the_everyday_share_of_a_stretch_of_quiet_is_kept_beside_it() -> None:
    line = Watch()
    for minute, usual in ((1, 2), (2, 0), (3, 3)):
        line.now = watch(line.now, 0, T0 + minute * MINUTE, line.incident, line.policy, usual)
    assert [(check.count, check.usual) for check in line.now.checks] == [(0, 5)]
    assert quiet_so_far(line.now) == (T0, 5)
    assert quiet_so_far(line.at(4, 1).now) == (T0 + 4 * MINUTE, 0)


def test_quiet_looks_are_one_row_and_the_checks_stay_bounded_with_their_sum() -> None:
    line = Watch(disposition=Disposition.ESCALATE)
    for second in range(1, 200):
        line.now = watch(line.now, 2, T0 + second * SECOND, line.incident, line.policy)
    assert len(line.now.checks) == 50
    assert sum(check.count for check in line.now.checks) == 2 * 199
    for second in range(200, 400):
        line.now = watch(line.now, 0, T0 + second * SECOND, line.incident, line.policy)
    assert [check.count for check in line.now.checks].count(0) == 1
    assert line.now.checks[-1].at == T0 + 399 * SECOND


def test_a_look_that_fails_leaves_its_time_to_the_next_one() -> None:
    line = Watch().at(1, 2).at(2, None).at(3, None)
    assert line.now.checks[-1].at == T0 + MINUTE
    assert "no answer since" in line.now.why
    assert line.at(6, 0).outcome is Outcome.RESOLVED  # the count at minute 6 covers what was missed


def test_without_an_answer_for_long_it_is_inconclusive() -> None:
    line = Watch().at(1, 2).at(15.9, None)
    assert line.outcome is None
    line.at(16, None)
    assert line.outcome is Outcome.INCONCLUSIVE
    assert "15 min" in line.now.why


def test_an_hour_without_quiet_ends_the_watch_as_still_firing() -> None:
    line = Watch(disposition=Disposition.ESCALATE)
    for minute in range(1, 60):
        line.at(minute, 5)
    assert line.outcome is None
    assert line.at(60, 5).outcome is Outcome.STILL_FIRING


def test_growth_past_what_the_disposition_allows_escalates_anew() -> None:
    for disposition, last_good, first_bad in (
        (Disposition.OBSERVE, 41 * 5 - 1, 41 * 5),
        (Disposition.NEEDS_DEV, 41 * 10 - 1, 41 * 10),
        (Disposition.NEEDS_ONCALL, 41 * 20 - 1, 41 * 20),
    ):
        known = {"disposition": disposition, "onset": T0 - 2 * MINUTE}
        assert Watch(**known).at(3, 1).at(5, last_good - 1).outcome is None
        line = Watch(**known).at(3, 1).at(5, first_bad - 1)
        assert line.outcome is Outcome.RE_ESCALATED
        assert "under-triaged" in line.now.why
    assert Watch(disposition=Disposition.ESCALATE).at(3, 1).at(5, 100_000).outcome is None


def test_a_cascade_that_spreads_in_its_first_minutes_is_not_escalated_anew() -> None:
    line = Watch(disposition=Disposition.NEEDS_ONCALL, onset=T0 - SECOND)
    assert line.at(0.5, 500).at(1, 5_000).at(2, 10_000).at(3.9, 10_000).outcome is None


def test_a_fault_that_goes_on_as_it_began_is_not_escalated_for_lasting() -> None:
    incident = make_incident(onset=T0 - MINUTE, last_seen=T0, analysed_count=10, disposition=Disposition.OBSERVE)
    line = Watch(incident)
    for minute in range(1, 50):
        line.at(minute, 15)
    assert line.outcome is None
    assert line.at(50, 100).outcome is Outcome.RE_ESCALATED
    assert "lately 58 a minute where it was 15" in line.now.why


def test_what_an_earlier_watch_saw_is_no_growth_in_the_next_one() -> None:
    onset = T0 - 60 * MINUTE
    incident = make_incident(onset=onset, count=720, analysed_count=2, disposition=Disposition.NEEDS_ONCALL)
    line = Watch(incident)
    for minute in range(1, 20):
        line.at(minute, 12)
    assert line.outcome is None


def test_five_times_one_record_is_no_growth() -> None:
    incident = make_incident(last_seen=T0, count=1, analysed_count=1, disposition=Disposition.OBSERVE)
    assert Watch(incident).at(3, 1).at(5, 18).outcome is None
    assert Watch(incident).at(3, 1).at(5, 19).outcome is Outcome.RE_ESCALATED


def test_a_count_limit_of_the_policy_escalates_anew_within_its_window_only() -> None:
    rule = CountEscalation(count=30, window_minutes=2, to=Disposition.ESCALATE)
    policy = Policy(count_escalations=(rule,))
    line = Watch(policy=policy).at(1, 20).at(4, 20)
    assert line.outcome is None
    assert line.at(5, 25).outcome is Outcome.RE_ESCALATED
    assert "make it ESCALATE" in line.now.why
    assert Watch(policy=policy, disposition=Disposition.ESCALATE).at(1, 500).outcome is None


def test_a_look_that_covers_an_outage_of_loki_counts_by_its_share_of_the_window() -> None:
    rule = CountEscalation(count=30, window_minutes=2, to=Disposition.ESCALATE)
    policy = Policy(count_escalations=(rule,))
    assert Watch(policy=policy).at(10, 140).outcome is None
    assert Watch(policy=policy).at(10, 160).outcome is Outcome.RE_ESCALATED


def test_a_watch_that_is_over_and_a_clock_that_went_back_change_nothing() -> None:
    line = Watch().at(6, 0)
    assert line.outcome is Outcome.RESOLVED
    before = line.now
    assert line.at(7, 100).now == before
    line = Watch().at(3, 1)
    before = line.now
    assert line.at(2, 5).now == before


def test_an_active_incident_needs_a_watch_where_none_goes_on() -> None:
    line = Watch()
    assert needs_watch(line.incident, [])
    assert not needs_watch(line.incident, [line.now])
    assert needs_watch(line.incident, [line.at(16, None).now])
    assert not needs_watch(make_incident(status=Status.CLOSED), [])


looks = st.lists(st.tuples(st.integers(1, 600), st.none() | st.integers(0, 30)), max_size=60)


@settings(deadline=None, max_examples=150)
@given(looks, st.sampled_from(Disposition), st.integers(0, 5))
def test_resolved_is_only_said_after_the_quiet_time_without_a_record(
    steps: list[tuple[int, int | None]], disposition: Disposition, reopened: int
) -> None:
    line = Watch(disposition=disposition, reopened=reopened)
    now, last_record = T0, T0
    asked = T0
    for seconds, count in steps:
        now += seconds * SECOND
        line.now = watch(line.now, count, now, line.incident, line.policy)
        if count is not None:
            asked = now
            last_record = now if count else last_record
        if line.outcome is not None:
            break
    check_end(line.now, last_record, asked)


def check_end(ended: Verification, last_record: int, asked: int) -> None:
    assert (ended.outcome is None) == (ended.ended_at is None)
    assert len(ended.checks) <= 50
    assert Verification.model_validate_json(ended.model_dump_json()) == ended
    if ended.outcome is Outcome.RESOLVED:
        assert ended.ended_at is not None
        assert ended.ended_at - last_record >= ended.quiet_ns >= 5 * MINUTE
    if ended.outcome is Outcome.INCONCLUSIVE:
        assert ended.ended_at is not None
        assert ended.ended_at - asked >= 15 * MINUTE
