"""Takes what is due out of the outbox and sends it. A receiver that is away is tried again, ever more rarely."""

from __future__ import annotations

import logging
import random

import httpx

from incidentlens.config.loader import Loaded, Project
from incidentlens.intake.errors import LokiError
from incidentlens.model.clock import SECOND, Clock
from incidentlens.store.base import OutboxItem, Store

from .loki_events import LokiEvents

log = logging.getLogger(__name__)

_BATCH = 100
_FIRST_PAUSE = 2 * SECOND
_LONGEST_PAUSE = 10 * 60 * SECOND
_MAX_ATTEMPTS = 200


class Publisher:
    """`sent` and `failed` count since the start."""

    def __init__(self, store: Store, clock: Clock, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._transport = transport
        self._store = store
        self._clock = clock
        self._loki: dict[str, LokiEvents] = {}
        self.sent = 0
        self.failed = 0

    async def run_once(self, loaded: Loaded) -> int:
        """Send what is due now; returns how many items were dealt with. Raises StoreError."""
        items = await self._store.claim_outbox(self._clock.now(), _BATCH)
        events: dict[str, list[OutboxItem]] = {}
        for item in items:
            if item.target == "loki":
                events.setdefault(item.project, []).append(item)
            else:
                # Other targets have their receiver ask for them (open alerts): reaching this point is enough.
                await self._done([item])
        for name, batch in events.items():
            await self._events(batch, loaded.projects.get(name))
        return len(items)

    async def close(self) -> None:
        for sender in self._loki.values():
            await sender.close()
        self._loki.clear()

    async def _events(self, items: list[OutboxItem], project: Project | None) -> None:
        """Push one project's events together; where Loki refuses them, each by itself, so that one harms no other."""
        if project is None:
            # It may come back with the next reload.
            await self._failed(items, "the project is not configured", retry=True)
            return
        try:
            sender = await self._sender(project)
            await sender.send([item.payload for item in items])
        except LokiError as error:
            if error.retry or len(items) == 1:
                await self._failed(items, str(error), retry=error.retry)
                return
        except Exception as error:
            if len(items) == 1:
                log.exception("%s %s: a defect", items[0].target, items[0].key)
                await self._failed(items, f"{type(error).__name__}: {error}", retry=True)
                return
        else:
            await self._done(items)
            return
        for item in items:
            await self._events([item], project)

    async def _sender(self, project: Project) -> LokiEvents:
        sender = self._loki.get(project.name)
        if sender is None or sender.settings != project.loki:
            if sender is not None:
                await sender.close()
            sender = self._loki[project.name] = LokiEvents(project.loki, self._transport)
        return sender

    async def _done(self, items: list[OutboxItem]) -> None:
        for item in items:
            await self._store.outbox_done(item.id, self._clock.now())
            self.sent += 1

    async def _failed(self, items: list[OutboxItem], why: str, *, retry: bool) -> None:
        now = self._clock.now()
        for item in items:
            last = not retry or item.attempts + 1 >= _MAX_ATTEMPTS
            log.warning("%s %s was not sent%s: %s", item.target, item.key, " and is given up" if last else "", why)
            await self._store.outbox_failed(item.id, now, why, None if last else now + pause(item.attempts))
            self.failed += 1


def pause(attempts: int) -> int:
    """ns until the next attempt: doubling, with jitter so that many items do not come back at once."""
    longest: int = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(attempts, 20))
    return int(random.uniform(0.5, 1.0) * longest)
