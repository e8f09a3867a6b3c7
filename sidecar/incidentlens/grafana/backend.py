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

from .queries.context import Reading


class RunnerLike(Protocol):
    @property
    def health(self) -> Reading: ...


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
