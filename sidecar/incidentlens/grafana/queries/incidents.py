"""`incidents`: a table of the incidents that go on within the time range, and `annotations`: the same as regions."""

from __future__ import annotations

import html
from collections import Counter

from incidentlens.actions.redaction import mask
from incidentlens.grafana.frames import Field, FieldType, Frame
from incidentlens.model.clock import SECOND
from incidentlens.store.queries import IncidentRow, IncidentSort

from . import look
from .context import QueryContext
from .filters import filter_of
from .query import PanelQuery, one_of

SORTS = tuple(sort.value for sort in IncidentSort)
DEFAULT_ROWS, DEFAULT_REGIONS, MAX_REGIONS = 100, 100, 500
_TITLE, _TEXT = 200, 1_000


async def answer(query: PanelQuery, context: QueryContext) -> list[Frame]:
    """One row an incident, sorted by last_seen, opened_at, severity or count."""
    limit = query.rows(DEFAULT_ROWS)
    rows = await context.queries.panel_incidents(
        context.project,
        await filter_of(query, context),
        since=query.since,
        until=query.until,
        sort=IncidentSort(one_of(query.sort or IncidentSort.LAST_SEEN, SORTS, "sort")),
        descending=query.descending,
        limit=limit + 1,
    )
    frame = Frame("incidents", _columns(rows[:limit], context), look.TABLE)
    notes = [*look.cut_notes(query), query.cut_limit(), look.more(limit, "incidents") if len(rows) > limit else None]
    return look.noticed([frame], notes)


def _columns(rows: list[IncidentRow], context: QueryContext) -> list[Field]:
    links = look.incident_links(context, "${__data.fields.id}")
    text, time, number = FieldType.STRING, FieldType.TIME, FieldType.INT
    ends = [context.now if row.ended_at is None else row.ended_at for row in rows]
    return [
        Field("opened", time, [row.opened_at for row in rows], {"displayName": "Found"}),
        Field("title", text, [row.title for row in rows], {"displayName": "Incident", "links": links}),
        Field("severity", text, [row.severity for row in rows], look.coloured(look.SEVERITY, displayName="Severity")),
        Field(
            "disposition",
            text,
            [row.disposition for row in rows],
            look.coloured(look.DISPOSITION, displayName="Disposition"),
        ),
        Field("status", text, [row.status for row in rows], look.coloured(look.STATUS, displayName="Status")),
        Field("service", text, [row.service for row in rows], {"displayName": "Service", "filterable": True}),
        Field("services", text, [", ".join(row.services) for row in rows], {"displayName": "Services"}),
        Field("cause", text, [row.cause or "" for row in rows], {"displayName": "Suspected cause"}),
        Field(
            "confidence",
            FieldType.FLOAT,
            [row.confidence for row in rows],
            {"displayName": "Confidence", "unit": "percentunit", "min": 0, "max": 1, "decimals": 0},
        ),
        Field("count", number, [row.count for row in rows], {"displayName": "Records", "unit": "short"}),
        Field("last_seen", time, [row.last_seen for row in rows], {"displayName": "Last seen"}),
        Field("ended", time, [row.ended_at for row in rows], {"displayName": "Over"}, nullable=True),
        Field(
            "duration",
            FieldType.FLOAT,
            [max(0, end - row.onset) / SECOND for row, end in zip(rows, ends, strict=True)],
            {"displayName": "Lasts", "unit": "s", "decimals": 0},
        ),
        Field("outcome", text, [row.outcome for row in rows], look.coloured(look.OUTCOME, displayName="Verified")),
        Field("runbook", text, [row.runbook or "" for row in rows], {"displayName": "Runbook", "filterable": True}),
        Field("signature", text, [_lead(row) for row in rows], {"displayName": "Signature", "filterable": True}),
        Field("suppression", text, [row.suppression or "" for row in rows], {"displayName": "Held back for"}),
        Field("summary", text, [row.summary for row in rows], {"displayName": "Summary"}),
        Field("reopened", number, [row.reopened for row in rows], {"displayName": "Came back"}),
        Field("onset", time, [row.onset for row in rows], {"displayName": "Since"}),
        Field("id", text, [row.id for row in rows], {"displayName": "Id", "links": links}),
    ]


def _lead(row: IncidentRow) -> str:
    return row.cause_signature or (row.signatures[0] if row.signatures else "")


async def regions(query: PanelQuery, context: QueryContext) -> list[Frame]:
    """One region an incident: from its onset until it was over, or now. Its text is HTML in Grafana: it is escaped."""
    limit = query.rows(DEFAULT_REGIONS, MAX_REGIONS)
    rows = await context.queries.panel_incidents(
        context.project, await filter_of(query, context), since=query.since, until=query.until, limit=limit + 1
    )
    shown = rows[:limit]
    text = FieldType.STRING
    fields = [
        Field("time", FieldType.TIME, [row.onset for row in shown]),
        Field("timeEnd", FieldType.TIME, [_end(row, context.now) for row in shown]),
        Field("title", text, [_safe(f"{row.severity.value}: {row.title}", _TITLE) for row in shown]),
        Field("text", text, [_region_text(row) for row in shown]),
        Field("tags", text, [_tags(row) for row in shown]),
        Field("id", text, [row.id for row in shown]),
        Field("color", text, [look.SEVERITY[row.severity] for row in shown]),
    ]
    frame = Frame("annotations", fields, {"dataTopic": "annotations"})
    notes = [
        *look.cut_notes(query),
        query.cut_limit(MAX_REGIONS),
        look.more(limit, "regions") if rows[limit:] else None,
    ]
    return look.noticed([frame], notes)


def _end(row: IncidentRow, now: int) -> int:
    return max(row.onset, now if row.ended_at is None else row.ended_at)


def _region_text(row: IncidentRow) -> str:
    told = f"{row.disposition.value}, {row.status.value}, {row.count:,} records in {', '.join(row.services[:5])}"
    return "<br>".join(_safe(part, _TEXT) for part in (told, row.cause or row.summary) if part)


def _tags(row: IncidentRow) -> str:
    """Few, and none made of log text: Grafana slows down with many."""
    named = [f"{key}:{value}" for key, value in (("incident", row.id), ("disposition", row.disposition.value))]
    return ",".join(["incidentlens", *named])


def _safe(text: str, length: int) -> str:
    """Secrets masked before it is cut, then as text within HTML."""
    masked = " ".join(mask(text, Counter()).split())
    return html.escape(masked if len(masked) <= length else f"{masked[: length - 1]}…")
