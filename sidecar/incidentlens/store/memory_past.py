"""The memory store's search for earlier incidents: the same bounds and order as `pg.past`."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from incidentlens.model.incidents import Incident
from incidentlens.model.past import PastIncident
from incidentlens.model.terms import Status

from .base import PAST_JUDGED, PAST_SAID, PAST_SERVICE, PAST_SIGNATURE
from .memory_space import Space

_SAID_OF_ONE = 20


def past_incidents(space: Space, incident: Incident) -> list[PastIncident]:
    """See `base.Transaction.past_incidents`."""
    signatures, services = set(incident.signatures), set(incident.services)
    latest = sorted(
        (other for other in space.incidents.values() if other.id != incident.id),
        key=lambda other: (other.last_seen, other.id),
        reverse=True,
    )
    said = sorted(
        (entry for entries in space.feedback.values() for entry in entries if entry.withdrawn_at is None),
        key=lambda entry: -entry.at,
    )
    judged = {entry.incident_id for entry in said[:PAST_SAID]}
    alike = [other for other in latest if signatures & set(other.signatures)]
    chosen = {
        *_ids(alike, PAST_SIGNATURE),
        *_ids((other for other in latest if services & set(other.services)), PAST_SERVICE),
        *_ids((other for other in alike if other.id in judged), PAST_JUDGED),
    }
    return [_past(space, other) for other in latest if other.id in chosen]


def _ids(incidents: Iterable[Incident], limit: int) -> list[str]:
    return [incident.id for incident in islice(incidents, limit)]


def _past(space: Space, incident: Incident) -> PastIncident:
    watches = [watch for watch in space.verifications_of.get(incident.id, {}).values() if watch.outcome is not None]
    watch = max(watches, key=lambda watch: watch.ended_at or 0, default=None)
    ends = [
        event
        for event in space.events.get(incident.id, ())
        if event.kind in (Status.CLOSED, Status.IGNORED) and event.by != "incidentlens"
    ]
    end = max(reversed(ends), key=lambda event: event.at, default=None)
    feedback = sorted(
        (entry for entry in space.feedback.get(incident.id, ()) if entry.withdrawn_at is None),
        key=lambda entry: entry.at,
    )
    return PastIncident.of(
        incident,
        outcome=watch.outcome if watch else None,
        outcome_why=watch.why if watch else "",
        ended_by=end.by if end else "",
        ended_note=end.text if end else "",
        feedback=tuple(feedback[-_SAID_OF_ONE:]),
    )
