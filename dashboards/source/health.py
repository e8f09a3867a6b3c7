"""Sidecar health: how far it has read, how much, what goes wrong, and what models cost.

Through the data source and not Prometheus: it needs nothing that a Grafana with IncidentLens does not have, and shows
a project's own figures to whoever has that project's token. `/metrics` has the same for alerting over all projects.
"""

from __future__ import annotations

from . import empty, look
from .asking import ours, source
from .board import Board
from .panels import bars, figures, lines, rows


def build() -> Board:
    board = Board(
        "incidentlens-health", "IncidentLens: Sidecar health",
        "How far IncidentLens has read, how much, what goes wrong, what waits to be sent, and what models cost.",
        variables=[source()],
    )  # fmt: skip
    now = ours("health", format="now")
    board.row(
        4,
        (
            figures(
                "Reading", "Behind Loki: the age of what was read last, of the query that is furthest behind. It falls "
                "behind where that is above a few of the project's intervals.",
                now, ["Behind Loki", "Last look at Loki", "Time of a look", "Records a second", "Failing for"],
                colours={
                    "Behind Loki": look.steps(look.GOOD, (60, look.WORSE), (300, look.BAD)),
                    "Last look at Loki": look.steps(look.GOOD, (60, look.WORSE), (300, look.BAD)),
                    "Time of a look": look.steps(look.GOOD, (5, look.WORSE), (10, look.BAD)),
                    "Failing for": look.steps(look.GOOD, (1, look.WORSE), (60, look.BAD)),
                },
                short={"Last look at Loki": "Last look", "Records a second": "Records"},
            ), 13,
        ),
        (
            figures(
                "Sending, and what it costs", "What waits to be published to Grafana or Loki; cost and analyses are of "
                "this time range.",
                now, ["Waiting to be published", "The oldest waits", "Given up", "Analyses", "Model cost"],
                colours={
                    "Waiting to be published": look.steps(look.GOOD, (100, look.WORSE), (1000, look.BAD)),
                    "The oldest waits": look.steps(look.GOOD, (60, look.WORSE), (600, look.BAD)),
                    "Given up": look.steps(look.GOOD, (1, look.BAD)),
                },
                short={"Waiting to be published": "Waiting", "The oldest waits": "Oldest waits"},
            ), 11,
        ),
    )  # fmt: skip
    board.row(
        5,
        (
            rows(
                "What is wrong", "Reading Loki or publishing, as long as it fails.", ours("health", format="errors"),
                empty.ALL_WELL, columns={"Since": 165, "Where": 200, "What is wrong": None},
            ), 24,
        ),
    )  # fmt: skip
    board.row(
        9,
        (
            bars(
                "Records taken in, a second", "By level, out of the counts that are kept a minute.",
                ours("health", format="series", kind=["records"]), empty.NO_RECORDS, unit=look.RATE,
            ), 12,
        ),
        (
            lines(
                "Behind Loki", "The worst of each interval, since this process began.",
                ours("health", format="series", kind=["lag"]), empty.NO_RUNS, unit=look.SECONDS,
            ), 12,
        ),
    )  # fmt: skip
    board.row(
        8,
        (
            lines(
                "Time of a look", "What one look at Loki takes, from its lines to the store; above the interval it "
                "falls behind.",
                ours("health", format="series", kind=["tick"]), empty.NO_RUNS, unit=look.SECONDS, decimals=2,
            ), 12,
        ),
        (
            bars(
                "Failed looks", "Looks at Loki that failed, since this process began.",
                ours("health", format="series", kind=["failures"]), empty.NO_FAILURES,
            ).axis_soft_max(5), 12,
        ),
    )  # fmt: skip
    board.row(
        8,
        (
            bars(
                "Analyses, by what concluded", "A model is asked only where neither a runbook nor the rules suffice.",
                ours("health", format="series", kind=["analyses"]), empty.NO_ANALYSES,
            ), 12,
        ),
        (
            bars(
                "Model cost", "What the models' analyses say they cost.",
                ours("health", format="series", kind=["cost"]), empty.NO_COST, unit=look.MONEY,
            ), 12,
        ),
    )  # fmt: skip
    board.row(
        7,
        (
            rows(
                "Queries", "How far each LogQL query of the project has been read.", ours("health", format="queries"),
                empty.NO_RECORDS, columns={"Query": None, "Read until": 165, "Behind": 100},
            ), 10,
        ),
        (
            rows(
                "Publishing", "What was sent, waits, or was given up.", ours("health", format="targets"),
                empty.NO_TARGETS,
                columns={"Published to": 130, "Sent": 80, "Waiting": 80, "The oldest waits": 130, "Given up": 85,
                         "Last error": None},
            ), 14,
        ),
    )  # fmt: skip
    return board
