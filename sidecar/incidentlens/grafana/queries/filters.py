"""A query's filters as the store's conditions: its own, and those set ad hoc on the dashboard."""

from __future__ import annotations

import re2

from incidentlens.model.terms import Disposition, Outcome, Severity, Status
from incidentlens.store.pg.panels import Facet, PanelFilter

from .context import QueryContext
from .errors import QueryError
from .query import AdHoc, PanelQuery, read_terms

KEYS = ("service", "severity", "disposition", "status", "signature", "outcome", "runbook")
_OPEN = {"service": "services", "signature": "signatures", "runbook": "runbooks"}
_CLOSED: dict[str, type[Status] | type[Severity] | type[Disposition] | type[Outcome]] = {
    "status": Status,
    "severity": Severity,
    "disposition": Disposition,
    "outcome": Outcome,
}
_NEGATED = {"!=": "=", "!~": "=~", "!=|": "=|"}


async def filter_of(query: PanelQuery, context: QueryContext) -> PanelFilter:
    """All conditions of the query. Raises QueryError for an unknown key, operator or term."""
    conditions: dict[str, tuple[object, ...]] = {
        "ids": query.incident_id,
        "services": (query.service,) if query.service else (),
        "signatures": (query.signature,) if query.signature else (),
        "runbooks": query.runbook,
        "status": read_terms(Status, query.status, "status"),
        "severity": read_terms(Severity, query.severity, "severity"),
        "disposition": read_terms(Disposition, query.disposition, "disposition"),
        "outcome": read_terms(Outcome, query.outcome, "outcome"),
    }
    nothing = False
    for entry in query.adhoc_filters:
        name, wanted = await _condition(entry, context)
        before = conditions.get(name, ())
        if name.startswith("not_"):
            conditions[name] = (*before, *wanted)
            continue
        if name in ("services", "signatures"):  # an incident may have several
            conditions[name] = (*before, wanted)
            nothing = nothing or not wanted
            continue
        both = tuple(value for value in wanted if not before or value in before)
        nothing = nothing or not both
        conditions[name] = both
    return PanelFilter(text=query.text.strip() or None, nothing=nothing, **conditions)  # type: ignore[arg-type]


async def _condition(entry: AdHoc, context: QueryContext) -> tuple[str, tuple[object, ...]]:
    """The field of PanelFilter it is about, and the values that it wants (or, with `not_`, does not)."""
    key = entry.key.strip().lower()
    if key not in KEYS:
        raise QueryError(f"ad hoc filter: {key[:40]!r} is not known; allowed: {', '.join(KEYS)}")
    operator = entry.operator.strip()
    negated = operator in _NEGATED
    operator = _NEGATED.get(operator, operator)
    values = entry.values if operator == "=|" and entry.values else (entry.value,)
    if operator not in ("=", "=|", "=~"):
        raise QueryError(f"ad hoc filter on {key}: {entry.operator[:10]!r} cannot be used; allowed: = != =~ !~ =| !=|")
    if key in _CLOSED:
        terms = _CLOSED[key]
        chosen: tuple[object, ...]
        if operator == "=~":
            matches = _pattern(entry)
            chosen = tuple(term for term in terms if matches(term.value))
        else:
            chosen = read_terms(terms, values, key)
        if negated:
            others: list[object] = [term for term in terms if term not in chosen]
            return key, (*others, None) if key == "outcome" else tuple(others)
        return key, chosen
    if operator == "=~":
        matches = _pattern(entry)
        chosen = tuple(name for name in await context.queries.panel_names(context.project, Facet(key)) if matches(name))
    else:
        chosen = values
    return (f"not_{_OPEN[key]}" if negated else _OPEN[key]), chosen


def _pattern(entry: AdHoc) -> re2.Matcher:
    """A whole name must match, as in Prometheus and Loki. Raises QueryError."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        return re2.compile(f"^(?:{entry.value})$", options).search
    except re2.error as error:
        raise QueryError(f"ad hoc filter on {entry.key[:40]}: not a regular expression: {error}") from None
