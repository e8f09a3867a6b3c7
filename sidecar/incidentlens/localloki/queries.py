"""Log pipelines outside of a query's evaluation: for tail and for the detection of fields."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from starlette.requests import HTTPConnection

from ..logql import ast
from ..logql.labels import Builder, Hints
from ..logql.pipeline import compile_pipeline
from ..logql.source import Entry, Source
from .labels import Labels

ENCODING_FLAGS = "x-loki-response-encoding-flags"
CATEGORIZE = "categorize-labels"


def wants_categories(connection: HTTPConnection) -> bool:
    """Whether the asker wants labels, structured metadata and parsed labels apart."""
    return CATEGORIZE in connection.headers.get(ENCODING_FLAGS, "").replace(" ", "").split(",")


class Result(NamedTuple):
    """What a pipeline makes of an entry."""

    stream: Labels
    ts: int
    line: str
    metadata: Labels
    parsed: Labels

    def shown(self, *, categorize: bool) -> tuple[Labels, list[Any]]:
        """The labels of its stream in an answer, and its value there."""
        value: list[Any] = [str(self.ts), self.line]
        if not categorize:
            return dict(sorted({**self.stream, **self.metadata, **self.parsed}.items())), value
        extra: dict[str, Labels] = {}
        if self.metadata:
            extra["structuredMetadata"] = dict(sorted(self.metadata.items()))
        if self.parsed:
            extra["parsed"] = dict(sorted(self.parsed.items()))
        return self.stream, [*value, extra]


class LogPipeline:
    """A log query, ready to be put over entries one by one. Not for use by two threads at once."""

    def __init__(self, logs: ast.Logs) -> None:
        """Compile; raises LogQLError for a stage that cannot be."""
        self._matchers = logs.matchers
        self._pipeline = compile_pipeline(logs.stages)
        self._builder = Builder(Hints())

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether the selector takes a stream."""
        return all(matcher.matches(labels) for matcher in self._matchers)

    def run(self, labels: Mapping[str, str], entry: Entry) -> Result | None:
        """What becomes of an entry; None when it is filtered out."""
        if not self._pipeline.matches(entry.line):
            return None
        builder = self._builder
        builder.start(labels, entry.metadata)
        line = entry.line
        for stage in self._pipeline.stages:
            kept = stage(entry.ts, line, builder)
            if kept is None:
                return None
            line = kept
        return Result(builder.stream(), entry.ts, line, dict(builder.metadata), builder.parsed_labels())

    def newest(self, source: Source, start: int, end: int, limit: int) -> list[tuple[Mapping[str, str], Entry]]:
        """The newest entries in [start, end) that pass, at most `limit`, oldest first, as they are stored."""
        found = ((labels, entry) for labels, entry, _ in self.backwards(source, start, end))
        return list(islice(found, limit))[::-1]

    def backwards(self, source: Source, start: int, end: int) -> Iterator[tuple[Mapping[str, str], Entry, Result]]:
        """What passes in [start, end), newest first: labels of the stream, the entry as it is stored, the result."""
        streams = [
            ((-entry.ts, index, labels, entry) for entry in reversed(entries))
            for index, (labels, entries) in enumerate(source.streams(self._matchers, start, end))
        ]
        for _, _, labels, entry in heapq.merge(*streams, key=lambda item: item[:2]):
            result = self.run(labels, entry)
            if result is not None:
                yield labels, entry, result


def pipeline_entries(
    logs: ast.Logs, source: Source, start: int, end: int, limit: int
) -> Iterator[tuple[Labels, Entry, Labels]]:
    """The newest entries that pass: labels of the stream, the entry as the pipeline leaves it, labels it parsed."""
    pipeline = LogPipeline(logs)
    for labels, _, result in islice(pipeline.backwards(source, start, end), limit):
        yield dict(labels), Entry(result.ts, result.line, result.metadata), result.parsed
