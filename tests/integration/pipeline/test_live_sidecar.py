"""All projects on one schedule: they come, change and go without a restart; none of them holds up another."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fake_loki import FakeLoki
from incidentlens.config.loader import Loaded, Query
from incidentlens.intake.loki import LokiClient, LokiSettings
from incidentlens.model.clock import SECOND, SystemClock
from incidentlens.model.terms import Mode
from incidentlens.pipeline import live, questions
from incidentlens.pipeline.live import Sidecar
from incidentlens.store.memory import MemoryStore
from running import QUERY, counts_in, make_project


def loaded(*projects) -> Loaded:
    config: Any = None
    return Loaded(Path("incidentlens.yaml"), config, {project.name: project for project in projects}, None)


def named(name, tenant=None, **changes):
    made = make_project(**{"interval": SECOND, "delay": 0, **changes})
    return replace(made, name=name, loki=LokiSettings("http://loki", tenant=tenant, max_attempts=1))


@pytest.fixture
def loki(monkeypatch):
    """One Loki behind every client; `asked` tells who asked."""
    fake = FakeLoki()
    monkeypatch.setattr(questions, "LokiClient", lambda settings: LokiClient(settings, fake))
    return fake


@pytest.fixture
async def sidecar(loki):
    made = Sidecar(loaded(named("one")), MemoryStore(), SystemClock())
    await made.start()
    yield made
    await made.stop()


async def until(condition, seconds=5.0):
    for _ in range(round(seconds / 0.02)):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not happen")


def ticked(sidecar, name):
    return sidecar.runners[name].health.last_tick is not None


async def test_every_project_is_read_at_once_and_then_at_its_interval(sidecar):
    await until(lambda: ticked(sidecar, "one"))
    first = sidecar.runners["one"].health.last_tick
    await until(lambda: sidecar.runners["one"].health.last_tick > first)


async def test_a_project_that_is_added_is_read_and_one_that_is_taken_away_is_read_no_more(sidecar, loki):
    await until(lambda: ticked(sidecar, "one"))
    gone = sidecar.runners["one"]
    await sidecar.reconfigure(loaded(named("two", tenant="b")))
    assert set(sidecar.runners) == {"two"}
    await until(lambda: ticked(sidecar, "two"))
    asked = len(loki.asked)
    stood = gone.health.last_tick
    await asyncio.sleep(1.2)
    assert gone.health.last_tick == stood
    assert {request.headers.get("X-Scope-OrgID") for request in loki.asked[asked:]} == {"b"}


async def test_a_changed_project_goes_on_from_where_it_was_with_what_is_new(sidecar, loki):
    await until(lambda: ticked(sidecar, "one"))
    runner = sidecar.runners["one"]
    cursor = runner.health.cursors["logs"]
    changed = named("one", tenant="renamed", policy={"mode": Mode.SHADOW}, interval=2 * SECOND)
    await sidecar.reconfigure(loaded(changed))
    assert sidecar.runners["one"] is runner
    await sidecar.poke("one")
    assert runner.project.policy.mode is Mode.SHADOW
    assert runner.engine.project.policy.mode is Mode.SHADOW
    assert runner.health.cursors["logs"] >= cursor
    assert runner.health.error is None
    loki.asked.clear()
    await sidecar.poke("one")
    assert all(request.headers["X-Scope-OrgID"] == "renamed" for request in loki.asked)


async def test_a_change_in_the_middle_of_a_run_waits_for_its_end(sidecar, loki):
    await until(lambda: ticked(sidecar, "one"))
    runner = sidecar.runners["one"]
    reached, answer = asyncio.Event(), asyncio.Event()
    plain = loki.handle_async_request

    async def hang(request):
        reached.set()
        await answer.wait()
        return await plain(request)

    loki.handle_async_request = hang
    running = asyncio.create_task(sidecar.poke("one"))
    await asyncio.wait_for(reached.wait(), 5)
    queries = (Query("logs", QUERY, False, None), Query("more", QUERY, False, None))
    await sidecar.reconfigure(loaded(named("one", queries=queries)))
    assert [query.name for query in runner.project.queries] == ["logs"]
    answer.set()
    await running
    loki.handle_async_request = plain
    await sidecar.poke("one")
    assert set(runner.health.cursors) == {"logs", "more"}
    assert runner.health.error is None


async def test_a_project_whose_loki_hangs_holds_up_no_other_and_no_stop(loki, monkeypatch, caplog):
    monkeypatch.setattr(live, "_GRACE_S", 0.1)
    plain = loki.handle_async_request

    async def hang(request):
        if request.headers.get("X-Scope-OrgID") == "hangs":
            await asyncio.sleep(3600)
        return await plain(request)

    loki.handle_async_request = hang
    store = MemoryStore()
    sidecar = Sidecar(loaded(named("slow", tenant="hangs"), named("quick")), store, SystemClock())
    await sidecar.start()
    try:
        await until(lambda: ticked(sidecar, "quick"))
        first = sidecar.runners["quick"].health.last_tick
        await until(lambda: sidecar.runners["quick"].health.last_tick > first)
    finally:
        await asyncio.wait_for(sidecar.stop(), 2)
    await asyncio.sleep(0)
    assert [record for record in caplog.records if record.exc_info] == []


async def test_projects_do_not_see_each_other_s_records(loki):
    store = MemoryStore()
    only_a = (Query("logs", '{app="a"}', False, None),)
    sidecar = Sidecar(loaded(named("one", queries=only_a), named("two", queries=only_a)), store, SystemClock())
    await sidecar.start()
    try:
        await until(lambda: ticked(sidecar, "one") and ticked(sidecar, "two"))
        now = sidecar.clock.now()
        loki.add({"app": "a"}, [(now + i, f"line {i}") for i in range(7)])
        await asyncio.sleep(0.05)
        await sidecar.poke("one")
        await sidecar.poke("one")
        assert sum((await counts_in(store, "one")).values()) >= 6
        await sidecar.poke("two")
        await sidecar.poke("two")
        assert sum((await counts_in(store, "two")).values()) >= 6
    finally:
        await sidecar.stop()
