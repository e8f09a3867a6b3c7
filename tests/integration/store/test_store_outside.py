"""What both stores promise beside the records: people's words, deploys, alerts, the outbox, changes."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from builders import (
    PROJECT,
    T0,
    make_event,
    make_incident,
    make_problem,
    make_verification,
)
from incidentlens.model.clock import HOUR, MINUTE
from incidentlens.model.decisions import Alert, Deploy, Feedback, Maintenance
from incidentlens.model.past import PastIncident
from incidentlens.model.terms import Outcome, Status
from incidentlens.store.base import Store, StoreRefused


class Failure(Exception):
    pass


async def test_events_and_feedback_come_in_order_of_time(store: Store) -> None:
    feedback = Feedback(incident_id="i1", at=T0, by="ann", verdict="wrong_cause", text="it was dns", service="dns")
    async with store.transaction(PROJECT) as tx:
        await tx.save_incident(make_incident())
        await tx.add_event(make_event("decided", at=T0 + 5, data={"disposition": "ESCALATE"}))
        await tx.add_event(make_event("opened", at=T0))
        await tx.add_event(make_event("notified", at=T0 + 5, by="ann"))
        await tx.add_feedback(feedback)
        assert await tx.events("i1") == [
            make_event("opened", at=T0),
            make_event("decided", at=T0 + 5, data={"disposition": "ESCALATE"}),
            make_event("notified", at=T0 + 5, by="ann"),
        ]
        assert await tx.feedback("i1") == [feedback]
    with pytest.raises(StoreRefused):
        async with store.transaction(PROJECT) as tx:
            await tx.add_feedback(feedback.model_copy(update={"verdict": "meh"}))


async def test_deploys_and_maintenance_of_the_time_asked_for(store: Store) -> None:
    deploys = [Deploy(id=f"v{n}", project=PROJECT, service="db", at=T0 + n, planned_until=T0 + n + 5) for n in (1, 2)]
    window = Maintenance(id="m", project=PROJECT, services=("db", "api"), starts_at=T0, ends_at=T0 + 10, by="ann")
    async with store.transaction(PROJECT) as tx:
        for deploy in deploys:
            await tx.add_deploy(deploy)
        await tx.add_maintenance(window)
    async with store.transaction(PROJECT) as tx:
        assert await tx.deploys(T0 + 1) == [deploys[1], deploys[0]]
        assert await tx.deploys(T0 + 2) == [deploys[1]]
        assert await tx.maintenance(T0 - 1) == []
        assert await tx.maintenance(T0) == [window]
        assert await tx.maintenance(T0 + 10) == []  # the end is outside
        assert await tx.delete_maintenance("m")
        assert not await tx.delete_maintenance("m")
        assert await tx.maintenance(T0) == []
    with pytest.raises(StoreRefused):
        async with store.transaction(PROJECT) as tx:
            await tx.add_maintenance(window.model_copy(update={"ends_at": T0 - 1}))


async def test_an_alert_sent_again_is_news_only_when_its_state_changed(store: Store) -> None:
    firing = Alert(
        fingerprint="f", project=PROJECT, name="DbErrors", starts_at=T0, ends_at=None, labels={"severity": "high"}
    )
    ended = firing.model_copy(update={"ends_at": T0 + 60})
    again = firing.model_copy(update={"starts_at": T0 + 90})
    async with store.transaction(PROJECT) as tx:
        assert await tx.save_alert(firing)
        assert not await tx.save_alert(firing)
        assert await tx.active_alerts(T0 + 1) == [firing]
        assert await tx.save_alert(ended)
        assert not await tx.save_alert(ended)
        assert await tx.active_alerts(T0 + 60) == []
        assert await tx.save_alert(again)
        assert await tx.active_alerts(T0 + 90) == [again]


async def test_the_pushed_on_end_of_a_firing_alert_is_no_news(store: Store) -> None:
    def sent(ends_at: int) -> Alert:
        return Alert(fingerprint="f", project=PROJECT, name="DbErrors", starts_at=T0, ends_at=ends_at)

    async with store.transaction(PROJECT) as tx:
        assert await tx.save_alert(sent(T0 + 240))
        assert not await tx.save_alert(sent(T0 + 300))
        assert await tx.active_alerts(T0 + 250) == [sent(T0 + 300)]
        assert await tx.save_alert(sent(T0 + 250))
        assert await tx.active_alerts(T0 + 250) == []


async def test_an_outbox_item_is_leased_retried_and_done(store: Store) -> None:
    async with store.transaction(PROJECT) as tx:
        await tx.enqueue("loki", "a", {"n": 1}, T0)
        await tx.enqueue("loki", "a", {"n": 2}, T0)  # ignored
        await tx.enqueue("annotation", "a", {"n": 3}, T0)
        await tx.enqueue("loki", "later", {"n": 4}, T0 + HOUR)
    async with store.transaction("other") as tx:
        await tx.enqueue("loki", "a", {"n": 5}, T0)
    claimed = await store.claim_outbox(T0, 10)
    assert [(item.project, item.payload["n"]) for item in claimed] == [(PROJECT, 1), (PROJECT, 3), ("other", 5)]
    assert await store.claim_outbox(T0 + MINUTE - 1, 10) == []
    first, second, third = claimed
    await store.outbox_done(first.id, T0)
    await store.outbox_failed(second.id, T0, "503", T0 + 5)
    await store.outbox_failed(third.id, T0, "400: no such channel", None)
    assert await store.claim_outbox(T0 + 4, 10) == []
    (again,) = await store.claim_outbox(T0 + 5, 10)
    assert (again.id, again.attempts, again.next_attempt_at) == (second.id, 1, T0 + 5)
    # A publisher that dies holds an item for a minute, no longer.
    assert [item.id for item in await store.claim_outbox(T0 + 5 + MINUTE, 10)] == [second.id]
    async with store.transaction(PROJECT) as tx:
        await tx.enqueue("loki", "a", {"n": 6}, T0)  # published already: still ignored
    assert [item.key for item in await store.claim_outbox(T0 + HOUR + 2 * MINUTE, 10)] == ["a", "later"]


async def test_two_publishers_never_claim_the_same_item(store: Store) -> None:
    async with store.transaction(PROJECT) as tx:
        for number in range(50):
            await tx.enqueue("loki", str(number), {}, T0)
    taken = await asyncio.gather(*(store.claim_outbox(T0, 20) for _ in range(4)))
    ids = [item.id for part in taken for item in part]
    assert len(ids) == len(set(ids))
    rest = await store.claim_outbox(T0, 50)
    assert len(ids) + len(rest) == 50


async def test_changes_are_told_after_the_commit_and_not_to_other_projects(store: Store) -> None:
    mine, theirs = store.changes(PROJECT), store.changes("other")
    assert await anext(mine) == ""
    assert await anext(theirs) == ""
    with contextlib.suppress(Failure):
        async with store.transaction(PROJECT) as tx:
            await tx.save_incident(make_incident("undone"))
            raise Failure
    async with store.transaction(PROJECT) as tx:
        await tx.save_incident(make_incident("i1"))
        await tx.add_event(make_event("opened", "i1"))
        await tx.save_incident(make_incident("i2"))
    async with store.transaction("other") as tx:
        await tx.save_incident(make_incident("i3", project="other"))

    async def next_id(of: Any) -> str:
        while not (incident := await asyncio.wait_for(anext(of), 5)):
            pass
        return str(incident)

    assert [await next_id(mine), await next_id(mine)] == ["i1", "i2"]
    assert await next_id(theirs) == "i3"
    await mine.aclose()
    await theirs.aclose()


async def test_feedback_can_be_taken_back_once_and_stays_on_record(store: Store) -> None:
    said = Feedback(incident_id="i1", at=T0, by="ann", verdict="noise")
    async with store.transaction(PROJECT) as tx:
        await tx.save_incident(make_incident())
        await tx.save_incident(make_incident("i2"))
        await tx.add_feedback(said)
        await tx.add_feedback(said)  # sent twice
        assert not await tx.withdraw_feedback("i2", said.id, "bob", T0 + 1)
        assert await tx.withdraw_feedback("i1", said.id, "bob", T0 + 1)
        assert not await tx.withdraw_feedback("i1", said.id, "eve", T0 + 2)
        assert await tx.feedback("i1") == [said.model_copy(update={"withdrawn_at": T0 + 1, "withdrawn_by": "bob"})]


async def test_earlier_incidents_that_may_be_alike_come_with_their_end_and_what_was_said(store: Store) -> None:
    twin = make_incident("twin", status=Status.CLOSED, ended_at=T0 + HOUR, last_seen=T0 + 9)
    neighbour = make_incident("neighbour", problems=(make_problem(9),), last_seen=T0 + 8)
    stranger = make_incident("stranger", service="mail", problems=(make_problem(10, service="mail"),))
    said = Feedback(incident_id="twin", at=T0 + 5, by="ann", verdict="right_cause")
    taken_back = Feedback(incident_id="twin", at=T0 + 6, by="ann", verdict="noise")
    async with store.transaction(PROJECT) as tx:
        for incident in (make_incident(), twin, neighbour, stranger):
            await tx.save_incident(incident)
        await tx.save_verification(
            make_verification("v1", "twin", outcome=Outcome.RESOLVED, ended_at=T0 + 3, why="quiet")
        )
        await tx.add_event(make_event("closed", "twin", at=T0 + 4, text="part of i0"))
        await tx.add_event(make_event("closed", "twin", at=T0 + 3, by="bob", text="restarted it"))
        await tx.add_feedback(said)
        await tx.add_feedback(taken_back)
        await tx.withdraw_feedback("twin", taken_back.id, "ann", T0 + 7)
        found = await tx.past_incidents(make_incident())
    assert [past.id for past in found] == ["twin", "neighbour"]
    assert found[0] == PastIncident.of(
        twin, outcome=Outcome.RESOLVED, outcome_why="quiet", ended_by="bob", ended_note="restarted it", feedback=(said,)
    )
    assert found[1] == PastIncident.of(neighbour)


async def test_what_people_judged_counts_however_many_came_since(store: Store) -> None:
    async with store.transaction(PROJECT) as tx:
        await tx.save_incident(make_incident("judged", last_seen=T0 - HOUR))
        await tx.add_feedback(Feedback(incident_id="judged", at=T0, by="ann", verdict="noise"))
        for number in range(310):
            await tx.save_incident(make_incident(f"i{number}", last_seen=T0 + number))
        found = [past.id for past in await tx.past_incidents(make_incident("now"))]
    assert len(found) == 201
    assert "judged" in found
