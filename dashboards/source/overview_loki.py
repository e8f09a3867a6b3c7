"""Overview without the plugin: the same from the incident events that IncidentLens pushes to Loki, and nothing else.

For Grafana Cloud, and for those who may not load an unsigned plugin. Every figure is counted from events within the
time range, so what was opened before it is not seen.
"""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from . import empty, links, look
from .asking import address, events, loki, loki_source, projects
from .board import Board
from .panels import bars, figures_of, log_lines, ranking, table_of

# The end that the verifier saw (its event's text says how it ended), or a person's.
RESOLVED = events("verified") + ' |= `"text":"resolved`'
BY_HAND = events("closed|ignored")
AT = " | label_format at=`{{ __timestamp__ | unixEpoch }}` | unwrap at"
KNOWN = "incident_id, title, service, severity, disposition"

DISTINCT = "count(sum by (incident_id) (count_over_time({0} [$__range]))) or vector(0)"


def latest(selected: str, by: str = "incident_id") -> str:
    """The time (s) of the last of those events, a series an incident."""
    return f"max by ({by}) (max_over_time({selected}{AT} [$__range]))"


def still_open() -> str:
    """One series an incident that no event ended after it was opened for the last time; its value is the time (ms) of
    the latest decision on it, its labels are those of that decision."""
    decided = latest(events("decided") + ' | json title="title"', KNOWN)
    opened = latest(events("opened|reopened"))
    ended = " ".join(
        f"unless on (incident_id) ({latest(end)} > on (incident_id) {opened})" for end in (RESOLVED, BY_HAND)
    )
    return f"topk by (incident_id) (1, {decided}) * 1000 {ended}"


def build() -> Board:
    board = Board(
        "incidentlens-overview-loki", "IncidentLens: Overview without the plugin",
        "From the incident events in Loki alone: “publish.loki_events: true” in incidentlens.yaml pushes them there.",
        variables=[loki_source(), projects(), address()], refresh="1m",
    )  # fmt: skip
    found, told = events("opened"), events("notified")
    over_time = "sum by ({0}) (count_over_time({1} [$__interval]))"
    decided = events("decided", where='disposition != ""')
    board.row(
        9,
        (
            figures_of(
                "In this time range", "Incidents, each counted once: found, decided as ESCALATE at any time, somebody "
                "was told of it, verified as resolved, and not ended by any event. Loki counts at most 500 at once "
                "(its max_query_series): take a shorter time where it says so.",
                {
                    "Open": loki(f"count({still_open()}) or vector(0)", "A", kind="instant"),
                    "Found": loki(DISTINCT.format(found), "B", kind="instant"),
                    "Escalated": loki(
                        DISTINCT.format(events("decided", where='disposition="ESCALATE"')), "C", kind="instant"
                    ),
                    "Told somebody": loki(DISTINCT.format(told), "D", kind="instant"),
                    "Verified as resolved": loki(DISTINCT.format(RESOLVED), "E", kind="instant"),
                },
                colours={
                    "Open": look.steps(look.GOOD, (1, look.WORSE), (10, look.BAD)),
                    "Escalated": look.steps(look.PLAIN, (1, look.DISPOSITION_ESCALATE)),
                },
            ), 5,
        ),
        (
            bars(
                "Decisions, by disposition", "When something was decided, and what.",
                loki(over_time.format("disposition", decided), legend="{{disposition}}"), empty.NO_EVENTS,
                colours=look.DISPOSITION,
            ).interval("1m"), 10,
        ),
        (
            bars(
                "Incidents found, by severity", "When incidents were opened.",
                loki(over_time.format("severity", events("opened", where='severity != ""')), legend="{{severity}}"),
                empty.NO_EVENTS, colours=look.SEVERITY,
            ).interval("1m"), 9,
        ),
    )  # fmt: skip
    page = "${incidentlens}/incidents/${__data.fields.incident_id}"
    board.row(
        10,
        (
            table_of(
                "Still open", "Decided on within the time range and not ended by any event since.",
                loki(still_open(), kind="instant"), empty.NOTHING_OPEN_IN_EVENTS,
                columns={
                    "severity": ("Severity", 80), "disposition": ("Disposition", 140), "title": ("Incident", None),
                    "service": ("Service", 110), "Value #A": ("Decided", 165), "incident_id": ("Id", None),
                },
                hidden=["Time"],
                overrides={
                    "Severity": [look.mapped(look.SEVERITY)],
                    "Disposition": [look.mapped(look.DISPOSITION)],
                    "Incident": [links.cell("Open its page in IncidentLens", page, new_tab=True)],
                    "Decided": [DynamicConfigValue("unit", "dateTimeAsIso")],
                    "Id": [DynamicConfigValue("custom.hidden", True)],
                },
            ), 16,
        ),
        (
            ranking(
                "Services with most incidents", "By the service that the suspected cause is in.",
                loki(
                    f"topk(8, sum by (service) (count_over_time({found} [$__range])))", kind="instant",
                    legend="{{service}}",
                ), empty.NO_EVENTS,
            ), 8,
        ),
    )  # fmt: skip
    text = "{{.severity}} {{.disposition}} · {{.kind}} · {{.title}} · {{.text}}"
    board.row(
        12,
        (
            log_lines(
                "What happened", "Every event, the latest first. An event's details have its incident's id.",
                loki(f'{events()} | json kind="kind", title="title", text="text" | line_format `{text}`', maxLines=200),
                empty.NO_EVENTS, newest_first=True,
            ), 24,
        ),
    )  # fmt: skip
    return board
