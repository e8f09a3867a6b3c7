"""What belongs to one event, and what failed first in it."""

from __future__ import annotations

import random
from pathlib import Path

import polars as pl
import pytest

from incidentlens.intake.reading import EventReader
from incidentlens.intake.reading.exceptions import innermost
from incidentlens.model.records import LINES, stream_key

TEXTS = sorted((Path(__file__).parent / "data" / "multiline").glob("*/*.txt"))
NOW = 1_755_000_000_000_000_000


def frame(lines: list[str], streams: list[str] | None = None, times: list[int] | None = None) -> pl.DataFrame:
    count = len(lines)
    return pl.DataFrame(
        {
            "ts": times or [NOW] * count,
            "service": ["s"] * count,
            "stream": streams or [stream_key({"job": "x"})] * count,
            "metadata": [None] * count,
            "line": lines,
        },
        schema=LINES,
    )


def read(text: str) -> pl.DataFrame:
    return EventReader().read(frame(text.split("\n")))


def spans(text: str) -> list[tuple[int, int]]:
    return read(text).select("first", "last").rows()


def lines_of(path: Path) -> list[str]:
    lines = path.read_text("utf-8").split("\n")
    while not lines[-1].strip():
        lines.pop()
    return lines


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_an_exception_of_any_language_is_one_event_and_arbitrary_text_is_none(path: Path) -> None:
    events = EventReader().read(frame(lines_of(path))).filter(pl.col("line").str.contains(r"\S"))
    assert len(events) == (3 if path.stem == "arbitrary_text" else 1)
    if path.stem != "arbitrary_text":
        assert events["exception"][0]
        assert events["level"][0] in ("error", "fatal")


@pytest.mark.parametrize(
    "form",
    [
        "2024-01-01 10:00:{:02d} INFO [main] com.x.Y: request {} served",
        '{{"ts":"2024-01-01T10:00:{:02d}Z","level":"info","msg":"request {} served"}}',
        "Jan  2 10:00:{:02d} host app[1]: hello {}",
        '10.0.0.1 - - [15/Feb/2013:06:00:{:02d} +0000] "GET /{} HTTP/1.1" 200 5 "-" "-"',
        'time=2024-01-01T10:00:{:02d}Z level=info msg="hello {}"',
        "I0102 10:00:{:02d}.000000       1 main.go:1] hello {}",
        "2024-01-01 10:00:{:02d} hello {}",
    ],
    ids=lambda form: form[:12],
)
@pytest.mark.parametrize("seed", range(3))
def test_exceptions_between_ordinary_lines_keep_to_themselves(form: str, seed: int) -> None:
    chance = random.Random(seed)
    order = chance.sample(TEXTS, len(TEXTS))
    lines: list[str] = []
    expected: set[tuple[int, int]] = set()

    def ordinary() -> None:
        for _ in range(chance.randint(1, 3)):
            expected.add((len(lines), len(lines)))
            lines.append(form.format(len(lines) % 60, chance.randint(1, 999)))

    ordinary()
    for path in order:
        text = lines_of(path)
        begin = len(lines)
        if path.stem == "arbitrary_text":
            expected |= {(begin + n, begin + n) for n, line in enumerate(text) if line.strip()}
        else:
            expected.add((begin, begin + len(text) - 1))
        lines += text
        ordinary()
    found = set()
    for first, last in EventReader().read(frame(lines)).select("first", "last").iter_rows():
        while last > first and not lines[last].strip():
            last -= 1
        found.add((first, last))
    assert found == expected


CHAINED = """2024-01-01 10:00:00,1 ERROR boom
Traceback (most recent call last):
  File "/a.py", line 3, in f
    g()
    ^^^
  File "/a.py", line 5, in g
    raise KeyError("x")
KeyError: 'x'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/a.py", line 9, in <module>
    raise RuntimeError("bad") from e
RuntimeError: bad
2024-01-01 10:00:01,1 INFO fine"""

NESTED = """2024-01-01 10:00:00.100 ERROR [main] c.x.Y : failed
java.lang.RuntimeException: a
	at x.y.Z(Z.java:1)
	Suppressed: java.io.IOException: s
		at x.y.C(C.java:2)
Caused by: java.sql.SQLException: b
	at x.y.W(W.java:2)
	... 12 more
2024-01-01 10:00:01.100 INFO [main] c.x.Y : ok
2024-01-01 10:00:01.200 INFO [main] c.x.Y : ok"""

