"""Overview: how it stands, what is open, what is noisy and what is new."""

from __future__ import annotations

from . import empty, look
from .asking import names, ours, regions, source
from .board import Board
from .panels import bars, figures, rows, states

WHERE = {"service": ["$service"], "severity": ["$severity"]}
OPEN = ["open", "verifying"]

MESSAGES = {"Message": None, "Level": 70, "Last hour": 85, "Usual an hour": 115}
BRIEF = {
    "Time to detect (MTTD)": "MTTD",
    "Time to acknowledge (MTTA)": "MTTA",
    "Time to resolve (MTTR)": "MTTR",
    "Told somebody": "Told",
}


def build() -> Board:
    kpis = ours("kpis", **WHERE, live=True)
    board = Board(
        "incidentlens-overview", "IncidentLens: Overview",
        "What is open, what was found, how soon and how well; what is noisy and what is new.",
        variables=[source(), names("service", "Service"), names("severity", "Severity")], annotations=regions(**WHERE),
    )  # fmt: skip
    board.row(
        4,
        (
            figures(
                "Now, and in this time range",
                "Open now: whatever the time range. Times are means over the incidents found in it: MTTD from the "
                "first failing record until found, MTTA until a person did something, MTTR until over.",
                kpis,
                ["Open now", "Incidents", "Told somebody", "Time to detect (MTTD)", "Time to acknowledge (MTTA)",
                 "Time to resolve (MTTR)"],
                colours={
                    "Open now": look.steps(look.GOOD, (1, look.WORSE), (10, look.BAD)),
                    "Time to detect (MTTD)": look.steps(look.PLAIN, (0, look.GOOD), (120, look.WORSE), (600, look.BAD)),
                },
                short=BRIEF,
            ), 12,
        ),
        (
            figures(
                "How well",
                "Of the incidents found in this time range: with a matching runbook; held back; held back and rightly "
                "so; whose end was verified as resolved.",
                kpis,
                ["Runbook hit rate", "Suppression rate", "Suppression precision", "Verified as resolved", "Model cost"],
                short=look.SHARES,
                colours={
                    "Suppression precision": look.steps(
                        look.PLAIN, (0, look.BAD), (0.8, look.WORSE), (0.95, look.GOOD)
                    ),
                    "Verified as resolved": look.steps(look.PLAIN, (0, look.BAD), (0.5, look.WORSE), (0.8, look.GOOD)),
                },
            ), 12,
        ),
    )  # fmt: skip
    board.row(
        9,
        (
            bars(
                "Incidents found, by disposition", "When incidents were found, and what was decided of them.",
                ours("incident_series", groupBy=["disposition"], **WHERE, live=True), empty.NO_INCIDENTS,
            ), 14,
        ),
        (
            states(
                "The latest incidents", "Each for as long as it went on, coloured by its severity. A click shows it.",
                ours("timeline", limit=10, **WHERE, live=True), empty.NO_INCIDENTS, brief=empty.NONE_FOUND,
            ), 10,
        ),
    )  # fmt: skip
    board.row(
        8,
        (
            rows(
                "Open incidents", "The worst first. A click on a title leads to the incident, its page has the forms.",
                ours("incidents", status=OPEN, sort="severity", limit=50, **WHERE, live=True), empty.ALL_QUIET,
                columns={
                    "Severity": 90, "Disposition": 130, "Incident": None, "Service": 140, "Suspected cause": None,
                    "Status": 90, "Records": 85, "Lasts": 80, "Found": 165,
                },
                unseen=["Id"],
            ), 24,
        ),
    )  # fmt: skip
    board.row(
        10,
        (
            rows(
                "What is noisy", "Messages whose last hour exceeds the day before most; in the first four hours "
                "the last quarter of what is known against the rest.",
                ours("signatures", sort="growing", service=["$service"], limit=20), empty.NOTHING_GROWS,
                columns=MESSAGES,
            ), 12,
        ),
        (
            rows(
                "What is new", "Messages first seen within the time range, the newest first.",
                ours("signatures", sort="new", service=["$service"], limit=20), empty.NOTHING_NEW,
                columns={"Message": None, "Level": 70, "First seen": 165, "Of all time": 95},
            ), 12,
        ),
    )  # fmt: skip
    return board
