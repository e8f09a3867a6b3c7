"""`variable`: the values that a dashboard's variable or an ad hoc filter offers."""

from __future__ import annotations

from incidentlens.grafana.frames import Field, FieldType, Frame
from incidentlens.model.times import utc
from incidentlens.store.pg.panels import Facet

from . import look
from .context import QueryContext
from .filters import KEYS, filter_of
from .query import MAX_LIMIT, VOCABULARIES, PanelQuery, one_of

_SINGULAR = {
    "incidents": "incident",
    "services": "service",
    "signatures": "signature",
    "runbooks": "runbook",
    "severities": "severity",
    "dispositions": "disposition",
    "statuses": "status",
    "outcomes": "outcome",
    "levels": "level",
}
KINDS = ("incident", "service", "signature", "runbook", "severity", "disposition", "status", "outcome", "level", "keys")


async def answer(query: PanelQuery, context: QueryContext) -> list[Frame]:
    """Columns `text` and `value`; `text` of the query is what a name must contain. Incidents are of the time range.

    `keys`: what ad hoc filters can be set on.
    """
    asked = query.variable.lower() or "service"
    kind = one_of(_SINGULAR.get(asked, asked), KINDS, "variable")
    limit = query.rows(MAX_LIMIT)
    notes: list[str | None] = []
    if kind == "incident":
        rows = await context.queries.panel_incidents(
            context.project, await filter_of(query, context), since=query.since, until=query.until, limit=limit + 1
        )
        found = [(f"{row.title} ({row.status.value}, {utc(row.opened_at)})", row.id) for row in rows]
    elif kind == "keys":
        found = [(name, name) for name in KEYS]
    else:
        if kind in VOCABULARIES:
            names = [term.value for term in VOCABULARIES[kind]]
        else:
            names = await context.queries.panel_names(context.project, Facet(kind))
        part = query.text.strip().lower()
        found = [(name, name) for name in names if part in name.lower()]
    if len(found) > limit:
        notes.append(look.more(limit, "values"))
    fields = [
        Field("text", FieldType.STRING, [text for text, _ in found[:limit]], nullable=False),
        Field("value", FieldType.STRING, [value for _, value in found[:limit]], nullable=False),
    ]
    return look.noticed([Frame("variable", fields)], notes)
