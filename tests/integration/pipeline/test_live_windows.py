"""What a run takes in: late records, duplicates, stops, bounds, and events that a tick's end would tear."""

from __future__ import annotations

import asyncio
import itertools
import random

import httpx
import pytest

from fake_loki import FakeLoki
from incidentlens.config.loader import Query
from incidentlens.model.clock import MINUTE, SECOND
from incidentlens.model.records import stream_key
from incidentlens.store.memory import MemoryStore
from running import FAILURE, NAME, QUERY, T0, Running, lines, make_project


@pytest.fixture
def store(postgres_store):
    """The real one; what needs no database is tested over the one in memory."""
    return postgres_store


async def test_every_record_is_counted_once_whatever_order_it_is_pushed_in(store):
    running = Running(store)
    rng = random.Random(4)
    waiting: list[tuple[int, int, str]] = []
    for app in ("a", "b", "c"):
        for ts, line in lines(T0, 120, 5, f"{app} took {{i}} ms"):
            late = rng.choice([0, 0, 0, 5, 20]) * SECOND
            waiting.append((ts + late, ts, line))
            if rng.random() < 0.3:
                waiting.append((ts + rng.randrange(60) * SECOND, ts, line))  # pushed twice
    waiting.sort()
    while running.clock.now() < T0 + 195 * SECOND:
        while waiting and waiting[0][0] <= running.clock.now():
            _, ts, line = waiting.pop(0)
            running.loki.add({"app": line[0]}, [(ts, line)])
        await running.run(5)
    assert not waiting
    assert await running.counted() == running.loki.size == 1800
    assert sum(report.duplicates for report in running.reports) > 0


async def test_a_record_later_than_the_overlap_is_not_found_and_one_within_it_is():
    running = Running(MemoryStore(), project=make_project(overlap=30 * SECOND))
    await running.run(60)
    now = running.clock.now()
    running.loki.add({"app": "a"}, [(now - 2 * SECOND - 29 * SECOND, "in time"), (now - 60 * SECOND, "too late")])
    await running.run(5)
    assert await running.counted() == 1


async def test_a_stop_of_an_hour_is_caught_up_in_order_and_in_bounded_steps(store):
    running = Running(store)
    await running.run(10)
    running.loki.add({"app": "a"}, lines(T0, 3600, 0.5))
    running.clock.set(T0 + 3600 * SECOND)
    running.start(running.project)
    before = len(running.reports)
    await running.runner.run()
    steps = [report.until for report in running.reports[before:]]
    assert steps == sorted(steps)
    assert len(steps) == 12
    assert max(later - earlier for earlier, later in itertools.pairwise(steps)) <= 300 * SECOND
    await running.run(10)
    assert await running.counted() == 1800
    assert running.runner.health.error is None


