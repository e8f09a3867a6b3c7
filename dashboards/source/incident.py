"""Incident: one incident, from what it is to what became of it."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from . import empty, links
from .asking import Target, ours, source, the_incident
from .board import Board
from .panels import figures, graph, log_lines, rows, sentences, states, words


def of(query_type: str, **body: Any) -> Target:
    """A query about the chosen incident."""
    return ours(query_type, incidentId=["$incident"], **body)


def build() -> Board:
    board = Board(
        "incidentlens-incident", "IncidentLens: Incident",
        "One incident: what it is, why it was decided so, where it came from, the lines that prove it, and its end.",
        variables=[source(), the_incident()], since="now-24h",
    )  # fmt: skip
    summary = of("incident", format="summary")
    board.row(
        4,
        (
            words(
                "How it stands", "Severity and disposition say how bad it is and who was to be told.", summary,
                ["Status", "Severity", "Disposition", "Verified"],
            ), 11,
        ),
        (
            figures(
                "How sure and how much", "Confidence is that of the conclusion, apart from the severity.", summary,
                ["Confidence", "Records", "Lasts", "Came back"],
            ), 8,
        ),
        (
            rows(
                "Close, ignore, give feedback",
                "The forms are on the incident's page, which needs `server.public_url` in incidentlens.yaml.",
                summary, empty.CHOOSE,
                columns={"Page": None},
                overrides={"Page": [links.shown_as("Open its page"), DynamicConfigValue("noValue", empty.NO_PAGE)]},
            ), 5,
        ),
    )  # fmt: skip
    board.row(
        4,
        (
            rows(
                "Incident", "A click on the title opens the page where it is closed, ignored and commented on.",
                summary, empty.CHOOSE,
                columns={
                    "Incident": None, "Began in": 110, "Services": 170, "Runbook": 160, "Concluded by": 110,
                    "Since": 165, "Over": 165,
                },
            ), 24,
        ),
    )  # fmt: skip
    board.row(
        8,
        (
            sentences(
                "What is thought of it",
                "The summary, then each claim; its details name the evidence it cites.",
                of("incident", format="story"), empty.CHOOSE,
            ).enable_log_details(True), 13,
        ),
        (
            sentences(
                "What to do", "The steps of the runbook that fits best, then those of others.",
                of("incident", format="steps"), empty.NO_STEPS,
            ), 11,
        ),
    )  # fmt: skip
    board.row(
        20,
        (
            graph(
                "Where it came from",
                "Services and their problems, from the suspected cause (red) over links (orange) to symptoms (blue); "
                "an edge says how much later. A node's menu has the reasons.",
                of("root_cause"), empty.NO_CHAIN, brief=empty.NO_GRAPH,
            ), 24,
        ),
    )  # fmt: skip
    board.row(
        10,
        (
            states(
                "How it went", "Status, disposition, severity, watch, and each problem for as long as it failed.",
                of("timeline"), empty.CHOOSE,
            ), 24,
        ),
    )  # fmt: skip
    board.row(
        9,
        (
            rows(
                "Decision and reasons", "Each step in the order it was taken; the latest decision first.",
                of("incident", format="reasons"), empty.NO_DECISION,
                columns={"Decided": 165, "Disposition": 130, "Step": 55, "Rule": 140, "Because": None, "Mode": 80},
            ), 24,
        ),
    )  # fmt: skip
    board.row(
        9,
        (
            rows(
                "What happened", "Everything that was written down about it, in order.",
                of("timeline", format="events"), empty.CHOOSE,
                columns={"When": 165, "What": 130, "Said": None, "By": 110},
            ), 24,
        ),
    )  # fmt: skip
    board.row(
        12,
        (
            log_lines(
                "Evidence", "The lines and other items that the conclusion rests on. A line's details lead to its "
                "place in Loki where the data source's settings name one.",
                of("evidence", limit=200), empty.NO_EVIDENCE, newest_first=False,
            ), 24,
        ),
    )  # fmt: skip
    board.row(
        6,
        (
            rows(
                "Actions", "What was done, and whom it told.", of("actions"), empty.NO_ACTION_YET,
                columns={"When": 165, "Action": 90, "State": 85, "Disposition": 130, "Text": None},
            ), 24,
        ),
    )  # fmt: skip
    board.row(
        5,
        (
            rows(
                "Verification", "The watches: what ended them, and why.", of("verification", format="watches"),
                empty.NO_WATCH_YET,
                columns={"Watched since": 165, "Outcome": 110, "Ended": 165, "Must be quiet for": 145, "Why": None},
            ), 24,
        ),
    )  # fmt: skip
    board.row(
        7,
        (
            rows(
                "Similar incidents", "Earlier ones like it, why, and what ended them; the most alike first.",
                of("similar", limit=10), empty.NO_SIMILAR,
                columns={
                    "Alike": 70, "Incident": None, "Service": 110, "Severity": 90, "Disposition": 130,
                    "Outcome": 110, "Why": None, "What ended it": None,
                },
                unseen=["Id"],
            ), 24,
        ),
    )  # fmt: skip
    return board
