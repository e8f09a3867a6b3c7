"""What the data source needs of its surroundings: it reads the store, and knows neither sockets nor the scheduler."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from starlette.types import ASGIApp

from incidentlens.config.loader import Loaded
from incidentlens.model.clock import Clock
from incidentlens.store.base import Store
from incidentlens.store.pg.queries import PostgresQueries


class HealthLike(Protocol):
    """How the reading of a project's Loki stands; see `pipeline.live.Health`."""

    @property
    def last_tick(self) -> int | None: ...
    @property
    def error(self) -> str | None: ...
    @property
    def failing_since(self) -> int | None: ...


class RunnerLike(Protocol):
    @property
    def health(self) -> HealthLike: ...


class ReadableStore(Store, Protocol):
    """A store with its reading side."""

    @property
    def queries(self) -> PostgresQueries: ...


@dataclass(frozen=True, slots=True)
class Backend:
    """One a server. `loaded_of` gives the configuration in force: it may be reloaded."""

    loaded_of: Callable[[], Loaded]
    store: ReadableStore
    clock: Clock
    api: ASGIApp  # the HTTP API, which resource calls mirror
    runners: Callable[[], Mapping[str, RunnerLike]]  # of the projects read by this process; none in exec mode
