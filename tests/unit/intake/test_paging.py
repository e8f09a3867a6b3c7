"""Every record of a window, exactly once, whatever Loki's limit and however heavy it finds the window."""

from __future__ import annotations

import asyncio

import httpx
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_loki import FakeLoki, span_of
from incidentlens.intake.errors import LokiTooHeavy, LokiUnavailable
from incidentlens.intake.paging import Window
from incidentlens.model.records import LINES, stream_key

S = 10**9
T0 = 1_763_000_000 * S
QUERY = '{app=~".+"}'
TOO_MUCH = "the query would read too many bytes (query: 10GB, limit: 1GB)"


async def read(loki, start, end, limit, query=QUERY):
    async with loki.client() as client:
        window = Window(client, query, "app", page_limit=limit)
        frames = [frame async for frame in window.read(start, end)]
    frame = pl.concat(frames) if frames else pl.DataFrame(schema=LINES)
    return window.fetched, frame


def keys(frame):
    return [tuple(row) for row in frame.select("ts", "stream", "line").iter_rows()]


def held(loki, start, end, matching=lambda line: True):
    return sorted(
        (ts, stream_key(dict(labels)), line)
        for labels, stream in loki._streams.items()
        for ts, line in stream
        if start <= ts < end and matching(line)
    )


streams = st.dictionaries(
    st.sampled_from(["a", "b", "c"]),
    # Few distinct times, so that many records share one; few letters, so that lines look alike.
    st.lists(
        st.tuples(st.integers(0, 6).map(lambda k: k * 7 * S // 3), st.text("ab1 ", min_size=1, max_size=4)), max_size=60
    ),
    min_size=1,
)


@settings(max_examples=60, deadline=None)
@given(streams, st.integers(10, 40), st.sets(st.integers(0, 15), max_size=4))
def test_every_record_of_a_window_comes_once_whatever_the_limit_and_the_splits(given_streams, limit, heavy):
    loki = FakeLoki(max_entries=limit)
    for app, records in given_streams.items():
        loki.add({"app": app}, [(T0 + at, line) for at, line in records])
    start, end = T0, T0 + 14 * S  # a record at the window's start belongs to it, one at its end does not

    def too_heavy(request):
        first, last = span_of(request)
        if last - first > S // 10 and any(first <= T0 + second * S < last for second in heavy):
            return httpx.Response(400, text=TOO_MUCH)
        return None

    loki.fault = too_heavy
    fetched, frame = asyncio.run(read(loki, start, end, limit))
    assert sorted(keys(frame)) == held(loki, start, end)
    assert fetched.cut == 0
    assert fetched.rows >= frame.height
    assert frame["ts"].to_list() == sorted(frame["ts"].to_list())


async def test_more_records_at_one_nanosecond_than_the_limit_are_complete_over_several_streams():
    loki = FakeLoki(max_entries=50)
    for app in ("a", "b"):
        loki.add({"app": app}, [(T0 + S, f"{app} request {i} took {i * 7 % 100} ms") for i in range(120)])
    loki.add({"app": "a", "zone": "x"}, [(T0 + S, f"a request {i} took 5 ms") for i in range(60)])
    loki.add({"app": "c"}, [(T0 + 2 * S, "after")])
    fetched, frame = await read(loki, T0, T0 + 3 * S, 50)
    assert sorted(keys(frame)) == held(loki, T0, T0 + 3 * S)
    assert fetched.cut == 0


async def test_one_line_of_many_streams_at_one_nanosecond_is_complete():
    loki = FakeLoki(max_entries=10)
    for number in range(35):
        loki.add({"app": f"pod-{number}"}, [(T0 + S, "heartbeat")])
    fetched, frame = await read(loki, T0, T0 + 3 * S, 10)
    assert frame.height == 35
    assert fetched.cut == 0


async def test_line_filters_of_the_query_hold_while_a_nanosecond_is_taken_apart():
    loki = FakeLoki(max_entries=20)
    loki.add({"app": "a"}, [(T0, f"{'error' if i % 2 else 'fine'} {i}") for i in range(200)])
    fetched, frame = await read(loki, T0, T0 + 1, 20, QUERY + ' |= "error" | logfmt')
    assert sorted(keys(frame)) == held(loki, T0, T0 + 1, lambda line: "error" in line)
    assert fetched.cut == 0


async def test_what_cannot_be_reached_is_counted_not_hidden():
    loki = FakeLoki(max_entries=10)
    # No letter or digit tells them apart, so no line filter of plain characters can.
    loki.add({"app": "a"}, [(T0 + 5, "#" * i) for i in range(1, 36)])
    loki.add({"app": "a"}, [(T0 + 4, "before")])
    fetched, frame = await read(loki, T0, T0 + S, 10)
    assert frame.height + fetched.cut == 36
    assert fetched.cut > 0


async def test_an_empty_window_and_a_window_of_no_length_give_nothing():
    loki = FakeLoki()
    assert (await read(loki, T0, T0 + S, 10))[1].is_empty()
    before = len(loki.asked)
    assert (await read(loki, T0, T0, 10))[1].is_empty()
    assert len(loki.asked) == before


async def test_a_page_limit_above_loki_s_own_is_lowered_until_loki_takes_it():
    loki = FakeLoki(max_entries=100)
    loki.add({"app": "a"}, [(T0 + i, f"line {i}") for i in range(350)])
    fetched, frame = await read(loki, T0, T0 + 3600 * S, 5000)
    assert frame.height == 350
    assert fetched.splits == 0
    assert len(loki.asked) < 20


async def test_a_smallest_window_of_huge_lines_is_read_in_smaller_pages():
    loki = FakeLoki()
    loki.add({"app": "a"}, [(T0 + i, f"{i} " + "x" * 100_000) for i in range(60)])
    async with loki.client(max_response_bytes=2 << 20) as client:
        window = Window(client, QUERY, "app", page_limit=5000)
        frames = [frame async for frame in window.read(T0, T0 + S)]
    assert sum(frame.height for frame in frames) == 60


async def test_a_window_that_stays_too_heavy_is_an_error_and_not_an_endless_loop():
    loki = FakeLoki()
    loki.fault = lambda request: httpx.Response(400, text=TOO_MUCH)
    with pytest.raises(LokiTooHeavy):
        await read(loki, T0, T0 + S, 100)
    assert len(loki.asked) < 100


async def test_an_error_half_way_is_raised_and_the_next_read_has_everything():
    loki = FakeLoki(max_entries=10)
    loki.add({"app": "a"}, [(T0 + i * S, f"line {i}") for i in range(40)])
    loki.fault = lambda request: httpx.Response(503) if span_of(request)[0] > T0 + 15 * S else None
    with pytest.raises(LokiUnavailable):
        await read(loki, T0, T0 + 40 * S, 10)
    loki.fault = None
    assert (await read(loki, T0, T0 + 40 * S, 10))[1].height == 40


async def test_lines_that_are_no_unicode_or_hold_nul_come_through_readable():
    loki = FakeLoki()
    loki.add({"app": "a"}, [(T0, "NUL"), (T0 + 1, "half a pair HALF"), (T0 + 2, "bad BYTES"), (T0 + 3, "whole 😀")])
    loki.rewrite = lambda body: (
        body.replace(b"NUL", b"\\u0000").replace(b"HALF", b"\\ud83d").replace(b"BYTES", b"\xff\xfe")
    )
    _, frame = await read(loki, T0, T0 + S, 10)
    assert frame["line"].to_list() == ["\x00", "half a pair �", "bad ��", "whole 😀"]
