"""What a query type needs of its surroundings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from incidentlens.pipeline.choosing import Choice
from incidentlens.store.pg.queries import PostgresQueries

INCIDENT_DASHBOARD = "incidentlens-incident"


class Run(Protocol):
    """One look at a project's Loki; see `pipeline.report.Run`."""

    @property
    def at(self) -> int: ...
    @property
    def seconds(self) -> float: ...
    @property
    def lag(self) -> int | None: ...
    @property
    def failed(self) -> bool: ...


class Reading(Protocol):
    """How the reading of a project's Loki stands; see `pipeline.live.Health`."""

    @property
    def last_tick(self) -> int | None: ...
    @property
    def error(self) -> str | None: ...
    @property
    def failing_since(self) -> int | None: ...
    @property
    def runs(self) -> Sequence[Run]: ...
    @property
    def quarantined(self) -> int: ...
    @property
    def reading(self) -> Mapping[str, Choice]: ...


@dataclass(frozen=True, slots=True)
class QueryContext:
    """For whom it is answered. `project` is what the asker's token stands for; nothing else is ever read."""

    project: str
    queries: PostgresQueries
    now: int  # ns
    public_url: str = ""  # where people reach IncidentLens's pages; no links to them where empty
    loki_uid: str = ""  # of the Loki data source in this Grafana; no links into Explore where empty
    incident_dashboard: str = INCIDENT_DASHBOARD  # uid of the dashboard of one incident, with a variable `incident`
    source_uid: str = ""  # of the data source that asks: links to dashboards of its own choose it there
    reading: Reading | None = None  # by this process; None where another one reads this project's Loki
    loki_queries: tuple[str, ...] = ()  # the project's, by name; others have been taken out of its configuration
