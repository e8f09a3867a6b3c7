"""The overview without the plugin over a Loki with incident events: its figures are those of the incidents."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from builders import make_event, make_incident
from incidentlens.intake.loki import LokiClient, LokiSettings
from incidentlens.model.clock import MINUTE, SECOND, SystemClock
from incidentlens.model.incidents import Incident
from incidentlens.model.terms import Disposition, Severity, Status
from incidentlens.publish.loki_events import LokiEvents, event_payload
from local_loki_process import local_loki

BOARD = orjson.loads((Path(__file__).parents[3] / "dashboards/json/overview-without-plugin.json").read_bytes())


@pytest.fixture
async def loki(tmp_path: Path) -> AsyncIterator[LokiSettings]:
    """The local one, as its own process."""
    async with local_loki(tmp_path / "loki") as settings:
        yield settings


Told = list[tuple[int, str, str]]  # seconds after the beginning, kind, text
BEGUN: Told = [(0, "opened", "it began"), (1, "decided", "somebody is told"), (2, "notified", "sent")]
OVER: Told = [(60, "verified", "resolved: quiet for 5 min")]
# What the pipeline says of the first event of its kind in an incident's life.
FIRSTS = {"notified": "told", "verified": "resolved"}


def payloads(incident: Incident, told: Told, begin: int) -> list[dict[str, Any]]:
    """The events of one incident, whose status and disposition are those of each event's time."""
    found = []
    known: set[str] = set()
    for number, (at, kind, text) in enumerate(told):
        if kind in ("verified", "closed"):
            status = Status.RESOLVED if kind == "verified" else Status.CLOSED
        else:
            status = Status.VERIFYING
        changes: dict[str, Any] = {"status": status}
        first = FIRSTS.get(kind, "")
        if "escalation" in text:
            changes["disposition"], first = Disposition.ESCALATE, "escalated"
        incident = incident.model_copy(update=changes)
        data = {"first": first} if first and first not in known else {}
        known.add(first)
        event = make_event(kind, incident.id, at=begin + at * SECOND, text=text, data=data)
        found.append(event_payload(event, incident, number))
    return found


def story(now: int, project: str) -> list[dict[str, Any]]:
    """Of five incidents: still open, resolved, closed by a person, resolved and come back, raised on the way."""
    begin = now - 10 * MINUTE

    def tell(name: str, more: Told, **changes: Any) -> list[dict[str, Any]]:
        return payloads(make_incident(name, project=project, **changes), BEGUN + more, begin)

    again: Told = [(90, "reopened", "it came back"), (91, "decided", "again"), (92, "notified", "sent")]
    return [
        *tell("open", [(5, "problem_joined", '"text":"resolved')], severity=Severity.CRITICAL),
        *tell("resolved", [*OVER, (70, "feedback", "well done")]),
        *tell("closed", [(30, "closed", "closed by ann")]),
        *tell("back", [*OVER, *again]),
        *tell("raised", [(20, "decided", "now an escalation"), (25, "decided", "still an escalation")]),
    ]


class Board:
    """The dashboard over a Loki, as Grafana asks and shows it."""

    def __init__(self, client: LokiClient, project: str, now: int) -> None:
        self.client, self.project, self.now = client, project, now

    def panel(self, title: str) -> dict[str, Any]:
        return next(panel for panel in BOARD["panels"] if panel["title"] == title)

    def expression(self, title: str, ref_id: str = "A") -> str:
        target = next(target for target in self.panel(title)["targets"] if target["refId"] == ref_id)
        text: str = target["expr"]
        return text.replace("$project", self.project).replace("$__range", "1h").replace("$__interval", "1h")

    async def vector(self, title: str, ref_id: str = "A") -> list[dict[str, Any]]:
        return await self.client.query_vector(self.expression(title, ref_id), self.now)

    async def figure(self, ref_id: str) -> str:
        (found,) = await self.vector("In this time range", ref_id)
        return str(found["value"][1])

    async def table(self, title: str) -> list[dict[str, Any]]:
        """The rows of a table of log lines, by the names of its columns before they are renamed."""
        limit = self.panel(title)["targets"][0]["maxLines"]
        body = await self.client.get_json(
            "/loki/api/v1/query_range",
            {
                "query": self.expression(title), "limit": str(limit), "start": str(self.now - 60 * MINUTE),
                "end": str(self.now), "direction": "backward",
            },
        )  # fmt: skip
        rows = []
        for stream in body["data"]["result"]:
            for at, _, *more in stream["values"]:
                labels = dict(stream["stream"])
                for kind in more:  # metadata and parsed labels, where Loki tells them apart
                    labels |= {name: value for part in kind.values() for name, value in part.items()}
                rows.append({"labels": labels, "Time": int(at)})
        rows.sort(key=lambda row: -row["Time"])
        return transformed(rows[:limit], self.panel(title)["transformations"])

    async def still_open(self) -> set[str]:
        """The incidents that the panel "Open" counts: its steps over what the table was answered."""
        table = self.panel("How incidents stand")
        *steps, counted = self.panel("Open")["transformations"]
        assert counted == {"id": "reduce", "options": {"reducers": ["count"]}}
        shown, table["transformations"] = table["transformations"], steps
        try:
            return {row["incident_id"] for row in await self.table("How incidents stand")}
        finally:
            table["transformations"] = shown