NODE = """/app/index.js:12
    throw new Error("x");
    ^

Error: connect failed
    at f (/app/index.js:12:11)
    at node:internal/main:1:1 {
  code: 'E',
  [cause]: TypeError: inner
      at g (/app/i.js:1:1)
}"""

RUST = """thread 'main' panicked at src/main.rs:2:5:
index out of bounds
stack backtrace:
   0: rust_begin_unwind
             at /rustc/x/library/std/src/panicking.rs:584:5
note: Some details are omitted"""

DOTNET = """info: Microsoft.Hosting.Lifetime[14]
      Now listening on: http://localhost:5000
fail: Microsoft.AspNetCore.Server.Kestrel[13]
      An unhandled exception was thrown by the application.
      System.InvalidOperationException: bad
         at A.B.C() in /x.cs:line 3"""


@pytest.mark.parametrize(
    ("text", "expected", "cause"),
    [
        (CHAINED, [(0, 14), (15, 15)], "KeyError: 'x'"),
        (NESTED, [(0, 7), (8, 8), (9, 9)], "java.sql.SQLException: b"),
        (NODE, [(0, 10)], "TypeError: inner"),
        (RUST, [(0, 5)], "panic: index out of bounds"),
    ],
    ids=["python, chained", "java, nested and suppressed", "node with its excerpt", "rust"],
)
def test_a_trace_belongs_to_its_header_and_names_its_innermost_cause(
    text: str, expected: list[tuple[int, int]], cause: str
) -> None:
    events = read(text)
    assert events.select("first", "last").rows() == expected
    assert events["exception"][0] == cause


def test_the_message_of_an_event_is_its_header_s_text_not_its_trace() -> None:
    assert read(CHAINED)["message"].to_list() == ["boom", "fine"]


def test_a_header_without_text_takes_its_message_from_the_next_line() -> None:
    events = read(DOTNET)
    assert events["message"].to_list() == [
        "Now listening on: http://localhost:5000",
        "An unhandled exception was thrown by the application.",
    ]
    assert events["level"].to_list() == ["info", "error"]


def test_a_trace_after_a_calm_header_is_an_event_of_its_own() -> None:
    text = "2024-01-01 10:00:00 INFO served\njava.lang.Error: x\n\tat a.B.c(B.java:1)\n2024-01-01 10:00:01 INFO ok"
    assert spans(text) == [(0, 0), (1, 2), (3, 3)]


def test_a_trace_after_a_header_that_tells_of_it_belongs_to_it_whatever_its_level() -> None:
    text = (
        "2024-01-01 10:00:00 INFO Exception caught\na.IOException: x\n\tat a.B.c(B.java:1)\n2024-01-01 10:00:01 INFO ok"
    )
    assert spans(text) == [(0, 2), (3, 3)]


def test_statements_over_several_lines_belong_to_their_header() -> None:
    text = (
        "2025-04-12 00:14:12.837 CEST [13] ERROR:  syntax error\n"
        "2025-04-12 00:14:12.837 CEST [13] STATEMENT:  create table x (\n\t  id int,\n\t  b int\n\t)\n"
        "2025-04-12 00:14:13.837 CEST [13] LOG:  checkpoint"
    )
    assert spans(text) == [(0, 0), (1, 4), (5, 5)]


def test_a_slow_query_s_message_is_its_statement() -> None:
    text = (
        "# Time: 2021-01-26T23:45:57.678222Z\n# User@Host: a[a] @ localhost []  Id:     2\n# Query_time: 0.011853\n"
        "use shop;\nSET timestamp=1611704757;\nSELECT * FROM carts;\n# Time: 2021-01-26T23:45:58.073818Z\nSELECT 1;"
    )
    events = read(text)
    assert events.select("first", "last").rows() == [(0, 5), (6, 7)]
    assert events["message"].to_list() == ["SELECT * FROM carts;", "SELECT 1;"]


