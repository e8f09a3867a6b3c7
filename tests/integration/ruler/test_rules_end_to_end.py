"""Rule written, lines pushed, alert posted back, investigation, incident: beside the local Loki, over HTTP."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from incidentlens.localloki import LocalLoki
from incidentlens.model.clock import SECOND
from incidentlens.model.terms import ProblemKind
from incidentlens.ruler import Group, Rule, State, build_groups, namespace_of, plan, plan_removal
from incidentlens.store.postgres import PostgresStore
from ruler_running import Beside, beside, configuration, until

DEADLOCK = "ERROR deadlock detected, process {i} waits"
# A rule of the team's own; its alert lasts as long as its lines are younger than four seconds.
TEAMS = 'sum by (service_name) (count_over_time({env="shop"} |= "no space left" [4s])) > 2'


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
async def loki(tmp_path: Path, port: int) -> AsyncIterator[LocalLoki]:
    async with LocalLoki(tmp_path / "loki", auth=True, alertmanager_url=f"http://127.0.0.1:{port}") as started:
        yield started


@pytest.fixture
async def running(
    request: pytest.FixtureRequest, tmp_path: Path, loki: LocalLoki, port: int, postgres_store: PostgresStore
) -> AsyncIterator[Beside]:
    notifies = getattr(request, "param", True)
    loaded = configuration(tmp_path, loki.url, "t-shop", port, ruler_notifies=notifies)
    async with beside(loaded, postgres_store) as started:
        yield started


async def test_writing_again_changes_nothing_and_only_its_own_namespace_is_touched(running: Beside) -> None:
    own = Group("theirs", (Rule("vector(1) > 2", alert="Theirs"),))
    await running.ruler.put("team", own)
    assert [change.state for change in await running.sync()] == [State.CREATE] * 3
    assert await running.sync() == []
    namespace = namespace_of("shop")
    assert await running.ruler.groups(namespace) == sorted(build_groups(running.project), key=lambda one: one.name)
    await running.ruler.apply(namespace, plan_removal(await running.ruler.groups(namespace)))
    assert await running.ruler.groups(namespace) == []
    assert await running.ruler.groups("team") == [own]


async def test_a_hands_edit_in_the_ruler_is_kept_until_told(running: Beside) -> None:
    await running.sync()
    namespace = namespace_of("shop")
    written = next(one for one in await running.ruler.groups(namespace) if one.name == "thresholds")
    edited = replace(written, rules=(replace(written.rules[0], hold_ns=300 * SECOND), *written.rules[1:]))
    await running.ruler.put(namespace, edited)
    assert await running.sync() == []
    assert edited in await running.ruler.groups(namespace)
    changes = plan(build_groups(running.project), await running.ruler.groups(namespace))
    assert [change.name for change in changes if change.kept_back] == ["thresholds"]
    await running.ruler.apply(namespace, changes, force=True)
    assert written in await running.ruler.groups(namespace)


async def test_a_rule_that_fires_starts_an_investigation_within_a_second_and_makes_one_incident(
    running: Beside,
) -> None:
    await running.sync()
    await running.push(DEADLOCK)
    (alert,) = await until(running.alerts)
    heard = time.time_ns()
    assert (alert.name, alert.labels["runbook"], alert.labels["service"]) == (
        "IncidentLensThreshold:db-deadlock",
        "db-deadlock",
        "db",
    )
    assert "count_over_time" in alert.query
    (incident,) = await until(running.incidents, 5)
    assert incident.opened_at - heard < SECOND  # the look began then; a busy machine may take longer over it
    # The lines are the problem; the alert that asked for the look is proof, and no second problem.
    assert all(problem.kind is not ProblemKind.ALERT for problem in incident.problems)
    assert incident.service == "db"
    assert incident.runbook == "db-deadlock"
    assert incident.count == 8
    assert {"record", "alert"} <= await running.evidence_kinds(incident.id)
    decision = (await running.decisions(incident.id))[0]
    assert decision.disposition == "NEEDS_ONCALL"
    assert decision.tell
    # The active set comes again and again; it stays one alert and one incident.
    await asyncio.sleep(2.5)
    assert len(await running.alerts()) == 1
    assert [one.id for one in await running.incidents()] == [incident.id]


async def team_alerts(running: Beside) -> str:
    """The team's own alert fires and becomes an incident; its id."""
    await running.ruler.put(
        "team", Group("disk", (Rule(TEAMS, alert="DiskFull", labels={"severity": "page"}),), SECOND)
    )
    await running.push("ERROR no space left on device {i}", service="web")
    return str((await until(running.incidents))[0].id)


async def test_what_the_ruler_has_told_is_enriched_and_not_told_again(running: Beside) -> None:
    incident_id = await team_alerts(running)
    decision = (await running.decisions(incident_id))[0]
    assert decision.disposition.notifies
    assert not decision.tell
    assert decision.reasons[-1].code == "ruler_told"
    assert "DiskFull" in decision.reasons[-1].text
    assert "alert" in await running.evidence_kinds(incident_id)
    (alert,) = await running.alerts()
    assert alert.told_by_ruler

    async def over() -> bool:
        return not await running.alerts()

    await until(over)  # the ruler says so by an end in the past, long before the four minutes it had announced
    assert alert.ends_at is not None
    assert time.time_ns() < alert.ends_at - 60 * SECOND


@pytest.mark.parametrize("running", [False], indirect=True)
async def test_where_the_rulers_alerts_reach_nobody_it_is_told(running: Beside) -> None:
    decision = (await running.decisions(await team_alerts(running)))[0]
    assert decision.tell
