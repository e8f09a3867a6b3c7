"""A scenario as a stream of lines in order of time, and its ground truth. The same seed gives the same log."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from heapq import heappop, heappush
from typing import Any

from incidentlens.model.clock import SECOND

from .cascades import CASCADES, Cascade, Step
from .errors import ERRORS, ROUTINE, WARNINGS, Draw, ErrorType
from .lines import Event, Line, to_lines

# Of a hundred everyday lines.
ERROR_SHARE, WARN_SHARE = 20.0, 10.0


@dataclass(frozen=True, slots=True)
class Timeline:
    """Seconds before the fault, of the fault, and after it, at speed 1."""

    before: float = 15.0
    fault: float = 30.0
    after: float = 45.0

    @property
    def total(self) -> float:
        return self.before + self.fault + self.after


class Scenario:
    """One seeded run. `rate` is everyday lines a second at any speed; speed shortens the time line alone.

    `errors` and `warnings`: of a hundred everyday lines, so many are of that level.
    """

    def __init__(
        self,
        name: str,
        seed: int = 1,
        rate: float = 50.0,
        speed: float = 1.0,
        timeline: Timeline | None = None,
        errors: float = ERROR_SHARE,
        warnings: float = WARN_SHARE,
    ) -> None:
        if name not in CASCADES and name != "healthy":
            raise ValueError(f"there is no scenario {name!r}; there are healthy, {', '.join(CASCADES)}")
        if rate <= 0 or speed <= 0:
            raise ValueError("rate and speed must be above 0")
        if errors < 0 or warnings < 0 or errors + warnings > 100:
            raise ValueError("errors and warnings are shares of a hundred lines")
        self.name = name
        self.seed = seed
        self.rate = rate
        self.speed = speed
        self.timeline = timeline or Timeline()
        self.shares = (100 - errors - warnings, errors)
        self.cascade: Cascade | None = CASCADES.get(name)

    @cached_property
    def duration_s(self) -> float:
        """Real seconds that the run takes."""
        return self.timeline.total / self.speed

    def history(self, end: int, seconds: float) -> Iterator[Line]:
        """Everyday lines of the `seconds` before `end` (ns): what a baseline is learnt from."""
        start = end - int(seconds * SECOND)
        rng = random.Random(f"{self.seed}/history")
        yield from _in_order(_everyday(rng, self.rate, self.shares, start, end))

    def lines(self, start: int) -> Iterator[Line]:
        """All lines of the run beginning at `start` (ns), in order of time."""
        end = start + int(self.duration_s * SECOND)
        streams = [_everyday(random.Random(f"{self.seed}/everyday"), self.rate, self.shares, start, end)]
        if self.cascade:
            rng = random.Random(f"{self.seed}/{self.name}")
            streams.append(_requests(self.cascade, rng, *self._fault(start), self.speed))
            for index, (step, per_second) in enumerate(self.cascade.loose):
                own = random.Random(f"{self.seed}/{self.name}/{index}")
                streams.append(_loose(step, per_second, own, *self._fault(start), self.speed))
        yield from _in_order(*streams)

    def truth(self, start: int) -> dict[str, Any]:
        """What really happened, for a run that began at `start` (ns). Times in ns."""
        truth: dict[str, Any] = {
            "scenario": self.name,
            "seed": self.seed,
            "rate": self.rate,
            "speed": self.speed,
            "start": start,
            "end": start + int(self.duration_s * SECOND),
            "cause": None,
            "chain": [],
        }
        if self.cascade:
            begin, end = self._fault(start)
            every = [*(step for step, _ in self.cascade.loose), *self.cascade.steps]
            steps = {step.name: step for step in sorted(every, key=lambda step: step.begins)}
            truth["fault"] = {"start": begin, "end": end}
            truth["cause"] = {"service": self.cascade.cause.service, "error": self.cascade.cause.name}
            truth["chain"] = [
                {
                    "service": step.service,
                    "error": step.name,
                    "role": step.role,
                    "start": begin + int(step.begins / self.speed * SECOND),
                }
                for step in steps.values()
            ]
            truth["dispositions"] = list(self.cascade.dispositions)
            truth["outcome"] = "resolved"
        return truth

    def _fault(self, start: int) -> tuple[int, int]:
        begin = start + int(self.timeline.before / self.speed * SECOND)
        return begin, begin + int(self.timeline.fault / self.speed * SECOND)


def _in_order(*streams: Iterator[Event]) -> Iterator[Line]:
    """Events of several streams as lines in order of time (a heap: nothing is held but one event a stream)."""
    heap: list[tuple[int, int, Event]] = []
    for index, stream in enumerate(streams):
        event = next(stream, None)
        if event:
            heappush(heap, (event.ts, index, event))
    while heap:
        _, index, event = heappop(heap)
        yield from to_lines(event)
        following = next(streams[index], None)
        if following:
            heappush(heap, (following.ts, index, following))


def _moments(rng: random.Random, per_second: float, start: int, end: int) -> Iterator[int]:
    """Times of a Poisson process of that rate."""
    at = start
    while True:
        at += int(rng.expovariate(per_second) * SECOND) + 1
        if at >= end:
            return
        yield at


def _everyday(rng: random.Random, rate: float, shares: tuple[float, float], start: int, end: int) -> Iterator[Event]:
    info, failing = shares
    draw = Draw(rng)
    covered = [error for error in ERRORS if error.covered]
    unknown = [error for error in ERRORS if not error.covered]
    errors = [error for error in covered if error.level != "WARN"]
    warnings = [error for error in covered if error.level == "WARN"]
    for ts in _moments(rng, rate, start, end):
        dice = rng.uniform(0, 100)
        if dice < info:
            yield _access(rng, draw, ts) if rng.random() < 0.3 else _plain(rng, draw, ts, "INFO", ROUTINE)
        elif dice < info + failing:
            yield _error(rng, draw, ts, rng.choice(unknown if rng.random() < 0.1 else errors))
        elif rng.random() < 0.5:
            yield _error(rng, draw, ts, rng.choice(warnings))
        else:
            yield _plain(rng, draw, ts, "WARN", WARNINGS)


def _plain(rng: random.Random, draw: Draw, ts: int, level: str, texts: tuple[tuple[str, str, str], ...]) -> Event:
    service, logger, text = rng.choice(texts)
    return Event(ts, service, level, text.format_map(draw), _trace(rng), logger)


def _access(rng: random.Random, draw: Draw, ts: int) -> Event:
    status = rng.choices((200, 201, 304, 404, 400), (80, 6, 8, 4, 2))[0]
    fields = {
        "client": draw["ip"],
        "method": rng.choice(("GET", "GET", "GET", "POST")),
        "path": rng.choice(("/", "/checkout", "/cart", f"/products/{draw['id']}", "/search?q=" + draw["word"])),
        "status": status,
        "bytes": rng.randint(120, 90_000),
        "seconds": f"{rng.lognormvariate(-3, 0.6):.3f}",
    }
    return Event(ts, "web-gateway", "INFO", "", None, "access", fields)


def _error(rng: random.Random, draw: Draw, ts: int, error: ErrorType) -> Event:
    service = rng.choice(error.services)
    return Event(ts, service, error.level, error.text.format_map(draw), _trace(rng), error.logger)


def _trace(rng: random.Random) -> str | None:
    return f"{rng.getrandbits(128):032x}" if rng.random() < 0.6 else None


def _begun(step: Step, at: int, begin: int, speed: float) -> bool:
    elapsed = (at - begin) / SECOND * speed
    return step.begins <= elapsed and (step.ends is None or elapsed < step.ends)


def _requests(cascade: Cascade, rng: random.Random, begin: int, end: int, speed: float) -> Iterator[Event]:
    draw = Draw(rng)
    pending: list[tuple[int, int, Event]] = []
    serial = 0
    for ts in _moments(rng, cascade.requests * speed, begin, end):
        while pending and pending[0][0] <= ts:
            yield heappop(pending)[2]
        trace, at = f"{rng.getrandbits(128):032x}", ts
        for step in cascade.steps:
            if not _begun(step, ts, begin, speed):
                continue
            at += int(step.delay_ms * rng.uniform(0.5, 1.5) * 1e6)
            serial += 1
            event = Event(at, step.service, step.level, step.text.format_map(draw), trace, step.logger)
            heappush(pending, (at, serial, event))
    while pending:
        yield heappop(pending)[2]


def _loose(step: Step, per_second: float, rng: random.Random, begin: int, end: int, speed: float) -> Iterator[Event]:
    draw = Draw(rng)
    for ts in _moments(rng, per_second * speed, begin, end):
        if _begun(step, ts, begin, speed):
            yield Event(ts, step.service, step.level, step.text.format_map(draw), None, step.logger)
