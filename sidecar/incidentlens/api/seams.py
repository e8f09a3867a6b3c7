"""What the API needs of its surroundings, so that tests can give it less than a whole sidecar."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Protocol

from incidentlens.config.loader import Loaded
from incidentlens.model.clock import Clock
from incidentlens.pipeline.choosing import Choice
from incidentlens.store.base import Store
from incidentlens.store.pg.queries import PostgresQueries

log = logging.getLogger(__name__)


Heard = asyncio.Queue[str | None]
"""Ids of changed incidents on their way to a page; None ends the stream."""


class HealthLike(Protocol):
    """How a project stands; see `pipeline.live.Health`."""

    @property
    def last_tick(self) -> int | None: ...
    @property
    def error(self) -> str | None: ...
    @property
    def failing_since(self) -> int | None: ...
    @property
    def quarantined(self) -> int: ...
    @property
    def reading(self) -> Mapping[str, Choice]: ...


class RunnerLike(Protocol):
    @property
    def health(self) -> HealthLike: ...


class SidecarLike(Protocol):
    """See `pipeline.live.Sidecar`."""

    @property
    def runners(self) -> Mapping[str, RunnerLike]: ...
    async def poke(self, project: str) -> None:
        """Run the project now."""
        ...


class ReadableStore(Store, Protocol):
    """A store with its reading side."""

    @property
    def queries(self) -> PostgresQueries: ...


class Pokes:
    """Runs projects in the background: at most one run under way and one wanted a project, however many alerts come."""

    def __init__(self, sidecar: SidecarLike) -> None:
        self._sidecar = sidecar
        self._wanted: set[str] = set()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def poke(self, project: str) -> None:
        self._wanted.add(project)
        if project not in self._tasks:
            self._tasks[project] = asyncio.create_task(self._run(project), name=f"poke-{project}")

    async def stop(self) -> None:
        """Wait for no run: what was poked is read at the next tick anyway."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, project: str) -> None:
        try:
            while project in self._wanted:
                self._wanted.discard(project)
                await self._sidecar.poke(project)
        except KeyError:
            log.warning("%s: an alert came before the project was started; its next tick takes it up", project)
        except Exception:
            log.exception("%s: the run that an alert asked for failed; the next tick takes it up", project)
        finally:
            self._tasks.pop(project, None)


class Services:
    """Everything the routes use; one an application, at `app.state.services`."""

    def __init__(
        self, loaded_of: Callable[[], Loaded], store: ReadableStore, sidecar: SidecarLike, clock: Clock
    ) -> None:
        self._loaded_of = loaded_of
        self.store = store
        self.sidecar = sidecar
        self.clock = clock
        self.pokes = Pokes(sidecar)
        self.stopping = False
        self.followers: set[Heard] = set()  # one a page that follows changes
        self.replaying = asyncio.Semaphore(1)

    @property
    def loaded(self) -> Loaded:
        """The configuration in force now."""
        return self._loaded_of()

    @property
    def queries(self) -> PostgresQueries:
        return self.store.queries

    async def stop(self) -> None:
        """Before the server stops: streams that never end must end now."""
        self.stopping = True
        for heard in self.followers:
            heard.put_nowait(None)
        await self.pokes.stop()
