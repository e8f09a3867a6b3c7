"""Two sidecars over one PostgreSQL: no span is fetched twice, and what one leaves when it dies the other takes over."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest

from fake_loki import FakeLoki, span_of
from incidentlens.config.loader import Query
from incidentlens.model.clock import SECOND, ManualClock
from incidentlens.pipeline.live import ProjectRunner
from incidentlens.store.postgres import PostgresStore
from running import T0, counts_in, lines, make_project

QUERIES = (Query("a", '{app="a"}', False, None), Query("b", '{app="b"}', False, None))


@pytest.fixture
async def store(postgres_server, migrated_template, request):
    name = f"two_{id(request)}"
    async with PostgresStore(postgres_server.create(name, migrated_template)) as made:
        yield made
    postgres_server.drop(name)


def written(seconds):
    loki = FakeLoki()
    for app in "ab":
        loki.add({"app": app}, lines(T0, seconds, 4))
    return loki


def runner(store, clock, loki, me, name="shop"):
    project = replace(make_project(QUERIES, overlap=0, delay=0), name=name)
    return ProjectRunner(project, store, clock, loki.client(), me=me)


async def total(store, name="shop"):
    return sum((await counts_in(store, name)).values())


async def test_two_sidecars_share_the_queries_of_a_project_and_fetch_no_span_twice(store):
    loki, clock = written(120), ManualClock(T0)
    one, two = (runner(store, clock, loki, me) for me in ("one", "two"))
    await one.run()
    for _ in range(24):
        clock.advance(5 * SECOND)
        await asyncio.gather(one.run(), two.run())
        assert one.health.error is None
        assert two.health.error is None
    asked = [(request.url.params["query"], *span_of(request)) for request in loki.asked]
    assert len(asked) == len(set(asked)), "no span is fetched twice"
    for app in "ab":
        spans = sorted(span for query, *span in asked if f'"{app}"' in query)
        assert all(before[1] <= after[0] for before, after in pairwise(spans))
    assert await total(store) == 2 * 120 * 4
    assert {frozenset(one._mine), frozenset(two._mine)} == {frozenset("a"), frozenset("b")}


@pytest.mark.parametrize("moment", ["fetch", "commit"])
async def test_what_a_sidecar_that_is_killed_held_is_read_by_the_other_without_loss_or_double(store, moment):
    loki, clock = written(120), ManualClock(T0)
    one, two = (runner(store, clock, loki, me) for me in ("one", "two"))
    await one.run()
    for _ in range(6):
        clock.advance(5 * SECOND)
        await asyncio.gather(one.run(), two.run())
    assert two._mine
    clock.advance(5 * SECOND)
    dying = asyncio.create_task(two.run())
    before = len(loki.asked)
    while len(loki.asked) == before:
        await asyncio.sleep(0)
    if moment == "commit":
        await asyncio.sleep(0.01)
    dying.cancel()  # it never comes back, and gives nothing up
    await asyncio.gather(dying, return_exceptions=True)
    for _ in range(17):
        clock.advance(5 * SECOND)
        await one.run()
        assert one.health.error is None
    assert one._mine == {"a", "b"}
    assert await total(store) == 2 * 120 * 4


async def test_a_sidecar_that_took_over_too_soon_finds_the_cursor_moved_and_doubles_nothing(store):
    loki, clock = written(30), ManualClock(T0)
    ahead = ManualClock(T0 + 30 * SECOND)  # its clock says that the other's lease has run out
    one = runner(store, clock, loki, "one")
    await one.run()
    clock.advance(30 * SECOND)
    ahead.advance(20 * SECOND)
    two = runner(store, ahead, loki, "two")
    await asyncio.gather(one.run(), two.run(), one.run(), two.run())
    assert await total(store) == 2 * 30 * 4


async def test_two_projects_are_read_by_two_sidecars_at_the_same_time(store):
    loki, clock = written(60), ManualClock(T0)
    runners = {(me, name): runner(store, clock, loki, me, name) for me in ("one", "two") for name in ("bank", "shop")}
    for each in runners.values():
        await each.run()
    for _ in range(12):
        clock.advance(5 * SECOND)
        await asyncio.gather(*(each.run() for each in runners.values()))
    assert all(each.health.error is None for each in runners.values())
    assert [await total(store, name) for name in ("bank", "shop")] == [480, 480]
    held = {me: sum(len(each._mine) for (who, _), each in runners.items() if who == me) for me in ("one", "two")}
    assert held == {"one": 2, "two": 2}
