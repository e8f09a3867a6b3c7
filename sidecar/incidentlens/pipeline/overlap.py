"""What of the lines that were read is new, and what of it is whole: records come again in every overlap."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from incidentlens.model.clock import SECOND
from incidentlens.model.records import record_id

_TAIL = 1 * SECOND
_FRAGMENT = SECOND // 10  # lines of one event are nearer to each other than this


def with_ids(lines: pl.DataFrame) -> pl.DataFrame:
    """LINES with what each is known by in the column `id`."""
    ids = [record_id(stream, ts, line) for stream, ts, line in lines.select("stream", "ts", "line").iter_rows()]
    return lines.with_columns(pl.Series("id", ids, dtype=pl.String))


def unseen(lines: pl.DataFrame, seen: Collection[str]) -> pl.DataFrame:
    """The lines that were not taken in before, each once, in order of time, with their ids."""
    fresh = with_ids(lines).unique("id", keep="first", maintain_order=True)
    if seen:
        fresh = fresh.filter(~pl.col("id").is_in(list(seen)))
    return fresh.sort("ts", maintain_order=True)


def hold_back(
    lines: pl.DataFrame, events: pl.DataFrame, *, until: int, again: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Leave an event at the very end of the span for the next tick: more lines of it may follow.

    `until` is the end of the span, `again` (ns) from when on every query is read once more. What is held back is not
    remembered as seen, so the overlap brings it again, whole. Only once: then it is old enough.
    """
    if events.is_empty():
        return lines, events
    many = (pl.col("last") > pl.col("first")) | pl.col("exception").is_not_null()
    open_ended = (
        (pl.col("ts") > until - pl.when(many).then(_TAIL).otherwise(_FRAGMENT))
        & (pl.col("ts") < until)
        & (pl.col("ts") >= again)
        & (pl.col("last") == pl.col("last").max().over("stream"))
    )
    held = events.filter(open_ended)
    if held.is_empty():
        return lines, events
    ranges = held.select(pl.int_ranges("first", pl.col("last") + 1).alias("row")).explode("row")["row"]
    streams = lines.with_row_index("row").filter(pl.col("row").is_in(ranges.to_list()))
    keep = lines.with_row_index("row").join(streams.select("row"), on="row", how="anti").drop("row")
    return keep, events.filter(~open_ended)


def may_hold_back(overlap: int) -> bool:
    """Whether an overlap of so many ns brings again what is held back."""
    return overlap >= 2 * _TAIL
