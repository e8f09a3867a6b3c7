"""A record that makes a stage raise is put aside: kept, counted, shown; nothing else stands still or is lost."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import polars as pl
import pytest

from incidentlens.detection import Detector
from incidentlens.intake.reading import EventReader
from incidentlens.model.clock import SECOND
from incidentlens.model.terms import Status
from incidentlens.pipeline import handling, live, quarantine
from incidentlens.pipeline.engine import Engine, Intake
from incidentlens.pipeline.metrics import QUARANTINED
from incidentlens.signatures import Catalogue
from incidentlens.store.memory import MemoryStore
from running import FAILURE, NAME, T0, Running, lines, make_project

POISON = "poison \u2620 {i}"


@pytest.fixture
def store(postgres_store):
    return postgres_store


def has_poison(frame):
    return bool(frame["line"].str.contains("poison", literal=True).any())


def break_stage(monkeypatch, where):
    """The stage raises where a line says so."""
    owner, name, position = {
        "reading": (EventReader, "read", 1),
        "signatures": (Catalogue, "sign", 1),
        "detection": (Detector, "observe", 1),
        "root cause": (handling, "root_cause", 1),
    }[where]
    whole = getattr(owner, name)

    def broken(*given, **named):
        if has_poison(given[position]):
            raise ZeroDivisionError("a defect")
        return whole(*given, **named)

    monkeypatch.setattr(owner, name, broken)


async def aside(store, project=NAME):
    if isinstance(store, MemoryStore):
        return list(store.spaces[project].quarantine.values())
    return list((await store.queries.list_quarantined(project, limit=500)).items)


@pytest.mark.parametrize("where", ["reading", "signatures", "detection", "root cause"])
async def test_what_raises_is_put_aside_and_the_rest_is_found_counted_and_told(store, monkeypatch, where):
    break_stage(monkeypatch, where)
    running = Running(store)
    running.loki.add({"app": "a"}, lines(T0, 180, 2))
    running.loki.add({"app": "b"}, lines(T0 + 60 * SECOND, 120, 1, FAILURE))
    running.loki.add({"app": "a"}, lines(T0 + 61 * SECOND + 1, 3, 1, POISON))
    counted = QUARANTINED.labels(NAME)._value.get()
    await running.run(200, every=20)
    assert running.runner.health.error is None
    found = await aside(store)
    assert sorted(record.line for record in found) == [POISON.format(i=i) for i in range(3)]
    assert {record.error for record in found} == {"ZeroDivisionError: a defect"}
    assert {record.service for record in found} == {"a"}
    assert await running.counted() == 360 + 120
    (incident,) = await running.incidents()
    assert (incident.status, incident.count) == (Status.VERIFYING, 120)
    assert len(await running.notified()) == 1
    assert running.runner.health.quarantined == 3
    assert QUARANTINED.labels(NAME)._value.get() - counted == 3
    # The overlap brings them again; they are known, and cost no second search.
    reports = len(running.reports)
    await running.run(60, every=20)
    assert sum(report.quarantined for report in running.reports[reports:]) == 0
    assert len(await aside(store)) == 3


async def test_records_put_aside_while_learning_hold_up_no_first_start(monkeypatch):
    break_stage(monkeypatch, "signatures")
    running = Running(MemoryStore(), project=make_project(look_back=3600 * SECOND))
    running.loki.add({"app": "a"}, lines(T0 - 3000 * SECOND, 3000, 1))
    running.loki.add({"app": "a"}, lines(T0 - 2000 * SECOND + 1, 2, 1, POISON))
    await running.run(20)
    assert running.runner.health.error is None
    assert len(await aside(running.store)) == 2
    assert await running.counted() == 3000


async def test_a_tick_cut_off_in_the_middle_of_the_search_has_done_nothing_and_is_done_again(store, monkeypatch):
    break_stage(monkeypatch, "detection")
    running = Running(store)
    await running.run(5)
    running.loki.add({"app": "a"}, [*lines(T0 + 5 * SECOND, 60, 2), *lines(T0 + 30 * SECOND + 1, 1, 1, POISON)])
    running.clock.advance(62 * SECOND)
    trials = []
    tick = Engine._tick

    async def cut(self, *given):
        trials.append(given)
        if len(trials) == 6:
            raise asyncio.CancelledError
        return await tick(self, *given)

    monkeypatch.setattr(Engine, "_tick", cut)
    with pytest.raises(asyncio.CancelledError):
        await running.runner.run()
    assert await running.counts() == {}
    assert await aside(store) == []
    running.start(running.project)  # another process
    await running.run(20)
    assert await running.counted() == 120
    assert len(await aside(store)) == 1


async def test_where_too_many_raise_for_one_search_less_is_read_at_once_until_each_is_found(monkeypatch):
    monkeypatch.setattr(quarantine, "_TRIALS", 40)
    monkeypatch.setattr(live, "_LEAST_RECORDS", 250)
    break_stage(monkeypatch, "signatures")
    project = replace(make_project(max_records_per_tick=2_000), page_limit=100)
    running = Running(MemoryStore(), project=project)
    await running.run(5)
    running.loki.add({"app": "a"}, lines(T0 + 5 * SECOND, 50, 40))
    running.loki.add({"app": "a"}, lines(T0 + 5 * SECOND + 1, 50, 0.2, POISON))
    running.clock.advance(60 * SECOND)
    await running.runner.run()
    assert running.runner.health.error == "a defect"
    await running.run(60, every=5)
    assert running.runner.health.error is None
    assert len(await aside(running.store)) == 10
    assert await running.counted() == 2_000


async def test_a_stage_that_raises_at_most_records_stops_the_project_and_keeps_everything_for_later(monkeypatch):
    monkeypatch.setattr(quarantine, "_TRIALS", 50)
    running = Running(MemoryStore())
    await running.run(5)
    running.loki.add({"app": "a"}, lines(T0 + 5 * SECOND, 300, 2, POISON))
    with monkeypatch.context() as patched:
        break_stage(patched, "signatures")
        await running.run(200, every=100)
        assert running.runner.health.error == "a defect"
        assert await aside(running.store) == []
    await running.run(400, every=100)
    assert running.runner.health.error is None
    assert await running.counted() == 600


async def test_the_loop_is_free_while_a_stage_computes(monkeypatch):
    """The stage waits for what only the event loop can do: on the loop it would wait for ever."""
    read, free = EventReader.read, threading.Event()
    waited = []

    def long(self, given):
        waited.append(free.wait(20))
        return read(self, given)

    monkeypatch.setattr(EventReader, "read", long)
    engine = Engine(make_project(), MemoryStore(), Running(MemoryStore()).clock)
    rows = [(ts, "a", "{}", None, text) for ts, text in lines(T0, 10, 1)]
    frame = pl.DataFrame(rows, schema=["ts", "service", "stream", "metadata", "line"], orient="row")
    frame = frame.with_columns(pl.col("metadata").cast(pl.String))
    tick = asyncio.create_task(engine.tick(Intake(lines=frame, until=T0 + 20 * SECOND)))
    while not waited and not tick.done():
        await asyncio.sleep(0.01)
        free.set()
    assert (await tick).records == 10
    assert waited == [True]
