"""The overview without the plugin over a Loki with incident events: its figures are those of the incidents."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
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

BOARD = orjson.loads((Path(__file__).parents[3] / "dashboards/json/overview-without-plugin.json").read_bytes())


@pytest.fixture
async def loki(tmp_path: Path) -> AsyncIterator[LokiSettings]:
    """The local one, as its own process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = ["local-loki", "--listen", f"127.0.0.1:{port}", "--data", str(tmp_path / "loki")]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "incidentlens.cli.main", *arguments,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    settings = LokiSettings(f"http://127.0.0.1:{port}", max_attempts=2)
    async with LokiClient(settings) as client:
        for _ in range(400):
            if await client.ready():
                break
            await asyncio.sleep(0.1)
    yield settings
    process.terminate()
    await process.wait()


def story(now: int, project: str) -> list[dict[str, Any]]:
    """Of five incidents: still open, resolved, closed by a person, resolved and come back, only observed."""
    told: list[tuple[Incident, list[tuple[int, str, str]]]] = []
    begun = [(0, "opened", "it began"), (1, "decided", "somebody is told"), (2, "notified", "sent")]
    over = [(60, "verified", "resolved: quiet for 5 min")]

    def tell(name: str, events: list[tuple[int, str, str]], **changes: Any) -> None:
        told.append((make_incident(name, project=project, **changes), begun + events))

    tell(
        "open",
        [(5, "problem_joined", '"text":"resolved')],
        disposition=Disposition.ESCALATE,
        severity=Severity.CRITICAL,
    )
    tell("resolved", over)
    tell("closed", [(30, "closed", "closed by ann")], status=Status.CLOSED)
    tell("back", [*over, (90, "reopened", "it came back"), (91, "decided", "again")])
    tell("changed", [(20, "decided", "now an escalation")])
    payloads = [
        event_payload(make_event(kind, incident.id, at=now - 10 * MINUTE + at * SECOND, text=text), incident, number)
        for number, (incident, events) in enumerate(told)
        for at, kind, text in events
    ]
    # Its disposition changed on the way: it is one incident, as it was decided last.
    for payload in payloads:
        if payload["metadata"]["incident_id"] == "changed" and "escalation" in payload["line"]:
            payload["metadata"]["disposition"] = "ESCALATE"
    return payloads


async def test_its_figures_and_tables_are_those_of_the_incidents(loki: LokiSettings) -> None:
    project, now = f"board{os.getpid()}", SystemClock().now()
    events = LokiEvents(loki)
    await events.send(story(now, project))
    await events.close()

    async with LokiClient(loki) as client:

        async def asked(title: str, ref_id: str = "A") -> list[dict[str, Any]]:
            panel = next(panel for panel in BOARD["panels"] if panel["title"] == title)
            target = next(target for target in panel["targets"] if target["refId"] == ref_id)
            text = target["expr"].replace("$project", project).replace("$__range", "1h").replace("$__interval", "1h")
            return await client.query_vector(text, now)

        async def figure(ref_id: str) -> str:
            (found,) = await asked("In this time range", ref_id)
            return str(found["value"][1])

        assert [await figure(ref_id) for ref_id in "ABCDE"] == ["3", "5", "2", "5", "2"]
        rows = {row["metric"]["incident_id"]: row for row in await asked("Still open")}
        assert set(rows) == {"open", "back", "changed"}
        assert rows["open"]["metric"]["severity"] == "critical"
        assert rows["changed"]["metric"]["disposition"] == "ESCALATE"
        decided = now - 10 * MINUTE + 20 * SECOND
        assert abs(float(rows["changed"]["value"][1]) - decided / 1_000_000) <= 1_000
        by = {row["metric"]["disposition"]: row["value"][1] for row in await asked("Decisions, by disposition")}
        assert by == {"ESCALATE": "2", "NEEDS_ONCALL": "5"}
        (ranked,) = await asked("Services with most incidents")
        assert (ranked["metric"], ranked["value"][1]) == ({"service": "db"}, "5")


async def test_without_events_its_figures_are_zero(loki: LokiSettings) -> None:
    async with LokiClient(loki) as client:
        for target in BOARD["panels"][0]["targets"]:
            text = target["expr"].replace("$project", "nobody").replace("$__range", "1h")
            (found,) = await client.query_vector(text, SystemClock().now())
            assert found["value"][1] == "0"
