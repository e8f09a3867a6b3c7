"""Work that takes longer than it did, where lines say how long it took.

Durations are read out of messages ("took 5012ms", "completed in 3.2 seconds") and fields (`duration_ms=12`,
`"response_time_ms": 100`). For each signature the mean and spread of their logarithm are kept: durations are skewed,
and what matters is by which factor they grow. Failing lines are left out: they are problems by themselves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import orjson
import polars as pl

from incidentlens.model.terms import ProblemKind

from .keys import Span, key_name
from .settings import DetectionSettings

WEIGHT = 1.5  # severity weight of slowness
_MIN_BASE, _MIN_NOW = 20, 5  # durations
_MIN_COLD = 3  # durations where there is no history
_FACTOR = 2.0  # slower than this, and
_DEVIATIONS = 5.0  # further off than this many standard errors
_MAX_BASE = 5_000.0  # durations; beyond this the history is halved
_NUMBER = r"(\d{1,9}(?:\.\d{1,9})?)"
_UNIT = r"(ns|µs|us|μs|ms|msec|millis(?:econds)?|milliseconds?|s|secs?|seconds?|min|minutes?)\b"
_IN_TEXT = (
    r"(?i)\b(?:took|elapsed|duration|latency|lasted|(?:response|request|processing|query|execution)[_ ]time|"
    r"(?:complete|[a-z]{2,}ed(?: \w+)?|done|ran|success(?:ful(?:ly)?)?)[^\n]{0,40}? in)[\"' ]*[:= ]?[\"' ]*"
    + _NUMBER
    + r" ?"
    + _UNIT
)
_IN_FIELD = (
    r"(?i)(?:took|elapsed|duration|latency|(?:response|request|processing|query)_?time|time_?taken)_?"
    r"(ns|us|ms|millis|s|sec|secs|seconds)[\"']?\s*[:=]\s*[\"']?" + _NUMBER
)


@dataclass(slots=True)
class Pace:
    """How long one signature's work takes: count, mean and squared deviations of the durations' logarithms."""

    service: str
    signature: str
    template: str
    level: str
    count: float = 0.0
    mean: float = 0.0
    squares: float = 0.0
    window: list[list[Any]] = field(default_factory=list)  # [bucket, count, sum of logs, first]
    span: Span | None = None

    def learn(self, count: float, mean: float) -> None:
        """Add a bucket's durations by their mean; the spread within a bucket is left out, that between them counts."""
        whole = self.count + count
        apart = mean - self.mean
        self.squares += apart * apart * self.count * count / whole
        self.mean += apart * count / whole
        self.count = whole
        if whole > _MAX_BASE:
            self.count, self.squares = whole / 2, self.squares / 2

    def encode(self) -> bytes:
        head = [self.service, self.signature, self.template, self.level, self.count, self.mean, self.squares]
        return orjson.dumps([*head, self.window, self.span.encode() if self.span else None])

    @classmethod
    def decode(cls, data: bytes) -> Pace:
        *head, span = orjson.loads(data)
        pace = cls(*head)
        pace.span = Span.decode(span) if span else None
        return pace


@dataclass(frozen=True, slots=True)
class Slow:
    """A signature whose work takes longer; `span` grows while it does."""

    pace: Pace
    span: Span


