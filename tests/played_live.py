"""A scenario played against a Loki in memory while a project reads it, in full or by push-down."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from fake_loki import FakeLoki
from incidentlens.config.loader import Query
from incidentlens.model.clock import SECOND
from incidentlens.model.terms import Disposition
from incidentlens.scenarios.generator import Scenario
from incidentlens.store.memory import MemoryStore
from running import T0, Running, make_project

RATE = 600.0
HISTORY_S = 600
TOLD = (Disposition.ESCALATE, Disposition.NEEDS_ONCALL, Disposition.NEEDS_DEV)


@dataclass(slots=True)
class Played:
    """What came of it: the incidents that would be told, bytes moved after learning, and the lines' failing share."""

    incidents: list[Any]
    moved: int
    failing: float
    running: Running


def loki_with(
    name: str, seed: int = 1, *, rate: float = RATE, errors: float = 0.25, warnings: float = 0.5
) -> tuple[FakeLoki, float]:
    """The scenario's lines and a history of it; the share of its lines that Loki calls failing."""
    scenario = Scenario(name, seed, rate=rate, errors=errors, warnings=warnings)
    loki = FakeLoki(levels=True)
    streams: dict[tuple[tuple[str, str], ...], list[tuple[int, str, dict[str, str]]]] = {}
    for line in (*scenario.history(T0, HISTORY_S), *scenario.lines(T0)):
        streams.setdefault(tuple(sorted(line.labels.items())), []).append((line.ts, line.text, dict(line.metadata)))
    for labels, records in streams.items():
        loki.add(dict(labels), records)
    levels = [
        entry.metadata["detected_level"]
        for stream in loki.streams((), T0, T0 + 90 * SECOND)
        for entry in stream.entries
    ]
    return loki, sum(level in ("error", "fatal", "critical") for level in levels) / len(levels)


async def play(loki: FakeLoki, failing: float, read: str, seconds: float = 110, **config: Any) -> Played:
    """Learn from the history, then read the run as it comes."""
    query = Query("logs", '{service_name=~".+"}', False, None, read)  # type: ignore[arg-type]
    project = make_project((query,), look_back=HISTORY_S * SECOND, service_label="service_name", **config)
    running = Running(MemoryStore(), loki, project=replace(project, page_limit=5000))
    await running.runner.run()
    assert running.runner.health.error is None, running.runner.health.error
    moved = loki.moved
    await running.run(seconds)
    assert running.runner.health.error is None, running.runner.health.error
    told = [one for one in await running.incidents() if one.disposition in TOLD]
    return Played(told, loki.moved - moved, failing, running)
