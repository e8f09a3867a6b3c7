"""Which records make a stage raise: found by halves, so that a tick can go on without them.

A stage that raises is a defect, but its project must not stand still until somebody has mended it. What is found is
kept in the store, counted and shown; the rest of the tick goes on.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import polars as pl

from incidentlens.store.base import StoreError, StoreRefused

# One bad record among half a million is found in some thirty trials. Where these do not suffice the search gives up:
# of fewer lines, which the caller then reads at once, it will.
_TRIALS = 1_000
_SECONDS = 60.0
# Where more than so many records, and more than half of all, raise, it is no record's fault.
_MANY = 100
_MAX_ERROR = 500  # characters

Trial = Callable[[pl.DataFrame], Awaitable[BaseException | None]]
"""Does everything a tick over these lines would do, keeps nothing of it; what it raised, None where all went well."""


@dataclass(slots=True)
class Aside:
    """Lines that are put aside, each a frame (LINES) of one row with what it made a stage raise."""

    parts: list[tuple[pl.DataFrame, str]] = field(default_factory=list)


class _Spent(Exception):
    """No more trials."""


def is_defect(error: BaseException) -> bool:
    """Whether the records may be to blame: not where the store is away or the tick was cut off.

    A panic of polars is no `Exception`.
    """
    if isinstance(error, StoreError):
        return isinstance(error, StoreRefused)
    return isinstance(error, (Exception, pl.exceptions.PanicException))


async def search(
    trial: Trial, lines: pl.DataFrame, timer: Callable[[], float] = time.monotonic
) -> tuple[pl.DataFrame, Aside]:
    """The lines that together raise nothing, and those that are put aside. Order is kept.

    Nothing is put aside where no line raises, where the tick raises without any lines or most lines raise (then the
    defect is elsewhere), or where so many do that a thousand trials or a minute do not suffice. `timer` gives seconds.
    """
    if lines.is_empty() or await trial(lines.clear()) is not None:
        return lines, Aside()
    error = await trial(lines)
    if error is None:
        return lines, Aside()
    halves = _Halves(trial, timer)
    try:
        good = await halves.narrow(lines.clear(), lines, error)
    except _Spent:
        return lines, Aside()
    if len(halves.aside.parts) > max(_MANY, lines.height // 2):
        return lines, Aside()
    return good, halves.aside


class _Halves:
    def __init__(self, trial: Trial, timer: Callable[[], float]) -> None:
        self._trial = trial
        self._timer = timer
        self._until = timer() + _SECONDS
        self._left = _TRIALS
        self.aside = Aside()

    async def narrow(self, good: pl.DataFrame, part: pl.DataFrame, error: BaseException) -> pl.DataFrame:
        """`good` alone raises nothing, with `part` after it `error`: put aside the least of `part`, give the rest."""
        if part.height == 1:
            self.aside.parts.append((part, f"{type(error).__name__}: {error}"[:_MAX_ERROR]))
            return good
        first, second = part.head(part.height // 2), part.slice(part.height // 2)
        raised = await self._raises(good, first)
        if raised is None:
            return await self.narrow(pl.concat([good, first]), second, error)  # the whole raised, so this half does
        good = await self.narrow(good, first, raised)
        raised = await self._raises(good, second)
        return pl.concat([good, second]) if raised is None else await self.narrow(good, second, raised)

    async def _raises(self, good: pl.DataFrame, part: pl.DataFrame) -> BaseException | None:
        self._left -= 1
        if self._left < 0 or self._timer() > self._until:
            raise _Spent
        return await self._trial(pl.concat([good, part]))