class Latencies:
    """Durations a signature; the state is a value a signature that states durations."""

    def __init__(self, state: dict[str, bytes], settings: DetectionSettings) -> None:
        self._settings = settings
        self._raw = {name: value for name, value in state.items() if name.startswith("d:") and value}
        self._paces: dict[str, Pace] = {}
        self._dirty: set[str] = set()
        self.dropped = 0

    def learn(self, signed: pl.DataFrame) -> None:
        """Take the durations of a SIGNED frame as usual."""
        for row in self._buckets(signed):
            if pace := self._pace(row):
                pace.learn(row["count"], row["logs"] / row["count"])

    def observe(self, signed: pl.DataFrame, *, learned: bool) -> list[Slow]:
        """Signatures that are slower than usual or, where nothing is `learned` yet, slow by any measure."""
        found: dict[int, Slow] = {}
        for row in self._buckets(signed):
            pace = self._pace(row)
            if pace is None:
                continue
            edge = row["bucket"] - self._settings.window
            while pace.window and pace.window[0][0] <= edge:
                _, count, logs, _ = pace.window.pop(0)
                pace.learn(count / 10 if pace.span else count, logs / count)
            pace.window.append([row["bucket"], row["count"], row["logs"], row["first"]])
            if self._judge(pace, row, learned):
                assert pace.span is not None
                found[id(pace.span)] = Slow(pace, pace.span)
        return list(found.values())

    def records_of(self, signed: pl.DataFrame, slow: Slow) -> pl.DataFrame:
        """The records of `signed` in the span, slowest first."""
        here = (pl.col("service") == slow.pace.service) & (pl.col("signature") == slow.pace.signature)
        inside = (pl.col("ts") >= slow.span.onset) & (pl.col("ts") <= slow.span.last)
        return signed.filter(here & inside).with_columns(_seconds().alias("took")).sort("took", descending=True)

    def changed(self) -> dict[str, bytes]:
        """State that changed since the last call of this."""
        out = {name: self._paces[name].encode() for name in self._dirty}
        self._dirty.clear()
        return out

    def _buckets(self, signed: pl.DataFrame) -> list[dict[str, Any]]:
        if signed.height == 0:
            return []
        width = self._settings.bucket
        return (
            signed.lazy()
            .filter(~pl.col("level").is_in(["fatal", "error", "warn"]))
            .with_columns(_seconds().alias("took"), bucket=(pl.col("ts") // width) * width)
            .filter(pl.col("took") > 0)
            .group_by("bucket", "service", "signature")
            .agg(
                pl.len().cast(pl.Int64).alias("count"),
                pl.col("took").log().sum().alias("logs"),
                pl.col("ts").min().alias("first"),
                pl.col("ts").max().alias("last"),
                pl.col("template").first(),
                pl.col("level").first(),
            )
            .sort("bucket", "service", "signature")
            .collect()
            .to_dicts()
        )

    def _pace(self, row: dict[str, Any]) -> Pace | None:
        name = f"d:{key_name(row['service'], row['signature'])[2:]}"
        pace = self._paces.get(name)
        if pace is None:
            if name in self._raw:
                pace = Pace.decode(self._raw.pop(name))
            elif len(self._paces) + len(self._raw) < self._settings.max_steps:
                pace = Pace(row["service"], row["signature"], row["template"], row["level"])
            else:
                self.dropped += 1
                return None
            self._paces[name] = pace
        self._dirty.add(name)
        return pace

    def _judge(self, pace: Pace, row: dict[str, Any], learned: bool) -> bool:
        """True where the row is part of a slow span, begun now where it has to."""
        span = pace.span
        if span and row["first"] - span.last > self._settings.quiet:
            span = pace.span = None
        count = sum(entry[1] for entry in pace.window)
        mean = sum(entry[2] for entry in pace.window) / count
        if span:
            if mean < math.log(max(span.expected, 1e-9)) + math.log(_FACTOR) / 2:
                pace.span = None
                return False
            span.count += row["count"]
            span.last = row["last"]
            span.ratio = max(span.ratio, math.exp(mean) / max(span.expected, 1e-9))
            return True
        if pace.count >= _MIN_BASE:
            spread = max(0.1, math.sqrt(pace.squares / pace.count))
            apart = mean - pace.mean
            if count < _MIN_NOW or apart < math.log(_FACTOR) or apart < _DEVIATIONS * spread / math.sqrt(count):
                return False
            usual = math.exp(pace.mean)
            why = f"takes {_said(math.exp(mean))} where {_said(usual)} is usual ({math.exp(apart):.1f} times)"
        elif not learned and count >= _MIN_COLD and mean >= math.log(self._settings.slow_seconds):
            usual = self._settings.slow_seconds / _FACTOR
            why = f"takes {_said(math.exp(mean))}, with no history to compare with"
        else:
            return False
        slow = [entry for entry in pace.window if entry[2] / entry[1] > math.log(usual) + math.log(_FACTOR) / 2]
        pace.span = Span(
            kind=ProblemKind.LATENCY.value,
            onset=slow[0][3] if slow else row["first"],
            last=row["last"],
            count=sum(entry[1] for entry in slow) or row["count"],
            expected=usual,
            ratio=math.exp(mean) / usual,
            p=1.0,
            why=f"{why}, in {count} lines",
        )
        return True


def _seconds() -> pl.Expr:
    """The duration that a line states, in seconds; null where it states none."""
    said = pl.col("message").str.slice(0, 1_000)
    in_text = _scaled(said.str.extract(_IN_TEXT, 1), said.str.extract(_IN_TEXT, 2))
    line = pl.col("line").str.slice(0, 2_000)
    in_field = _scaled(line.str.extract(_IN_FIELD, 2), line.str.extract(_IN_FIELD, 1))
    return pl.coalesce(in_text, in_field)


def _scaled(number: pl.Expr, unit: pl.Expr) -> pl.Expr:
    """A number in its unit as seconds."""
    unit = unit.str.to_lowercase()
    factor = (
        pl.when(unit.str.starts_with("ms") | unit.str.starts_with("milli"))
        .then(1e-3)
        .when(unit.str.starts_with("min"))
        .then(60.0)
        .when(unit.str.starts_with("n"))
        .then(1e-9)
        .when(unit.str.starts_with("s"))
        .then(1.0)
        .otherwise(1e-6)
    )
    return number.cast(pl.Float64, strict=False) * factor


def _said(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.3g} s"
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} µs"
