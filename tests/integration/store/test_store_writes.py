"""What a person changes leaves an event, and ends the watches that go on."""

from __future__ import annotations

import pytest

from builders import PROJECT, T0, make_event, make_incident, make_verification
from incidentlens.model.decisions import Feedback
from incidentlens.model.terms import Outcome, Status
from incidentlens.store import writes
from incidentlens.store.base import NotFound, Store, StoreRefused


async def test_closing_ends_the_incident_and_its_watch_and_tells_who_did_it(store: Store) -> None:
    async with store.transaction(PROJECT) as tx:
        await tx.save_incident(make_incident(status=Status.VERIFYING))
        await tx.save_verification(make_verification())
    closed = await writes.close(store, PROJECT, "i1", by="ann", at=T0 + 99, text="rolled back")
    assert (closed.status, closed.ended_at) == (Status.CLOSED, T0 + 99)
    assert await writes.close(store, PROJECT, "i1", by="bob", at=T0 + 100) == closed
    async with store.transaction(PROJECT) as tx:
        assert await tx.incident("i1") == closed
        assert await tx.open_verifications() == []
        assert (await tx.verifications("i1"))[0].outcome is Outcome.INCONCLUSIVE
        assert [(event.kind, event.by, event.text) for event in await tx.events("i1")] == [
            ("closed", "ann", "rolled back")
        ]


async def test_an_ignored_incident_can_be_reopened_but_an_open_one_cannot(store: Store) -> None:
    async with store.transaction(PROJECT) as tx:
        await tx.save_incident(make_incident())
    with pytest.raises(StoreRefused, match="is open"):
        await writes.reopen(store, PROJECT, "i1", by="ann", at=T0)
    assert (await writes.ignore(store, PROJECT, "i1", by="ann", at=T0 + 1)).status is Status.IGNORED
    again = await writes.reopen(store, PROJECT, "i1", by="bob", at=T0 + 2)
    assert (again.status, again.ended_at, again.reopened) == (Status.OPEN, None, 1)
    async with store.transaction(PROJECT) as tx:
        assert [event.kind for event in await tx.events("i1")] == ["ignored", "reopened"]


async def test_feedback_is_kept_with_an_event(store: Store) -> None:
    said = Feedback(incident_id="i1", at=T0, by="ann", verdict="wrong_cause", text="it was dns", service="dns")
    async with store.transaction(PROJECT) as tx:
        await tx.save_incident(make_incident())
    await writes.give_feedback(store, PROJECT, said)
    async with store.transaction(PROJECT) as tx:
        assert await tx.feedback("i1") == [said]
        assert (await tx.events("i1"))[0].text == "wrong cause: it was dns"


async def test_a_change_sees_the_incident_as_it_is_now(store: Store) -> None:
    async with store.transaction(PROJECT) as tx:
        await tx.save_incident(make_incident(labels={"a": "1"}))
    changed = await writes.change(
        store,
        PROJECT,
        "i1",
        lambda incident: incident.model_copy(update={"labels": {**incident.labels, "b": "2"}, "pinned": True}),
        make_event("relabelled", by="ann"),
    )
    assert changed.labels == {"a": "1", "b": "2"}


async def test_what_is_not_there_is_not_found_even_in_the_right_place_of_another_project(store: Store) -> None:
    async with store.transaction("other") as tx:
        await tx.save_incident(make_incident(project="other"))
    for call in (writes.close, writes.ignore, writes.reopen):
        with pytest.raises(NotFound, match="no incident i1 in project shop"):
            await call(store, PROJECT, "i1", by="ann", at=T0)
    with pytest.raises(NotFound):
        await writes.give_feedback(store, PROJECT, Feedback(incident_id="i1", at=T0, by="ann", verdict="noise"))
