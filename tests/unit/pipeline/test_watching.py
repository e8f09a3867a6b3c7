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


@given(st.floats(0, 1000), st.integers(0, 10**6), st.integers(0, 60))
def test_only_what_is_above_the_usual_keeps_an_incident_open(usual, count, minutes):
    incident = make_incident(problems=(make_problem(baseline_per_minute=usual),))
    above = above_usual(incident, count, minutes * MINUTE)
    assert above in (0, count)
    if usual == 0 or minutes == 0:
        assert above == count
    if count <= usual * minutes and usual * minutes > 0:
        assert above == 0
    if count > 4 * (usual * minutes) + 20:
        assert above == count
    assert above_usual(incident, None, minutes * MINUTE) is None


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
