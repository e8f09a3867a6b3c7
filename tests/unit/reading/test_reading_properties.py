"""Whatever the lines are: the reader never raises, and every line is in exactly one event, in order."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentlens.intake.reading import EventReader
from incidentlens.model.records import EVENTS, LINES, stream_key
from incidentlens.model.terms import Level

PIECES = [
    "2024-01-01 10:00:00,123 INFO [main] a.b.C - served",
    "2024-01-01T10:00:00Z ERROR failed",
    "Jan  2 10:00:00 host app[12]: hello",
    '{"level":"error","msg":"boom","ts":1700000000}',
    '{"level":"error","msg":"bo',
    '{"log":"part","stream":"stdout","time":"2024-01-01T00:00:00Z"}',
    "2024-01-01T10:00:00.000000001Z stdout P half",
    "2024-01-01T10:00:00.000000002Z stdout F whole",
    'level=info msg="hello world" err=nil',
    "java.lang.IllegalStateException: bad",
    "\tat a.b.C(C.java:1)",
    "Caused by: java.io.IOException: disk",
    "\t... 12 more",
    "Traceback (most recent call last):",
    '  File "a.py", line 1, in f',
    "    f()",
    "KeyError: 'x'",
    "panic: oops",
    "goroutine 1 [running]:",
    "main.main()",
    "web-1  | hello",
    "  indented",
    "}",
    "",
    " ",
    "\x1b[31mred\x1b[0m",
    "nul\x00byte",
    "1700000000 number",
    "<34>1 2024-01-01T10:00:00Z host app 1 - - hello",
    '1.2.3.4 - - [15/Feb/2013:06:00:31 +0000] "GET /a HTTP/1.1" 500 12 "-" "x"',
]
line = st.one_of(
    st.sampled_from(PIECES),
    st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=60),
    st.tuples(st.sampled_from(PIECES), st.text("ab: [](){}|-0\\\"'", max_size=8)).map("".join),
)


def frame(lines: list[str], streams: list[int], times: list[int]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "ts": times,
            "service": ["unknown" if n % 2 else f"s{n}" for n in streams],
            "stream": [stream_key({"pod": f"p{n}"}) for n in streams],
            "metadata": [None if n else '{"trace_id":"0123456789abcdef"}' for n in streams],
            "line": lines,
        },
        schema=LINES,
    )


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(line, st.integers(0, 2), st.integers(0, 8_000_000_000)), max_size=40))
def test_every_line_is_in_exactly_one_event_of_its_stream_and_in_order(rows: list[tuple[str, int, int]]) -> None:
    ts, times = 1_700_000_000_000_000_000, []
    for _, _, gap in rows:
        ts += gap
        times.append(ts)
    lines = frame([text for text, _, _ in rows], [stream for _, stream, _ in rows], times)
    reader = EventReader()
    events = reader.read(lines)
    assert dict(events.schema) == EVENTS
    assert events["first"].is_sorted()
    assert set(events["level"]) <= {level.value for level in Level}
    assert events["message"].null_count() == 0
    taken: list[int] = []
    for stream, first, last, whole in events.select("stream", "first", "last", "line").iter_rows():
        # An event's lines are lines of its own stream from its first to its last, less those of interleaved writers.
        inside = [n for n in range(first, last + 1) if lines["stream"][n] == stream]
        assert inside[0] == first
        assert inside[-1] == last
        texts = whole.split("\n")
        own = [n for n in inside if n not in taken]
        picked = []
        for n in own:
            if len(picked) < len(texts) and lines["line"][n] == texts[len(picked)]:
                picked.append(n)
        rest = [n for n in own if n not in picked and n == last and not lines["line"][n]]
        taken += picked + rest
        assert len(picked) == len(texts)
    left = [n for n in range(len(lines)) if n not in taken]
    assert all(not lines["line"][n] for n in left)  # only empty lines at the end of an event are not in its text
    # The same lines again, to a reader that knows the streams by now, and to a fresh one.
    assert EventReader().read(lines).equals(events)
    assert len(reader.read(lines)) > 0 or not rows


@settings(deadline=None, max_examples=100)
@given(st.lists(st.binary(max_size=80), max_size=12))
def test_bytes_that_are_no_text_never_raise(raw: list[bytes]) -> None:
    texts = [item.replace(b"\n", b"").decode("utf-8", "replace") for item in raw]
    events = EventReader().read(frame(texts, [0] * len(texts), list(range(len(texts)))))
    assert len(events) <= len(texts)


@pytest.mark.parametrize(
    "hostile",
    [
        "x" * 1_000_000,
        "a " * 500_000,
        "[" * 100_000,
        '{"a":' * 1000 + "1" + "}" * 1000,
        '{"msg":"' + "y" * 1_000_000 + '","level":"error"}',
        "2024-01-01 10:00:00 ERROR " + "z" * 1_000_000,
        "\x00" * 5000,
        "\x1b[" * 50_000,
        "=" * 100_000,
        "a=b " * 200_000,
        "\ufffd" * 10_000,
        "at " * 300_000,
        "9" * 100_000,
        "é" * 400_000,
    ],
    ids=lambda text: text[:6],
)
def test_a_hostile_line_is_read_in_bounded_time_beside_ordinary_ones(hostile: str) -> None:
    ordinary = [f"2024-01-01 10:00:0{n} INFO served {n}" for n in range(5)]
    lines = [*ordinary, hostile, *ordinary]
    events = EventReader().read(frame(lines, [0] * len(lines), [0] * len(lines)))
    assert events.filter(pl.col("level") == "info")["message"].str.starts_with("served").sum() >= 9
    alone = EventReader().read(frame([hostile], [0], [0]))
    assert len(alone) == 1


def test_no_lines_give_no_events() -> None:
    events = EventReader().read(frame([], [], []))
    assert events.is_empty()
    assert dict(events.schema) == EVENTS


def test_the_memory_of_formats_is_bounded() -> None:
    reader = EventReader()
    for begin in range(0, 45_000, 15_000):
        names = list(range(begin, begin + 15_000))
        reader.read(frame(["hello"] * 15_000, names, [0] * 15_000))
    assert len(reader.formats()) <= 20_000
