"""Seconds from a failing record's arrival in Loki to its incident in the store, everything real but the Loki's size."""

from __future__ import annotations

import asyncio
import contextlib
import random
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

from incidentlens.demo import configuration
from incidentlens.demo.stack import stack

from .measure import Figure, alone

if TYPE_CHECKING:
    from incidentlens.intake.loki import LokiClient
    from incidentlens.store.postgres import PostgresStore

_TIMEOUT_S = 60.0


def measure(rounds: int, interval_s: int = 5) -> list[Figure]:
    """Median and 95th percentile over `rounds` failures, each in a service of its own."""
    seconds: list[float] = alone(_run, rounds, interval_s)
    ordered = sorted(seconds)
    high = ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]
    conditions = (
        f"{rounds} failures of 20 lines each, interval {interval_s} s, delay 2 s, local Loki, "
        "embedded PostgreSQL, 50 everyday lines/s learnt from"
    )
    median = statistics.median(ordered)
    return [
        Figure("arrival_to_incident_median", median, "s", conditions, "within 15", median <= 15),
        Figure("arrival_to_incident_p95", high, "s", conditions, "within 15", high <= 15),
    ]


def _run(rounds: int, interval_s: int) -> list[float]:
    return asyncio.run(_rounds(rounds, interval_s))


async def _rounds(rounds: int, interval_s: int) -> list[float]:
    from incidentlens.config.loader import load_config
    from incidentlens.intake.loki import LokiClient, LokiSettings
    from incidentlens.model.clock import SystemClock
    from incidentlens.pipeline.live import Sidecar
    from incidentlens.scenarios.generator import Scenario
    from incidentlens.scenarios.player import push_lines
    from incidentlens.store.postgres import PostgresStore

    async with stack(None, None, keep=False) as parts, contextlib.AsyncExitStack() as running:
        path = configuration.write(parts, None, 30, 20)
        set_interval(path, interval_s)
        loki = LokiClient(LokiSettings(parts.loki_url))
        running.push_async_callback(loki.close)
        await push_lines(loki, Scenario("healthy").history(time.time_ns(), 1200))
        store = PostgresStore(parts.database_url)
        await store.open()
        running.push_async_callback(store.close)
        sidecar = Sidecar(load_config(path), store, SystemClock())
        await sidecar.start()
        running.push_async_callback(sidecar.stop)
        await sidecar.first_run(configuration.PROJECT)
        seconds = []
        for number in range(rounds):
            # A failure does not wait for a tick: without a pause each round would begin just after one.
            await asyncio.sleep(random.uniform(0, interval_s))
            seconds.append(await _one(loki, store, number))
        return seconds


def set_interval(path: Path, interval_s: int) -> None:
    """Look as often as a project does that says nothing of it, instead of as often as the demo."""
    text = path.read_text("utf-8")
    path.write_text(text.replace("interval: 2s", f"interval: {interval_s}s").replace("delay: 1s", "delay: 2s"), "utf-8")


async def _one(loki: LokiClient, store: PostgresStore, number: int) -> float:
    """Push a failure nobody has seen and wait for the incident that names its service."""
    service, pushed = await fail_anew(loki, number)
    deadline = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline:
        async with store.transaction(configuration.PROJECT) as tx:
            if any(service in incident.services for incident in await tx.live_incidents(pushed)):
                return (time.time_ns() - pushed) / 1e9
        await asyncio.sleep(0.1)
    return _TIMEOUT_S


async def fail_anew(loki: LokiClient, number: int) -> tuple[str, int]:
    """Push 20 lines of a failure nobody has seen, in a service of its own; its name and the first line's time (ns)."""
    service = f"bench-{number}"
    pushed = time.time_ns()
    words = ("ledger", "mirror", "packet", "quorum", "socket", "tunnel", "vault", "widget")
    text = f"{words[number % len(words)]} {words[number // len(words) % len(words)]} writer lost its lease"
    values = [[str(pushed + index), f'level=error msg="{text}, attempt {index}"'] for index in range(20)]
    await loki.push([{"stream": {"env": "shop", "service_name": service}, "values": values}])
    return service, pushed
