"""A sidecar as a program, on a clock of its own, to be killed at any moment: see test_live_killed.py.

    python killed_sidecar.py DATABASE LOKI START END [POISON]

A stage raises where a line has the text POISON.

The clock stands in the store: it goes on where the last tick that was kept has ended, five seconds a tick.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from incidentlens.config.loader import Loaded, Query
from incidentlens.intake.loki import LokiSettings
from incidentlens.model.clock import SECOND, ManualClock
from incidentlens.pipeline.live import ProjectRunner
from incidentlens.publish.publisher import Publisher
from incidentlens.signatures import Catalogue
from incidentlens.store.postgres import PostgresStore
from running import NAME, make_project

TICK = 5 * SECOND


def poisoned(text: str) -> None:
    """From now on signatures raise where a line has that text."""
    sign = Catalogue.sign

    def broken(self: Catalogue, events: pl.DataFrame) -> pl.DataFrame:
        if events["line"].str.contains(text, literal=True).any():
            raise ZeroDivisionError("a defect")
        return sign(self, events)

    Catalogue.sign = broken  # type: ignore[method-assign]


async def run(database: str, loki: str, start: int, end: int) -> None:
    # `{job=""}` leaves out the events that it pushes itself.
    queries = (Query("logs", '{app=~".+", job=""}', False, None),)
    policy = {"quiet_minutes": 0.75, "max_quiet_minutes": 0.75}
    project = make_project(queries, policy=policy, look_back=300 * SECOND)
    project = replace(project, loki=LokiSettings(loki), loki_events=True, page_limit=200)
    async with PostgresStore(database, pool_size=4) as store:
        async with store.transaction(NAME) as tx:
            cursor = await tx.cursor("logs")
        clock = ManualClock(start if cursor is None else cursor + project.config.delay)
        runner = ProjectRunner(project, store, clock)
        publisher = Publisher(store, clock)
        config: Any = None
        loaded = Loaded(Path("incidentlens.yaml"), config, {NAME: project}, None)
        print("ready", flush=True)
        while clock.now() < end:
            clock.advance(TICK)
            await runner.run()
            if runner.health.error is not None:
                raise SystemExit(runner.health.error)
            await publisher.run_once(loaded)
        for _ in range(30):  # what a killed one had leased comes up again after a minute
            clock.advance(TICK)
            await publisher.run_once(loaded)
        await publisher.close()
        await runner.close()


if __name__ == "__main__":
    if sys.argv[5:]:
        poisoned(sys.argv[5])
    asyncio.run(run(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
