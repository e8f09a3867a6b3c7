"""Fifty panels that refresh every five seconds: what they cost the sidecar and its database."""

from __future__ import annotations

import asyncio
import random
import time

from . import processes
from .measure import Figure
from .panels import cases
from .serving import Served

PANELS, EVERY_S = 50, 5.0
_AIM = 0.5


async def measure(served: Served, conditions: str, seconds: float) -> list[Figure]:
    """Shares of one core: both together (the aim), the sidecar's, the database's, and idle for comparison."""
    if not processes.available():
        return [Figure.not_measured("refresh_cores", "cores", "CPU is read from /proc, which this system has not")]
    queries = await cases(served)
    # As a wall of dashboards would: every kind, the plain ones more often.
    names = list(queries)
    shown = [queries[names[number % len(names)]] for number in range(PANELS)]
    idle = await _cores(served, seconds / 3)
    late = 0
    answers = 0

    async def panel(number: int) -> None:
        nonlocal late, answers
        await asyncio.sleep(random.uniform(0, EVERY_S))
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            began = time.monotonic()
            await served.query(shown[number])
            answers += 1
            took = time.monotonic() - began
            late += took > EVERY_S
            await asyncio.sleep(max(0.0, EVERY_S - took))

    refreshing = asyncio.gather(*(panel(number) for number in range(PANELS)))
    await asyncio.sleep(EVERY_S)  # all of them have begun
    sidecar, database = await _cores(served, seconds - EVERY_S)
    await refreshing
    both = sidecar + database
    told = (
        f"{conditions}; {PANELS} panels of {len(names)} kinds every {EVERY_S:.0f} s for {seconds:.0f} s, {answers} "
        f"answers, {late} late; without any panel {idle[0]:.3f} and {idle[1]:.3f} cores"
    )
    return [
        Figure("refresh_cores", both, "cores", told, "under 0.5", both < _AIM),
        Figure("refresh_cores_sidecar", sidecar, "cores", "of it: the process `incidentlens serve`"),
        Figure("refresh_cores_database", database, "cores", "of it: PostgreSQL's processes"),
    ]


async def _cores(served: Served, seconds: float) -> tuple[float, float]:
    """Cores that the sidecar and the database use over that time."""

    def used() -> tuple[float, float]:
        database = [served.database_pid, *processes.below(served.database_pid)]
        return processes.cpu_seconds(served.pid), sum(processes.cpu_seconds(pid) for pid in database)

    began, before = time.monotonic(), used()
    await asyncio.sleep(seconds)
    after, took = used(), time.monotonic() - began
    return (after[0] - before[0]) / took, (after[1] - before[1]) / took
