"""Incidents: the list, one with all that hangs on it, and those that may be like it."""

# ruff: noqa: S608 (only this folder's own column lists are put into statements; every value is a parameter)

from __future__ import annotations

from psycopg.rows import DictRow

from incidentlens.model.analysis import Analysis, EvidenceItem
from incidentlens.model.decisions import Action, Feedback, IncidentEvent
from incidentlens.model.incidents import Incident
from incidentlens.model.investigations import Investigation
from incidentlens.model.past import PastIncident
from incidentlens.model.terms import Severity
from incidentlens.store.paging import Page, check_limit, cut, decode, encode, list_key
from incidentlens.store.queries import IncidentDetail, IncidentFilter, IncidentRow, IncidentSort
from incidentlens.store.text import clean, prefix_query

from .incidents import load
from .investigations import INVESTIGATION
from .past import past_incidents
from .reading import Reader, Where, after, ordered
from .records import ACTION, DECISIONS, EVENT, EVIDENCE, FEEDBACK, VERIFICATION, to_decision, to_verification

ROW = (
    "id, project, title, service, status, severity, disposition, confidence, onset, opened_at, last_seen, updated_at, "
    "ended_at, count, reopened, runbook, summary, services, signatures, root_cause ->> 'service' AS cause_service, "
    "root_cause ->> 'signature' AS cause_signature, root_cause ->> 'summary' AS cause, "
    "(root_cause ->> 'confidence')::double precision AS cause_confidence, suppression_reason AS suppression, outcome, "
    "pinned"
)
ORDERS = {
    IncidentSort.LAST_SEEN: "last_seen, id",
    IncidentSort.OPENED_AT: "opened_at, id",
    IncidentSort.SEVERITY: "severity_rank, last_seen, id",
    IncidentSort.COUNT: "count, id",
}
BOUNDS = {
    "evidence": 500,
    "decisions": 100,
    "actions": 200,
    "verifications": 50,
    "events": 500,
    "feedback": 200,
    "investigations": 50,
}


def to_row(row: DictRow) -> IncidentRow:
    row.pop("severity_rank", None)
    return IncidentRow(**row)


