"""One clock, injected everywhere, so behaviour over hours is tested in milliseconds."""

from __future__ import annotations

import time
from typing import Protocol

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Clock(Protocol):
    """Tells the time in nanoseconds since the Unix epoch."""

    def now(self) -> int: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        return time.time_ns()


class ManualClock:
    """A clock that moves only when told: for tests and for replay."""

    def __init__(self, start: int = 0) -> None:
        self._now = start

    def now(self) -> int:
        return self._now

    def set(self, now: int) -> None:
        """Move to `now` (ns). Going backwards is allowed: a clock step is one of the faults to survive."""
        self._now = now

    def advance(self, ns: int) -> None:
        self._now += ns
