"""The query types by name, and answering one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from incidentlens.grafana.frames import Frame

from . import (
    actions,
    evidence,
    health,
    incident,
    incident_series,
    incidents,
    kpis,
    open_alerts,
    root_cause,
    signatures,
    similar,
    timeline,
    variable,
    verification,
)
from .context import QueryContext
from .errors import QueryError
from .query import PanelQuery

Answer = Callable[[PanelQuery, QueryContext], Awaitable[list[Frame]]]

QUERY_TYPES: Mapping[str, Answer] = {
    "incidents": incidents.answer,
    "incident": incident.answer,
    "incident_series": incident_series.answer,
    "open_alerts": open_alerts.answer,
    "evidence": evidence.answer,
    "timeline": timeline.answer,
    "root_cause": root_cause.answer,
    "actions": actions.answer,
    "verification": verification.answer,
    "signatures": signatures.answer,
    "similar": similar.answer,
    "kpis": kpis.answer,
    "health": health.answer,
    "annotations": incidents.regions,
    "variable": variable.answer,
}


async def answer(query: PanelQuery, context: QueryContext) -> list[Frame]:
    """The frames that answer a query, each with its refId. Raises QueryError; StoreError where the store is away."""
    found = QUERY_TYPES.get(query.query_type)
    if found is None:
        asked = f"{query.query_type[:40]!r} is no query type" if query.query_type else "no query type is chosen"
        raise QueryError(f"{asked}; there are {', '.join(QUERY_TYPES)}")
    return [frame.for_query(query.ref_id) for frame in await found(query, context)]
