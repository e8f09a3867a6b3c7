"""Alerts that others send, and those of metric queries: an investigation at once, once."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import orjson
import pytest

from incidentlens.intake.alerts import read_alerts
from incidentlens.model.clock import SECOND
from incidentlens.model.terms import ProblemKind, Status
from incidentlens.store.memory import MemoryStore
from running import FAILURE, NAME, QUERY, T0, Query, Running, lines, make_project


@pytest.fixture
def store(postgres_store):
    """The real one; what needs no database is tested over the one in memory."""
    return postgres_store


def stamp(ns):
    return datetime.fromtimestamp(ns / SECOND, UTC).isoformat()


def ruler(starts_at, ends_at=None, service="pay"):
    """What Loki's ruler posts."""
    alert = {
        "labels": {"alertname": "TooManyErrors", "app": service, "severity": "page"},
        "annotations": {"summary": f"{service} fails too often"},
        "startsAt": stamp(starts_at),
        "endsAt": stamp(ends_at) if ends_at else "0001-01-01T00:00:00Z",
        "generatorURL": "",
    }
    return orjson.dumps([alert])


async def receive(running, body):
    """As the API does: kept, and where it is news the project runs at once."""
    changed = 0
    async with running.store.transaction(NAME) as tx:
        for alert in read_alerts(body, NAME, running.clock.now()):
            changed += await tx.save_alert(alert)
    if changed:
        await running.runner.run(alerted=True)
    return changed


async def test_an_alert_starts_an_investigation_at_once_and_its_repetition_does_nothing(store):
    running = Running(store)
    running.loki.add({"app": "pay"}, lines(T0, 300, 2))
    await running.run(60)
    now = running.clock.now()
    body = ruler(now)
    assert await receive(running, body) == 1
    (incident,) = await running.incidents()
    assert incident.opened_at <= now
    assert incident.onset == now
    assert incident.problems[0].kind is ProblemKind.ALERT
    assert incident.services == ("pay",)
    told = await running.notified()
    assert len(told) == 1
    for _ in range(20):
        assert await receive(running, ruler(now, ends_at=running.clock.now() + 240 * SECOND)) in (0, 1)
        await running.run(15)
    (same,) = await running.incidents()
    assert (same.id, same.count, same.reopened) == (incident.id, 1, 0)
    assert await running.notified() == told


async def test_an_alert_that_goes_on_firing_keeps_its_incident_open_and_its_end_resolves_it(store):
    running = Running(store, project=make_project(policy={"quiet_minutes": 2, "max_quiet_minutes": 2}))
    await running.run(10)
    now = running.clock.now()
    await receive(running, ruler(now))
    await running.run(1200, every=30)
    (incident,) = await running.incidents()
    assert incident.status is Status.VERIFYING
    assert incident.reopened == 0
    await receive(running, ruler(now, ends_at=running.clock.now()))
    await running.run(900, every=30)
    (incident,) = await running.incidents()
    assert incident.status is Status.RESOLVED
    assert len(await running.notified()) <= 2  # the second where it lasted so long that it was escalated


async def test_an_alert_that_fires_again_much_later_is_another_incident():
    running = Running(MemoryStore(), project=make_project(policy={"quiet_minutes": 1, "max_quiet_minutes": 1}))
    await running.run(10)
    for _ in range(2):
        now = running.clock.now()
        await receive(running, ruler(now))
        await running.run(120, every=15)
        await receive(running, ruler(now, ends_at=running.clock.now()))
        await running.run(7200, every=60)
    incidents = await running.incidents()
    assert len(incidents) == 2
    assert {one.status for one in incidents} == {Status.RESOLVED}


async def test_an_alert_is_taken_up_while_loki_is_away():
    running = Running(MemoryStore())
    await running.run(30)

    def down(request):
        raise httpx.ConnectError("refused")

    running.loki.fault = down
    running.clock.advance(5 * SECOND)
    await receive(running, ruler(running.clock.now()))
    assert len(await running.notified()) == 1
    assert running.runner.health.error is not None


async def test_an_alert_and_the_failing_lines_of_its_service_are_one_incident(store):
    running = Running(store)
    running.loki.add({"app": "pay"}, lines(T0, 600, 2))
    await running.run(60)
    running.loki.add({"app": "pay"}, lines(T0 + 60 * SECOND, 60, 2, FAILURE))
    await running.run(20)
    await receive(running, ruler(running.clock.now()))
    await running.run(60)
    (incident,) = await running.incidents()
    kinds = {problem.kind for problem in incident.problems}
    assert ProblemKind.ALERT in kinds
    assert len(kinds) > 1


async def test_a_metric_query_above_its_bound_is_one_alert_for_as_long_as_it_lasts():
    query = Query("slow-checkouts", 'sum by (app) (count_over_time({app="web"} |= "slow" [1m]))', True, 5.0)
    running = Running(MemoryStore(), project=make_project((Query("logs", QUERY, False, None), query)))
    running.loki.add({"app": "web"}, lines(T0, 900, 1, "level=info msg=served id={i}"))
    running.loki.add({"app": "web"}, lines(T0 + 100 * SECOND, 200, 0.5, "level=info msg=slow id={i}"))
    await running.run(100)
    assert await running.incidents() == []
    await running.run(150)
    (incident,) = await running.incidents()
    (problem,) = [problem for problem in incident.problems if problem.kind is ProblemKind.ALERT]
    assert problem.signature == "alert:slow-checkouts"
    assert incident.count == 1
    async with running.store.transaction(NAME) as tx:
        (alert,) = await tx.active_alerts(running.clock.now())
    assert alert.starts_at < T0 + 130 * SECOND  # it began then, however often it was seen since
    assert alert.annotations["summary"] == "slow-checkouts is above 5"
    await running.run(600, every=20)
    async with running.store.transaction(NAME) as tx:
        assert await tx.active_alerts(running.clock.now()) == []
    (incident,) = await running.incidents()
    assert incident.status is Status.RESOLVED


@pytest.mark.parametrize("value", ["NaN", "+Inf"])
async def test_a_metric_that_is_no_number_is_no_alert_and_an_infinite_one_is(value):
    query = Query("ratio", "sum(rate({app=`a`}[1m]))", True, 1.0)
    running = Running(MemoryStore(), project=make_project((Query("logs", QUERY, False, None), query)))
    vector = {"resultType": "vector", "result": [{"metric": {"app": "a"}, "value": [1.0, value]}]}
    running.loki.fault = lambda request: (
        httpx.Response(200, json={"status": "success", "data": vector}) if request.url.path.endswith("/query") else None
    )
    await running.run(20)
    assert len(await running.incidents()) == (1 if value == "+Inf" else 0)
