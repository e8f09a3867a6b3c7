"""What is saved is what is read, whatever it holds: only NUL and lone surrogates are replaced, in both stores alike."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import make_action, make_analysis, make_decision, make_event, make_evidence, make_incident
from incidentlens.model.incidents import Incident, RootCause, ServiceScore
from incidentlens.store.base import Store
from incidentlens.store.text import BIGGEST, clean
from strategies import (
    PROJECT,
    actions,
    alerts,
    analyses,
    decisions,
    events,
    evidence_items,
    incidents,
    texts,
    verifications,
)

any_values = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


class Undone(Exception):
    """Ends an example's transaction without a trace, so that examples do not meet."""


@given(first=incidents(), second=incidents())
@any_values
async def test_an_incident_is_read_back_as_saved(store: Store, first: Incident, second: Incident) -> None:
    second = second.model_copy(update={"id": first.id})
    try:
        async with store.transaction(PROJECT) as tx:
            for incident in (first, second):
                await tx.save_incident(incident)
                assert await tx.incident(incident.id) == clean(incident)
            if second.ended_at is None:
                assert clean(second) in await tx.live_incidents(0)
            raise Undone
    except Undone:
        pass


@given(data=st.data())
@any_values
async def test_what_hangs_on_an_incident_is_read_back_as_saved(store: Store, data: st.DataObject) -> None:
    item, analysis, alert = data.draw(evidence_items), data.draw(analyses), data.draw(alerts)
    decision, watch, event = data.draw(decisions("i1")), data.draw(verifications("i1")), data.draw(events("i1"))
    action = data.draw(actions("i1", decision.id))
    payload: dict[str, Any] = data.draw(st.dictionaries(texts, texts, max_size=3))
    try:
        async with store.transaction(PROJECT) as tx:
            await tx.save_incident(make_incident())
            await tx.save_evidence("i1", [item])
            assert await tx.evidence("i1") == [clean(item)]
            await tx.save_analysis("i1", 1, analysis)
            assert await tx.latest_analysis("i1") == clean(analysis)
            await tx.add_decision(decision)
            assert await tx.decisions("i1") == [clean(decision)]
            await tx.add_action(action)
            assert await tx.actions("i1") == [clean(action)]
            await tx.save_verification(watch)
            assert await tx.verifications("i1") == [clean(watch)]
            await tx.add_event(event)
            assert await tx.events("i1") == [clean(event)]
            await tx.save_alert(alert)
            if alert.ends_at is None:
                assert await tx.active_alerts(alert.starts_at) == [clean(alert)]
            await tx.enqueue("loki", "k", payload, 0)
            raise Undone
    except Undone:
        pass


async def test_what_json_cannot_hold_does_not_stop_a_tick(store: Store) -> None:
    cause = RootCause(
        service="db",
        signature="s",
        summary="",
        confidence=0.5,
        ranking=(ServiceScore(service="db", score=float("inf")), ServiceScore(service="api", score=float("nan"))),
    )
    async with store.transaction(PROJECT) as tx:
        await tx.save_incident(make_incident(root_cause=cause))
        await tx.add_decision(make_decision(inputs={"huge": 2**80, "ratio": float("-inf")}))
        incident = await tx.incident("i1")
        (decision,) = await tx.decisions("i1")
    assert incident is not None
    assert incident.root_cause is not None
    scores = [entry.score for entry in incident.root_cause.ranking]
    assert scores[0] in (float("inf"), BIGGEST)
    assert set(decision.inputs) == {"huge", "ratio"}


async def test_half_a_surrogate_in_a_key_is_one_replacement_character(store: Store) -> None:
    nasty, kept = {"a\ud800": {"\udcba": "\ud800"}}, {"a\ufffd": {"\ufffd": "\ufffd"}}
    async with store.transaction(PROJECT) as tx:
        await tx.save_incident(make_incident())
        await tx.save_evidence("i1", [make_evidence(data=nasty)])
        await tx.save_analysis("i1", 1, make_analysis(details=nasty))
        await tx.add_decision(make_decision(inputs=nasty, policy=nasty))
        await tx.add_action(make_action(payload=nasty))
        await tx.add_event(make_event(data=nasty))
        assert await tx.evidence("i1") == [make_evidence(data=kept)]
        assert await tx.latest_analysis("i1") == make_analysis(details=kept)
        assert await tx.decisions("i1") == [make_decision(inputs=kept, policy=kept)]
        assert await tx.actions("i1") == [make_action(payload=kept)]
        assert await tx.events("i1") == [make_event(data=kept)]
