"""What the sidecar holds and uses while nothing happens."""

from __future__ import annotations

import asyncio
import time

from . import processes
from .measure import Figure
from .serving import served

_MEMORY_MB, _CORES = 200.0, 0.02
_SETTLE_S = 30.0  # first looks, schedules and caches


async def measure(seconds: float) -> list[Figure]:
    """Resident memory and CPU of `incidentlens serve` with one project and an empty Loki."""
    if not processes.available():
        return [Figure.not_measured("idle_memory", "MB", "it is read from /proc, which this system has not")]
    async with served(0, 0, interval_s=5) as running:
        await asyncio.sleep(_SETTLE_S)
        began, before = time.monotonic(), processes.cpu_seconds(running.pid)
        await asyncio.sleep(seconds)
        used = (processes.cpu_seconds(running.pid) - before) / (time.monotonic() - began)
        memory = processes.resident_mb(running.pid)
    told = f"`incidentlens serve`, one project, an empty Loki, interval 5 s, {_SETTLE_S:.0f} s after its start"
    return [
        Figure("idle_memory", memory, "MB", f"{told}; resident, shared libraries included", "at most 200",
               memory <= _MEMORY_MB),
        Figure("idle_cpu", used * 100, "% of a core", f"{told}, over {seconds:.0f} s", "at most 2", used <= _CORES),
    ]  # fmt: skip
