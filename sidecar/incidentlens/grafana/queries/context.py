"""What a query type needs of its surroundings."""

from __future__ import annotations

from dataclasses import dataclass

from incidentlens.store.pg.queries import PostgresQueries

INCIDENT_DASHBOARD = "incidentlens-incident"


@dataclass(frozen=True, slots=True)
class QueryContext:
    """For whom it is answered. `project` is what the asker's token stands for; nothing else is ever read."""

    project: str
    queries: PostgresQueries
    now: int  # ns
    public_url: str = ""  # where people reach IncidentLens's pages; no links to them where empty
    loki_uid: str = ""  # of the Loki data source in this Grafana; no links into Explore where empty
    incident_dashboard: str = INCIDENT_DASHBOARD  # uid of the dashboard of one incident, with a variable `incident`
