"""Steps that used to follow one another within a trace, and no longer do.

A fault that returns early, or is swallowed, writes no error: it shows only in what is missing. For each step (a
signature in a service) it is remembered what followed it in the same trace. Where a step's usual follower stays away,
the place is the service of the missing follower. Two things are left to others: followers that are errors (an error is
a problem by itself), and errors that no longer come.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import orjson
import polars as pl
import xxhash

from incidentlens.model.clock import SECOND
from incidentlens.model.terms import Level, ProblemKind

from .keys import Span, key_name
from .settings import DetectionSettings
from .statistics import binomial_tail_low

END = "end"  # nothing followed
_OPEN = "g:traces"
_SETTLE = 10 * SECOND  # a trace silent for this long is over
_MAX_FOLLOWERS = 40
_MAX_BASE = 2_000.0  # beyond this a step's history is halved: it forgets, slowly
_MIN_BASE, _MIN_NOW = 5, 4
_USUAL = 0.4  # what follows at least this often is expected
_LEFT = 0.3  # and is missing where less than this part of it is left
_SCALES = (3, None)  # look back over three buckets, and over the window
WEIGHT = 1.5  # severity weight of a missing step: what it means is not said anywhere


@dataclass(slots=True)
class Step:
    """A step and what followed it."""

    service: str
    signature: str
    template: str
    level: str
    base: dict[str, float] = field(default_factory=dict)  # follower: count
    window: list[list[Any]] = field(default_factory=list)  # [bucket, follower, count, first]
    lost: str = ""  # the follower that stays away
    instead: str = ""
    span: Span | None = None

    def encode(self) -> bytes:
        span = self.span.encode() if self.span else None
        return orjson.dumps(
            [
                self.service,
                self.signature,
                self.template,
                self.level,
                self.base,
                self.window,
                self.lost,
                self.instead,
                span,
            ]
        )

    @classmethod
    def decode(cls, data: bytes) -> Step:
        *head, span = orjson.loads(data)
        step = cls(*head)
        step.span = Span.decode(span) if span else None
        return step

    def learn(self, follower: str, count: float) -> None:
        if follower not in self.base and len(self.base) >= _MAX_FOLLOWERS:
            return
        self.base[follower] = self.base.get(follower, 0.0) + count
        if sum(self.base.values()) > _MAX_BASE:
            self.base = {name: value / 2 for name, value in self.base.items() if value >= 1}


@dataclass(frozen=True, slots=True)
class Missing:
    """A step after which another one stays away. `span` grows while it does."""

    step: Step
    lost: Step
    instead: Step | None  # None: the trace ends there
    span: Span


class Sequences:
    """What follows what within traces; the state is a value a step, and one for the traces that are open."""

    def __init__(self, state: dict[str, bytes], settings: DetectionSettings) -> None:
        self._settings = settings
        self._raw = {name: value for name, value in state.items() if name.startswith("q:") and value}
        self._steps: dict[str, Step] = {}
        self._dirty: set[str] = set()
        self._open: dict[str, tuple[str, int]] = {  # trace: (its last step, when)
            trace: (step, at) for trace, step, at in orjson.loads(state.get(_OPEN) or b"[]")
        }
        self._open_changed = False
        self.dropped = 0

    def learn(self, signed: pl.DataFrame) -> None:
        """Take what follows what in a SIGNED frame as usual."""
        for _, rows in self._transitions(signed):
            for name, follower, count, _ in rows:
                if step := self._step(name):
                    step.learn(follower, count)

    def observe(self, signed: pl.DataFrame) -> list[Missing]:
        """Steps whose usual follower stays away as of this call."""
        found: dict[int, Missing] = {}
        for bucket, rows in self._transitions(signed):
            for name, follower, count, first in rows:
                step = self._step(name)
                if step is None:
                    continue
                self._slide(step, bucket)
                step.window.append([bucket, follower, count, first])
                if missing := self._judge(step, bucket, follower, count, first):
                    found[id(missing.span)] = missing
        return list(found.values())

    def traces_of(self, signed: pl.DataFrame, missing: Missing) -> pl.DataFrame:
        """The records of `signed` that show it: the step, in traces where the follower did not come."""
        lost = (pl.col("service") == missing.lost.service) & (pl.col("signature") == missing.lost.signature)
        here = (pl.col("service") == missing.step.service) & (pl.col("signature") == missing.step.signature)
        since = signed.filter(pl.col("trace_id").is_not_null() & (pl.col("ts") >= missing.span.onset))
        came = since.filter(lost).select("trace_id").unique()
        return since.filter(here).join(came, on="trace_id", how="anti").sort("ts")

    def changed(self) -> dict[str, bytes]:
        """State that changed since the last call of this."""
        out = {name: self._steps[name].encode() for name in self._dirty if name in self._steps}
        if self._open_changed:
            out[_OPEN] = orjson.dumps([[trace, step, at] for trace, (step, at) in self._open.items()])
        self._dirty.clear()
        self._open_changed = False
        return out

    # -- transitions -----------------------------------------------------------------------------------------------

    def _transitions(self, signed: pl.DataFrame) -> Iterator[tuple[int, list[tuple[str, str, int, int]]]]:
        """(bucket, [(step, follower, count, first time)]) in order of time; a transition's time is its first step's."""
        if signed.height == 0:
            return
        rows = signed.lazy().select("ts", "trace_id", "service", "signature", "template", "level").collect()
        traced = rows.filter(pl.col("trace_id").is_not_null())
        pairs: list[tuple[int, str, str]] = []
        end = int(rows["ts"].max())  # type: ignore[arg-type]
        if traced.height:
            self._open_changed = True
            self._remember(traced)
            pairs = self._pairs(traced)
        for trace in [trace for trace, (_, at) in self._open.items() if end - at > _SETTLE]:
            name, at = self._open.pop(trace)
            pairs.append((at, name, END))
            self._open_changed = True
        width = self._settings.bucket
        counted: dict[tuple[int, str, str], list[int]] = {}
        for at, name, follower in pairs:
            entry = counted.setdefault((at - at % width, name, follower), [0, at])
            entry[0] += 1
            entry[1] = min(entry[1], at)
        for bucket, keys in groupby(sorted(counted), key=lambda key: key[0]):
            yield bucket, [(name, follower, *_two(counted[(at, name, follower)])) for at, name, follower in keys]

    def _pairs(self, traced: pl.DataFrame) -> list[tuple[int, str, str]]:
        """(time of the step, step, follower) for each record that follows another one of its trace in time."""
        pairs: list[tuple[int, str, str]] = []
        names: dict[tuple[str, str], str] = {}
        for trace, ts, service, signature in (
            traced.sort("ts", maintain_order=True).select("trace_id", "ts", "service", "signature").iter_rows()
        ):
            name = names.get((service, signature))
            if name is None:
                name = names[(service, signature)] = _step_name(service, signature)
            short = xxhash.xxh3_64(trace.encode("utf-8", "surrogatepass")).hexdigest()
            before = self._open.pop(short, None)
            if before is not None:
                pairs.append((before[1], before[0], name if ts - before[1] <= _SETTLE else END))
            self._open[short] = (name, ts)
            if len(self._open) > self._settings.max_steps:
                oldest = next(iter(self._open))
                del self._open[oldest]
                self.dropped += 1
        return pairs

    def _remember(self, traced: pl.DataFrame) -> None:
        """Steps that are new."""
        for service, signature, template, level in (
            traced.group_by("service", "signature").agg(pl.col("template").first(), pl.col("level").first()).iter_rows()
        ):
            name = _step_name(service, signature)
            if name in self._steps or name in self._raw:
                continue
            if len(self._steps) + len(self._raw) >= self._settings.max_steps:
                self.dropped += 1
                continue
            self._steps[name] = Step(service, signature, template, level)
            self._dirty.add(name)

    def _step(self, name: str, *, change: bool = True) -> Step | None:
        found = self._steps.get(name)
        if found is None and name in self._raw:
            found = self._steps[name] = Step.decode(self._raw.pop(name))
        if found is not None and change:
            self._dirty.add(name)
        return found

    def _slide(self, step: Step, bucket: int) -> None:
        """What left the window is history; while a follower stays away, only a tenth of it: an outage is no custom."""
        edge = bucket - self._settings.window
        while step.window and step.window[0][0] <= edge:
            _, follower, count, _ = step.window.pop(0)
            step.learn(follower, count / 10 if step.span else count)

    # -- judging ---------------------------------------------------------------------------------------------------

    def _judge(self, step: Step, bucket: int, follower: str, count: int, first: int) -> Missing | None:
        span = step.span
        if span and first - span.last > self._settings.quiet:
            span = step.span = None
        if span is None:
            span = self._begin(step, bucket)
            if span is None:
                return None
        elif follower == step.lost:
            if self._share(step, bucket, None) > _LEFT:  # it is back
                step.span = None
            return None
        else:
            span.count += count
            span.last = max(span.last, first)
        lost, instead = self._step(step.lost, change=False), self._step(step.instead, change=False)
        return Missing(step, lost, instead, span) if lost else None

    def _share(self, step: Step, bucket: int, buckets: int | None) -> float:
        """Of what is usual of the lost follower, the part that still comes."""
        recent = self._recent(step, bucket, buckets)
        usual = step.base.get(step.lost, 0.0) / max(sum(step.base.values()), 1.0)
        return recent.get(step.lost, 0) / max(sum(recent.values()) * usual, 1e-9)

    def _recent(self, step: Step, bucket: int, buckets: int | None) -> dict[str, int]:
        edge = bucket - (self._settings.bucket * buckets if buckets else self._settings.window)
        recent: dict[str, int] = {}
        for at, follower, count, _ in step.window:
            if at > edge:
                recent[follower] = recent.get(follower, 0) + count
        return recent

    def _begin(self, step: Step, bucket: int) -> Span | None:
        whole = sum(step.base.values())
        if whole < _MIN_BASE:
            return None
        best: tuple[float, str, dict[str, int]] | None = None
        for buckets in _SCALES:
            recent = self._recent(step, bucket, buckets)
            now = sum(recent.values())
            if now < _MIN_NOW:
                continue
            for follower, events in step.base.items():
                share = events / whole
                if follower == END or share < _USUAL or recent.get(follower, 0) > _LEFT * share * now:
                    continue
                sure = max(0.05, share - (share * (1 - share) / whole) ** 0.5 - 0.5 / whole)
                p = 2 * binomial_tail_low(recent.get(follower, 0), now, sure)
                if p <= self._settings.sequence_p and (best is None or p < best[0]):
                    best = (p, follower, recent)
        if best is None:
            return None
        p, follower, recent = best
        lost = self._step(follower, change=False)
        instead = max((name for name in recent if name != follower), key=lambda name: recent[name], default=END)
        after = self._step(instead, change=False)
        if lost is None or Level(lost.level).failing or (after and Level(after.level).failing):
            return None
        step.lost, step.instead = follower, instead
        entries = [entry for entry in step.window if entry[1] != follower]
        came = [entry[3] for entry in step.window if entry[1] == follower]
        fresh = [entry for entry in entries if not came or entry[3] > max(came)] or entries[-1:]
        now = sum(recent.values())
        why = (
            f'after "{step.template[:80]}" in {step.service} it followed {step.base[follower]:.0f} of {whole:.0f} '
            f"times, now {recent.get(follower, 0)} of {now}"
        )
        step.span = Span(
            kind=ProblemKind.SEQUENCE.value,
            onset=min(entry[3] for entry in fresh),
            last=max(entry[3] for entry in entries),
            count=sum(entry[2] for entry in fresh),
            expected=0.0,
            ratio=now * step.base[follower] / whole / (recent.get(follower, 0) + 0.5),
            p=p,
            why=why,
        )
        return step.span


def _two(entry: list[int]) -> tuple[int, int]:
    return entry[0], entry[1]


def _step_name(service: str, signature: str) -> str:
    return f"q:{key_name(service, signature)[2:]}"
