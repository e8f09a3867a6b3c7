"""Push-down beside full: the same incidents and cause for a fiftieth of the bytes; and its parts one by one."""

from __future__ import annotations

import os
from dataclasses import replace

import httpx
import pytest

from fake_loki import FakeLoki
from incidentlens.config.loader import Query
from incidentlens.intake.pushdown import Bounds, PushDown, unread
from incidentlens.intake.windows import Span
from incidentlens.model.clock import MINUTE, SECOND
from incidentlens.pipeline.choosing import ReadMode, choose
from incidentlens.pipeline.pushing import Pushing
from incidentlens.store.memory import MemoryStore
from played_live import loki_with, play
from running import FAILURE, QUERY, T0, Running, lines, make_project

PUSHED = (Query("logs", QUERY, False, None, "push_down"),)


def told(played):
    return [
        (
            one.disposition,
            one.severity,
            one.root_cause and (one.root_cause.service, one.root_cause.signature),
            sorted({problem.service for problem in one.problems}),
        )
        for one in played.incidents
    ]


@pytest.mark.slow
@pytest.mark.skipif(
    "INCIDENTLENS_LONG" not in os.environ, reason="takes many minutes; asked for by INCIDENTLENS_LONG=1"
)
@pytest.mark.parametrize("name", ["db_cascade", "auth_cascade", "deployment_gone_wrong", "memory_leak"])
async def test_push_down_finds_what_full_finds_for_a_fiftieth_of_the_bytes_where_one_line_in_a_hundred_fails(name):
    loki, failing = loki_with(name)
    assert failing <= 0.01
    pushed = await play(loki, failing, "push_down")
    full = await play(loki, failing, "full")
    assert told(full), "the cascade must be found"
    assert told(pushed) == told(full)
    assert full.moved >= 50 * pushed.moved, f"{full.moved / pushed.moved:.1f} times fewer bytes"


async def test_what_is_not_fetched_is_counted_and_fetched_failures_are_counted_once():
    loki = FakeLoki(levels=True)
    loki.add({"app": "a"}, lines(T0, 60, 20))
    loki.add({"app": "a"}, lines(T0 + 20 * SECOND + 3, 30, 1, FAILURE))
    running = Running(MemoryStore(), loki, project=make_project(PUSHED))
    await running.run(90)
    counted = await running.counts()
    assert sum(counted.values()) == 30, "only the failing lines were fetched, each once"
    (incident,) = await running.incidents()
    assert incident.count == 30


async def test_a_flood_is_sampled_over_the_whole_span_and_shared_out_so_that_its_rate_stays_right():
    loki = FakeLoki(levels=True)
    loki.add({"app": "loud"}, lines(T0 + 7, 60, 40, FAILURE))
    loki.add({"app": "still"}, [(T0 + 30 * SECOND + 7, "level=error msg=full")])
    async with loki.client() as client:
        reader = PushDown(client, QUERY, "app", 5000, Bounds(failing=200, context=100))
        read, cells = await reader.read(T0, T0, T0 + MINUTE)
    times = sorted(ts for frame in read.frames for ts in frame.filter(frame["service"] == "loud")["ts"])
    assert len(times) <= 200
    assert times[0] < T0 + 3 * SECOND
    assert times[-1] > T0 + 55 * SECOND, "the end of the span is in the sample too"
    assert any("still" in frame["service"].to_list() for frame in read.frames), "the loud one crowds nobody out"
    left = unread(cells, read.frames, True, T0, T0 + MINUTE)
    assert left["count"].sum() + len(times) == 2400
    assert read.sampled == {"loud": 2400 - len(times)}


async def test_the_lines_of_a_stack_trace_come_with_its_failing_line():
    loki = FakeLoki(levels=True)
    trace = [
        "2026-01-01 10:00:00,000 ERROR [main] com.shop.Flow - checkout failed",
        "java.lang.IllegalStateException: no cart",
        "\tat com.shop.Flow.run(Flow.java:1)",
        "Caused by: java.io.IOException: broken",
        "\t... 3 more",
    ]
    loki.add({"app": "a"}, [(T0 + 20 * SECOND + n, line) for n, line in enumerate(trace)])
    loki.add({"app": "a"}, lines(T0, 30, 5))
    async with loki.client() as client:
        read, _ = await PushDown(client, QUERY, "app", 5000, Bounds(1000, 100)).read(T0, T0, T0 + MINUTE)
    assert {line for frame in read.frames for line in frame["line"]} == set(trace)