def transformed(rows: list[dict[str, Any]], steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What Grafana's transformations make of rows: those that the dashboard uses."""
    for step in steps:
        options = step["options"]
        if step["id"] == "extractFields":
            rows = [{**row, **row[options["source"]]} for row in rows]
        elif step["id"] == "sortBy":
            (by,) = options["sort"]
            rows = sorted(rows, key=lambda row: row[by["field"]], reverse=by.get("desc", False))
        elif step["id"] == "groupBy":
            keys = [name for name, field in options["fields"].items() if field["operation"] == "groupby"]
            taken = [name for name, field in options["fields"].items() if field["aggregations"] == ["first"]]
            grouped: dict[tuple[str, ...], dict[str, Any]] = {}
            for row in rows:
                first = {f"{name} (first)": row[name] for name in taken}
                group = {key: row[key] for key in keys}
                grouped.setdefault(tuple(group.values()), {**group, **first})
            rows = list(grouped.values())
        elif step["id"] == "filterByValue":
            (wanted,) = options["filters"]
            rows = [row for row in rows if row[wanted["fieldName"]] == wanted["config"]["options"]["value"]]
        elif step["id"] == "filterFieldsByName":
            rows = [{name: row.get(name) for name in options["include"]["names"]} for row in rows]
        else:
            assert step["id"] == "organize", step
    return rows


async def push(loki: LokiSettings, events: list[dict[str, Any]]) -> None:
    sender = LokiEvents(loki)
    for start in range(0, len(events), 1_000):
        await sender.send(events[start : start + 1_000])
    await sender.close()


async def test_its_figures_and_tables_are_those_of_the_incidents(loki: LokiSettings) -> None:
    project, now = f"board{os.getpid()}", SystemClock().now()
    await push(loki, story(now, project))

    async with LokiClient(loki) as client:
        board = Board(client, project, now)
        assert [await board.figure(ref_id) for ref_id in "ABCD"] == ["5", "1", "5", "2"]
        assert await board.still_open() == {"open", "back", "raised"}
        rows = await board.table("How incidents stand")
        assert [row["incident_id"] for row in rows[:3]] == ["back", "raised", "open"]  # the latest changed first
        assert {row["incident_id"] for row in rows[3:]} == {"resolved", "closed"}
        by_id = {row["incident_id"]: row for row in rows}
        assert by_id["open"]["severity (first)"] == "critical"
        assert by_id["raised"]["disposition (first)"] == "ESCALATE"
        assert by_id["closed"]["status (first)"] == "closed"
        assert by_id["raised"]["Time (first)"] // SECOND == (now - 10 * MINUTE + 25 * SECOND) // SECOND
        by = {row["metric"]["disposition"]: row["value"][1] for row in await board.vector("Decisions, by disposition")}
        assert by == {"ESCALATE": "2", "NEEDS_ONCALL": "6"}
        (ranked,) = await board.vector("Services with most incidents")
        assert (ranked["metric"], ranked["value"][1]) == ({"service": "db"}, "5")
        happened = await board.table("What happened")
        assert len(happened) == len(story(now, project))
        assert {row["kind (first)"] for row in happened} >= {"opened", "notified", "feedback", "closed"}


async def test_a_thousand_incidents_are_counted_where_loki_gives_five_hundred_series(loki: LokiSettings) -> None:
    """Every figure is one series, and how each incident stands comes from lines."""
    project, now = f"many{os.getpid()}", SystemClock().now()
    events: list[dict[str, Any]] = []
    for number in range(1_000):
        incident = make_incident(f"i{number}", project=project)
        raised: Told = [(3, "decided", "an escalation")] if number % 4 == 0 else []
        over = OVER if number % 2 else []
        events += payloads(incident, [*BEGUN, *raised, *over], now - 30 * MINUTE + number * SECOND)
    await push(loki, events)

    async with LokiClient(loki) as client:
        board = Board(client, project, now)
        assert [await board.figure(ref_id) for ref_id in "ABCD"] == ["1000", "250", "1000", "500"]
        assert len(await board.still_open()) == 500
        for panel in BOARD["panels"]:
            for target in panel["targets"]:
                if target.get("queryType") == "instant":
                    assert len(await board.vector(panel["title"], target["refId"])) <= 8, panel["title"]


async def test_without_events_its_figures_are_zero(loki: LokiSettings) -> None:
    async with LokiClient(loki) as client:
        board = Board(client, "nobody", SystemClock().now())
        assert [await board.figure(ref_id) for ref_id in "ABCD"] == ["0"] * 4
        assert await board.still_open() == set()
