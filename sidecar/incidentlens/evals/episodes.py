"""A case through the pipeline, and the incidents that came of it with their decisions and verifications.

`replayed` runs the code of `incidentlens replay`; `ticked` runs the ticks of the sidecar, where a record can come late
and Loki can be away.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import polars as pl

from incidentlens.config.loader import Project, builtin_runbooks
from incidentlens.incidents import MERGED_INTO
from incidentlens.model.clock import MINUTE, SECOND, ManualClock
from incidentlens.model.decisions import Decision, Feedback, Verification
from incidentlens.model.incidents import Incident, Problem
from incidentlens.model.records import LINES, empty
from incidentlens.model.signatures import GroupRule, SignatureRules
from incidentlens.model.terms import Mode
from incidentlens.pipeline.engine import Engine, Intake
from incidentlens.pipeline.offloop import here
from incidentlens.pipeline.replay import default_project, replay_frames
from incidentlens.policy.model import Policy
from incidentlens.runbooks import Runbook, load_runbooks
from incidentlens.store.memory import MemoryStore

from .cases import PROJECT, ZERO, Case

_NEAR, _FAR = 10 * SECOND, 30 * SECOND  # between two ticks: in the first ten minutes, and later
_NEAR_FOR = 10 * MINUTE


@dataclass(frozen=True, slots=True)
class Episode:
    """An incident with all that was decided and watched of it, the earliest first."""

    incident: Incident
    decisions: list[Decision]
    verifications: list[Verification]

    @property
    def told(self) -> list[Decision]:
        """The decisions to tell somebody."""
        return [decision for decision in self.decisions if decision.tell]

    def problems_of(self, service: str, says: str = "") -> list[Problem]:
        """Its problems in `service` that say `says`: in the template, or (a number is masked there) in a sample."""
        words = says.lower()
        return [
            problem
            for problem in self.incident.problems
            if problem.service == service
            and (words in problem.template.lower() or any(words in one.line.lower() for one in problem.samples))
        ]


def replayed(case: Case[Any]) -> list[Episode]:
    """Records in order of time, and then quiet until nothing is watched any more."""
    return asyncio.run(_replayed(case))


def ticked(case: Case[Any], until: int) -> list[Episode]:
    """Ticks up to `until` (ns after 0s), each with what has arrived by then.

    A look counts the records that came since the last one. While Loki is away it counts nothing, and nothing comes.
    """
    return asyncio.run(_ticked(case, ZERO + until))


async def episodes(store: MemoryStore, project: str) -> list[Episode]:
    """Every incident of a project that did not become part of another one, in order of onset."""
    async with store.transaction(project) as tx:
        found = [
            Episode(
                incident,
                sorted(await tx.decisions(incident.id), key=lambda decision: decision.at),
                sorted(await tx.verifications(incident.id), key=lambda watched: watched.started_at),
            )
            for incident in await tx.live_incidents(0)
            if MERGED_INTO not in incident.labels
        ]
    return sorted(found, key=lambda episode: (episode.incident.onset, episode.incident.id))


async def _replayed(case: Case[Any]) -> list[Episode]:
    store, project = await _prepared(case), _project(case)
    learnt = [case.baseline] if case.baseline.height else []
    await replay_frames(_interrupted(case, store), learnt, project=project, store=store)
    return await episodes(store, project.name)


async def _interrupted(case: Case[Any], store: MemoryStore) -> AsyncIterator[pl.DataFrame]:
    """The records, with what people say said in between."""
    rest = case.records
    for judged in sorted(case.inputs.judged, key=lambda one: one.at):
        at = ZERO + judged.at
        yield rest.filter(pl.col("ts") < at)
        rest = rest.filter(pl.col("ts") >= at)
        for episode in await episodes(store, PROJECT):
            if episode.problems_of(judged.service):
                async with store.transaction(PROJECT) as tx:
                    for by in judged.by:
                        said = Feedback(incident_id=episode.incident.id, at=at, by=by, verdict=judged.verdict)
                        await tx.add_feedback(said)
    yield rest


async def _ticked(case: Case[Any], until: int) -> list[Episode]:
    store, project = await _prepared(case), _project(case)
    clock = ManualClock()
    engine = Engine(project, store, clock, here)
    if case.baseline.height:
        clock.set(int(case.baseline["ts"][-1]))
        await engine.learn(case.baseline)
    arriving = case.records.with_columns(arrives=case.marks["arrives"])
    outages = [(ZERO + away.since, ZERO + away.until) for away in case.inputs.away]
    at = taken = min(ZERO, int(arriving["arrives"].min()))  # type: ignore[arg-type]
    while at < until:
        at += _NEAR if at < ZERO + _NEAR_FOR else _FAR
        clock.set(at)
        if any(since < at <= end for since, end in outages):
            counts = {watch.id: None for watch in await engine.watches()}
            await engine.tick(Intake(lines=empty(LINES), until=at, counts=counts))
            continue
        arrived = arriving.filter((pl.col("arrives") >= taken) & (pl.col("arrives") < at)).drop("arrives")
        taken = at
        await engine.tick(Intake(lines=arrived.sort("ts", maintain_order=True), until=at))
    return await episodes(store, project.name)


async def _prepared(case: Case[Any]) -> MemoryStore:
    store = MemoryStore(keep_counts=False)
    async with store.transaction(PROJECT) as tx:
        for deploy in case.deploys:
            await tx.add_deploy(deploy)
        for window in case.maintenance:
            await tx.add_maintenance(window)
    return store


def _project(case: Case[Any]) -> Project:
    """The built-in runbooks and the default policy, live, with what the case changes."""
    policy = Policy.model_validate({"mode": Mode.LIVE, **case.inputs.policy})
    noise = tuple(GroupRule(name=f"known {n}", pattern=pattern) for n, pattern in enumerate(case.inputs.noise))
    project = default_project(_runbooks(), policy=policy, rules=SignatureRules(noise=noise))
    calls = {service: list(called) for service, called in case.inputs.dependencies.items()}
    return replace(project, config=project.config.model_copy(update={"dependencies": calls}))


@cache
def _runbooks() -> tuple[Runbook, ...]:
    return tuple(load_runbooks([builtin_runbooks()]))


def problems_of(found: Iterable[Episode]) -> list[Problem]:
    """All problems, in order of onset."""
    every = [problem for episode in found for problem in episode.incident.problems]
    return sorted(every, key=lambda problem: (problem.onset, problem.id))
