"""`open_alerts`: what an alert rule in Grafana notifies of, one row an incident."""

from __future__ import annotations

from incidentlens.grafana.frames import Field, FieldType, Frame
from incidentlens.model.terms import Disposition

from . import look
from .context import QueryContext
from .query import MAX_LIMIT, PanelQuery

LABELS = ("incident_id", "project", "service", "severity", "disposition", "title", "runbook", "summary")


OPEN = 1.0
# Of an alert whose people were told of it first, and others since: its incident goes on, so that it is over would be
# wrong. Below the threshold each says who has it now; a label could not, as labels are what an alert is known by.
RAISED = {Disposition.NEEDS_ONCALL: 0.0, Disposition.ESCALATE: -1.0}


async def answer(query: PanelQuery, context: QueryContext) -> list[Frame]:
    """A numeric-long frame: the labels as they were frozen when the incident came to its disposition, and the value 1,
    or less for an incident that was raised from that disposition to another (see `RAISED`).

    The time range is of no matter: it is what wants notifying now. Nothing at all is a frame without fields.
    """
    rows, values = [], []
    for told in await context.queries.told(context.project):
        action = told.action
        kept = action.payload.get("labels")
        labels = {name: str(kept.get(name) or "") for name in LABELS} if isinstance(kept, dict) else {}
        if labels and _wanted(labels, query):
            # Whatever was frozen, an alert is one of its own incident and project.
            rows.append({**labels, "incident_id": action.incident_id, "project": context.project})
            values.append(OPEN if told.raised_to is None else RAISED.get(told.raised_to, 0.0))
    shown = rows[:MAX_LIMIT]
    if not shown:
        return [Frame("open_alerts", (), look.NUMERIC_LONG)]
    fields = [Field(name, FieldType.STRING, [row[name] for row in shown], nullable=False) for name in LABELS]
    fields.append(Field("value", FieldType.FLOAT, values[:MAX_LIMIT], nullable=False))
    frame = Frame("open_alerts", fields, look.NUMERIC_LONG)
    return look.noticed([frame], [look.more(MAX_LIMIT, "alerts") if len(rows) > MAX_LIMIT else None])


def _wanted(labels: dict[str, str], query: PanelQuery) -> bool:
    for name, allowed in (
        ("service", query.service),
        ("severity", query.severity),
        ("disposition", query.disposition),
        ("runbook", query.runbook),
    ):
        if allowed and labels[name].lower() not in {value.lower() for value in allowed}:
            return False
    return True
