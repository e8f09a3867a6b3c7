"""Signatures & noise: what the logs say again and again, and what was held back of it."""

from __future__ import annotations

from . import empty, look
from .asking import names, ours, source
from .board import Board
from .panels import bars, figures, rows

WHERE = {"service": ["$service"]}
COLUMNS = {
    "Message": None, "Level": 70, "Last hour": 85, "Usual an hour": 115, "Of all time": 95, "Last 24 hours": 285,
}  # fmt: skip
SHORT = {"Message": None, "Level": 70, "Last hour": 85, "Usual an hour": 115}


def build() -> Board:
    board = Board(
        "incidentlens-signatures", "IncidentLens: Signatures & noise",
        "Which messages are loud, new or growing, which become incidents, and what was held back as noise.",
        variables=[source(), names("service", "Service"), names("level", "Level")], since="now-24h",
    )  # fmt: skip
    levels = {**WHERE, "level": ["$level"]}
    board.row(
        10,
        (
            figures(
                "How much was held back", "Of the incidents found in this time range; precision: of what was held "
                "back, the share that nobody was told of after all, that did not come back and no person called true.",
                ours("kpis", **WHERE),
                ["Incidents", "Told somebody", "Suppression rate", "Suppression precision"],
                colours={
                    "Suppression precision": look.steps(
                        look.PLAIN, (0, look.BAD), (0.8, look.WORSE), (0.95, look.GOOD)
                    ),
                },
                listed=True,
            ), 5,
        ),
        (
            rows(
                "The loudest messages", "By their records of all time.",
                ours("signatures", sort="top", limit=50, **levels), empty.NO_SIGNATURES, columns=COLUMNS,
            ), 19,
        ),
    )  # fmt: skip
    board.row(
        9,
        (
            rows(
                "Growing", "The last hour against what the day before would lead one to expect; in the first four "
                "hours the last quarter of what is known against the rest.",
                ours("signatures", sort="growing", limit=20, **levels), empty.NOTHING_GROWS, columns=SHORT,
            ), 12,
        ),
        (
            rows(
                "New", "First seen within the time range.",
                ours("signatures", sort="new", limit=20, **levels), empty.NOTHING_NEW,
                columns={"Message": None, "Level": 70, "First seen": 165, "Of all time": 95},
            ), 12,
        ),
    )  # fmt: skip
    board.row(
        11,
        (
            bars(
                "Which signatures become incidents", "Incidents found, by the signature of the suspected cause.",
                ours("incident_series", groupBy=["signature"], limit=8, **WHERE), empty.NO_INCIDENTS,
            ), 12,
        ),
        (
            bars(
                "What became of them", "Incidents found, by how they stand now; purple was held back.",
                ours("incident_series", groupBy=["status"], **WHERE), empty.NO_INCIDENTS,
            ), 12,
        ),
    )  # fmt: skip
    board.row(
        9,
        (
            rows(
                "Held back", "Incidents that nobody is told of, and why.",
                ours("incidents", status=["suppressed"], sort="last_seen", limit=50, **WHERE), empty.NOTHING_HELD,
                columns={"Found": 165, "Severity": 90, "Incident": None, "Held back for": 140, "Records": 85},
                unseen=["Id"],
            ), 12,
        ),
        (
            rows(
                "How it was held back", "Each time something was suppressed, with the reason.",
                ours("actions", kind=["suppress"], limit=50, **WHERE), empty.NOTHING_HELD,
                columns={"When": 165, "State": 80, "Incident": None, "Text": None}, unseen=["Id"],
            ), 12,
        ),
    )  # fmt: skip
    return board
