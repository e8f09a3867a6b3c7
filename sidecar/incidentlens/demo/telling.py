"""Telling people through a real Grafana: it is started, filled, and waited for until its last message has come."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from incidentlens.model.incidents import Incident
from incidentlens.model.terms import Status
from incidentlens.provision import Conflict
from incidentlens.publish.grafana_http import GrafanaError

from . import grafana
from .children import DemoError
from .configuration import Told
from .programs import GrafanaProgram
from .screen import Screen
from .stack import Stack
from .standins import Delivery, StandIns, awaited, deliveries, stand_ins

_PATIENCE_S = 75.0  # for the last message: an evaluation of 10 s, a group's interval of 30 s, and to spare


@dataclass(frozen=True, slots=True)
class Telling:
    """A Grafana, and where what it sends arrives."""

    grafana: grafana.RunningGrafana
    sent_to: StandIns
    screen: Screen
    shown: bool  # its Overview in a browser

    @property
    def told(self) -> Told:
        """For the sidecar's configuration."""
        uids = {str(dashboard["uid"]) for dashboard in self.grafana.dashboards}
        return Told(self.grafana.url, self.grafana.token_file, sorted(uids & {grafana.OVERVIEW}))

    async def fill(self, project: str, public_url: str) -> None:
        """Data source, dashboards, alerting; from now on Grafana asks what is open. Raises DemoError."""
        try:
            made = await grafana.fill(self.grafana, project, public_url, self.sent_to)
        except (GrafanaError, Conflict) as error:
            raise DemoError(f"Grafana cannot be filled: {error}") from error
        self.screen.say(f"Grafana has its {', '.join(dict.fromkeys(each.kind for each in made))}")
        self.screen.say(f"look here: {self.grafana.overview}", style="bold")
        self.screen.detail(f"visitors may look; to change anything: user admin, password {self.grafana.password}")
        self.screen.detail(f"what it sends to Discord and by mail arrives at {self.sent_to.url}")
        if self.shown:
            await asyncio.to_thread(grafana.open_page, self.grafana.overview)

    def delivered(self, incidents: Collection[Incident]) -> list[Delivery]:
        """What has come so far, the first first."""
        return deliveries(self.sent_to.catcher.messages, incidents)

    async def settled(self, incidents: Collection[Incident]) -> None:
        """Wait until each incident's messages have come, its resolution too, or patience runs out."""
        told = [each for each in incidents if each.disposition.notifies and each.status is not Status.SUPPRESSED]
        deadline = time.monotonic() + _PATIENCE_S
        if awaited(self.delivered(incidents), told):
            self.screen.say("waiting for Grafana's last message: it tells of an end within some 40 s")
        while awaited(self.delivered(incidents), told) and time.monotonic() < deadline:
            await asyncio.sleep(0.25)
            self.screen.refresh()


async def tell_people(
    running: contextlib.AsyncExitStack,
    program: GrafanaProgram,
    parts: Stack,
    tenant: str | None,
    screen: Screen,
    shown: bool,
) -> Telling:
    """Start Grafana and the stand-ins, until `running` ends. Raises DemoError."""

    def heard(message: dict[str, Any]) -> None:
        (one,) = deliveries([message], ())
        screen.say(f"{one.kind} message to {one.to}: {one.title}", "delivered")

    sent_to = await running.enter_async_context(stand_ins(heard))
    answered_at = f"127.0.0.1:{parts.grafana_port}"
    started = await grafana.start(program, parts.folder, answered_at, parts.loki_url, tenant, sent_to)
    running.push_async_callback(started.child.stop)
    return Telling(started, sent_to, screen, shown)
