"""Our rules in a real Loki's ruler, named by `INCIDENTLENS_LIVE_LOKI`: taken, kept, evaluated, posted back.

The Loki must take tenants, keep rules where it can write them, reread them within seconds, and send its alerts to
`INCIDENTLENS_LIVE_ALERTS` (127.0.0.1:8095 unless said), which must be free.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from incidentlens.config.loader import Loaded
from incidentlens.intake.loki import LokiClient
from incidentlens.model.clock import SECOND
from incidentlens.model.terms import ProblemKind
from incidentlens.ruler import Group, Rule, RulerClient, State, build_groups, namespace_of, plan, plan_removal
from incidentlens.ruler.lint import ask_loki
from incidentlens.store.postgres import PostgresStore
from ruler_running import Beside, beside, configuration, until
from running import make_project

LOKI = os.environ.get("INCIDENTLENS_LIVE_LOKI", "")
PORT = int(os.environ.get("INCIDENTLENS_LIVE_ALERTS", "127.0.0.1:8095").rpartition(":")[2])
pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not LOKI, reason="INCIDENTLENS_LIVE_LOKI names no Loki"),
]
NAMESPACE = namespace_of("shop")


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    return configuration(tmp_path, LOKI, f"ruler-{uuid.uuid4().hex[:12]}", PORT)


@pytest.fixture
async def client(loaded: Loaded) -> AsyncIterator[LokiClient]:
    """A client of a tenant of this test's own; its rules are taken away at the end."""
    async with LokiClient(loaded.projects["shop"].loki) as opened:
        yield opened
        ruler = RulerClient(opened)
        for namespace in (NAMESPACE, "team"):
            for group in await ruler.groups(namespace):
                await ruler.delete(namespace, group.name)


async def test_every_built_in_rule_is_taken_and_comes_back_as_it_was_written(client: LokiClient) -> None:
    project = make_project()
    groups = build_groups(project)
    assert await ask_loki(groups, client) == []
    ruler = RulerClient(client)
    assert await ruler.groups(NAMESPACE) == []
    changes = plan(groups, [])
    assert len(await ruler.apply(NAMESPACE, changes)) == len(groups)
    there = await ruler.groups(NAMESPACE)
    assert sorted(there, key=lambda one: one.name) == sorted(groups, key=lambda one: one.name)
    assert all(group.untouched for group in there)
    assert {change.state for change in plan(groups, there)} == {State.SAME}
    await ruler.apply(NAMESPACE, plan_removal(there))
    assert await ruler.groups(NAMESPACE) == []


async def test_texts_that_yaml_could_change_come_back_as_they_were(client: LokiClient) -> None:
    texts = [
        "yes",
        "null",
        "1e3",
        "0x1F",
        "a: b",
        "- a",
        "ü€ \U0001f600",
        "two\nlines\n",
        " edge ",
        '"q" \\ `b`',
        "#no",
        "a\x85b\u2028c\x07",
    ]
    labels = {f"l{number}": text for number, text in enumerate(texts)}
    rule = Rule("vector(1) > 2", alert="A: b", labels=labels, annotations=labels, hold_ns=90 * 10**9)
    ruler = RulerClient(client)
    written = Group("odd name?", (rule,), 61 * 10**9).sealed()
    await ruler.put(NAMESPACE, written)
    (there,) = await ruler.groups(NAMESPACE)
    assert there == written
    assert there.untouched
    edited = replace(there, rules=(replace(there.rules[0], expr="vector(1) > 3"),))
    await ruler.put(NAMESPACE, edited)
    assert [change.state for change in plan([written], await ruler.groups(NAMESPACE))] == [State.EDITED]
    await ruler.delete(NAMESPACE, "odd name?")
    await ruler.delete(NAMESPACE, "odd name?")


async def test_a_rule_loki_refuses_is_said_in_lokis_words(client: LokiClient) -> None:
    with pytest.raises(Exception, match="could not parse expression"):
        await RulerClient(client).put(NAMESPACE, Group("bad", (Rule("count_over_time({a=", alert="A"),)))


async def test_every_rule_is_evaluated_without_an_error(client: LokiClient) -> None:
    """The recording rules too, though this ruler writes their series nowhere."""
    groups = [replace(group, interval_ns=10**9) for group in build_groups(make_project())]
    ruler = RulerClient(client)
    await ruler.apply(NAMESPACE, plan([group.sealed() for group in groups], []))
    await client.push([{"stream": {"app": "db"}, "values": [[str(time.time_ns()), "level=error deadlock detected"]]}])

    async def evaluated() -> list[dict[str, object]]:
        answer = await client.get_json("/prometheus/api/v1/rules", {})
        rules = [rule for group in answer["data"]["groups"] for rule in group["rules"]]
        done = [rule for rule in rules if rule["health"] != "unknown"]
        return done if len(done) == sum(len(group.rules) for group in groups) else []

    rules = await until(evaluated, 60)
    assert [(rule["name"], rule["lastError"]) for rule in rules if rule["health"] != "ok"] == []


@pytest.fixture
async def running(loaded: Loaded, client: LokiClient, postgres_store: PostgresStore) -> AsyncIterator[Beside]:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", PORT))
        except OSError:
            pytest.skip(f"port {PORT}, where the ruler's alerts go, is taken")
    async with beside(loaded, postgres_store) as started:
        yield started


async def test_a_rule_that_fires_starts_an_investigation_within_a_second(running: Beside) -> None:
    await running.sync()
    await running.push("ERROR deadlock detected, process {i} waits")
    (alert,) = await until(running.alerts, 60)
    heard = time.time_ns()
    assert (alert.name, alert.labels["service"]) == ("IncidentLensThreshold:db-deadlock", "db")
    assert "deadlock" in alert.query
    (incident,) = await until(running.incidents, 5)
    assert incident.opened_at - heard < SECOND  # the look began then; a busy machine may take longer over it
    assert all(problem.kind is not ProblemKind.ALERT for problem in incident.problems)
    assert (incident.service, incident.runbook, incident.count) == ("db", "db-deadlock", 8)
    assert {"record", "alert"} <= await running.evidence_kinds(incident.id)
    assert (await running.decisions(incident.id))[0].disposition == "NEEDS_ONCALL"


async def test_a_rule_of_the_teams_own_is_told_by_the_ruler_and_its_end_is_taken_up(running: Beside) -> None:
    query = 'sum by (service_name) (count_over_time({env="shop"} |= "no space left" [20s])) > 2'
    rule = Rule(query, alert="DiskFull", labels={"severity": "page"})
    await running.ruler.put("team", Group("disk", (rule,), 10**9))
    # The ruler rereads its rules every few seconds; then the lines must still be young.
    await asyncio.sleep(6)
    await running.push("ERROR no space left on device {i}", service="web")
    incident = (await until(running.incidents, 60))[0]
    decision = (await running.decisions(incident.id))[0]
    assert (decision.tell, decision.reasons[-1].code) == (False, "ruler_told")

    async def over() -> bool:
        return not await running.alerts()

    await until(over, 60)


async def test_an_alert_of_a_tenant_that_is_nobodys_is_refused(running: Beside) -> None:
    body = [{"labels": {"alertname": "X", "project": "shop"}, "generatorURL": "/explore"}]
    url = f"http://127.0.0.1:{PORT}/api/v2/alerts"
    async with httpx.AsyncClient() as other:
        answer = await other.post(url, json=body, headers={"X-Scope-OrgID": "another"})
    assert answer.status_code == 404
    assert await running.alerts() == []
