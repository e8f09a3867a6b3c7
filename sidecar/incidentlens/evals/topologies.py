"""Made-up systems with known faults: a graph of 5 to 40 services, everyday traffic, and one fault of a known kind.

The same seed gives the same case. Everything that could give the cause away by habit varies: names, formats, wording,
whether there are trace ids, whether callers name what they called, clocks, everyday errors, innocent deploys.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import polars as pl

from incidentlens.model.clock import MINUTE, SECOND
from incidentlens.model.records import LINES, stream_key

from .cases import ZERO

Kind = Literal["error", "silent", "early_return", "slow", "oom", "deploy", "logs_least", "none"]
KINDS: tuple[Kind, ...] = ("error", "silent", "early_return", "slow", "oom", "deploy", "logs_least", "none")
_BASELINE, _REQUESTS = 160, 60
_SPREAD_BEFORE, _SPREAD_AFTER = 20 * MINUTE, 2 * MINUTE
_MILLISECOND = SECOND // 1000
_SYLLABLES = ("ba", "co", "di", "fu", "ga", "he", "ki", "lo", "mu", "na", "po", "ru", "se", "ti", "vo", "za")
_OWN = (
    "cannot parse voucher {n}",
    "unexpected state {n} of the order",
    "assertion failed: total is negative",
    "index {n} is out of range",
    "java.lang.ArithmeticException: / by zero",
    "ValueError: invalid literal for int() with base 10: 'x{n}'",
    "lock on row {n} was not granted",
    "connection pool exhausted: {n} of {n} in use",
    "no space left on device",
    "too many open files",
    "segment {n} has a bad checksum",
    "java.lang.IllegalStateException: basket {n} is closed",
)
_NAMED = (
    "POST http://{callee}:8080/v1/do answered 500",
    "{callee} did not answer within {n} ms",
    "rpc to {callee} failed: Unavailable",
    "call of {callee} failed with status 503",
    "upstream {callee}: connection reset by peer",
)
_NAMED_DOWN = (
    "could not connect to {callee}:8080: connection refused",
    "timed out waiting for {callee}",
    "GET http://{callee}/v1/do: i/o timeout",
)
_UNNAMED = (
    "request {n} failed",
    "could not complete order {n}",
    "java.lang.NullPointerException: answer is null",
    "Internal Server Error for request {n}",
    "giving up on {n} after 3 tries",
)
_EVERYDAY = (
    "ERROR could not refresh widget {n}",
    "ERROR mail to customer {n} bounced",
    "WARN retrying request {n}",
    "ERROR stale token of user {n}",
)
_STEPS = ("loaded item {n}", "checked stock of {n}", "computed total of {n}", "wrote row {n}", "found {n} matches")


@dataclass(frozen=True, slots=True)
class Made:
    """One case. `truth` is the service of the fault, empty where nothing happens."""

    seed: int
    kind: Kind
    services: int
    traced: bool
    truth: str
    baseline: pl.DataFrame
    records: pl.DataFrame


def make(seed: int, kind: Kind | None = None) -> Made:
    """The case of that seed; its kind is drawn too unless given."""
    dice = random.Random(f"topology {seed}")
    drawn = dice.choice(KINDS)
    return _System(dice, kind or drawn, seed).make()


@dataclass(slots=True)
class _Service:
    name: str
    calls: list[str]
    write: Callable[[str, str], str]
    opening: str
    step: str
    closing: str
    timed: bool
    everyday: str
    names: bool  # its failing lines name what it called
    own: str
    passed_on: str
    clock: int
    rows: list[tuple[int, str, str, str | None, str]] = field(default_factory=list)


class _System:
    def __init__(self, dice: random.Random, kind: Kind, seed: int) -> None:
        self._dice = dice
        self._kind = kind
        self._seed = seed
        self._traced = dice.random() < 0.7
        self._spans = dice.random() < 0.7
        self._rows: list[tuple[int, str, str, str | None, str]] = []
        self._services = {service.name: service for service in self._build(dice.randint(5, 40))}
        self._entries = [name for name in self._services if not self._callers(name)]
        self._cause = self._choose()
        self._n = 0

    # -- the graph -------------------------------------------------------------------------------------------------

    def _build(self, count: int) -> list[_Service]:
        dice = self._dice
        tail = dice.choice(("", "-service", "-svc", "service"))
        head = dice.choice(("", "", "", f"{dice.choice(_SYLLABLES)}-"))
        names: list[str] = []
        while len(names) < count:
            name = f"{head}{''.join(dice.choice(_SYLLABLES) for _ in range(3))}{tail}"
            if name not in names:
                names.append(name)
        entries = max(1, count // 8)
        skewed = dice.random() < 0.2
        off = dice.choice(names)
        built: list[_Service] = []
        for index, name in enumerate(names):
            below = names[max(entries, index + 1) :][: max(4, count // 3)]
            calls = dice.sample(below, min(len(below), dice.choice((0, 1, 1, 2, 2, 3)) if index >= entries else 2))
            clock = round(dice.gauss(0, 3)) * _MILLISECOND
            if skewed and name == off:
                clock += dice.choice((-1, 1)) * dice.randint(300, 3000) * _MILLISECOND
            built.append(
                _Service(
                    name=name,
                    calls=calls,
                    write=dice.choice((_plain, _plain, _json, _logfmt)),
                    opening=f"{dice.choice(('received', 'handling', 'got'))} {dice.choice(('request', 'call'))} {{n}}",
                    step=dice.choice(_STEPS),
                    closing=f"{dice.choice(('answered', 'served', 'finished'))} {{n}}",
                    timed=dice.random() < 0.5,
                    everyday=dice.choice(_EVERYDAY) if dice.random() < 0.25 else "",
                    names=dice.random() < 0.6,
                    own=dice.choice(_OWN),
                    passed_on=dice.choice(_UNNAMED),
                    clock=clock,
                )
            )
        called = {name for service in built for name in service.calls}
        for index, service in enumerate(built[entries:], entries):
            if service.name not in called:
                dice.choice(built[:index]).calls.append(service.name)
        return built

    def _callers(self, name: str) -> list[str]:
        return [service.name for service in self._services.values() if name in service.calls]

    def _choose(self) -> str:
        """A service that a fair share of the requests reach, and that somebody calls."""
        if self._kind == "none":
            return ""
        reached = dict.fromkeys(self._services, 0)
        for _ in range(40):
            for name in self._walk():
                reached[name] += 1
        often = [name for name, times in reached.items() if times >= 8 and name not in self._entries]
        return self._dice.choice(often or [max(reached, key=lambda name: reached[name])])

    def _walk(self) -> set[str]:
        seen: set[str] = set()

        def visit(name: str, depth: int) -> None:
            seen.add(name)
            for called in self._services[name].calls:
                if depth < 6 and self._dice.random() < 0.75:
                    visit(called, depth + 1)

        visit(self._dice.choice(self._entries), 0)
        return seen

    # -- traffic ---------------------------------------------------------------------------------------------------

    def make(self) -> Made:
        self._play(ZERO - _SPREAD_BEFORE, _SPREAD_BEFORE, _BASELINE, broken=False)
        baseline, self._rows = self._rows, []
        self._play(ZERO, _SPREAD_AFTER, _REQUESTS, broken=self._kind != "none")
        self._around()
        count = len(self._services)
        return Made(self._seed, self._kind, count, self._traced, self._cause, _frame(baseline), _frame(self._rows))

    def _play(self, start: int, length: int, requests: int, *, broken: bool) -> None:
        dice = self._dice
        for _ in range(requests):
            self._n += 1
            trace = (f"{dice.getrandbits(128):032x}", "") if self._traced else None
            self._request(dice.choice(self._entries), start + dice.randrange(length), trace, broken, 0)
        for service in self._services.values():
            if service.everyday:
                for _ in range(max(1, dice.randrange(2 * length // (20 * SECOND)))):
                    level, _, text = service.everyday.partition(" ")
                    self._say(service, start + dice.randrange(length), level, text, None)

    def _request(self, name: str, at: int, trace: tuple[str, str] | None, broken: bool, depth: int) -> tuple[int, str]:
        """(when it is over, what the caller gets: "" for well, else what went wrong)."""
        dice, service = self._dice, self._services[name]
        hit = broken and name == self._cause
        span = f"{dice.getrandbits(64):016x}" if self._spans else ""
        trace = (trace[0], span) if trace else None
        if hit and self._kind in ("silent", "oom"):
            return at + 2 * SECOND, "down"
        self._say(service, at, "INFO", service.opening, trace)
        at += dice.randint(1, 8) * _MILLISECOND
        if hit and self._kind == "early_return":
            self._say(service, at, "INFO", service.closing, trace)
            return at + _MILLISECOND, dice.choice(("", "", "empty"))
        if hit and self._kind in ("error", "deploy"):
            self._say(service, at, "ERROR", service.own, trace)
            return at + _MILLISECOND, "failed"
        if hit and self._kind == "logs_least":
            if dice.random() < 0.08:
                self._say(service, at, "ERROR", service.own, trace)
            return at + _MILLISECOND, "failed"
        self._say(service, at, "INFO", service.step, trace)
        wrong = ""
        for called in service.calls:
            if depth < 6 and dice.random() < 0.75:
                at, wrong = self._request(called, at + dice.randint(1, 4) * _MILLISECOND, trace, broken, depth + 1)
                if wrong:
                    times = 3 if self._kind == "logs_least" else 1
                    for _ in range(times):
                        at += 2 * _MILLISECOND
                        self._complain(service, called, at, wrong, trace)
                    return at + _MILLISECOND, "failed"
        took = dice.randint(5, 60)
        if hit and self._kind == "slow":
            took *= 60
            at += took * _MILLISECOND
        closing = (
            f"{service.closing} in {took} ms" if service.timed or (hit and self._kind == "slow") else service.closing
        )
        if name == self._cause and self._kind == "slow":
            closing = f"{service.closing} in {took} ms"
        self._say(service, at + _MILLISECOND, "INFO", closing, trace)
        return at + 2 * _MILLISECOND, "late" if hit and self._kind == "slow" and dice.random() < 0.7 else ""

    def _complain(self, service: _Service, callee: str, at: int, wrong: str, trace: tuple[str, str] | None) -> None:
        if wrong == "empty":
            text = _UNNAMED[2]
        elif not service.names:
            text = service.passed_on
        elif wrong in ("down", "late"):
            text = _NAMED_DOWN[len(service.name + callee) % len(_NAMED_DOWN)]
        elif self._seed % 7 == 0 and callee == self._cause and self._kind == "error":
            text = f"remote error: {self._services[callee].own}"
        else:
            text = _NAMED[len(service.name + callee) % len(_NAMED)]
        self._say(service, at, "ERROR", text.replace("{callee}", callee), trace)

    def _around(self) -> None:
        """What is told beside the traffic: the guilty deploy or kill, and innocent ones."""
        dice = self._dice
        if self._kind == "deploy":
            self._tell(self._cause, ZERO - 5 * SECOND, f"deployed version {dice.randint(2, 9)}.{dice.randint(0, 9)}.0")
        if self._kind == "oom":
            pod = f"{self._cause}-{dice.getrandbits(32):08x}5-x{dice.randint(100, 999)}k"
            kubelet = self._kubelet()
            for times in range(3):
                text = f"Memory cgroup out of memory: Killed process {dice.randint(100, 999)} (main) in pod {pod}"
                self._say(kubelet, ZERO + times * 30 * SECOND, "ERROR", text, None)
        if dice.random() < 0.4:
            other = dice.choice(list(self._services))
            self._tell(other, ZERO - dice.randint(5, 60) * SECOND, "deployed version 1.2.3")

    def _tell(self, name: str, at: int, text: str) -> None:
        self._say(self._services[name], at, "INFO", text, None)

    def _kubelet(self) -> _Service:
        return _Service("kubelet", [], _plain, "", "", "", False, "", False, "", "", 0)

    def _say(self, service: _Service, at: int, level: str, text: str, trace: tuple[str, str] | None) -> None:
        line = service.write(level, text.replace("{n}", str(self._n)))
        metadata = None
        if trace:
            metadata = stream_key({"trace_id": trace[0]} | ({"span_id": trace[1]} if trace[1] else {}))
        self._rows.append((at + service.clock, service.name, stream_key({"service": service.name}), metadata, line))


def _plain(level: str, text: str) -> str:
    return f"{level} {text}"


def _json(level: str, text: str) -> str:
    quoted = text.replace('"', "'")
    return f'{{"level": "{level.lower()}", "msg": "{quoted}"}}'


def _logfmt(level: str, text: str) -> str:
    quoted = text.replace('"', "'")
    return f'level={level.lower()} msg="{quoted}"'


def _frame(rows: list[tuple[int, str, str, str | None, str]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=LINES, orient="row").sort("ts", maintain_order=True)
