"""Streams as real programs write them: what is read out of each line. The table is `data/streams.txt`:

`> ` a line of the stream, `= ` an event: format | level | time of day | trace (8 characters) | service | message.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from incidentlens.intake.reading import EventReader
from incidentlens.model.records import LINES, stream_key

TABLE = Path(__file__).parent / "data" / "streams.txt"
TAKEN_IN = int(datetime(2026, 3, 10, 20, 58, 20, tzinfo=UTC).timestamp()) * 10**9


def streams() -> Iterator[tuple[str, list[str], list[str]]]:
    for part in TABLE.read_text("utf-8").split("## ")[1:]:
        name, *rows = part.removesuffix("\n").split("\n")
        yield name, [row[2:] for row in rows if row[0] == ">"], [row[2:] for row in rows if row[0] == "="]


def read(lines: list[str]) -> pl.DataFrame:
    frame = {
        "ts": [TAKEN_IN + n for n in range(len(lines))],
        "service": ["unknown"] * len(lines),
        "stream": [stream_key({"job": "x"})] * len(lines),
        "metadata": [None] * len(lines),
        "line": lines,
    }
    return EventReader().read(pl.DataFrame(frame, schema=LINES))


@pytest.mark.parametrize(("lines", "expected"), [case[1:] for case in streams()], ids=[case[0] for case in streams()])
def test_a_stream_is_read_as_its_writer_meant_it(lines: list[str], expected: list[str]) -> None:
    found = []
    for event in read(lines).iter_rows(named=True):
        at = event["event_ts"]
        clock = "-" if at is None else f"{datetime.fromtimestamp(at // 10**9, UTC):%H:%M:%S}"
        trace, message = (event["trace_id"] or "-")[:8], event["message"].split("\n")[0][:100]
        found.append(" | ".join([event["format"], event["level"], clock, trace, event["service"], message]))
    assert found == expected


CHAINS = {
    "Python marks the place with carets": (
        'Traceback (most recent call last):\n  File "/a.py", line 3, in f\n    d["x"]\n    ~^^^^^\nKeyError: \'x\'\n\n'
        "During handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n"
        '  File "/a.py", line 5, in g\n    f()\nValueError: bad',
        "KeyError: 'x'",
    ),
    "a group of exceptions in Python": (
        '  + Exception Group Traceback (most recent call last):\n  |   File "/a.py", line 3, in <module>\n'
        '  |     raise ExceptionGroup("eg", [ValueError(1)])\n  | ExceptionGroup: eg (1 sub-exception)\n'
        "  +-+---------------- 1 ----------------\n    | ValueError: 1\n    +------------------------------------",
        "ValueError: 1",
    ),
    "a cause of a cause in Ruby": (
        "/a.rb:3:in `connect': no db (PG::ConnectionBad)\n\tfrom /a.rb:9:in `<main>'\n"
        "/a.rb:2:in `raw': Connection refused (Errno::ECONNREFUSED)\n\tfrom /a.rb:3:in `connect'",
        "Errno::ECONNREFUSED: Connection refused",
    ),
    "three exceptions in C#": (
        "Unhandled exception. System.InvalidOperationException: outer\n"
        " ---> System.Net.Http.HttpRequestException: Connection refused (db:5432)\n"
        " ---> System.Net.Sockets.SocketException (111): Connection refused\n   at Socket.Connect()\n"
        "   --- End of inner exception stack trace ---\n   at Shop.Main() in /src/Program.cs:line 3",
        "System.Net.Sockets.SocketException (111): Connection refused",
    ),
    "Node with its excerpt and its version": (
        '/a.js:3\n    throw new TypeError("x");\n    ^\n\nTypeError: x\n    at Object.<anonymous> (/a.js:3:11)\n\n'
        "Node.js v18.17.0",
        "TypeError: x",
    ),
    "an error of Rust with causes": (
        "Error: could not start\n\nCaused by:\n    0: cannot open it\n    1: No such file or directory (os error 2)",
        "No such file or directory (os error 2)",
    ),
    "an uncaught error of PHP with a previous one": (
        "PHP Fatal error:  Uncaught PDOException: no route in /db.php:3\nStack trace:\n#0 {main}\n\n"
        "Next RuntimeException: no db in /a.php:9\nStack trace:\n#0 {main}\n  thrown in /a.php on line 9",
        "PDOException: no route in /db.php:3",
    ),
    "Elixir": (
        "** (DBConnection.ConnectionError) not available\n    (shop 0.1.0) lib/shop/orders.ex:12: Shop.Orders.place/1",
        "DBConnection.ConnectionError: not available",
    ),
}


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("wrapped", [False, True], ids=["as it is", "in CRI lines"])
def test_a_chain_of_errors_between_ordinary_lines_is_one_event_with_its_innermost_cause(
    name: str, wrapped: bool
) -> None:
    text, cause = CHAINS[name]
    ordinary = [f"2026-03-10 20:58:0{n},123 INFO [main] c.a.Foo - order {n} placed" for n in range(4)]
    lines = [*ordinary[:2], *text.split("\n"), *ordinary[2:]]
    if wrapped:
        lines = [f"2026-03-10T20:58:10.123456789Z stderr F {line}" for line in lines]
    events = read(lines)
    trace = events.filter(pl.col("exception").is_not_null())
    assert trace.select("first", "last").rows() == [(2, 1 + len(text.split("\n")))]
    assert trace["exception"].to_list() == [cause]
    assert len(events) == 5
