"""A case's records through the same code as `incidentlens replay`, and what came of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import polars as pl

from incidentlens.config.loader import Project, builtin_runbooks
from incidentlens.model.decisions import Deploy, Maintenance
from incidentlens.pipeline.replay import default_project, replay_frames
from incidentlens.runbooks import load_runbooks
from incidentlens.store.memory import MemoryStore

TELLING = frozenset({"ESCALATE", "NEEDS_ONCALL", "NEEDS_DEV"})
CONFIDENT = 0.7  # a cause given with this or more is given with confidence


@dataclass(frozen=True, slots=True)
class Answer:
    """What a replay says. `incidents` as `incidentlens replay --json` has them, most important first."""

    incidents: list[dict[str, Any]]
    ranking: list[str]  # services, the likeliest cause first
    records: int
    seconds: float  # of the processor: what else the machine does is left out
    baseline: int = 0

    @property
    def told(self) -> list[dict[str, Any]]:
        """The incidents that somebody would hear of."""
        return [
            one
            for one in self.incidents
            if one["disposition"] in TELLING and one["decision"] and one["decision"]["told"]
        ]

    @property
    def named(self) -> tuple[str, float] | None:
        """(service, confidence) of the cause of the most important incident; None where none is named."""
        for one in self.incidents[:1]:
            root = one["root_cause"]
            if root and not root["undetermined"]:
                return str(root["service"]), float(root["confidence"])
        return None


@dataclass(frozen=True, slots=True)
class Known:
    """What is known besides the records."""

    dependencies: Mapping[str, Sequence[str]] = field(default_factory=dict)
    deploys: Sequence[Deploy] = ()
    maintenance: Sequence[Maintenance] = ()


def play(records: pl.DataFrame, baseline: pl.DataFrame | None = None, known: Known | None = None) -> Answer:
    """Replay LINES in order of time after learning from `baseline`."""
    known = known or Known()
    project = _project()
    if known.dependencies:
        calls = {service: list(called) for service, called in known.dependencies.items()}
        project = replace(project, config=project.config.model_copy(update={"dependencies": calls}))
    began = time.process_time()
    found = asyncio.run(_replay(project, records, baseline, known))
    seconds = time.process_time() - began
    ranking = [entry["service"] for entry in found["root_cause_ranking"]]
    learnt = baseline.height if baseline is not None else 0
    return Answer(found["incidents"], ranking, records.height, seconds, learnt)


async def _replay(
    project: Project, records: pl.DataFrame, baseline: pl.DataFrame | None, known: Known
) -> dict[str, Any]:
    store = MemoryStore(keep_counts=False)
    async with store.transaction(project.name) as tx:
        for deploy in known.deploys:
            await tx.add_deploy(deploy)
        for window in known.maintenance:
            await tx.add_maintenance(window)
    learnt = [baseline] if baseline is not None and baseline.height else []
    return (await replay_frames([records], learnt, project=project, store=store)).result


@cache
def _project() -> Project:
    return default_project(load_runbooks([builtin_runbooks()]))
