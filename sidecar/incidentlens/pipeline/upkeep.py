"""What is done beside the ticks: publishing from the outbox, and forgetting what is too old."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from incidentlens.model.clock import DAY, Clock
from incidentlens.publish import Annotator, Publisher, Receipts
from incidentlens.store.base import Store, StoreError

from . import metrics
from .live import Sidecar

if TYPE_CHECKING:
    from incidentlens.investigation.worker import Investigator

log = logging.getLogger(__name__)

_PUBLISH_S = 1
_ANNOTATE_S = 5
_READ_BACK_S = 10
_PRUNE_S = 3600
_INVESTIGATE_S = 2
_STOP_S = 5
KEEP = 30 * DAY
KEEP_HOURLY = 400 * DAY


class Upkeep:
    """Jobs on a schedule of their own, so that neither a slow receiver nor a large clean-up holds up a tick."""

    def __init__(self, sidecar: Sidecar, store: Store, clock: Clock) -> None:
        self._sidecar = sidecar
        self._store = store
        self._clock = clock
        self._publisher = Publisher(store, clock)
        self._annotator = Annotator(store, clock)
        self._receipts = Receipts(store, clock)
        self._investigator: Investigator | None = None
        self._stopping = False
        self._scheduler = AsyncIOScheduler(timezone="UTC")
        self._at_work: set[asyncio.Task[object]] = set()

    def start(self) -> None:
        options = {"max_instances": 1, "coalesce": True, "misfire_grace_time": None}
        for work, seconds in (
            (self.publish, _PUBLISH_S),
            (self.annotate, _ANNOTATE_S),
            (self.read_back, _READ_BACK_S),
            (self.investigate, _INVESTIGATE_S),
            (self.prune, _PRUNE_S),
        ):
            self._scheduler.add_job(self._work, "interval", args=[work], id=work.__name__, seconds=seconds, **options)
        self._scheduler.start()

    async def stop(self) -> None:
        """What is under way may finish; what takes longer than some seconds is tried again by the next process."""
        self._stopping = True
        if self._scheduler.running:
            self._scheduler.pause()
            if self._at_work:
                await asyncio.wait(self._at_work, timeout=_STOP_S)
            self._scheduler.shutdown(wait=False)
        await self._publisher.close()
        await self._annotator.close()
        await self._receipts.close()
        if self._investigator is not None:
            await self._investigator.close()

    async def _work(self, work: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._at_work.add(task)
            task.add_done_callback(self._at_work.discard)
        try:
            await work()
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            # `stop` cut it off; APScheduler would log that as a defect, with a traceback.

    async def publish(self) -> None:
        """Send what is due."""
        sent, failed = self._publisher.sent, self._publisher.failed
        try:
            await self._publisher.run_once(self._sidecar.loaded)
        except StoreError as error:
            log.warning("nothing could be published: %s", error)
        metrics.count_published(self._publisher.sent - sent, self._publisher.failed - failed)

    async def annotate(self) -> None:
        """Bring the regions in Grafana up to date."""
        sent, failed = dict(self._annotator.sent), dict(self._annotator.failed)
        try:
            await self._annotator.run_once(self._sidecar.loaded)
        except StoreError as error:
            log.warning("no region could be sent: %s", error)
        for project in self._annotator.sent.keys() | self._annotator.failed.keys():
            metrics.count_regions(
                project,
                self._annotator.sent.get(project, 0) - sent.get(project, 0),
                self._annotator.failed.get(project, 0) - failed.get(project, 0),
            )

    async def read_back(self) -> None:
        """Ask Grafana what became of the notifications."""
        try:
            await self._receipts.run_once(self._sidecar.loaded)
        except StoreError as error:
            log.warning("what became of notifications could not be kept: %s", error)

    async def investigate(self) -> None:
        """Have a language model look at what no runbook settled, where a project has one."""
        loaded = self._sidecar.loaded
        if all(project.model is None for project in loaded.projects.values()):
            return
        if self._investigator is None:
            from incidentlens.investigation.worker import Investigator  # its client is large, and most have no model

            self._investigator = Investigator(
                self._store, self._clock, self._sidecar.runners.get, heard=metrics.count_investigation
            )
        try:
            await self._investigator.run_once(loaded)
        except StoreError as error:
            log.warning("no investigation could be taken up: %s", error)

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
