"""Runbooks & verification: which runbooks match, and whether what they are about is really over."""

from __future__ import annotations

from . import empty, look
from .asking import names, ours, source
from .board import Board
from .panels import bars, figures, rows

WHERE = {"service": ["$service"], "runbook": ["$runbook"]}


def build() -> Board:
    board = Board(
        "incidentlens-runbooks", "IncidentLens: Runbooks & verification",
        "Which runbooks match, how their incidents end, and what came back after it was called resolved.",
        variables=[source(), names("service", "Service"), names("runbook", "Runbook")], since="now-7d", refresh="1m",
    )  # fmt: skip
    board.row(
        10,
        (
            figures(
                "In this time range", "Of the incidents found in it: with a matching runbook, verified as resolved, "
                "and the mean time until over.",
                ours("kpis", **WHERE),
                ["Incidents", "Runbook hit rate", "Verified as resolved", "Time to resolve (MTTR)"],
                colours={
                    "Verified as resolved": look.steps(look.PLAIN, (0, look.BAD), (0.5, look.WORSE), (0.8, look.GOOD)),
                },
                listed=True,
            ), 5,
        ),
        (
            rows(
                "Runbooks", "What they matched in this time range, and how that ended.",
                ours("verification", format="runbooks", **WHERE), empty.NO_RUNBOOKS,
                columns={"Runbook": None, "Matches": 85, "Share resolved": 125, "Resolved": 90, "Still firing": 100,
                         "Re-escalated": 115, "Inconclusive": 110, "Came back": 100},
            ), 19,
        ),
    )  # fmt: skip
    board.row(
        9,
        (
            bars(
                "How watches ended", "Verifications by their outcome, when they ended.",
                ours("verification", format="series", **WHERE), empty.NO_WATCHES,
            ), 12,
        ),
        (
            bars(
                "Incidents by runbook", "When incidents were found, by the runbook that matched; none: no runbook did.",
                ours("incident_series", groupBy=["runbook"], limit=8, **WHERE), empty.NO_INCIDENTS,
            ), 12,
        ),
    )  # fmt: skip
    board.row(
        11,
        (
            rows(
                "Watches", "Those that go on first, then the latest that ended.",
                ours("verification", format="watches", limit=50, **WHERE), empty.NO_WATCHES,
                columns={"Watched since": 165, "Outcome": 110, "Incident": None, "Ended": 165, "Must be quiet for": 145,
                         "Why": None},
                unseen=["Id"],
            ), 24,
        ),
    )  # fmt: skip
    return board
