"""The parts that ask a running sidecar: those over a large store share one, as filling it takes longest."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence

from grpc.aio import AioRpcError

from incidentlens.store.base import StoreError

from . import idling, panels, refreshing, streaming
from .measure import Figure
from .serving import served


def measure(parts: Sequence[str], incidents: int, evidence: int, seconds: float, changes: int) -> list[Figure]:
    """Figures of `panels`, `refresh` and `stream`, as far as they are among `parts`."""
    return asyncio.run(_measure(parts, incidents, evidence, seconds, changes))


def measure_idle(seconds: float) -> list[Figure]:
    """Figures of `idle`."""
    return asyncio.run(idling.measure(seconds))


async def _measure(parts: Sequence[str], incidents: int, evidence: int, seconds: float, changes: int) -> list[Figure]:
    began = time.monotonic()
    async with served(incidents, evidence) as running:
        conditions = f"{incidents:,} incidents, {evidence:,} rows of evidence in PostgreSQL"
        filled = time.monotonic() - began
        figures = [Figure("served_store_filled", filled, "s", f"{conditions}, until the sidecar answered")]
        load = f"{os.getloadavg()[0]:.1f} processes wanted to run when it began"
        work = {
            "panels": lambda: panels.measure(running, f"{conditions}; {load}"),
            "stream": lambda: streaming.measure(running, conditions, changes),
            "refresh": lambda: refreshing.measure(running, conditions, seconds),
        }
        for part in (part for part in work if part in parts):
            try:
                figures += await work[part]()
            except (StoreError, RuntimeError, AioRpcError, TimeoutError) as error:
                figures.append(Figure.not_measured(part, "", f"{type(error).__name__}: {error}"))
        return figures
