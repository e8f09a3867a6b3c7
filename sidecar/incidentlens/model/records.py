"""Records: the columns they travel in, and the identity by which one is cited.

Records move as polars frames, many at a time. `LINES` is what a source gives: one row a physical line.
`EVENTS` is what reading gives: one row an event (a stack trace is one event), with its header understood.
`SIGNED` is an event with its signature.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson
import polars as pl
import xxhash

LINES: dict[str, pl.DataType] = {
    "ts": pl.Int64(),  # ns since the epoch, as the source stamped it
    "service": pl.String(),  # the value of the project's service label; "unknown" where there is none
    "stream": pl.String(),  # the stream's labels as canonical JSON, see `stream_key`
    "metadata": pl.String(),  # structured metadata as JSON, null where there is none
    "line": pl.String(),  # the line as it stood
}
EVENTS: dict[str, pl.DataType] = {
    **LINES,  # `line` is now the event's lines joined by a line feed, `ts` its first line's
    "level": pl.String(),  # a value of model.terms.Level
    "format": pl.String(),  # the recognised format's name, "plain" where none
    "message": pl.String(),  # the text without its header: what the signature is built from
    "exception": pl.String(),  # innermost cause of a stack trace, "Type: message", null where none
    "trace_id": pl.String(),  # null where none
    "event_ts": pl.Int64(),  # the time the line itself states (ns), null where it states none
    "first": pl.Int64(),  # index of the first physical line of the event in the input, from 0
    "last": pl.Int64(),  # index of the last
}
SIGNED: dict[str, pl.DataType] = {
    **EVENTS,
    "signature": pl.String(),  # readable and stable: `db:ERROR:connection_pool_exhausted#1f3a`
    "template": pl.String(),  # the message with `<*>` for its variable parts
}


def stream_key(labels: Mapping[str, str]) -> str:
    """A stream's labels as canonical JSON (sorted keys), so equal streams have equal text."""
    return orjson.dumps(dict(labels), option=orjson.OPT_SORT_KEYS).decode()


def record_id(stream: str, ts: int, line: str) -> str:
    """The id by which a record is cited and deduplicated: `r_` and 16 hex digits of its stream, time and text."""
    digest = xxhash.xxh3_64(f"{stream}\n{ts}\n{line}".encode("utf-8", "surrogatepass"))
    return f"r_{digest.hexdigest()}"


def empty(schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """A frame of that schema without rows."""
    return pl.DataFrame(schema=dict(schema))
