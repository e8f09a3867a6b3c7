"""What is remembered of one signature in one service: its usual rate, the window, and the span of misbehaviour.

The usual rate is kept as a decayed count of events and of their squares a minute. Minutes without an event add
nothing to either, so a key costs nothing while it is silent: decay and exposure follow from the observed time, which
the detector counts once for all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import orjson
import xxhash

from incidentlens.model.clock import MINUTE
from incidentlens.model.incidents import Sample

from .seasons import Season

_KEY_FIELDS = 17
_SPAN_HEAD = 10  # of a span as it is written now, before its samples
_EPISODE_GAP = 5  # minutes without a record that end an episode
_HABIT = 3  # episodes
_REMEMBERED = 1440  # minutes
_SHORT = 10.0  # minutes of history in which nobody can tell an outage from what is usual


@dataclass(slots=True)
class Span:
    """One span of misbehaviour, from its first record until it was quiet."""

    kind: str
    onset: int
    last: int
    count: int
    expected: float  # usual events a minute when it began
    ratio: float  # the largest seen
    p: float  # the smallest seen
    why: str
    peak: float = 0.0  # events a minute, the largest seen
    baseline: str = ""  # what it is compared with, in words
    samples: list[Sample] = field(default_factory=list)
    traces: list[str] = field(default_factory=list)
    mentions: dict[str, int] = field(default_factory=dict)

    def encode(self) -> list[Any]:
        return [
            self.kind,
            self.onset,
            self.last,
            self.count,
            self.expected,
            self.ratio,
            self.p,
            self.why,
            self.peak,
            self.baseline,
            [sample.model_dump() for sample in self.samples],
            self.traces,
            self.mentions,
        ]

    @classmethod
    def decode(cls, data: list[Any]) -> Span:
        *head, samples, traces, mentions = data
        span = cls(*head[:_SPAN_HEAD])
        span.samples = [Sample(**sample) for sample in samples]
        span.traces = traces
        span.mentions = mentions
        return span


def _capped(count: float, usual: float) -> float:
    """A minute's count as the baseline takes it: at most a few times the usual."""
    return min(count, 3 * usual + 3 * math.sqrt(usual) + 3)


