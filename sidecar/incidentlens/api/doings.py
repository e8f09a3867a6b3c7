"""What a person does to incidents: the same for the API and for the pages' forms.

Each is one transaction of the store and leaves an event behind. Errors: NotFound, StoreRefused and StoreError of the
store; ApiError 409 for what grouping refuses.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from incidentlens import incidents
from incidentlens.model.decisions import Feedback, IncidentEvent
from incidentlens.model.incidents import Incident
from incidentlens.model.terms import Outcome, Severity
from incidentlens.publish.loki_events import event_key, event_payload
from incidentlens.store import writes
from incidentlens.store.base import NotFound, Transaction

from .auth import Principal
from .errors import ApiError
from .seams import Services


class Doings:
    """A person's changes in one project, signed with a name. The asker must be an editor (see `auth`)."""

    def __init__(self, services: Services, principal: Principal, by: str | None = None) -> None:
        self._store = services.store
        self._project = principal.project.name
        self._in_loki = principal.project.loki_events
        self._by = principal.signed(by)
        self._now = services.clock.now()

    async def close(self, incident_id: str, text: str = "") -> Incident:
        return await writes.close(
            self._store,
            self._project,
            incident_id,
            by=self._by,
            at=self._now,
            text=self._said("closed", text),
            note=self._note,
        )

    async def ignore(self, incident_id: str, text: str = "") -> Incident:
        return await writes.ignore(
            self._store,
            self._project,
            incident_id,
            by=self._by,
            at=self._now,
            text=self._said("ignored", text),
            note=self._note,
        )

    async def reopen(self, incident_id: str, text: str = "") -> Incident:
        return await writes.reopen(
            self._store,
            self._project,
            incident_id,
            by=self._by,
            at=self._now,
            text=self._said("reopened", text),
            note=self._note,
        )

    async def feedback(self, incident_id: str, verdict: str, text: str = "", service: str | None = None) -> Feedback:
        feedback = Feedback(
            incident_id=incident_id, at=self._now, by=self._by, verdict=verdict, text=text.strip(), service=service
        )
        await writes.give_feedback(self._store, self._project, feedback, note=self._note)
        return feedback

    async def withdraw_feedback(self, incident_id: str, feedback_id: str) -> None:
        await writes.withdraw_feedback(self._store, self._project, incident_id, feedback_id, by=self._by, at=self._now)

    async def merge(self, into_id: str, other_id: str) -> Incident:
        """The problems and the evidence of `other_id` go into `into_id`, which is given."""
        async with self._store.transaction(self._project) as tx:
            into, other = await _get(tx, into_id), await _get(tx, other_id)
            try:
                kept, gone = incidents.merge(into, other, self._by, self._now)
            except ValueError as error:
                raise ApiError(409, str(error)) from None
            await tx.save_incident(kept)
            await tx.save_incident(gone)
            await tx.save_evidence(kept.id, await tx.evidence(gone.id))
            for watch in await tx.verifications(gone.id):
                if watch.outcome is None:
                    ended = {
                        "outcome": Outcome.INCONCLUSIVE,
                        "ended_at": max(self._now, watch.started_at),
                        "why": f"merged into {kept.id} by {self._by}",
                    }
                    await tx.save_verification(watch.model_copy(update=ended))
            await self._event(tx, kept, "merged", f"{other.title} ({gone.id}) was merged into this", other=gone.id)
            await self._event(tx, gone, "merged", f"merged into {into.title} ({kept.id})", other=kept.id)
        return kept

    async def split(self, incident_id: str, problem_ids: Collection[str]) -> tuple[Incident, Incident]:
        """(The incident without those problems, the new one of them); evidence goes with its records."""
        async with self._store.transaction(self._project) as tx:
            incident = await _get(tx, incident_id)
            try:
                kept, new = incidents.split(incident, problem_ids, self._by, self._now)
            except ValueError as error:
                raise ApiError(409, str(error)) from None
            await tx.save_incident(kept)
            await tx.save_incident(new)
            records = {sample.id for problem in new.problems for sample in problem.samples}
            await tx.save_evidence(new.id, [item for item in await tx.evidence(kept.id) if item.id in records])
            await self._event(tx, kept, "split", f"{len(new.problems)} problems became {new.id}", other=new.id)
            await self._event(tx, new, "opened", f"split off from {kept.title} ({kept.id})", other=kept.id)
        return kept, new

    async def relabel(
        self,
        incident_id: str,
        *,
        title: str | None = None,
        severity: Severity | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Incident:
        """Another title, severity or labels; an empty label is taken away."""
        async with self._store.transaction(self._project) as tx:
            incident = await _get(tx, incident_id)
            try:
                changed = incidents.relabel(
                    incident, self._by, self._now, title=title, severity=severity, labels=labels
                )
            except ValueError as error:
                raise ApiError(409, str(error)) from None
            await tx.save_incident(changed)
            said = [f"title {title!r}"] if title is not None else []
            said += [f"severity {severity}"] if severity is not None else []
            said += [f"label {name}={value}" if value else f"no label {name}" for name, value in (labels or {}).items()]
            await self._event(tx, changed, "relabelled", ", ".join(said))
        return changed

    def _said(self, what: str, text: str) -> str:
        text = text.strip()
        return f"{what} by {self._by}: {text}" if text else ""

    async def _event(self, tx: Transaction, incident: Incident, kind: str, text: str, **data: str) -> None:
        event = IncidentEvent(incident_id=incident.id, at=self._now, kind=kind, text=text, by=self._by, data=data)
        await self._note(tx, incident, event)

    async def _note(self, tx: Transaction, incident: Incident, event: IncidentEvent) -> None:
        """Onto the timeline, and to Loki where the project's events go: what persons end is over there too."""
        await tx.add_event(event)
        if self._in_loki:
            await tx.enqueue("loki", event_key(event), event_payload(event, incident, 0), event.at)


async def _get(tx: Transaction, incident_id: str) -> Incident:
    incident = await tx.incident(incident_id)
    if incident is None:
        raise NotFound(f"there is no incident {incident_id[:80]!r} in project {tx.project}")
    return incident
