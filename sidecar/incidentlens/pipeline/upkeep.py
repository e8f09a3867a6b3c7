"""What is done beside the ticks: publishing from the outbox, and forgetting what is too old."""

from __future__ import annotations

import logging

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from incidentlens.model.clock import DAY, Clock
from incidentlens.publish import Publisher
from incidentlens.store.base import Store, StoreError

from .live import Sidecar

log = logging.getLogger(__name__)

_PUBLISH_S = 1
_PRUNE_S = 3600
KEEP = 30 * DAY
KEEP_HOURLY = 400 * DAY


class Upkeep:
    """Two jobs on a schedule of their own, so that neither a slow receiver nor a large clean-up holds up a tick."""

    def __init__(self, sidecar: Sidecar, store: Store, clock: Clock) -> None:
        self._sidecar = sidecar
        self._store = store
        self._clock = clock
        self._publisher = Publisher(store, clock)
        self._scheduler = AsyncIOScheduler(timezone="UTC")

    def start(self) -> None:
        options = {"max_instances": 1, "coalesce": True, "misfire_grace_time": None}
        self._scheduler.add_job(self.publish, "interval", seconds=_PUBLISH_S, **options)
        self._scheduler.add_job(self.prune, "interval", seconds=_PRUNE_S, **options)
        self._scheduler.start()

    async def stop(self) -> None:
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        await self._publisher.close()

    async def publish(self) -> None:
        """Send what is due."""
        try:
            await self._publisher.run_once(self._sidecar.loaded)
        except StoreError as error:
            log.warning("nothing could be published: %s", error)

    async def prune(self) -> None:
        """Remove counts a minute, seen records and samples that are older than a month."""
        now = self._clock.now()
        for project in self._sidecar.loaded.projects:
            try:
                removed = await self._store.prune(project, now - KEEP, hourly_before=now - KEEP_HOURLY)
            except StoreError as error:
                log.warning("%s: nothing could be removed: %s", project, error)
            else:
                log.info("%s: removed what is older than a month: %s", project, removed)
