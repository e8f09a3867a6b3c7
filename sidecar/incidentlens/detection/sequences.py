"""Steps that used to follow one another within a trace, and no longer do.

A fault that returns early, or is swallowed, writes no error: it shows only in what is missing. For each step (a
signature in a service) it is remembered in how many traces which step followed. Where a step's usual follower stays
away, the place is the service of the missing follower. Two things are left to others: followers that are errors (an
error is a problem by itself), and errors that no longer come.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson
import polars as pl
import re2

from incidentlens.model.terms import Level, ProblemKind

from .keys import Span
from .settings import DetectionSettings
from .statistics import share_tail
from .traces import CALL, END, Followed, OpenTraces, step_name

WEIGHT = 1.5  # severity weight of a missing step: what it means is not said anywhere
_MAX_FOLLOWERS = 40
_MAX_BASE = 2_000.0  # traces; beyond this a step's history is halved: it forgets, slowly
_MIN_BASE, _MIN_NOW = 5, 4  # traces
_USUAL = 0.6  # what follows in at least this part of the traces is expected
_LEFT = 0.3  # and is missing where less than this part of it is left
_BACK = 0.6  # and is back where more than this part comes
_SAME_WORDS = 0.6  # of two templates' words together: they are one step with another value
_SCALES = (3, 0)  # look back over three buckets, and over the window


@dataclass(slots=True)
class Step:
    """A step and what followed it."""

    service: str
    signature: str
    template: str
    level: str
    traces: float = 0.0
    base: dict[str, float] = field(default_factory=dict)  # follower: traces
    window: list[list[Any]] = field(default_factory=list)  # [bucket, traces, followers, first, came]
    lost: str = ""  # the follower that stays away
    instead: str = ""
    span: Span | None = None

    def encode(self) -> bytes:
        span = self.span.encode() if self.span else None
        head = [self.service, self.signature, self.template, self.level, self.traces, self.base]
        return orjson.dumps([*head, self.window, self.lost, self.instead, span])

    @classmethod
    def decode(cls, data: bytes) -> Step:
        *head, span = orjson.loads(data)
        step = cls(*head)
        step.span = Span.decode(span) if span else None
        return step

    def learn(self, traces: float, followers: dict[str, int], part: float = 1.0) -> None:
        self.traces += traces * part
        for follower, count in followers.items():
            if follower in self.base or len(self.base) < _MAX_FOLLOWERS:
                self.base[follower] = self.base.get(follower, 0.0) + count * part
        if self.traces > _MAX_BASE:
            self.traces /= 2
            self.base = {name: value / 2 for name, value in self.base.items() if value >= 1}

    def expected(self) -> list[tuple[str, float]]:
        """(follower, share) of what usually follows, once there is enough history to say so."""
        if self.traces < _MIN_BASE:
            return []
        least = _USUAL * self.traces
        return [(name, count / self.traces) for name, count in self.base.items() if count >= least and name != END]

    def before(self, follower: str, edge: int) -> tuple[float, float]:
        """(times it followed, traces) in the history and in the window up to the bucket `edge`: a young history is
        worth as much as what came right before."""
        traces, times = self.traces, self.base.get(follower, 0.0)
        for bucket, count, followed, _, _ in self.window:
            if bucket <= edge:
                traces += count
                times += followed.get(follower, 0)
        return times, traces

    def recent(self, edge: int) -> tuple[int, dict[str, int]]:
        """(traces, followers) of the window's buckets after `edge`."""
        traces, followers = 0, dict[str, int]()
        for bucket, count, followed, _, _ in self.window:
            if bucket > edge:
                traces += count
                for follower, times in followed.items():
                    followers[follower] = followers.get(follower, 0) + times
        return traces, followers


@dataclass(frozen=True, slots=True)
class Missing:
    """A step after which another one stays away. `span` grows while it does."""

    step: Step
    lost: Step
    instead: Step | None  # None: nothing follows
    called: bool  # the lost one was the first step of what `step` called
    span: Span

    @property
    def unreached(self) -> bool:
        """True where the service that was called is not called at all."""
        return self.called and (self.instead is None or self.instead.service != self.lost.service)


