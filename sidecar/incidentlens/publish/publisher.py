"""Takes what is due out of the outbox and sends it. A receiver that is away is tried again, ever more rarely."""

from __future__ import annotations

import logging
import random

from incidentlens.config.loader import Loaded
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

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._loki: dict[str, LokiEvents] = {}
        self.sent = 0
        self.failed = 0

    async def run_once(self, loaded: Loaded) -> int:
        """Send what is due now; returns how many items were dealt with. Raises StoreError."""
        items = await self._store.claim_outbox(self._clock.now(), _BATCH)
        for item in items:
            await self._deal_with(item, loaded)
        return len(items)

    async def close(self) -> None:
        for sender in self._loki.values():
            await sender.close()
        self._loki.clear()

    async def _deal_with(self, item: OutboxItem, loaded: Loaded) -> None:
        try:
            await self._send(item, loaded)
        except LokiError as error:
            self.failed += 1
            now = self._clock.now()
            last = not error.retry or item.attempts + 1 >= _MAX_ATTEMPTS
            retry_at = None if last else now + pause(item.attempts)
            log.warning("%s %s was not sent%s: %s", item.target, item.key, " and is given up" if last else "", error)
            await self._store.outbox_failed(item.id, now, str(error), retry_at)
            return
        self.sent += 1
        await self._store.outbox_done(item.id, self._clock.now())

    async def _send(self, item: OutboxItem, loaded: Loaded) -> None:
        """Other targets than `loki` have their receiver ask for them (open alerts): reaching this point is enough."""
        project = loaded.projects.get(item.project)
        if item.target != "loki" or project is None:
            return
        sender = self._loki.get(item.project)
        if sender is None or sender.settings != project.loki:
            if sender is not None:
                await sender.close()
            sender = self._loki[item.project] = LokiEvents(project.loki)
        await sender.send(item.payload)


def pause(attempts: int) -> int:
    """ns until the next attempt: doubling, with jitter so that many items do not come back at once."""
    longest: int = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(attempts, 20))
    return int(random.uniform(0.5, 1.0) * longest)
