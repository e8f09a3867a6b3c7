"""The same pipeline over the past: files or a Loki's history, on a clock that the records drive, with no services.

Lines are read and signed in large batches, then handed to the later stages slice by slice, so that a day takes
seconds and memory stays the same however long the input is.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from incidentlens.config.loader import Project
from incidentlens.config.model import ProjectConfig, QueryConfig
from incidentlens.incidents import overall_ranking
from incidentlens.intake.loki import LokiSettings
from incidentlens.model.clock import MINUTE, SECOND, ManualClock
from incidentlens.model.incidents import Incident
from incidentlens.model.records import SIGNED, empty
from incidentlens.model.signatures import SignatureRules
from incidentlens.model.terms import Mode
from incidentlens.policy.model import Policy
from incidentlens.runbooks import Runbook
from incidentlens.store.memory import MemoryStore

from .engine import Engine, Intake
from .offloop import here
from .report import TickReport
from .results import importance, incident_result

SLICE = 10 * SECOND
_CALM_SLICES = 30
_MAX_INCIDENTS = 200
Frames = Iterable[pl.DataFrame] | AsyncIterable[pl.DataFrame]


@dataclass(slots=True)
class Replayed:
    """What a replay found. `result` is the object of DESIGN section 5."""

    records: int = 0
    problems: int = 0
    suppressed: int = 0
    first: int | None = None
    last: int | None = None
    result: dict[str, Any] = field(default_factory=dict)


def default_project(
    runbooks: Iterable[Runbook] = (),
    *,
    policy: Policy | None = None,
    rules: SignatureRules | None = None,
    service_label: str = "service",
) -> Project:
    """A project for files: nothing is sent, and every decision is shown as if it were live."""
    config = ProjectConfig(queries=(QueryConfig(name="replay", logql="{}"),), service_label=service_label, overlap=0)
    return Project(
        name="replay",
        config=config,
        queries=(),
        loki=LokiSettings(url="http://localhost"),
        policy=policy or Policy(mode=Mode.SHADOW, new_service_grace_minutes=0),
        rules=rules or SignatureRules(),
        runbooks=tuple(runbooks),
    )


async def replay_frames(
    frames: Frames,
    baseline: Frames = (),
    *,
    project: Project,
    progress: Callable[[int], None] | None = None,
    store: MemoryStore | None = None,
) -> Replayed:
    """Replay LINES frames (in order of time) after learning from `baseline`.

    `progress(rows)` hears how many rows were read since its last call. `store` may bring what is known besides the
    records: deploys, maintenance windows, earlier incidents.
    """
    clock = ManualClock()
    engine = Engine(project, store or MemoryStore(keep_counts=False), clock, here)
    async for frame in _each(baseline):
        await engine.learn(frame)
        if progress:
            progress(frame.height)
    found = Replayed()
    player = _Player(engine, clock, found)
    async for frame in _each(frames):
        await player.take(frame)
        if progress:
            progress(frame.height)
    await player.finish()
    found.result = await _result(engine)
    return found


class _Player:
    """Cuts signed records into slices of time and moves the clock along."""

    def __init__(self, engine: Engine, clock: ManualClock, found: Replayed) -> None:
        self._engine = engine
        self._clock = clock
        self._found = found
        self._rest = empty(SIGNED)
        self._now: int | None = None
        self._restless = False

    async def take(self, lines: pl.DataFrame) -> None:
        """Read and sign a batch, and hand on every slice that is whole."""
        signed = await self._engine.sign(lines)
        if signed.is_empty():
            return
        self._found.records += signed.height
        self._found.first = min(self._found.first or int(signed["ts"].min()), int(signed["ts"].min()))  # type: ignore[arg-type]
        signed = pl.concat([self._rest, signed]).sort("ts", maintain_order=True) if self._rest.height else signed
        newest = int(signed["ts"][-1])
        edge = newest - newest % SLICE
        self._rest = signed.filter(pl.col("ts") >= edge)
        await self._slices(signed.filter(pl.col("ts") < edge))

    async def finish(self) -> None:
        """The last slice, and then time enough for every watch to come to its end."""
        if self._rest.height:
            await self._slices(self._rest)
        self._found.last = self._now
        await self._quiet(until=None)

    async def _slices(self, signed: pl.DataFrame) -> None:
        if signed.is_empty():
            return
        for part in _spans(signed):
            begin = int(part["ts"][0]) // SLICE * SLICE
            end = (int(part["ts"][-1]) // SLICE + 1) * SLICE
            await self._quiet(until=begin)
            await self._tick(part, max(end, self._now or 0))

    async def _quiet(self, until: int | None) -> None:
        """Pass over a time without records: slowly while something is watched, in one step otherwise."""
        step = 30 * SECOND
        while self._now is not None and self._restless:
            following = self._now + step
            if until is not None and following >= until:
                return
            await self._tick(empty(SIGNED), following)
            step = min(2 * step, 5 * MINUTE)

    async def _tick(self, signed: pl.DataFrame, now: int) -> None:
        self._clock.set(now)
        self._now = now
        report: TickReport = await self._engine.replay(signed, Intake(lines=empty(SIGNED), until=now))
        self._found.problems += report.problems
        self._found.suppressed += report.suppressed
        self._restless = report.watching > 0


def _spans(signed: pl.DataFrame) -> list[pl.DataFrame]:
    """Parts to hand on one by one: ten seconds where something may fail, up to five minutes of plain talk otherwise.

    The detector counts in its own ten-second steps either way; this only decides how often the stages after it look.
    """
    may_fail = pl.col("level").is_in(["fatal", "error", "warn"]) | pl.col("exception").is_not_null()
    slices = (
        signed.lazy()
        .group_by((pl.col("ts") // SLICE).alias("slice"))
        .agg(may_fail.any().alias("may_fail"))
        .sort("slice")
        # A new span begins at a slice that may fail, after one that did, and every five minutes.
        .with_columns(
            (
                pl.col("may_fail")
                | pl.col("may_fail").shift(1, fill_value=True)
                | ((pl.col("slice") // _CALM_SLICES) != (pl.col("slice") // _CALM_SLICES).shift(1))
            )
            .cum_sum()
            .alias("span")
        )
        .select("slice", "span")
    )
    return (
        signed.lazy()
        .with_columns((pl.col("ts") // SLICE).alias("slice"))
        .join(slices, on="slice", how="left", maintain_order="left")
        .drop("slice")
        .collect()
        .partition_by("span", maintain_order=True, include_key=False)
    )


async def _each(frames: Frames) -> AsyncIterator[pl.DataFrame]:
    if isinstance(frames, AsyncIterable):
        async for frame in frames:
            yield frame
    else:
        for frame in frames:
            yield frame


async def _result(engine: Engine) -> dict[str, Any]:
    async with engine.store.transaction(engine.project.name) as tx:
        incidents: list[Incident] = sorted(await tx.live_incidents(0), key=importance)
        shown = [await incident_result(tx, incident) for incident in incidents[:_MAX_INCIDENTS]]
    return {
        "incidents": shown,
        "root_cause_ranking": [entry.model_dump() for entry in overall_ranking(incidents)],
        "left_out": max(0, len(incidents) - _MAX_INCIDENTS),
    }
