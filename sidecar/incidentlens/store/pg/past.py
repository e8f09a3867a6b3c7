"""Earlier incidents that may be like one, with how they ended and what people said of them."""

# ruff: noqa: S608 (only this module's own column list is put into statements; every value is a parameter)

from __future__ import annotations

from incidentlens.model.decisions import Feedback
from incidentlens.model.incidents import Incident, RootCause
from incidentlens.model.past import PastIncident
from incidentlens.store.base import PAST_JUDGED, PAST_SAID, PAST_SERVICE, PAST_SIGNATURE

from .session import Session

COLUMNS = (
    "id, title, service, services, signatures, status, severity, disposition, onset, last_seen, ended_at, count, "
    "root_cause, runbook, outcome"
)
# Each part of the search is an index's and bounded; what people judged counts however long ago it was.
CANDIDATES = (
    "(SELECT id FROM incidents WHERE project = %(project)s AND signatures && %(signatures)s::text[] AND id <> %(id)s "
    "ORDER BY last_seen DESC, id DESC LIMIT %(by_signature)s) UNION "
    "(SELECT id FROM incidents WHERE project = %(project)s AND services && %(services)s::text[] AND id <> %(id)s "
    "ORDER BY last_seen DESC, id DESC LIMIT %(by_service)s) UNION "
    "(SELECT judged.id FROM (SELECT DISTINCT incident_id FROM (SELECT incident_id FROM feedback "
    "WHERE project = %(project)s AND withdrawn_at IS NULL ORDER BY at DESC LIMIT %(said)s) AS latest) AS said "
    "JOIN incidents AS judged ON judged.project = %(project)s AND judged.id = said.incident_id "
    "WHERE judged.signatures && %(signatures)s::text[] AND judged.id <> %(id)s "
    "ORDER BY judged.last_seen DESC, judged.id DESC LIMIT %(judged)s)"
)
PAST = (
    f"SELECT {COLUMNS}, coalesce(watch.why, '') AS outcome_why, coalesce(ending.by, '') AS ended_by, "
    "coalesce(ending.text, '') AS ended_note, coalesce(said.feedback, '[]'::jsonb) AS feedback "
    f"FROM incidents AS past JOIN ({CANDIDATES}) AS candidate USING (id) "
    "LEFT JOIN LATERAL (SELECT why FROM verifications WHERE project = past.project AND incident_id = past.id "
    "AND outcome IS NOT NULL ORDER BY ended_at DESC, seq DESC LIMIT 1) AS watch ON true "
    "LEFT JOIN LATERAL (SELECT by, text FROM events WHERE project = past.project AND incident_id = past.id "
    "AND kind IN ('closed', 'ignored') AND by <> 'incidentlens' ORDER BY at DESC, seq DESC LIMIT 1) AS ending ON true "
    "LEFT JOIN LATERAL (SELECT jsonb_agg(to_jsonb(entry) - 'project' - 'seq' ORDER BY at, seq) AS feedback FROM ("
    "SELECT * FROM feedback WHERE project = past.project AND incident_id = past.id AND withdrawn_at IS NULL "
    "ORDER BY at DESC, seq DESC LIMIT 20) AS entry) AS said ON true "
    'WHERE past.project = %(project)s ORDER BY last_seen DESC, id COLLATE "C" DESC'
)


async def past_incidents(session: Session, incident: Incident) -> list[PastIncident]:
    """See `store.base.Transaction.past_incidents`."""
    rows = await session.named_rows(
        PAST,
        {
            "project": incident.project,
            "id": incident.id,
            "signatures": list(incident.signatures),
            "services": list(incident.services),
            "by_signature": PAST_SIGNATURE,
            "by_service": PAST_SERVICE,
            "said": PAST_SAID,
            "judged": PAST_JUDGED,
        },
    )
    found = []
    for row in rows:
        row["root_cause"] = RootCause(**row["root_cause"]) if row["root_cause"] else None
        row["feedback"] = tuple(Feedback(**entry) for entry in row["feedback"])
        found.append(PastIncident(**row))
    return found
