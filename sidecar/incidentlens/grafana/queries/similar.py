"""`similar`: earlier incidents like one, with why they are, and what ended them."""

from __future__ import annotations

from incidentlens.grafana.frames import Field, FieldType, Frame, table
from incidentlens.incidents import similar

from . import look
from .context import QueryContext
from .query import PanelQuery

DEFAULT_ROWS = 3
_SHARE = {"unit": "percentunit", "min": 0, "max": 1, "decimals": 0}


async def answer(query: PanelQuery, context: QueryContext) -> list[Frame]:
    """One row an earlier incident, the most like first; three where no limit is asked for."""
    if not query.incident_id:
        return look.noticed([_frame([], context)], ["choose an incident to see earlier ones like it"])
    detail = await context.queries.incident_detail(context.project, query.incident_id[0])
    if detail is None:
        return look.noticed([_frame([], context)], ["there is no such incident"])
    past = await context.queries.past_incidents(detail.incident)
    found = similar(detail.incident, past, query.rows(DEFAULT_ROWS))
    rows: list[dict[str, object]] = [
        {
            "incident_id": entry.past.id,
            "title": entry.past.title,
            "service": entry.past.service,
            "severity": entry.past.severity.value,
            "disposition": entry.past.disposition.value,
            "outcome": entry.past.outcome.value if entry.past.outcome else None,
            "score": entry.score,
            "reason": "; ".join(entry.reasons),
            "resolved_by": entry.resolved_by,
        }
        for entry in found
    ]
    notes = [
        query.cut_limit(),
        "no earlier incident is like it" if not rows else None,
        "only one incident is looked at" if len(query.incident_id) > 1 else None,
    ]
    return look.noticed([_frame(rows, context)], notes)


def _frame(rows: list[dict[str, object]], context: QueryContext) -> Frame:
    text = FieldType.STRING
    links = look.incident_links(context, "${__data.fields.incident_id}")
    columns = [
        Field("incident_id", text, [], {"displayName": "Id", "links": links}),
        Field("title", text, [], {"displayName": "Incident", "links": links}),
        Field("service", text, [], {"displayName": "Service"}),
        Field("severity", text, [], look.coloured(look.SEVERITY, displayName="Severity")),
        Field("disposition", text, [], look.coloured(look.DISPOSITION, displayName="Disposition")),
        Field("outcome", text, [], look.coloured(look.OUTCOME, displayName="Outcome")),
        Field("score", FieldType.FLOAT, [], {"displayName": "Alike", **_SHARE}),
        Field("reason", text, [], {"displayName": "Why"}),
        Field("resolved_by", text, [], {"displayName": "What ended it"}),
    ]
    return Frame("similar", table(rows, columns), look.TABLE)