class ReadIncidents(Reader):
    """See `store.queries.Queries`."""

    async def list_incidents(
        self,
        project: str,
        where: IncidentFilter = IncidentFilter(),
        *,
        sort: IncidentSort = IncidentSort.LAST_SEEN,
        descending: bool = True,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[IncidentRow]:
        check_limit(limit)
        where = clean(where)
        key = list_key("incidents", project=project, where=where.model_dump(mode="json"), sort=sort, down=descending)
        columns = ORDERS[sort]
        names = columns.split(", ")
        position = decode(cursor, key, (*([int] * (len(names) - 1)), str))
        conditions = _conditions(project, where)
        if conditions is None:
            return Page(items=())
        if position is not None:
            conditions.add(after(columns, descending, len(names)), *position)
        async with self._read() as session:
            rows = await session.rows(
                f"SELECT {ROW}, severity_rank FROM incidents WHERE {conditions} "
                f"ORDER BY {ordered(columns, descending)} LIMIT %s",
                (*conditions.params, limit + 1),
                plan=False,
            )
        rows, more = cut(rows, limit)
        next_cursor = encode(key, [rows[-1][name] for name in names]) if more else None
        return Page(items=tuple(to_row(row) for row in rows), next_cursor=next_cursor)

    async def incident_detail(self, project: str, incident_id: str) -> IncidentDetail | None:
        async with self._read() as session:
            found = await load(session, project, "id = %s", (incident_id,))
            if not found:
                return None
            incident = found[0]
            of_incident = (project, incident_id)
            head = await session.row("SELECT outcome FROM incidents WHERE project = %s AND id = %s", of_incident)
            parts: dict[str, list[DictRow]] = {}
            hidden: dict[str, int] = {}
            for name, (select, order) in PARTS.items():
                rows = await session.rows(f"{select} ORDER BY {order} LIMIT %s", (*of_incident, BOUNDS[name] + 1))
                if len(rows) > BOUNDS[name]:
                    rows = rows[: BOUNDS[name]]
                    counted = await session.row(
                        f"SELECT count(*) AS n FROM {name} WHERE project = %s AND incident_id = %s", of_incident
                    )
                    hidden[name] = (counted["n"] if counted else len(rows)) - len(rows)
                parts[name] = rows
            analysis = await session.row(
                "SELECT at, body FROM analyses WHERE project = %s AND incident_id = %s "
                "ORDER BY at DESC, seq DESC LIMIT 1",
                of_incident,
            )
        return IncidentDetail(
            incident=incident,
            outcome=head["outcome"] if head else None,
            evidence=tuple(EvidenceItem(**row) for row in parts["evidence"]),
            analysis=Analysis(**analysis["body"]) if analysis else None,
            analysed_at=analysis["at"] if analysis else None,
            decisions=tuple(to_decision(row) for row in parts["decisions"]),
            actions=tuple(Action(**row) for row in parts["actions"]),
            verifications=tuple(to_verification(row) for row in parts["verifications"]),
            # Fetched newest first, so that a bound cuts off the oldest; shown in order of time.
            events=tuple(IncidentEvent(**row) for row in reversed(parts["events"])),
            feedback=tuple(Feedback(**row) for row in reversed(parts["feedback"])),
            investigations=tuple(Investigation(**row) for row in parts["investigations"]),
            cut=hidden,
        )

    async def investigations(self, project: str, incident_id: str) -> list[Investigation]:
        async with self._read() as session:
            rows = await session.rows(
                f"SELECT {INVESTIGATION}, run FROM investigations WHERE project = %s AND incident_id = %s "
                "ORDER BY wanted_at DESC, id DESC LIMIT 50",
                (project, incident_id),
            )
        return [Investigation(**row) for row in rows]

    async def past_incidents(self, incident: Incident) -> list[PastIncident]:
        async with self._read() as session:
            return await past_incidents(session, incident)


PARTS = {
    "evidence": (f"SELECT {EVIDENCE} FROM evidence WHERE project = %s AND incident_id = %s", "seq"),
    "decisions": (
        DECISIONS + "WHERE decision.project = %s AND decision.incident_id = %s",
        "decision.at DESC, decision.seq DESC",
    ),
    "actions": (f"SELECT {ACTION} FROM actions WHERE project = %s AND incident_id = %s", "at, seq"),
    "verifications": (
        f"SELECT {VERIFICATION} FROM verifications WHERE project = %s AND incident_id = %s",
        "started_at, seq",
    ),
    "events": (f"SELECT {EVENT} FROM events WHERE project = %s AND incident_id = %s", "at DESC, seq DESC"),
    "investigations": (
        f"SELECT {INVESTIGATION} FROM investigations WHERE project = %s AND incident_id = %s",
        "wanted_at DESC, id DESC",
    ),
    "feedback": (f"SELECT {FEEDBACK} FROM feedback WHERE project = %s AND incident_id = %s", "at DESC, seq DESC"),
}


def _conditions(project: str, where: IncidentFilter) -> Where | None:
    """None where nothing can fulfil it: a search for a text without any word."""
    conditions = Where("project = %s", project)
    if where.ids:
        conditions.add("id = ANY(%s)", list(where.ids))
    if where.status:
        conditions.add("status = ANY(%s)", [status.value for status in where.status])
    if where.severity:
        ranks = [Severity(severity).rank for severity in where.severity]
        conditions.add("severity_rank = ANY(%s)", ranks)
    if where.disposition:
        conditions.add("disposition = ANY(%s)", [disposition.value for disposition in where.disposition])
    if where.service is not None:
        conditions.add("services @> %s::text[]", [where.service])
    if where.signature is not None:
        conditions.add("signatures @> %s::text[]", [where.signature])
    if where.runbook is not None:
        conditions.add("runbook = %s", where.runbook)
    if where.since is not None:
        conditions.add("last_seen >= %s", where.since)
    if where.until is not None:
        conditions.add("last_seen < %s", where.until)
    if where.text is not None:
        query = prefix_query(where.text)
        if query is None:
            return None
        conditions.add("search @@ %s::tsquery", query)
    return conditions
