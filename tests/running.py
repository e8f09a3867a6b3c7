"""A project that runs on a clock of the test's own, over a Loki in memory: hours pass in milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from fake_loki import FakeLoki
from incidentlens.config.loader import Project, Query, builtin_runbooks
from incidentlens.config.model import ProjectConfig, QueryConfig
from incidentlens.intake.loki import LokiSettings
from incidentlens.model.clock import MINUTE, SECOND, ManualClock
from incidentlens.model.decisions import Action
from incidentlens.model.incidents import Incident
from incidentlens.model.signatures import SignatureRules
from incidentlens.model.terms import ActionKind, Mode
from incidentlens.pipeline.live import ProjectRunner
from incidentlens.pipeline.report import TickReport
from incidentlens.policy.model import Policy
from incidentlens.runbooks import load_runbooks
from incidentlens.runbooks.model import Runbook
from incidentlens.store.base import Store
from incidentlens.store.memory import MemoryStore
from incidentlens.store.postgres import PostgresStore

T0 = 1_763_000_000 * SECOND - 1_763_000_000 * SECOND % (10 * MINUTE)
NAME = "shop"
QUERY = '{app=~".+"}'


@cache
def runbooks() -> tuple[Runbook, ...]:
    return tuple(load_runbooks([builtin_runbooks()]))


def make_project(
    queries: Sequence[Query] = (Query("logs", QUERY, False, None),), policy: dict[str, Any] | None = None, **config: Any
) -> Project:
    """A project as the loader makes it. Times in ns; `policy` are changes to a live policy without graces."""
    values: dict[str, Any] = {"look_back": 0, "service_label": "app", **config}
    made = ProjectConfig(queries=tuple(QueryConfig(name=q.name, logql=q.logql) for q in queries), **values)
    free = {"mode": Mode.LIVE, "new_service_grace_minutes": 0, "deploy_grace_minutes": 0}
    return Project(
        name=NAME,
        config=made,
        queries=tuple(queries),
        loki=LokiSettings("http://loki", max_attempts=1),
        policy=Policy(**{**free, **(policy or {})}),
        rules=SignatureRules(),
        runbooks=runbooks(),
    )


class Running:
    """One sidecar's run of one project. `reports` has every tick."""

    def __init__(
        self,
        store: Store,
        loki: FakeLoki | None = None,
        clock: ManualClock | None = None,
        project: Project | None = None,
    ) -> None:
        self.store = store
        self.loki = loki or FakeLoki()
        self.clock = clock or ManualClock(T0)
        self.reports: list[TickReport] = []
        self.start(project or make_project())

    def start(self, project: Project) -> None:
        """A new process, as after a kill: nothing is kept but the store."""
        self.project = project
        self.runner = ProjectRunner(project, self.store, self.clock, self.loki.client(), self._hear)

    async def _hear(self, report: TickReport) -> None:
        self.reports.append(report)

    def policy(self, **changes: Any) -> None:
        """The policy changed in its file."""
        changed = Policy(**{**self.runner.wanted.policy.model_dump(), **changes})
        self.runner.replace(replace(self.runner.wanted, policy=changed))

    async def run(self, seconds: float, every: float = 5) -> None:
        """Let time pass, with a run each `every` seconds."""
        end = self.clock.now() + round(seconds * SECOND)
        while self.clock.now() < end:
            self.clock.advance(min(round(every * SECOND), end - self.clock.now()))
            await self.runner.run()

    async def incidents(self) -> list[Incident]:
        async with self.store.transaction(NAME) as tx:
            return await tx.live_incidents(0)

    async def notified(self) -> list[Action]:
        """Every notification, of all incidents."""
        async with self.store.transaction(NAME) as tx:
            found = [action for one in await tx.live_incidents(0) for action in await tx.actions(one.id)]
        return sorted((a for a in found if a.kind is ActionKind.NOTIFY), key=lambda action: (action.at, action.key))

    async def counted(self) -> int:
        """Records in the counts a minute."""
        return sum((await self.counts()).values())

    async def counts(self) -> dict[tuple[int, str, str], int]:
        """(minute, service, signature): records."""
        return await counts_in(self.store)


async def counts_in(store: Store, project: str = NAME) -> dict[tuple[int, str, str], int]:
    if isinstance(store, MemoryStore):
        return {(key[0], key[2], key[1]): count for key, count in store.spaces[project].counts.items()}
    assert isinstance(store, PostgresStore)
    async with store.session() as session:
        rows = await session.rows("SELECT bucket, service, signature, count FROM counts WHERE project = %s", (project,))
    return {(row["bucket"], row["service"], row["signature"]): row["count"] for row in rows}


def lines(
    start: int, seconds: float, per_second: float, text: str = "level=info msg=served id={i}"
) -> list[tuple[int, str]]:
    """Evenly spread records."""
    number = round(seconds * per_second)
    return [(start + round(i * SECOND / per_second), text.format(i=i)) for i in range(number)]


FAILURE = 'level=error msg="connection pool exhausted: {i} of 50 connections in use"'