def test_lines_of_other_streams_in_between_are_kept_apart() -> None:
    trace = ["2024-01-01 10:00:00 ERROR boom", "java.lang.Error: x", "\tat a.B.c(B.java:1)", "\tat a.B.d(B.java:2)"]
    other = [f"2024-01-01 10:00:0{n} INFO served" for n in range(4)]
    lines = [line for pair in zip(trace, other, strict=True) for line in pair]
    streams = ["a", "b"] * 4
    events = EventReader().read(frame(lines, streams))
    assert len(events) == 5
    joined = events.row(0, named=True)
    assert (joined["stream"], joined["first"], joined["last"]) == ("a", 0, 6)
    assert joined["line"] == "\n".join(trace)


def test_two_containers_in_one_stream_are_kept_apart_by_their_prefix() -> None:
    lines = [
        "web-1  | Traceback (most recent call last):",
        "db-1   | 2024-01-01 10:00:00 LOG ready",
        'web-1  |   File "a.py", line 1, in f',
        "db-1   | 2024-01-01 10:00:01 LOG ready",
        "web-1  |     f()",
        "web-1  | ValueError: nope",
    ]
    events = EventReader().read(frame(lines))
    assert events["exception"].to_list() == ["ValueError: nope", None, None]
    assert events["last"].to_list() == [5, 1, 3]


def test_pieces_of_a_line_that_the_container_runtime_cut_are_one_line_again() -> None:
    lines = [
        '2024-01-01T10:00:00.000000001Z stdout F {"level":"info","msg":"one"}',
        '2024-01-01T10:00:00.000000002Z stderr P {"level":"error",',
        '2024-01-01T10:00:00.000000003Z stdout F {"level":"info","msg":"two"}',
        '2024-01-01T10:00:00.000000004Z stderr F "msg":"three"}',
    ]
    events = EventReader().read(frame(lines))
    assert events["message"].to_list() == ["one", "three", "two"]
    assert events["level"].to_list() == ["info", "error", "info"]
    assert events.select("first", "last").rows() == [(0, 0), (1, 3), (2, 2)]


def test_a_line_long_after_carries_nothing_on() -> None:
    lines = ["2024-01-01 10:00:00 ERROR boom", "    more of it", "    and of something else"]
    events = EventReader().read(frame(lines, times=[NOW, NOW + 10**9, NOW + 60 * 10**9]))
    assert events.select("first", "last").rows() == [(0, 1), (2, 2)]


def test_an_event_ends_at_a_thousand_lines_and_that_is_counted() -> None:
    reader = EventReader()
    lines = ["2024-01-01 10:00:00 ERROR boom"] + [f"\tat a.B.c(B.java:{n})" for n in range(2500)]
    events = reader.read(frame(lines))
    assert (events["last"] - events["first"] + 1).to_list() == [1000, 1000, 501]
    assert reader.truncated == 2


def test_an_event_ends_at_256_kib_and_that_is_counted() -> None:
    reader = EventReader()
    lines = ["2024-01-01 10:00:00 ERROR boom"] + ["    " + "x" * 100_000 for _ in range(5)]
    events = reader.read(frame(lines))
    assert max(len(line) for line in events["line"]) <= 256 * 1024
    assert reader.truncated == 2


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("a.B: x\n\tat c\nCaused by: d.E: y\n\tat f\nCaused by: g.H: z\n\tat i", "g.H: z"),
        ("System.AException: o ---> System.BException: i\n  at X", "System.BException: i"),
        ("panic: runtime error: index\n\ngoroutine 1 [running]:", "panic: runtime error: index"),
        ("NoMethodError (undefined method `x'):\n  app/a.rb:1:in `y'", "NoMethodError: undefined method `x'"),
        ("exception 'PDOException' with message 'gone' in /a.php:5\nStack trace:\n#0 x", "PDOException: gone"),
        ("Unhandled exception:\nBad state: oops\n#0 main", "Bad state: oops"),
        ('Traceback (most recent call last):\n  File "a", line 1\n    c()\nsocket.timeout: t', "socket.timeout: t"),
        ("just some\nlines", None),
    ],
)  # fmt: skip
def test_the_innermost_cause_is_named(text: str, cause: str | None) -> None:
    assert innermost(text) == cause
