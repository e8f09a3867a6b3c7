"""`actions`: what was done, or in shadow mode would have been."""

from __future__ import annotations

from typing import Any

from incidentlens.actions.markdown import unmarked
from incidentlens.grafana.frames import Field, FieldType, Frame
from incidentlens.model.decisions import Action
from incidentlens.model.terms import ActionKind

from . import look
from .context import QueryContext
from .filters import filter_of
from .query import PanelQuery, one_of, read_terms

DEFAULT_ROWS = 100
_TEXT = 2_000
STATES = ("done", "shadow", "digest", "failed")
_STATE = {"done": "green", "shadow": "#8a94a3", "digest": "blue", "failed": "red"}
_KIND = {"enrich": "blue", "suppress": "purple", "notify": "orange"}


async def answer(query: PanelQuery, context: QueryContext) -> list[Frame]:
    """One row an action, the latest first: of the time range, or of the incidents that `incidentId` names."""
    limit = query.rows(DEFAULT_ROWS)
    found = await context.queries.panel_actions(
        context.project,
        await filter_of(query, context),
        since=query.since,
        until=query.until,
        kinds=[kind.value for kind in read_terms(ActionKind, query.kind, "kind")],
        states=[one_of(state.lower(), STATES, "state") for state in query.state],
        limit=limit + 1,
    )
    shown = found[:limit]
    actions = [entry.row.action for entry in shown]
    links = look.incident_links(context, "${__data.fields.incident_id}")
    text = FieldType.STRING
    fields = [
        Field("time", FieldType.TIME, [action.at for action in actions], {"displayName": "When"}),
        Field("kind", text, [action.kind for action in actions], look.coloured(_KIND, displayName="Action")),
        Field("state", text, [action.state for action in actions], look.coloured(_STATE, displayName="State")),
        Field("title", text, [entry.row.title for entry in shown], {"displayName": "Incident", "links": links}),
        Field(
            "disposition",
            text,
            [_disposition(action, entry.disposition.value) for action, entry in zip(actions, shown, strict=True)],
            look.coloured(look.DISPOSITION, displayName="Disposition"),
        ),
        Field("severity", text, [entry.severity for entry in shown], look.coloured(look.SEVERITY)),
        Field("service", text, [entry.service for entry in shown], {"displayName": "Service", "filterable": True}),
        Field("text", text, [_said(action) for action in actions], {"displayName": "Text"}),
        Field("incident_id", text, [action.incident_id for action in actions], {"displayName": "Id", "links": links}),
        Field("key", text, [action.key for action in actions], {"displayName": "Key"}),
    ]
    notes = [*look.cut_notes(query), query.cut_limit(), look.more(limit, "actions") if len(found) > limit else None]
    return look.noticed([Frame("actions", fields, look.TABLE)], notes)


def _disposition(action: Action, now: str) -> str:
    """The one it was done for; the incident may have gone on to another."""
    kept = action.payload.get("disposition")
    return kept if isinstance(kept, str) and kept else now


def _said(action: Action) -> str:
    payload: dict[str, Any] = action.payload
    for name in ("text", "reason", "summary", "title"):
        if isinstance(payload.get(name), str) and payload[name]:
            return unmarked(str(payload[name])[:_TEXT])
    return ""
