"""The built-in scenarios through the sidecar's ticks, on a clock of their own and with the store in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import polars as pl

from incidentlens.config.loader import builtin_runbooks
from incidentlens.model.clock import SECOND, ManualClock
from incidentlens.model.records import LINES, stream_key
from incidentlens.model.terms import Mode
from incidentlens.pipeline.engine import Engine, Intake
from incidentlens.pipeline.offloop import here
from incidentlens.pipeline.replay import default_project
from incidentlens.policy.model import Policy
from incidentlens.runbooks import load_runbooks
from incidentlens.scenarios.cascades import CASCADES
from incidentlens.scenarios.generator import Scenario
from incidentlens.scenarios.lines import Line
from incidentlens.store.memory import MemoryStore

from .episodes import Episode, episodes

START = 1_763_700_000 * SECOND
_TICK, _CALM_TICK = 5 * SECOND, 30 * SECOND
_HISTORY_S = 600.0
_QUIET = 15 * 60 * SECOND  # after the last record: time enough for any watch of the built-in runbooks to end
RATE = 20.0  # everyday lines a second


@dataclass(frozen=True, slots=True)
class Run:
    """One scenario with one seed. Seconds are of the wall."""

    name: str
    seed: int
    truth: dict[str, Any]
    found: list[Episode]
    ticks: list[float]  # each with records
    investigated: list[float]  # the tick that found, analysed and decided on each incident that was told
    records: int

    @property
    def detected_s(self) -> float | None:
        """From the fault's first record to an incident that is analysed, in seconds of the log's clock."""
        opened = [one.incident.opened_at for one in self.found if one.told]
        return (min(opened) - self.truth["fault"]["start"]) / SECOND if opened else None


@cache
def runs(seeds: tuple[int, ...]) -> list[Run]:
    """Every scenario with every seed; played once a process, for the evaluations that look at them."""
    return [asyncio.run(_run(name, seed)) for name in sorted(CASCADES) for seed in seeds]


async def _run(name: str, seed: int) -> Run:
    scenario = Scenario(name, seed, rate=RATE)
    policy = Policy(mode=Mode.LIVE)
    project = default_project(load_runbooks([builtin_runbooks()]), policy=policy)
    store, clock = MemoryStore(keep_counts=False), ManualClock(START)
    engine = Engine(project, store, clock, here)
    await engine.learn(frame(scenario.history(START, _HISTORY_S)))
    lines = frame(scenario.lines(START))
    last = int(lines["ts"][-1])
    at, ticks, tick_of = START, [], dict[str, float]()
    while at < last + _QUIET:
        since, at = at, at + (_TICK if at < last else _CALM_TICK)
        batch = lines.filter((pl.col("ts") >= since) & (pl.col("ts") < at))
        clock.set(at)
        began = time.perf_counter()
        report = await engine.tick(Intake(lines=batch, until=at))
        took = time.perf_counter() - began
        if batch.height:
            ticks.append(took)
        for incident in report.changed:
            tick_of.setdefault(incident.id, took)
    found = await episodes(store, project.name)
    investigated = [tick_of[one.incident.id] for one in found if one.told]
    return Run(name, seed, scenario.truth(START), found, ticks, investigated, lines.height)


def frame(lines: Iterable[Line]) -> pl.DataFrame:
    """LINES of a scenario's lines."""
    rows = [
        (
            line.ts,
            line.labels["service_name"],
            stream_key(line.labels),
            stream_key(line.metadata) if line.metadata else None,
            line.text,
        )
        for line in lines
    ]
    return pl.DataFrame(rows, schema=LINES, orient="row")
