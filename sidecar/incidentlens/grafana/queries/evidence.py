"""`evidence`: the records and the rest that an incident's conclusions rest on, as logs."""

from __future__ import annotations

from typing import Any

from incidentlens.grafana.frames import Field, FieldType, Frame
from incidentlens.model.clock import MINUTE, SECOND
from incidentlens.store.pg.panels_lists import FoundEvidence

from . import instead, look
from .context import QueryContext
from .links import explore, line_query, stream_query
from .query import PanelQuery, one_of

DEFAULT_ROWS = 500
MAX_INCIDENTS = 20
MAX_LINE = 16_384  # characters of one line
MAX_BYTES = 8_000_000  # of all lines together
KINDS = ("record", "timeline", "incident", "deploy", "runbook", "cause", "alert", "maintenance")
_LEVELS = {"fatal": "critical", "error": "error", "warn": "warning", "info": "info", "debug": "debug", "trace": "trace"}


async def answer(query: PanelQuery, context: QueryContext) -> list[Frame]:
    """Evidence of the incidents that `incidentId` names, in order of time, with links to the lines in Loki."""
    if not query.incident_id:
        nothing = Frame("evidence", instead.lines(query.empty, query.until), look.LOGS)
        return [nothing.with_notice("choose an incident to see its evidence")]
    kinds = [one_of(kind, KINDS, "kind") for kind in query.kind]
    limit = query.rows(DEFAULT_ROWS)
    asked = query.incident_id[:MAX_INCIDENTS]
    found = await context.queries.panel_evidence(context.project, asked, kinds=kinds, text=MAX_LINE, limit=limit + 1)
    shown, size = [], 0
    for entry in found[:limit]:
        size += len(entry.item.text.encode("utf-8", "replace"))
        if size > MAX_BYTES:
            break
        shown.append(entry)
    cut = sum(entry.cut for entry in shown)
    notes = [
        query.cut_limit(),
        look.more(len(shown), "items") if len(found) > len(shown) else None,
        f"{cut:,} characters of long lines are left out; the link to Loki shows them whole" if cut else None,
        f"only {MAX_INCIDENTS} incidents are shown at once" if len(query.incident_id) > MAX_INCIDENTS else None,
    ]
    if not shown and query.empty:
        return look.noticed([Frame("evidence", instead.lines(query.empty, query.until), look.LOGS)], notes)
    return look.noticed([Frame("evidence", _columns(shown, context), look.LOGS)], notes)


def _columns(shown: list[FoundEvidence], context: QueryContext) -> list[Field]:
    items = [entry.item for entry in shown]
    text = FieldType.STRING
    fields = [
        Field("timestamp", FieldType.TIME, [item.ts for item in items]),
        Field("body", text, [item.text for item in items], nullable=False),
        Field("severity", text, [_LEVELS.get(str(item.data.get("level")), "info") for item in items]),
        Field("id", text, [f"{entry.incident_id}:{entry.item.id}" for entry in shown]),
        Field("labels", FieldType.JSON, [_labels(entry) for entry in shown]),
    ]
    if context.loki_uid:
        streams = [str(item.data.get("stream") or "") for item in items]
        lines = [
            (line_query(stream, item.text), item.ts - SECOND, item.ts + SECOND)
            for stream, item in zip(streams, items, strict=True)
        ]
        around = [
            (stream_query(stream), item.ts - MINUTE, item.ts + MINUTE)
            for stream, item in zip(streams, items, strict=True)
        ]
        for name, title, asked in (
            ("loki", "This line in Loki", lines),
            ("loki_around", "The minutes around it in Loki", around),
        ):
            urls = [explore(context.loki_uid, logql, since, until) if logql else None for logql, since, until in asked]
            links = [{"title": title, "url": "${__value.raw}"}]
            fields.append(Field(name, text, urls, {"displayName": title, "links": links}))
    return fields


def _labels(entry: FoundEvidence) -> dict[str, str]:
    """What the logs panel shows and filters by."""
    item = entry.item
    data: dict[str, Any] = item.data
    labels = {"kind": item.kind, "service": item.service, "incident": entry.incident_id, "evidence": item.id}
    for name in ("level", "signature", "trace_id"):
        if data.get(name):
            labels[name] = str(data[name])
    return {name: value for name, value in labels.items() if value}
