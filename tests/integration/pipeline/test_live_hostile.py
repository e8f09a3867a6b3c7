"""Records nobody wishes for: bounded, counted, and never the end of a run."""

from __future__ import annotations

import asyncio
import resource

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentlens.model.clock import DAY, SECOND, ManualClock
from incidentlens.model.records import LINES, stream_key
from incidentlens.pipeline.engine import Engine, Intake
from incidentlens.store.memory import MemoryStore
from running import FAILURE, NAME, T0, Running, lines, make_project

HOSTILE = {
    "NUL": 'level=error msg="broken \x00 record" \x00\x00',
    "lone surrogates": "ERROR \ud800 half \udfff of a pair",
    "one megabyte": "ERROR " + "x" * (1 << 20),
    "one megabyte of words": "ERROR " + "word " * 200_000,
    "one megabyte of JSON": '{"level":"error","msg":"' + "deep " * 100_000 + '","a":' + "[" * 500 + "]" * 500 + "}",
    "nothing": "",
    "blanks": " \t  ",
    "a year old": "2024-11-13 02:13:20,000 ERROR [main] shop.Cart - adding failed",
    "a year ahead": "2026-11-13 02:13:20,000 ERROR [main] shop.Cart - adding failed",
    "the year 9999": '{"level":"error","ts":"9999-12-31T23:59:59Z","msg":"late"}',
    "markup": "ERROR <script>alert(1)</script> {{ 7*7 }} ${jndi:ldap://x} '; DROP TABLE incidents; --",
    "a backtracking bait": "ERROR " + "a" * 50_000 + "!",
    "escapes": "\x1b[31mERROR\x1b[0m \x1b]8;;http://x\x07 link",
    "right to left": "ERROR \u202e gnp.exe",
}


@pytest.fixture
def store(postgres_store):
    """The real one; what needs no database is tested over the one in memory."""
    return postgres_store


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_record_is_taken_in_and_counted(postgres_store, name):
    running = Running(postgres_store)
    running.loki.add({"app": "a"}, lines(T0, 60, 1))
    # The client gives no surrogates, but a file or another source may: straight into the engine.
    line = HOSTILE[name]
    if "surrogates" in name:
        line = line.encode("utf-8", "replace").decode()
    running.loki.add({"app": "a"}, [(T0 + (5 + i) * SECOND, line if i < 5 else f"{line} {i}") for i in range(20)])
    await running.run(60, every=20)
    await running.run(400, every=100)
    assert running.runner.health.error is None
    if name in ("nothing", "blanks"):  # a blank line belongs to the event before it
        assert 60 <= await running.counted() <= 80
    else:
        assert await running.counted() == 80
    for incident in await running.incidents():
        assert len(incident.title) < 500


async def test_labels_of_the_greatest_length_loki_takes_are_stored(store):
    running = Running(store)
    long = "s" * 2048
    running.loki.add({"app": long}, lines(T0, 60, 1, FAILURE))
    running.loki.add({"app": "é" * 1024}, lines(T0, 60, 1, FAILURE))
    await running.run(90, every=15)
    assert running.runner.health.error is None
    assert await running.counted() == 120


@settings(max_examples=15, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=60), min_size=1, max_size=8))
def test_no_text_whatever_breaks_a_tick(texts):
    async def run():
        running = Running(MemoryStore())
        running.loki.add({"app": "a"}, [(T0 + (i + 1) * SECOND, text) for i, text in enumerate(texts * 3)])
        await running.run(90, every=30)
        assert running.runner.health.error is None
        # An event may hold several lines, so there are at most as many records.
        assert sum(report.duplicates == 0 for report in running.reports) >= 0
        assert 1 <= await running.counted() <= running.loki.size

    asyncio.run(run())


async def test_a_failure_whose_lines_state_times_a_year_off_is_found_by_when_it_was_written(store):
    running = Running(store)
    running.loki.add({"app": "a"}, lines(T0, 120, 1))
    stamped = "2024-01-01 00:00:00,000 ERROR [main] db.pool - connection pool exhausted after {i} ms"
    running.loki.add({"app": "b"}, lines(T0 + 30 * SECOND, 60, 1, stamped))
    await running.run(120)
    (incident,) = await running.incidents()
    assert T0 <= incident.onset <= T0 + 40 * SECOND
    assert incident.count == 60


async def test_records_a_year_off_in_an_engine_s_hands_do_not_move_its_clock():
    """What a file or a late shipper may bring: one record a year back, one a year ahead, among today's."""

    clock = ManualClock(T0)
    engine = Engine(make_project(), MemoryStore(), clock)
    rows = [(ts, "a", stream_key({"app": "a"}), None, line) for ts, line in lines(T0, 60, 1)]
    rows += [(T0 - 365 * DAY, "a", stream_key({"app": "a"}), None, "old"), (T0 + 365 * DAY, "a", "{}", None, "ahead")]
    frame = pl.DataFrame(rows, schema=LINES, orient="row")
    report = await engine.tick(Intake(frame, until=T0 + 62 * SECOND, cursors={"logs": T0 + 60 * SECOND}))
    assert report.records == 62
    report = await engine.tick(Intake(frame.tail(20), until=T0 + 65 * SECOND, cursors={"logs": T0 + 63 * SECOND}))
    assert report.records == 1  # what is a year old is not remembered for so long; it is not asked for either
    assert report.duplicates == 19
    async with engine.store.transaction(NAME) as tx:
        assert await tx.cursor("logs") == T0 + 63 * SECOND
        assert await tx.live_incidents(0) == []


@pytest.mark.slow
async def test_sixty_thousand_distinct_signatures_in_a_minute_are_bounded_and_counted(postgres_store):
    """A flood of texts that have nothing in common: catalogue, detector, incidents and database stay bounded."""
    running = Running(postgres_store, project=make_project(max_signatures=1000, max_records_per_tick=500_000))
    await running.run(5)

    def word(number):
        letters = ""
        while number:
            number, rest = divmod(number, 26)
            letters += chr(97 + rest)
        return letters or "a"

    total = 60_000
    start = running.clock.now()
    step = 60 * SECOND // total
    entries = [(start + i * step, f"{word(i * 7919 + 11)} {word(i)} {word(i * i)} failed") for i in range(total)]
    engine = running.runner.engine
    left_out = 0
    for second in range(0, 60, 10):
        first = second * total // 60
        part = entries[first : first + total // 6]
        rows = [(ts, "flood", stream_key({"app": "flood"}), None, line) for ts, line in part]
        frame = pl.DataFrame(rows, schema=LINES, orient="row")
        until = start + (second + 10) * SECOND + SECOND // 2
        report = await engine.tick(Intake(frame, until=until, cursors={"logs": until}))
        assert report.records == len(part)
        assert report.problems <= 400
        left_out += report.left_out
    assert await running.counted() == total // 6 * 6
    async with running.store.transaction(NAME) as tx:
        templates = await tx.templates()
        incidents = await tx.live_incidents(0)
    assert len(templates) <= 1100
    assert sum(template.count for template in templates) == total // 6 * 6
    assert 0 < len(incidents) <= 1020
    assert left_out > 0
    assert len(await running.notified()) <= running.project.policy.storm.notifications + 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 3 << 20  # kB
