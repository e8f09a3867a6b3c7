"""How values look: one colour for one meaning in every panel, units, links, notices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from incidentlens.grafana.frames import Frame
from incidentlens.model.terms import Disposition, Level, Outcome, Severity, Status

from .context import QueryContext
from .query import PanelQuery

# Names are Grafana's own (they follow the light or dark theme), numbers where it has no such colour.
SEVERITY = {Severity.CRITICAL: "red", Severity.HIGH: "orange", Severity.MEDIUM: "yellow", Severity.LOW: "light-blue"}
DISPOSITION = {
    Disposition.ESCALATE: "#d6338f",
    Disposition.NEEDS_ONCALL: "purple",
    Disposition.NEEDS_DEV: "blue",
    Disposition.OBSERVE: "#3a9c94",
    Disposition.NO_ACTION: "#8a94a3",
}
STATUS = {
    Status.OPEN: "red",
    Status.VERIFYING: "yellow",
    Status.RESOLVED: "green",
    Status.CLOSED: "dark-green",
    Status.IGNORED: "#8a94a3",
    Status.SUPPRESSED: "purple",
}
OUTCOME = {
    Outcome.RESOLVED: "green",
    Outcome.STILL_FIRING: "orange",
    Outcome.RE_ESCALATED: "red",
    Outcome.INCONCLUSIVE: "#8a94a3",
}
LEVEL = {
    Level.FATAL: "dark-red",
    Level.ERROR: "red",
    Level.WARN: "yellow",
    Level.INFO: "green",
    Level.DEBUG: "light-blue",
    Level.TRACE: "#8a94a3",
    Level.UNKNOWN: "#8a94a3",
}
NOTHING = "#8a94a3"
# An event's kind, on an incident's timeline; others have no colour.
KINDS = {
    "opened": "red",
    "reopened": "red",
    "problem_joined": "orange",
    "analysed": "blue",
    "decided": "purple",
    "verified": "green",
    "closed": "dark-green",
    "feedback": "yellow",
}
ROLE = {"cause": "red", "link": "orange", "symptom": "light-blue", "other": NOTHING}
COLOURS: dict[str, Mapping[Any, str]] = {
    "severity": SEVERITY,
    "disposition": DISPOSITION,
    "status": STATUS,
    "outcome": OUTCOME,
}
TIMESERIES = {"type": "timeseries-multi", "typeVersion": [0, 1]}
NUMERIC_WIDE = {"type": "numeric-wide", "typeVersion": [0, 1]}
NUMERIC_LONG = {"type": "numeric-long", "typeVersion": [0, 1]}
LOGS = {"type": "log-lines", "typeVersion": [0, 0], "preferredVisualisationType": "logs"}
TABLE = {"preferredVisualisationType": "table"}
GRAPH = {"preferredVisualisationType": "nodeGraph"}


def coloured(colours: Mapping[Any, str], **config: Any) -> dict[str, Any]:
    """A column whose values each have their colour."""
    options = {str(term): {"color": colour, "index": place} for place, (term, colour) in enumerate(colours.items())}
    return {"mappings": [{"type": "value", "options": options}], **config}


def fixed(colour: str | None) -> dict[str, Any]:
    """A series of one colour; Grafana's own choice where there is none."""
    return {"color": {"mode": "fixed", "fixedColor": colour}} if colour else {}


def incident_links(context: QueryContext, value: str) -> list[dict[str, Any]]:
    """Links of a column to an incident's dashboard and page; `value` is the expression of its id in the row."""
    source = f"&var-datasource={context.source_uid}" if context.source_uid else ""
    links: list[dict[str, Any]] = [
        {
            "title": "Show the incident",
            "url": f"/d/{context.incident_dashboard}?var-incident={value}{source}&${{__url_time_range}}",
        }
    ]
    if context.public_url:
        page = f"{context.public_url.rstrip('/')}/incidents/{value}"
        links.append({"title": "Open its page in IncidentLens", "url": page, "targetBlank": True})
    return links


def noticed(frames: list[Frame], notes: Iterable[str | None]) -> list[Frame]:
    """The remarks on the first frame: a panel shows them once."""
    for note in notes:
        if note and frames:
            frames[0] = frames[0].with_notice(note)
    return frames


def cut_notes(query: PanelQuery) -> list[str | None]:
    """What a bound changed about the query itself."""
    return ["the time asked for is longer than three years: its last three are shown" if query.cut_range else None]


def more(limit: int, what: str) -> str:
    """What to tell where there are more rows than are given."""
    return f"only {limit:,} {what} are shown and there are more: narrow the filters or the time range"