@dataclass(slots=True)
class Habit:
    """A failing signature's minutes while history is learnt, which tell an outage from what is usual.

    Usual is what half of all minutes have, and what came in three separate episodes, as a job's errors do. What came
    once or twice may have been an outage.
    """

    counts: dict[int, int] = field(default_factory=dict)  # records by minute, of the newest _REMEMBERED
    waiting: list[tuple[float, float]] = field(default_factory=list)  # (records of a minute, observed minutes then)
    whole: list[tuple[float, float]] = field(default_factory=list)  # the same, in the baseline whole

    def note(self, minute: int, count: float, at: float) -> None:
        """A minute that is over; it waits until all that is learnt with it is known."""
        self.waiting.append((count, at))
        self.counts[minute] = self.counts.get(minute, 0) + int(count)
        while (oldest := next(iter(self.counts))) <= minute - _REMEMBERED:
            del self.counts[oldest]

    def usual(self, observed: float) -> tuple[float, float]:
        """(median of the minutes, third largest peak of an episode or 0), `observed` minutes having been looked at."""
        silent = max(0, min(math.ceil(observed), _REMEMBERED) - len(self.counts))
        ordered = [0] * silent + sorted(self.counts.values())
        peaks, last = [], -math.inf
        for minute in sorted(self.counts):
            if minute - last > _EPISODE_GAP:
                peaks.append(0)
            peaks[-1] = max(peaks[-1], self.counts[minute])
            last = minute
        peaks.sort(reverse=True)
        return ordered[len(ordered) // 2], peaks[_HABIT - 1] if len(peaks) >= _HABIT else 0


@dataclass(slots=True)
class Key:
    """One (service, signature)."""

    service: str
    signature: str
    template: str
    level: str
    weight: float  # hints.strength of it
    first_seen: int
    last_seen: int
    since: float  # observed minutes when its service was first seen
    total: int = 0
    events: float = 0.0  # decayed
    squares: float = 0.0  # decayed sum of squares of the minutes' counts
    decayed_at: float = 0.0  # observed minutes
    minute: int = -1  # the minute being folded into the baseline
    minute_count: int = 0
    window: list[list[int]] = field(default_factory=list)  # [bucket, count, first record's time]
    span: Span | None = None
    season: Season = field(default_factory=Season)  # of a failing one
    habit: Habit | None = None  # of a failing one, while history is learnt; not kept

    def fold(self, bucket_start: int, count: int, at: float, half_life: float, cap: bool) -> None:
        """Take a bucket that left the window into the baseline. `at`: observed minutes; `half_life` in the same.

        `cap`: a minute counts at most a few times the usual, so that an outage does not become the norm.
        """
        self._count(bucket_start, count, at, half_life, cap)

    def _count(
        self, bucket_start: int, count: int, at: float, half_life: float, cap: bool, habit: Habit | None = None
    ) -> None:
        minute = bucket_start // MINUTE
        if minute != self.minute:
            self._close(at, half_life, cap, habit)
            self.minute = minute
        self.minute_count += count

    def learn(self, bucket_start: int, count: int, at: float, half_life: float) -> None:
        """`fold` of what is learnt as usual; `flush` ends it, and says how much of an outage was in it."""
        if self.weight > 0 and self.habit is None:
            self.habit = Habit()
        self._count(bucket_start, count, at, half_life, cap=False, habit=self.habit)

    def flush(self, at: float, half_life: float) -> None:
        """Take everything into the baseline at once, the window too: after learning."""
        for bucket_start, count, _ in self.window:
            self.learn(bucket_start, count, at, half_life)
        self.window.clear()
        self._close(at, half_life, cap=False, habit=self.habit)
        self.minute = -1
        if self.habit is not None and self.habit.waiting:
            self._settle(self.habit, at - self.since, half_life)

    def learnt(self, at: float, half_life: float) -> None:
        """What is watched from now on is no longer learnt: what was taken whole is looked at with all that is known."""
        if self.habit is not None and self.habit.whole:
            self._settle(self.habit, at - self.since, half_life)
        self.habit = None

    def _settle(self, habit: Habit, observed: float, half_life: float) -> None:
        """Take what waits into the baseline: of a short history whole, for as long as it is short."""
        if observed < _SHORT:
            for records, then in habit.waiting:
                self._add(records, then, half_life)
            habit.whole += habit.waiting
            habit.waiting.clear()
            return
        for records, _ in habit.whole:  # some minutes old, so hardly decayed
            self.events = max(0.0, self.events - records)
            self.squares = max(0.0, self.squares - records * records)
        median, peak = habit.usual(observed)
        for records, then in habit.whole + habit.waiting:
            self._add(min(records, max(peak, _capped(records, median))), then, half_life)
        habit.whole.clear()
        habit.waiting.clear()

    def _close(self, at: float, half_life: float, cap: bool, habit: Habit | None = None) -> None:
        count = float(self.minute_count)
        self.minute_count = 0
        if not count:
            return
        if habit is not None:
            habit.note(self.minute, count, at)
            return
        exposure = self.exposure(at, half_life)
        if cap and exposure > 0:
            self._decay(at, half_life)
            count = _capped(count, self.events / exposure)
        self._add(count, at, half_life)

    def _add(self, count: float, at: float, half_life: float) -> None:
        self._decay(at, half_life)
        self.events += count
        self.squares += count * count

    def _decay(self, at: float, half_life: float) -> None:
        passed = at - self.decayed_at
        if passed > 0:
            factor = 0.5 ** (passed / half_life)
            self.events *= factor
            self.squares *= factor
            self.decayed_at = at

    def exposure(self, at: float, half_life: float) -> float:
        """Minutes of history that count, decayed like the events."""
        return exposure(at - self.since, half_life)

    def usual(self, at: float, half_life: float, cap: bool = False) -> tuple[float, float, float]:
        """(events, minutes, dispersion) of the baseline at `at` observed minutes; the open minute is part of it.

        `cap`: the open minute counts as it will when it is closed. An outage's last minute stays open until the
        signature comes again, and would hide that it does.
        """
        minutes = self.exposure(at, half_life)
        factor = 0.5 ** (max(0.0, at - self.decayed_at) / half_life)
        latest = float(self.minute_count)
        if cap and minutes > 0:
            latest = _capped(latest, self.events * factor / minutes)
        events = self.events * factor + latest
        squares = self.squares * factor + latest**2
        if minutes < 3 or events <= 0:
            return events, minutes, 1.0
        mean = events / minutes
        variance = squares / minutes - mean * mean
        return events, minutes, min(20.0, max(1.0, variance / mean))

    def encode(self) -> bytes:
        return orjson.dumps(
            [
                self.service,
                self.signature,
                self.template,
                self.level,
                self.weight,
                self.first_seen,
                self.last_seen,
                self.since,
                self.total,
                self.events,
                self.squares,
                self.decayed_at,
                self.minute,
                self.minute_count,
                self.window,
                self.span.encode() if self.span else None,
                self.season.encode() if self.weight > 0 else None,
            ]
        )

    @classmethod
    def decode(cls, data: bytes) -> Key:
        *head, span, season = _with_season(orjson.loads(data))
        key = cls(*head)
        key.span = Span.decode(span) if span else None
        if season:
            key.season = Season.decode(season)
        return key


@dataclass(slots=True)
class Service:
    """What is remembered of a service as a whole."""

    name: str
    first_seen: int
    since: float  # observed minutes when first seen
    last_seen: int = 0
    lines: int = 0
    failing: int = 0
    singles: int = 0  # failing signatures seen exactly once: what is new so often is no news (Good and Turing)
    healthy: float = 0.0  # decayed count of harmless lines
    decayed_at: float = 0.0
    window: list[list[int]] = field(default_factory=list)  # [bucket, harmless lines, failing lines]

    def add(self, bucket: int, failing: int, harmless: int, last: int) -> None:
        """Count lines of a bucket."""
        self.lines += failing + harmless
        self.failing += failing
        self.last_seen = max(self.last_seen, last)
        if self.window and self.window[-1][0] == bucket:
            self.window[-1][1] += harmless
            self.window[-1][2] += failing
        else:
            self.window.append([bucket, harmless, failing])

    def fold(self, harmless: int, at: float, half_life: float) -> None:
        """Take the harmless lines of a bucket that left the window into the baseline. `at`: observed minutes."""
        passed = at - self.decayed_at
        if passed > 0:
            self.healthy *= 0.5 ** (passed / half_life)
            self.decayed_at = at
        self.healthy += harmless

    def usual(self, at: float, half_life: float) -> tuple[float, float]:
        """(harmless lines, minutes) of the baseline."""
        return self.healthy * 0.5 ** (max(0.0, at - self.decayed_at) / half_life), exposure(at - self.since, half_life)

    def encode(self) -> bytes:
        return orjson.dumps(
            [
                self.name,
                self.first_seen,
                self.since,
                self.last_seen,
                self.lines,
                self.failing,
                self.singles,
                self.healthy,
                self.decayed_at,
                self.window,
            ]
        )

    @classmethod
    def decode(cls, data: bytes) -> Service:
        return cls(*orjson.loads(data))


def _with_season(data: list[Any]) -> list[Any]:
    """A key as it is written now, of one that was written before seasons were kept."""
    return data if len(data) == _KEY_FIELDS else [*data, None]


def exposure(observed: float, half_life: float) -> float:
    """Decayed length of `observed` minutes: what a steady event a minute would have added up to."""
    scale = half_life / math.log(2)
    return scale * -math.expm1(-max(0.0, observed) / scale)


def key_name(service: str, signature: str) -> str:
    """The name under which a key's state is kept: short, whatever the service and signature are called."""
    text = f"{service}\x00{signature}"
    return f"k:{xxhash.xxh3_128(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def service_name(service: str) -> str:
    return f"s:{xxhash.xxh3_128(service.encode('utf-8', 'surrogatepass')).hexdigest()}"