class Sequences:
    """What follows what within traces; the state is a value a step, and one for the spans that are open."""

    def __init__(self, state: dict[str, bytes], settings: DetectionSettings) -> None:
        self._settings = settings
        self._open = OpenTraces(state, settings.max_steps)
        self._raw = {name: value for name, value in state.items() if name.startswith("q:") and value}
        self._steps: dict[str, Step] = {}
        self._dirty: set[str] = set()
        self._entries: set[str] = set()  # first steps of what is called
        self._no_room = 0

    @property
    def dropped(self) -> int:
        """Steps and spans that found no room."""
        return self._no_room + self._open.dropped

    def learn(self, signed: pl.DataFrame) -> None:
        """Take what follows what in a SIGNED frame as usual."""
        self._remember(signed)
        for steps in self._open.take(signed, self._settings.bucket).values():
            for name, followed in steps.items():
                self._enter(followed)
                if step := self._step(name):
                    step.learn(followed.traces, followed.followers)

    def _enter(self, followed: Followed) -> None:
        self._entries.update(name.removeprefix(CALL) for name in followed.followers if name.startswith(CALL))

    def observe(self, signed: pl.DataFrame) -> list[Missing]:
        """Steps whose usual follower stays away as of this call."""
        self._remember(signed)
        found: dict[int, Missing] = {}
        for bucket, steps in sorted(self._open.take(signed, self._settings.bucket).items()):
            for name, followed in steps.items():
                self._enter(followed)
                step = self._step(name)
                if step is None:
                    continue
                self._slide(step, bucket)
                if step.span is None and not step.expected():
                    step.learn(followed.traces, followed.followers)  # nothing in it could be missed
                    continue
                step.window.append([bucket, followed.traces, followed.followers, followed.first, followed.came])
                if missing := self._judge(step, bucket, followed):
                    found[id(missing.span)] = missing
        return list(found.values())

    def records_of(self, signed: pl.DataFrame, missing: Missing) -> pl.DataFrame:
        """The records of `signed` that show it: the step, in traces where the follower did not come."""
        lost = (pl.col("service") == missing.lost.service) & (pl.col("signature") == missing.lost.signature)
        here = (pl.col("service") == missing.step.service) & (pl.col("signature") == missing.step.signature)
        span = (pl.col("ts") >= missing.span.onset) & (pl.col("ts") <= missing.span.last)
        traced = signed.filter(pl.col("trace_id").is_not_null())
        if missing.lost is missing.step:
            return traced.filter(here & span).sort("ts")
        came = traced.filter(lost).select("trace_id").unique()
        return traced.filter(here & span).join(came, on="trace_id", how="anti").sort("ts")

    def changed(self) -> dict[str, bytes]:
        """State that changed since the last call of this."""
        out = {name: self._steps[name].encode() for name in self._dirty if name in self._steps}
        self._dirty.clear()
        return out | self._open.state()

    def _remember(self, signed: pl.DataFrame) -> None:
        """Steps that are new."""
        traced = signed.lazy().filter(pl.col("trace_id").is_not_null())
        first = traced.group_by("service", "signature").agg(pl.col("template").first(), pl.col("level").first())
        for service, signature, template, level in first.collect().iter_rows():
            name = step_name(service, signature)
            if name in self._steps or name in self._raw:
                continue
            if len(self._steps) + len(self._raw) >= self._settings.max_steps:
                self._no_room += 1
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
            _, traces, followers, _, _ = step.window.pop(0)
            step.learn(traces, followers, 0.1 if step.span else 1.0)

    def _judge(self, step: Step, bucket: int, followed: Followed) -> Missing | None:
        span = step.span
        if span and followed.first - span.last > self._settings.quiet:
            span = step.span = None
        if span is None:
            span = step.span = self._begin(step, bucket)
            if span is None:
                return None
        else:
            traces, followers = step.recent(bucket - 3 * self._settings.bucket)
            if followers.get(step.lost, 0) > _BACK * traces * step.base.get(step.lost, 0.0) / max(step.traces, 1.0):
                step.span = None
                return None
            span.count += followed.traces - followed.followers.get(step.lost, 0)
            span.last = max(span.last, followed.last)
        called = step.lost.startswith(CALL) or step.lost in self._entries
        lost = self._step(step.lost.removeprefix(CALL), change=False)
        instead = self._step(step.instead.removeprefix(CALL), change=False)
        return Missing(step, lost, instead, called, span) if lost else None

    def _begin(self, step: Step, bucket: int) -> Span | None:
        expected = step.expected()
        best: tuple[float, str, int, dict[str, int]] | None = None
        for buckets in _SCALES:
            width = self._settings.bucket * buckets or self._settings.window
            now, followers = step.recent(bucket - width)
            if now < _MIN_NOW:
                continue
            for follower, share in expected:
                left = followers.get(follower, 0)
                if left > _LEFT * share * now:
                    continue
                left += self._alike(follower, followers)
                p = 2 * share_tail(left, now, *step.before(follower, bucket - width))
                if p <= self._settings.sequence_p and (best is None or p < best[0]):
                    best = (p, follower, now, followers)
        return self._span(step, *best) if best else None

    def _skipped(self, lost: Step, follower: str, instead: str) -> bool:
        """True where what was called was called all the same and only left out its first step.

        An error after it is then the caller's, who trips over an empty answer; otherwise the error explains what is
        missing.
        """
        if not (follower.startswith(CALL) and instead.startswith(CALL)):
            return False
        other = self._step(instead.removeprefix(CALL), change=False)
        return other is not None and other.service == lost.service and not Level(other.level).failing

    def _alike(self, follower: str, followers: dict[str, int]) -> int:
        """How often a follower of the same service came that says nearly the same: one wording less is no step less."""
        lost = self._step(follower.removeprefix(CALL), change=False)
        if lost is None:
            return 0
        said = _words(lost.template)
        count = 0
        for name, times in followers.items():
            other = self._step(name.removeprefix(CALL), change=False) if name != follower else None
            if other is not None and other.service == lost.service:
                words = _words(other.template)
                if len(said & words) >= _SAME_WORDS * len(said | words):
                    count += times
        return count

    def _span(self, step: Step, p: float, follower: str, now: int, followers: dict[str, int]) -> Span | None:
        lost = self._step(follower.removeprefix(CALL), change=False)
        rest = {
            name: times
            for name, times in followers.items()
            if name != follower and name.startswith(CALL) == (CALL in follower)
        }
        usual = {name: step.base.get(name, 0.0) / step.traces for name in rest}
        instead = max(rest, key=lambda name: rest[name] / now - usual[name], default=END)
        after = [self._step(name.removeprefix(CALL), change=False) for name in followers]
        if lost is None or Level(lost.level).failing:
            return None
        failing = any(
            other and Level(other.level).failing and followers.get(name, 0)
            for name, other in zip(followers, after, strict=True)
        )
        if failing and not self._skipped(lost, follower, instead):
            return None
        step.lost, step.instead = follower, instead
        came = max((entry[4].get(follower, 0) for entry in step.window), default=0)
        fresh = [entry for entry in step.window if entry[3] > came] or step.window[-1:]
        lacked = sum(entry[1] - entry[2].get(follower, 0) for entry in fresh)
        verb = "was called" if follower.startswith(CALL) else "followed"
        share = step.base[follower] / step.traces
        return Span(
            kind=ProblemKind.SEQUENCE.value,
            onset=min(entry[3] for entry in fresh),
            last=max(entry[3] for entry in fresh),
            count=max(1, lacked),
            expected=0.0,
            ratio=now * share / (followers.get(follower, 0) + 0.5),
            p=p,
            why=(
                f'after "{step.template[:80]}" in {step.service} it {verb} in {step.base[follower]:.0f} of '
                f"{step.traces:.0f} traces, now in {followers.get(follower, 0)} of {now}"
            ),
        )


def _words(template: str) -> set[str]:
    return set(re2.findall(r"[A-Za-z]{2,}", template[:500]))
