"""The whole way of a rule: a Loki with a ruler, the sidecar that wrote its rules, and the alerts that come back.

The project's own schedule is so slow that only an alert can start a look.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from incidentlens.api.server import serve_in_background
from incidentlens.config.loader import Loaded, Project, load_config
from incidentlens.intake.loki import LokiClient
from incidentlens.model.clock import SECOND, SystemClock
from incidentlens.model.decisions import Alert, Decision
from incidentlens.model.incidents import Incident
from incidentlens.pipeline.live import Sidecar
from incidentlens.ruler import Change, RulerClient, build_groups, namespace_of, plan
from incidentlens.store.postgres import PostgresStore

CONFIG = """
version: 1
loki: {{url: "{loki}", max_attempts: 2}}
store: {{url: "postgresql://nowhere/none"}}
server: {{require_token: false, listen: "127.0.0.1:{port}"}}
projects:
  shop:
    tenant: {tenant}
    service_label: service_name
    interval: 1h
    delay: 0s
    look_back: 0s
    queries: [{{name: all, logql: '{{env="shop"}}'}}]
    builtin_runbooks: false
    runbooks: [runbooks]
    policy: {{mode: live, new_service_grace_minutes: 0, ruler_notifies: {ruler_notifies}}}
    ruler: {{interval: 1s, recording: true}}
"""
RUNBOOK = """
id: db-deadlock
name: Database deadlock
default_severity: high
disposition: NEEDS_DEV
patterns: [deadlock detected]
steps: [Read the DETAIL lines.]
observe_threshold: {count: 5, window_minutes: 1, escalate_to: NEEDS_ONCALL}
"""


def configuration(folder: Path, loki: str, tenant: str, port: int, *, ruler_notifies: bool = True) -> Loaded:
    """A configuration of one project with one runbook."""
    (folder / "runbooks").mkdir(exist_ok=True)
    (folder / "runbooks/db-deadlock.yaml").write_text(RUNBOOK)
    path = folder / "incidentlens.yaml"
    path.write_text(
        CONFIG.format(loki=loki, tenant=tenant, port=port, ruler_notifies=str(ruler_notifies).lower()), "utf-8"
    )
    return load_config(path)


@dataclass
class Beside:
    """A sidecar beside a Loki."""

    loaded: Loaded
    store: PostgresStore
    loki: LokiClient

    @property
    def project(self) -> Project:
        return self.loaded.projects["shop"]

    @property
    def ruler(self) -> RulerClient:
        return RulerClient(self.loki)

    async def sync(self) -> list[Change]:
        """As `incidentlens rules sync` does it; gives what was written."""
        namespace = namespace_of("shop")
        changes = plan(build_groups(self.project), await self.ruler.groups(namespace))
        return await self.ruler.apply(namespace, changes)

    async def push(self, text: str, number: int = 8, service: str = "db", level: str = "error") -> None:
        """Lines of the last second."""
        now = time.time_ns()
        values = [[str(now - SECOND + i * SECOND // number), text.format(i=i), {"level": level}] for i in range(number)]
        await self.loki.push([{"stream": {"env": "shop", "service_name": service}, "values": values}])

    async def alerts(self) -> list[Alert]:
        async with self.store.transaction("shop") as tx:
            return await tx.active_alerts(time.time_ns())

    async def incidents(self) -> list[Incident]:
        async with self.store.transaction("shop") as tx:
            return await tx.live_incidents(0)

    async def decisions(self, incident_id: str) -> list[Decision]:
        async with self.store.transaction("shop") as tx:
            return await tx.decisions(incident_id)

    async def evidence_kinds(self, incident_id: str) -> set[str]:
        async with self.store.transaction("shop") as tx:
            return {item.kind for item in await tx.evidence(incident_id)}


@contextlib.asynccontextmanager
async def beside(loaded: Loaded, store: PostgresStore) -> AsyncIterator[Beside]:
    """Serve the API and run the sidecar."""
    clock = SystemClock()
    async with contextlib.AsyncExitStack() as stack:
        sidecar = Sidecar(loaded, store, clock)
        await serve_in_background(stack, loaded, store, sidecar, clock)
        await sidecar.start()
        stack.push_async_callback(sidecar.stop)
        await sidecar.first_run("shop")
        await sidecar.first_run("shop")  # by now the schedule's own first run is over, too
        loki = await stack.enter_async_context(LokiClient(loaded.projects["shop"].loki))
        yield Beside(loaded, store, loki)


async def until(look: Callable[[], Awaitable[Any]], seconds: float = 20) -> Any:
    """The first thing that `look` finds; fails when it finds nothing in time."""
    deadline = time.monotonic() + seconds
    while not (found := await look()):
        assert time.monotonic() < deadline, "it did not come in time"
        await asyncio.sleep(0.02)
    return found