async def test_a_sidecar_that_restarts_in_an_incident_takes_no_context_in_twice():
    loki = FakeLoki(levels=True)
    loki.add({"app": "a"}, lines(T0, 120, 5))
    loki.add({"app": "a"}, lines(T0 + 30 * SECOND + 3, 60, 1, FAILURE))
    loki.add({"app": "a"}, lines(T0 + 20 * SECOND + 5, 90, 1, 'level=warn msg="cart of {i} is slow"'))
    store = MemoryStore()
    running = Running(store, loki, project=make_project(PUSHED))
    await running.run(60)
    running.start(running.project)
    await running.run(60)
    counts = await running.counts()
    each = {signature.split(":")[1]: 0 for _, _, signature in counts}
    for (_, _, signature), count in counts.items():
        each[signature.split(":")[1]] += count
    assert each["ERROR"] == 60
    assert 0 < each["WARN"] <= 90


async def test_a_healthy_log_with_its_usual_warnings_stays_quiet_when_a_service_stands_out():
    loki = FakeLoki(levels=True)
    loki.add({"app": "a"}, lines(T0 - 1800 * SECOND, 1960, 2, 'level=warn msg="cart of {i} is slow"'))
    loki.add({"app": "a"}, lines(T0 - 1800 * SECOND, 1960, 5))
    loki.add({"app": "a"}, lines(T0 + 30 * SECOND + 3, 60, 1, FAILURE))
    project = make_project(PUSHED, look_back=1800 * SECOND)
    running = Running(MemoryStore(), loki, project=project)
    await running.run(120)
    (incident,) = await running.incidents()
    assert {problem.level.value for problem in incident.problems} == {"error"}
    assert any(":WARN:" in signature for _, _, signature in await running.counts()), "its warnings were looked at"


def volumes(loki, megabytes):
    def answer(request):
        if request.url.path.endswith("/index/volume"):
            value = [T0 // SECOND, str(int(megabytes * 10 * 1e6))]
            result = [{"metric": {"app": "a"}, "value": value}]
            return httpx.Response(200, json={"status": "success", "data": {"resultType": "vector", "result": result}})
        return None

    loki.fault = answer


async def test_a_query_is_read_by_push_down_over_the_threshold_and_in_full_again_only_well_under_it():
    loki, query = FakeLoki(), Query("logs", QUERY, False, None, "auto")
    project, before, modes = make_project((query,)), None, []
    async with loki.client() as client:
        for number, megabytes in enumerate((10, 60, 40, 20)):
            volumes(loki, megabytes)
            before = await choose(client, project, query, T0 + number * 10 * MINUTE, before)
            modes.append(before.mode)
    full, pushed = ReadMode.FULL, ReadMode.PUSH_DOWN
    assert modes == [full, pushed, pushed, full]
    assert before.why == "20 MB a minute by Loki's index, not over 25 MB"


async def test_where_the_index_does_not_know_a_minute_is_counted_and_where_loki_is_silent_the_mode_stays():
    loki, query = FakeLoki(), Query("logs", QUERY, False, None, "auto")
    loki.add({"app": "a"}, lines(T0 - 50 * SECOND, 40, 100))
    project = make_project((query,), push_down={"above_mb_per_minute": 0.01})
    async with loki.client() as client:
        chosen = await choose(client, project, query, T0)
        assert chosen.mode is ReadMode.PUSH_DOWN
        assert "by Loki's count" in chosen.why
        loki.fault = lambda request: httpx.Response(400, text="no")
        assert (await choose(client, project, query, T0 + 6 * MINUTE, chosen)).mode is ReadMode.PUSH_DOWN
        assert (await choose(client, project, query, T0)).mode is ReadMode.FULL


async def test_health_says_how_each_query_is_read_and_why():
    running = Running(MemoryStore(), FakeLoki(levels=True), project=make_project(PUSHED))
    await running.run(5)
    assert running.runner.health.reading["logs"].mode is ReadMode.PUSH_DOWN
    assert running.runner.health.reading["logs"].why == "the configuration says so"


async def test_a_tick_that_is_not_kept_is_given_its_context_again():
    loki = FakeLoki(levels=True)
    loki.add({"app": "a"}, lines(T0, 60, 2, 'level=warn msg="cart of {i} is slow"'))
    project = replace(make_project(PUSHED), page_limit=1000)
    pushing = Pushing(project)
    pushing._stands_out("a", T0 + 30 * SECOND, T0 + 30 * SECOND)
    span = Span(T0, T0 + 40 * SECOND, T0 + 40 * SECOND, 0)
    async with loki.client() as client:
        first = await pushing.fetch(client, PUSHED[0], span, T0)
        pushing.taken_back()
        again = await pushing.fetch(client, PUSHED[0], span, T0)
        pushing.kept([], T0 + 40 * SECOND)
        after = await pushing.fetch(client, PUSHED[0], span, T0 + 40 * SECOND)
    assert sum(frame.height for frame in first.frames) == sum(frame.height for frame in again.frames) == 80
    assert sum(frame.height for frame in after.frames) == 0
