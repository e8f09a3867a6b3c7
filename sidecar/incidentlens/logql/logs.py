"""Log queries: lines out of a source, through a pipeline, merged in order of time."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Literal, NamedTuple

import xxhash

from . import ast
from .labels import Builder, Hints, LabelSet, label_set, text
from .pipeline import Pipeline, compile_pipeline, run
from .results import LogEntry, LogStream, Streams
from .source import Entry, Source, Stream

Direction = Literal["backward", "forward"]


class _Line(NamedTuple):
    """A stored line on its way to the result: `order` ascends with the result's order."""

    order: int
    hash: int
    sequence: int
    entry: Entry
    stream: Stream


class _Found(NamedTuple):
    labels: LabelSet
    shown: str  # the labels as text, by which a result is ordered
    entry: LogEntry
    tie: str  # all labels as text, by which lines of equal time are ordered


def stream_hash(labels: dict[str, str]) -> int:
    """Give the hash by which Loki orders lines of equal time from several streams."""
    joined = "".join(f"{name}\0{labels[name]}\0" for name in sorted(labels))
    return xxhash.xxh64_intdigest(joined.encode("utf-8", "surrogatepass").replace(b"\0", b"\xff"))


def select(
    query: ast.Logs,
    source: Source,
    start: int,
    end: int,
    limit: int,
    direction: Direction,
    *,
    categorize: bool = False,
    interval: int = 0,
) -> Streams:
    """Run a log query over [start, end), times in ns; see `evaluate.evaluate_logs`."""
    pipeline = compile_pipeline(query.stages)
    streams = source.streams(query.matchers, start, end)
    lines = heapq.merge(
        *(_lines(stream, pipeline, start, end, direction, number << 48) for number, stream in enumerate(streams))
    )
    builder = Builder(Hints(filters=pipeline.filters))
    out: dict[str, LogStream] = {}
    count = 0
    last: int | None = None
    for found in _in_order(lines, pipeline, builder, categorize=categorize):
        if count >= limit:
            break
        if interval and last is not None and abs(found.entry.ts - last) < interval:
            continue
        last = found.entry.ts
        count += 1
        stream = out.get(found.shown)
        if stream is None:
            stream = out[found.shown] = LogStream(found.labels, [])
        stream.entries.append(found.entry)
    return Streams([out[shown] for shown in sorted(out)], categorize)


def _lines(
    stream: Stream, pipeline: Pipeline, start: int, end: int, direction: Direction, first: int
) -> Iterator[_Line]:
    """Give a stream's lines that pass the first line filters, in the direction's order, numbered from `first`."""
    hashed = stream_hash(stream.labels)
    tests = pipeline.first
    backward = direction == "backward"
    # Only gone through, never counted: a source may unpack its entries on the way.
    entries: Iterable[tuple[int, Entry]] = enumerate(reversed(stream.entries) if backward else stream.entries)
    single = tests[0] if len(tests) == 1 else None
    for index, entry in entries:
        if not start <= entry.ts < end:
            continue
        if single is not None:
            if not single(entry.line):
                continue
        elif tests and not all(test(entry.line) for test in tests):
            continue
        yield _Line(-entry.ts if backward else entry.ts, hashed, first + index, entry, stream)


def _in_order(lines: Iterable[_Line], pipeline: Pipeline, builder: Builder, *, categorize: bool) -> Iterator[_Found]:
    """Run the rest of the pipeline; lines of one time go by their stream's hash, then by their labels."""
    for _, same in groupby(lines, key=lambda line: line.order):
        group = [(line, found) for line in same if (found := _run(line, pipeline, builder, categorize)) is not None]
        if len(group) > 1:
            group.sort(key=lambda pair: (pair[0].hash, pair[1].tie, pair[0].sequence))
        for _, found in group:
            yield found


def _run(line: _Line, pipeline: Pipeline, builder: Builder, categorize: bool) -> _Found | None:
    entry = line.entry
    builder.start(line.stream.labels, entry.metadata)
    current = run(pipeline.stages, entry.ts, entry.line, builder)
    if current is None:
        return None
    everything = label_set(builder.all())
    tie = text(everything)
    if categorize:
        labels = label_set(builder.stream())
        metadata = {name: value for name, value in builder.metadata.items() if name not in builder.parsed}
        return _Found(labels, text(labels), LogEntry(entry.ts, current, metadata, builder.parsed_labels()), tie)
    return _Found(everything, tie, LogEntry(entry.ts, current), tie)
