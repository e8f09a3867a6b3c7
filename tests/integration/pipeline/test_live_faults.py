"""Loki or the database goes away, slow, or mad, and comes back: nothing is lost, nothing is doubled."""

from __future__ import annotations

import asyncio
import random

import httpx
import pytest

from fake_loki import FakeLoki, span_of
from incidentlens.model.clock import SECOND
from incidentlens.model.terms import Status
from incidentlens.store.embedded import EmbeddedPostgres
from incidentlens.store.memory import MemoryStore
from incidentlens.store.postgres import PostgresStore
from running import FAILURE, QUERY, T0, Query, Running, lines, make_project

HALF = b'{"status":"success","data":{"resultType":"streams","result":[{"stream":{"app":"a"},"values":[["17630'


@pytest.fixture
def store(postgres_store):
    """The real one; what needs no database is tested over the one in memory."""
    return postgres_store


def down(request):
    raise httpx.ConnectError("refused")


def slow(request):
    raise httpx.ReadTimeout("slow")


FAULTS = {
    "down": (down, "cannot reach Loki"),
    "slow": (slow, "did not answer"),
    "server error": (lambda request: httpx.Response(500, text="ingester unhappy"), "ingester unhappy"),
    "HTML": (lambda request: httpx.Response(200, text="<html>log in</html>"), "is loki.url right"),
    "half a body": (lambda request: httpx.Response(200, content=HALF), "broke off"),
    "too heavy": (lambda request: httpx.Response(400, text="would read too many bytes"), "too many bytes"),
    "another JSON": (lambda request: httpx.Response(200, json=[1, 2]), "does not answer as Loki does"),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_loki_that_fails_and_comes_back_has_lost_nothing(name):
    fault, said = FAULTS[name]
    running = Running(MemoryStore())
    running.loki.add({"app": "a"}, lines(T0, 400, 1))
    await running.run(60)
    counted = await running.counted()
    running.loki.fault = fault
    await running.run(100, every=20)
    assert said in running.runner.health.error
    assert running.runner.health.failing_since == T0 + 80 * SECOND
    assert await running.counted() == counted
    running.loki.fault = None
    await running.run(300, every=20)
    assert running.runner.health.error is None
    assert running.runner.health.failing_since is None
    assert await running.counted() == 400


async def test_a_loki_that_fails_now_and_then_in_the_middle_of_a_window_loses_and_doubles_nothing(store):
    running = Running(store, FakeLoki(max_entries=20))
    rng = random.Random(3)
    running.loki.add({"app": "a"}, lines(T0, 300, 3))
    running.loki.fault = lambda request: httpx.Response(503) if rng.random() < 0.3 else None
    await running.run(300, every=15)
    running.loki.fault = None
    await running.run(120, every=30)
    assert await running.counted() == 900


async def test_a_metric_query_that_fails_does_not_hold_up_the_log_queries():
    queries = (Query("logs", QUERY, False, None), Query("rate", "sum(rate({app=~`.+`}[1m]))", True, 5.0))
    running = Running(MemoryStore(), project=make_project(queries))
    running.loki.add({"app": "a"}, lines(T0, 60, 1))
    running.loki.fault = lambda request: httpx.Response(400, text="no") if request.url.path.endswith("/query") else None
    await running.run(90)
    assert "400" in running.runner.health.error
    assert await running.counted() == 60


async def through_an_incident(running, fault):
    running.loki.add({"app": "a"}, lines(T0, 120, 1))
    running.loki.add({"app": "b"}, lines(T0 + 120 * SECOND, 900, 1, FAILURE))
    await running.run(180, every=15)
    running.loki.fault = fault
    await running.run(600, every=60)
    statuses = [one.status for one in await running.incidents()]
    running.loki.fault = None
    await running.run(1800, every=60)
    return statuses


async def test_an_outage_of_loki_during_an_incident_ends_as_if_there_had_been_none(store):
    running, undisturbed = Running(store), Running(MemoryStore())
    assert await through_an_incident(running, down) == [Status.VERIFYING]
    assert await through_an_incident(undisturbed, None) == [Status.VERIFYING]
    (incident,), (other,) = await running.incidents(), await undisturbed.incidents()
    assert incident.status is other.status is Status.RESOLVED
    assert (incident.id, incident.count, incident.reopened) == (other.id, other.count, other.reopened)
    assert [a.key for a in await running.notified()] == [a.key for a in await undisturbed.notified()]
    assert await running.counts() == await undisturbed.counts()


async def test_a_loki_that_hangs_ends_with_the_close_and_not_before_the_tick_is_whole():
    running = Running(MemoryStore())
    await running.run(5)
    running.loki.add({"app": "a"}, lines(T0 + 5 * SECOND, 10, 1))
    reached, answer = asyncio.Event(), asyncio.Event()
    plain = running.loki.handle_async_request

    async def hang(request):
        if span_of(request) != (0, 0):
            reached.set()
            await answer.wait()
        return await plain(request)

    running.loki.handle_async_request = hang
    running.clock.advance(5 * SECOND)
    first = asyncio.create_task(running.runner.run())
    await asyncio.wait_for(reached.wait(), 5)
    running.clock.advance(60 * SECOND)
    second = asyncio.create_task(running.runner.run())
    closing = asyncio.create_task(running.runner.close())
    await asyncio.sleep(0.01)
    assert not closing.done()
    answer.set()
    await asyncio.gather(first, second, closing)
    assert await running.counted() == 3  # the tick that had begun is whole; what waited behind it is left
    running.loki.handle_async_request = plain
    running.start(running.project)
    await running.run(10)
    assert await running.counted() == 10


async def test_a_defect_in_a_stage_keeps_nothing_says_so_and_the_next_tick_has_everything():
    running = Running(MemoryStore())
    running.loki.add({"app": "a"}, lines(T0, 60, 1))
    await running.run(20)
    handle = running.runner.engine.handling.handle

    async def broken(*args):
        await handle(*args)
        raise ZeroDivisionError("a defect")

    running.runner.engine.handling.handle = broken
    await running.run(20)
    assert running.runner.health.error == "a defect"
    running.runner.engine.handling.handle = handle
    await running.run(40)
    assert running.runner.health.error is None
    assert await running.counted() == 60


@pytest.mark.slow
async def test_a_database_that_goes_away_and_comes_back_has_lost_and_doubled_nothing(tmp_path):
    server = EmbeddedPostgres(tmp_path / "pg", durable=False)
    await asyncio.to_thread(server.start)
    try:
        store = PostgresStore(server.url, pool_size=4, wait_seconds=0.5)
        await store.open()
        running = Running(store)
        running.loki.add({"app": "a"}, lines(T0, 300, 2))
        running.loki.add({"app": "b"}, lines(T0 + 60 * SECOND, 240, 1, FAILURE))
        await running.run(90, every=10)
        await asyncio.to_thread(server.stop)
        await running.run(20, every=10)
        assert running.runner.health.error is not None
        await asyncio.to_thread(server.start)
        await running.run(100, every=10)
        assert running.runner.health.error is None
        # And away in the middle of a tick, once its transaction has begun.
        handle = running.runner.engine.handling.handle
        stopped = []

        async def cut(*args):
            if not stopped:
                stopped.append(await asyncio.to_thread(server.stop))
            await handle(*args)

        running.runner.engine.handling.handle = cut
        await running.run(10, every=10)
        assert running.runner.health.error is not None
        await asyncio.to_thread(server.start)
        await running.run(120, every=10)
        assert running.runner.health.error is None
        assert await running.counted() == 600 + 240
        (incident,) = await running.incidents()
        assert incident.count == 240
        assert len(await running.notified()) == 1
        await store.close()
    finally:
        await asyncio.to_thread(server.stop)


async def test_a_tick_that_is_done_again_after_a_lost_connection_counts_its_records_once():
    """What policy knows of counts a minute must not grow by a tick that was rolled back."""
    running = Running(MemoryStore())
    running.loki.add({"app": "b"}, lines(T0, 300, 1, FAILURE))
    await running.run(60)
    engine = running.runner.engine
    tick = engine._tick

    async def lost(*args):
        await tick(*args)
        raise ConnectionError("lost")

    engine._tick = lost
    for _ in range(5):
        await running.run(5)
    engine._tick = tick
    await running.run(200, every=20)
    (incident,) = await running.incidents()
    known = sum(count for _, count in engine.handling.minutes.of(incident))
    assert known <= incident.count == await running.counted()
