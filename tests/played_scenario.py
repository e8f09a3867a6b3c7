"""A database as a day with a failure leaves it: the pipeline itself, over a scenario, on a clock of its own."""

from __future__ import annotations

import polars as pl

from incidentlens.config.loader import Project
from incidentlens.model.clock import SECOND, ManualClock
from incidentlens.model.records import LINES
from incidentlens.pipeline.engine import Engine, Intake
from incidentlens.scenarios.generator import Scenario, Timeline
from incidentlens.scenarios.lines import Line
from incidentlens.store.base import Store


def frame(lines: list[Line]) -> pl.DataFrame:
    """LINES of a scenario's lines."""
    records = [line.as_record() for line in lines]
    rows = [
        {
            "ts": record["ts"],
            "service": record["labels"].get("service") or record["labels"].get("service_name") or "unknown",  # type: ignore[attr-defined]
            "stream": str(sorted(record["labels"].items())),  # type: ignore[attr-defined]
            "metadata": None,
            "line": record["line"],
        }
        for record in records
    ]
    return pl.DataFrame(rows, schema=LINES)


async def play(store: Store, project: Project, name: str, start: int, *, seed: int = 1, quiet_s: int = 400) -> int:
    """Play a scenario at `start` (ns) through the pipeline, and then silence; when it ends (ns)."""
    scenario = Scenario(name, seed=seed, rate=20, timeline=Timeline(before=20, fault=60, after=30))
    clock = ManualClock(start)
    engine = Engine(project, store, clock)
    await engine.learn(frame(list(scenario.history(start, 600))))
    lines = list(scenario.lines(start))
    at = start
    end = start + round(scenario.duration_s * SECOND) + quiet_s * SECOND
    position = 0
    while at < end:
        at += 5 * SECOND if at < start + scenario.duration_s * SECOND else 30 * SECOND
        batch = []
        while position < len(lines) and lines[position].ts < at:
            batch.append(lines[position])
            position += 1
        clock.set(at)
        await engine.tick(Intake(lines=frame(batch), until=at))
    return at
