"""What a person changes, over either store: an incident's status, and feedback. Each leaves an event behind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from incidentlens.model.decisions import Feedback, IncidentEvent
from incidentlens.model.incidents import Incident
from incidentlens.model.terms import Outcome, Status

from .base import NotFound, Store, StoreRefused, Transaction

CLOSE = "closed"
IGNORE = "ignored"
REOPEN = "reopened"

Note = Callable[[Transaction, Incident, IncidentEvent], Awaitable[None]]


async def on_timeline(tx: Transaction, incident: Incident, event: IncidentEvent) -> None:
    """Where an event goes unless the caller has more to do with it in the same transaction."""
    await tx.add_event(event)


async def close(
    store: Store, project: str, incident_id: str, *, by: str, at: int, text: str = "", note: Note = on_timeline
) -> Incident:
    """A person says it is over. Closing a closed one changes nothing. NotFound where there is none."""
    return await _end(store, project, incident_id, Status.CLOSED, CLOSE, by, at, text, note)


async def ignore(
    store: Store, project: str, incident_id: str, *, by: str, at: int, text: str = "", note: Note = on_timeline
) -> Incident:
    """A person says it is nothing to look at. Ignoring an ignored one changes nothing. NotFound where there is none."""
    return await _end(store, project, incident_id, Status.IGNORED, IGNORE, by, at, text, note)


async def reopen(
    store: Store, project: str, incident_id: str, *, by: str, at: int, text: str = "", note: Note = on_timeline
) -> Incident:
    """A person says it is not over. StoreRefused where it is still active, NotFound where there is none."""
    async with store.transaction(project) as transaction:
        incident = await _get(transaction, incident_id)
        if incident.status.active:
            raise StoreRefused(f"incident {incident_id} is {incident.status}; only one that is over can be reopened")
        changed = incident.model_copy(
            update={
                "status": Status.OPEN,
                "ended_at": None,
                "updated_at": at,
                "reopened": incident.reopened + 1,
                "suppression": None,
            }
        )
        await transaction.save_incident(changed)
        event = IncidentEvent(incident_id=incident_id, at=at, kind=REOPEN, text=text or f"reopened by {by}", by=by)
        await note(transaction, changed, event)
        return changed


async def give_feedback(store: Store, project: str, feedback: Feedback, *, note: Note = on_timeline) -> None:
    """Keep what a person said, and an event of it. NotFound where there is no such incident."""
    async with store.transaction(project) as transaction:
        incident = await _get(transaction, feedback.incident_id)
        await transaction.add_feedback(feedback)
        said = feedback.verdict.replace("_", " ")
        event = IncidentEvent(
            incident_id=feedback.incident_id,
            at=feedback.at,
            kind="feedback",
            text=f"{said}: {feedback.text}" if feedback.text else said,
            by=feedback.by,
            data={"verdict": feedback.verdict, "service": feedback.service},
        )
        await note(transaction, incident, event)


async def withdraw_feedback(
    store: Store, project: str, incident_id: str, feedback_id: str, *, by: str, at: int
) -> None:
    """Take back what somebody said; it stays on record and counts for nothing. NotFound where there is no such word,
    StoreRefused where it was taken back before."""
    async with store.transaction(project) as transaction:
        await _get(transaction, incident_id)
        given = {said.id: said for said in await transaction.feedback(incident_id)}
        if feedback_id not in given:
            raise NotFound(f"there is no feedback {feedback_id[:80]!r} on incident {incident_id}")
        said = given[feedback_id]
        if not await transaction.withdraw_feedback(incident_id, feedback_id, by, at):
            raise StoreRefused(f"feedback {feedback_id} was withdrawn by {said.withdrawn_by} before")
        text = f"{said.verdict.replace('_', ' ')} of {said.by} withdrawn"
        await transaction.add_event(
            IncidentEvent(incident_id=incident_id, at=at, kind="feedback", text=text, by=by, data={"id": feedback_id})
        )


async def change(
    store: Store, project: str, incident_id: str, how: Callable[[Incident], Incident], event: IncidentEvent
) -> Incident:
    """Any other change by a person (labels, title, …): `how` gets the incident as it is now. NotFound, StoreRefused."""
    async with store.transaction(project) as transaction:
        changed = how(await _get(transaction, incident_id))
        await transaction.save_incident(changed)
        await transaction.add_event(event)
        return changed


async def _end(
    store: Store, project: str, incident_id: str, status: Status, kind: str, by: str, at: int, text: str, note: Note
) -> Incident:
    async with store.transaction(project) as transaction:
        incident = await _get(transaction, incident_id)
        if incident.status is status:
            return incident
        changed = incident.model_copy(update={"status": status, "ended_at": at, "updated_at": at})
        await transaction.save_incident(changed)
        for watch in await transaction.verifications(incident_id):
            if watch.outcome is None:
                await transaction.save_verification(
                    watch.model_copy(
                        update={"outcome": Outcome.INCONCLUSIVE, "ended_at": at, "why": f"{kind} by {by} meanwhile"}
                    )
                )
        event = IncidentEvent(incident_id=incident_id, at=at, kind=kind, text=text or f"{kind} by {by}", by=by)
        await note(transaction, changed, event)
        return changed


async def _get(transaction: Transaction, incident_id: str) -> Incident:
    incident = await transaction.incident(incident_id)
    if incident is None:
        raise NotFound(f"there is no incident {incident_id} in project {transaction.project}")
    return incident
