"""Overview without the plugin: the same from the incident events that IncidentLens pushes to Loki, and nothing else.

For Grafana Cloud, and for those who may not load an unsigned plugin. Every figure is counted from events within the
time range, so what was opened before it is not seen. Incidents are counted by lines, as Loki gives at most 500 series:
an event says in its metadata what it was for the first time in its incident's life. How each stands is told by the
latest event of it, out of the latest `EVENTS`, which the browser looks through.
"""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from . import empty, links, look
from .asking import address, answer_of, events, loki, loki_source, projects
from .board import Board
from .panels import (
    bars,
    by_value,
    fields_of_labels,
    figures_of,
    first,
    first_of_each,
    how_many,
    only_where,
    table_of,
)

EVENTS = 5_000  # Loki's own bound, unless `max_entries_limit_per_query` has another
STANDING = 5  # the panel's number
NOW = "now"
# Events after which an incident stands otherwise, each with how that is.
CHANGES = (
    events("opened|reopened|decided|verifying|verified|closed|ignored|merged")
    + ' | json title="title" | label_format standing=`{{ if or (eq .status "open") (eq .status "verifying") }}'
    + NOW
    + "{{ else }}over{{ end }}`"
)
EVERY = events() + ' | json title="title", text="text" | label_format at=`{{ __timestamp__ | unixEpochNanos }}`'
HOW_EACH_STANDS = (
    fields_of_labels(),
    by_value("Time", descending=True),
    first_of_each(["incident_id"], "title", "service", "severity", "disposition", "status", "standing", "Time"),
    by_value(first("standing")),
)
PAGE = "${incidentlens}/incidents/${__data.fields.Id}"


def counted(selected: str) -> str:
    """How many of those events there are."""
    return f"sum(count_over_time({selected} [$__range])) or vector(0)"


def build() -> Board:
    board = Board(
        "incidentlens-overview-loki", "IncidentLens: Overview without the plugin",
        "From the incident events in Loki alone: “publish.loki_events: true” in incidentlens.yaml pushes them there.",
        variables=[loki_source(), projects(), address()], refresh="1m",
    )  # fmt: skip
    over_time = "sum by ({0}) (count_over_time({1} [$__interval]))"
    decided = events("decided", where='disposition != ""')
    found = events("opened")
    board.row(
        9,
        (
            how_many(
                "Open", "Incidents that no event of this time range has ended; see the table below.",
                answer_of(STANDING), [*HOW_EACH_STANDS, only_where(first("standing"), NOW)],
                look.steps(look.GOOD, (1, look.WORSE), (10, look.BAD)),
            ), 3,
        ),
        (
            figures_of(
                "In this time range", "Incidents, each counted once: found; decided as ESCALATE, somebody told of it, "
                "verified as resolved, for the first time.",
                {
                    "Found": loki(counted(found), "A", kind="instant"),
                    "Escalated": loki(counted(events("decided", where='first="escalated"')), "B", kind="instant"),
                    "Told somebody": loki(counted(events("notified", where='first="told"')), "C", kind="instant"),
                    "Verified as resolved": loki(
                        counted(events("verified", where='first="resolved"')), "D", kind="instant"
                    ),
                },
                colours={"Escalated": look.steps(look.PLAIN, (1, look.DISPOSITION_ESCALATE))},
            ), 5,
        ),
        (
            bars(
                "Decisions, by disposition", "When something was decided, and what.",
                loki(over_time.format("disposition", decided), legend="{{disposition}}"), empty.NO_EVENTS,
                colours=look.DISPOSITION,
            ).interval("1m"), 8,
        ),
        (
            bars(
                "Incidents found, by severity", "When incidents were opened.",
                loki(over_time.format("severity", events("opened", where='severity != ""')), legend="{{severity}}"),
                empty.NO_EVENTS, colours=look.SEVERITY,
            ).interval("1m"), 8,
        ),
    )  # fmt: skip
    board.row(
        10,
        (
            table_of(
                "How incidents stand", "The open ones first, the latest changed first. By the latest event of each "
                f"incident, out of the latest {EVENTS:,} that changed one: take a shorter time where there are more.",
                loki(CHANGES, maxLines=EVENTS), empty.NO_EVENTS, steps=HOW_EACH_STANDS,
                columns={
                    first("status"): ("Status", 90), first("severity"): ("Severity", 80),
                    first("disposition"): ("Disposition", 140), first("title"): ("Incident", None),
                    first("service"): ("Service", 110), first("Time"): ("Changed", 165), "incident_id": ("Id", None),
                },
                overrides={
                    "Status": [look.mapped(look.STATUS)],
                    "Severity": [look.mapped(look.SEVERITY)],
                    "Disposition": [look.mapped(look.DISPOSITION)],
                    "Incident": [links.cell("Open its page in IncidentLens", PAGE, new_tab=True)],
                    "Id": [DynamicConfigValue("custom.hidden", True)],
                },
            ), 16,
        ),
        (
            table_of(
                "Services with most incidents", "By the service that the suspected cause is in.",
                loki(f"topk(8, sum by (service) (count_over_time({found} [$__range])))", kind="instant"),
                empty.NO_EVENTS, steps=[by_value("Value #A", descending=True)],
                columns={"service": ("Service", 150), "Value #A": ("Incidents found", None)},
                overrides={
                    "Incidents found": [
                        DynamicConfigValue("custom.displayMode", "basic"), DynamicConfigValue("min", 0),
                        DynamicConfigValue("decimals", 0), look.colour_of("blue"),
                    ],
                },
            ), 8,
        ),
    )  # fmt: skip
    assert board.number_of("How incidents stand") == STANDING
    board.row(
        12,
        (
            table_of(
                "What happened", "Every event, the latest first, up to 200.",
                loki(EVERY, maxLines=200), empty.NO_EVENTS,
                steps=[
                    fields_of_labels(), by_value("Time", descending=True),
                    first_of_each(
                        ["incident_id", "at"], "Time", "kind", "severity", "disposition", "title", "text"
                    ),
                ],
                columns={
                    first("Time"): ("When", 165), first("kind"): ("What", 120), first("severity"): ("Severity", 80),
                    first("disposition"): ("Disposition", 140), first("title"): ("Incident", None),
                    first("text"): ("Said", None), "incident_id": ("Id", None),
                },
                overrides={
                    "What": [look.mapped(look.KINDS)],
                    "Severity": [look.mapped(look.SEVERITY)],
                    "Disposition": [look.mapped(look.DISPOSITION)],
                    "Incident": [links.cell("Open its page in IncidentLens", PAGE, new_tab=True)],
                    "Id": [DynamicConfigValue("custom.hidden", True)],
                },
            ), 24,
        ),
    )  # fmt: skip
    return board
