"""What a query gives, and how it looks as Loki's JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .labels import LabelSet
from .units import format_float

CATEGORIZE = "categorize-labels"


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line of a result, with its structured metadata and what was parsed apart. `ts` is ns."""

    ts: int
    line: str
    metadata: dict[str, str] = field(default_factory=dict)
    parsed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LogStream:
    labels: LabelSet
    entries: list[LogEntry]


@dataclass(frozen=True, slots=True)
class Streams:
    """The result of a log query, in the order of the labels' text.

    `labels` of a stream are all labels of its lines; with `categorized`, only those of the stream itself.
    """

    streams: list[LogStream]
    categorized: bool = False
    kind = "streams"

    def json(self) -> list[dict[str, Any]]:
        return [
            {
                "stream": _labels(stream.labels),
                "values": [self._value(entry) for entry in stream.entries],
            }
            for stream in self.streams
        ]

    def _value(self, entry: LogEntry) -> list[Any]:
        if not self.categorized:
            return [str(entry.ts), entry.line]
        extra: dict[str, Any] = {}
        if entry.metadata:
            extra["structuredMetadata"] = dict(sorted(entry.metadata.items()))
        if entry.parsed:
            extra["parsed"] = dict(sorted(entry.parsed.items()))
        return [str(entry.ts), entry.line, extra]


@dataclass(frozen=True, slots=True)
class Sample:
    labels: LabelSet
    value: float


@dataclass(frozen=True, slots=True)
class Vector:
    """The result of a metric query at one time (ns)."""

    at: int
    samples: list[Sample]
    kind = "vector"

    def json(self) -> list[dict[str, Any]]:
        time = seconds(self.at)
        return [{"metric": _labels(one.labels), "value": [time, format_value(one.value)]} for one in self.samples]


@dataclass(frozen=True, slots=True)
class Scalar:
    at: int
    value: float
    kind = "scalar"

    def json(self) -> list[Any]:
        return [seconds(self.at), format_value(self.value)]


@dataclass(frozen=True, slots=True)
class Series:
    """One series: (time in ns, value), in order of time."""

    labels: LabelSet
    points: list[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Matrix:
    """The result of a metric query over a range, in the order of labels."""

    series: list[Series]
    kind = "matrix"

    def json(self) -> list[dict[str, Any]]:
        return [
            {
                "metric": _labels(one.labels),
                "values": [[seconds(at), format_value(value)] for at, value in one.points],
            }
            for one in self.series
        ]


Result = Streams | Vector | Scalar | Matrix


def response(result: Result, *, warnings: Sequence[str] = (), stats: dict[str, Any] | None = None) -> dict[str, Any]:
    """Give the body of Loki's answer to a query: `{"status": "success", "data": {...}}`."""
    body: dict[str, Any] = {"status": "success"}
    if warnings:
        body["warnings"] = list(warnings)
    data: dict[str, Any] = {"resultType": result.kind}
    if isinstance(result, Streams) and result.categorized:
        data["encodingFlags"] = [CATEGORIZE]
    data["result"] = result.json()
    if stats is not None:
        data["stats"] = stats
    body["data"] = data
    return body


def format_value(value: float) -> str:
    """Write a sample's value: shortest, without an exponent."""
    return format_float(value)


def seconds(ns: int) -> int | float:
    """Give a time as Loki writes it: seconds, with milliseconds where there are some."""
    ms = ns // 1_000_000
    return ms // 1000 if ms % 1000 == 0 else ms / 1000


def _labels(labels: LabelSet) -> dict[str, str]:
    return {name: value.replace("\ufffd", " ") if "\ufffd" in value else value for name, value in labels}
