"""The records kept as proof of a span: the first ones, and then those that say something else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import polars as pl

from incidentlens.model.incidents import Sample
from incidentlens.model.records import record_id
from incidentlens.model.terms import Level

_MAX_LINE = 16_000  # characters of a line that are kept
_ROWS = 60  # rows of a span looked at in one call
_MAX_TRACES = 50
_MAX_MENTIONS = 50

COLUMNS = ["ts", "service", "stream", "level", "line", "message", "trace_id", "signature"]


def to_sample(row: dict[str, Any]) -> Sample:
    """A row of a SIGNED frame as a sample. The id is made of the whole line, even where the kept line is cut."""
    return Sample(
        id=record_id(row["stream"], row["ts"], row["line"]),
        ts=row["ts"],
        service=row["service"],
        stream=row["stream"],
        level=Level(row["level"]),
        line=row["line"][:_MAX_LINE],
        message=row["message"][:_MAX_LINE],
        trace_id=row["trace_id"],
        signature=row["signature"],
    )


def spread(frame: pl.DataFrame, limit: int = _ROWS) -> pl.DataFrame:
    """At most `limit` rows: the first five, the last, and the rest evenly between them."""
    height = frame.height
    if height <= limit:
        return frame
    step = (height - 6) / (limit - 6)
    picked = sorted({*range(5), height - 1, *(5 + int(i * step) for i in range(limit - 6))})
    return frame[picked]


def add_samples(have: list[Sample], rows: Iterable[dict[str, Any]], limit: int) -> list[Sample]:
    """`have` and what `rows` add, at most `limit`: the first three as they come, then new wordings or streams."""
    kept = list(have)
    ids = {sample.id for sample in kept}
    told = {(sample.stream, sample.message) for sample in kept}
    messages = {sample.message for sample in kept}
    later: list[dict[str, Any]] = []
    for row in rows:
        if len(kept) >= limit:
            break
        message = row["message"][:_MAX_LINE]
        if len(kept) < 3 or message not in messages or (row["stream"], message) not in told:
            sample = to_sample(row)
            if sample.id not in ids:
                kept.append(sample)
                ids.add(sample.id)
                messages.add(message)
                told.add((sample.stream, message))
        else:
            later.append(row)
    for row in later:
        if len(kept) >= limit:
            break
        sample = to_sample(row)
        if sample.id not in ids:
            kept.append(sample)
            ids.add(sample.id)
    return sorted(kept, key=lambda sample: sample.ts)


def add_traces(have: list[str], rows: Iterable[dict[str, Any]]) -> list[str]:
    """Distinct trace ids in the order seen, at most 50."""
    traces = dict.fromkeys(have)
    for row in rows:
        if len(traces) >= _MAX_TRACES:
            break
        if row["trace_id"]:
            traces.setdefault(row["trace_id"])
    return list(traces)


def add_mentions(have: dict[str, int], found: Iterable[str]) -> dict[str, int]:
    """Counts of the names that failing lines mention, at most 50 names."""
    mentions = dict(have)
    for name in found:
        if name in mentions or len(mentions) < _MAX_MENTIONS:
            mentions[name] = mentions.get(name, 0) + 1
    return mentions