async def test_a_burst_over_the_bound_is_taken_in_by_pieces_and_whole():
    running = Running(MemoryStore(), project=make_project(max_records_per_tick=1000))
    running.project = running.runner.project
    # 300 records share each nanosecond, and the overlap alone holds more than the bound.
    records = [(T0 + (i // 300) * SECOND // 100, f"request {i}") for i in range(7000)]
    running.loki.add({"app": "a"}, records)
    running.clock.advance(5 * SECOND)
    async with running.store.transaction(NAME) as tx:
        await tx.set_cursor("logs", T0 - 10 * SECOND)
    await running.run(5)
    # A page of 5,000 is the unit of reading; what it holds beyond the bound is taken as well.
    assert max(report.records for report in running.reports) < 1000 + 5000
    await running.run(20)
    assert await running.counted() == 7000


TRACE = [
    "2025-11-13 02:13:20,000 ERROR [main] shop.Cart - adding failed",
    "java.lang.IllegalStateException: no cart",
    *(f"\tat com.shop.Cart.add{i}(Cart.java:{i})" for i in range(5)),
]


@pytest.mark.parametrize("cut", [-3, -2, -1, 0])
async def test_an_event_of_many_lines_at_a_tick_s_end_is_one_event(cut):
    running = Running(MemoryStore())
    await running.run(20)
    edge = running.clock.now() + 5 * SECOND - running.project.config.delay  # where the next tick's span ends
    running.loki.add({"app": "a"}, [(edge + (cut * 2 + i) * 1000, text) for i, text in enumerate(TRACE)])
    await running.run(30)
    assert await running.counted() == 1
    assert sum(report.records for report in running.reports) == 1


async def test_a_held_event_is_not_lost_where_queries_stand_at_different_times():
    queries = (Query("a", '{app="a"}', False, None), Query("b", '{app="b"}', False, None))
    running = Running(MemoryStore(), project=make_project(queries))
    running.clock.advance(600 * SECOND)
    async with running.store.transaction(NAME) as tx:
        await tx.set_cursor("a", T0)
        await tx.set_cursor("b", T0 + 290 * SECOND)
    at = T0 + 300 * SECOND - SECOND // 2  # the end of a's first step, in the middle of b's
    for app in ("a", "b"):
        running.loki.add({"app": app}, [(at + i, text) for i, text in enumerate(TRACE)])
    await running.run(60)
    assert await running.counted() == 2


async def test_two_queries_that_find_the_same_records_count_them_once_also_when_one_fails_for_a_while():
    queries = (Query("all", QUERY, False, None), Query("errors", QUERY + ' |= "error"', False, None))
    running = Running(MemoryStore(), project=make_project(queries))
    running.loki.add({"app": "a"}, lines(T0, 600, 1, "error {i}"))
    await running.run(60, every=20)
    running.loki.fault = lambda request: (
        httpx.Response(400, text="no") if '|= "error"' in str(request.url.params.get("query")) else None
    )
    await running.run(300, every=20)
    assert "400" in running.runner.health.error
    running.loki.fault = None
    await running.run(300, every=20)
    assert running.runner.health.error is None
    assert await running.counted() == 600


async def test_a_record_that_came_late_is_not_lost_to_a_query_that_fell_far_behind():
    queries = (Query("a", '{app="a"}', False, None), Query("b", '{app="b"}', False, None))
    running = Running(MemoryStore(), project=make_project(queries))
    for app in ("a", "b"):
        running.loki.add({"app": app}, lines(T0 + 60 * SECOND, 3000, 0.1))
    await running.run(300, every=60)
    running.loki.fault = lambda request: (
        httpx.Response(400, text="no") if '"a"' in str(request.url.params.get("query")) else None
    )
    behind = running.clock.now() - running.project.config.delay
    await running.run(1500, every=100)
    running.loki.add({"app": "a"}, [(behind - 10 * SECOND + 7, "came late")])
    running.loki.fault = None
    running.start(running.project)  # what was seen there is read from the store again
    await running.run(1500, every=100)
    assert running.runner.health.error is None
    assert await running.counted() == 300 + 300 + 1


async def test_a_query_that_fails_for_hours_takes_in_what_it_missed_once():
    queries = (Query("a", '{app="a"}', False, None), Query("b", '{app="b"}', False, None))
    running = Running(MemoryStore(), project=make_project(queries))
    for app in ("a", "b"):
        running.loki.add({"app": app}, lines(T0, 7200, 0.2, app + " did {i}"))
    await running.run(120)
    running.loki.fault = lambda request: (
        httpx.Response(400, text="no") if 'app="b"' in str(request.url.params.get("query")) else None
    )
    await running.run(7000, every=150)
    assert len(running.store.spaces[NAME].seen) < 200  # slices of 10 s: what is remembered stays bounded
    running.loki.fault = None
    await running.run(300, every=60)
    assert await running.counted() == 2 * 1440


async def test_the_first_start_learns_from_the_past_and_counts_it_once(store):
    running = Running(store, project=make_project(look_back=3600 * SECOND))
    running.loki.add({"app": "a"}, lines(T0 - 3600 * SECOND, 3700, 1))
    await running.run(110)
    assert await running.counted() == 3700 - 5  # the first run is five seconds later
    assert await running.incidents() == []


async def test_learning_that_is_broken_off_goes_on_where_it_was(store):
    running = Running(store, project=make_project(look_back=3600 * SECOND))
    running.loki.add({"app": "a"}, lines(T0 - 3600 * SECOND, 3600, 1))
    asked = []

    def away(request):
        asked.append(request)
        return httpx.Response(503) if len(asked) > 5 else None

    running.loki.fault = away
    await running.run(5)
    assert running.runner.health.error
    assert 0 < await running.counted() < 3600
    running.start(running.project)
    running.loki.fault = None
    await running.run(30)
    assert await running.counted() == 3600 - 5


async def test_empty_windows_change_nothing_and_are_no_error(store):
    running = Running(store)
    await running.run(300, every=30)
    assert running.runner.health.error is None
    assert await running.counted() == 0
    assert await running.incidents() == []


async def test_two_sidecars_over_one_store_take_in_each_record_once(store):
    loki = FakeLoki()
    one = Running(store, loki)
    other = Running(store, loki, one.clock)
    loki.add({"app": "a"}, lines(T0, 300, 4))
    loki.add({"app": "b"}, lines(T0 + 60 * SECOND, 60, 2, FAILURE))
    rng = random.Random(1)
    for _ in range(24):
        one.clock.advance(15 * SECOND)
        pair = [one.runner.run(), other.runner.run()]
        chosen = rng.choice([pair, pair[:1], pair[1:]])
        await asyncio.gather(*chosen)
        for left in pair:
            if left not in chosen:
                left.close()
    await one.run(10)
    assert await one.counted() == 1320
    assert len(await one.incidents()) == 1
    assert len(await one.notified()) == 1


async def test_a_sidecar_that_was_slow_takes_nothing_in_twice(store):
    """It had read its lines, then stood still for longer than the overlap while another one went on."""
    loki = FakeLoki()
    slow = Running(store, loki)
    quick = Running(store, loki, slow.clock)
    loki.add({"app": "a"}, lines(T0, 300, 2))
    await slow.run(20)
    tick = slow.runner.engine.tick

    async def late(intake):
        slow.runner.engine.tick = tick
        await quick.run(200, every=20)
        return await tick(intake)

    slow.runner.engine.tick = late
    await slow.run(5)
    await slow.run(100, every=20)
    assert await slow.counted() == 600


@pytest.mark.parametrize("step", [-7200, -40, 10, 7200, 365 * 86400])
async def test_a_clock_that_steps_and_is_set_right_loses_and_doubles_nothing(step):
    await clock_steps(MemoryStore(), step)


async def clock_steps(store, step):
    running = Running(store)
    feed = lines(T0, 1200, 1)

    async def real(seconds, off=0):
        for _ in range(seconds // 5):
            nonlocal now
            now += 5 * SECOND
            running.loki.add({"app": "a"}, [record for record in feed if now - 5 * SECOND <= record[0] < now])
            running.clock.set(now + off)
            await running.runner.run()

    now = T0
    await real(120)
    await real(60, step * SECOND)
    await real(120)
    if step > 0:  # a clock that ran ahead may have begun to catch up with the future
        await real(30)
    await real(120)
    assert running.runner.health.error is None
    counted = await running.counted()
    assert counted >= (now - T0) // SECOND - 10
    assert counted <= (now - T0) // SECOND


async def test_records_are_kept_apart_by_stream_though_text_and_time_are_equal(store):
    running = Running(store)
    for zone in ("x", "y"):
        running.loki.add({"app": "a", "zone": zone}, [(T0 + SECOND, "same")])
    await running.run(20)
    assert await running.counted() == 2
    assert stream_key({"b": "1", "a": "2"}) == '{"a":"2","b":"1"}'


async def test_a_minute_of_learning_at_the_first_start_leaves_out_the_newest_minutes():
    """An outage that is under way must not become what is usual."""
    running = Running(MemoryStore(), project=make_project(look_back=3600 * SECOND))
    running.loki.add({"app": "a"}, lines(T0 - 3600 * SECOND, 3600, 1))
    running.loki.add({"app": "b"}, lines(T0 - 5 * MINUTE, 300, 2, FAILURE))
    await running.run(60)
    (incident,) = await running.incidents()
    assert incident.services == ("b",)
    assert incident.onset >= T0 - 5 * MINUTE
