"""What Grafana has of each incident, and the short form of incidents that it is made from."""

# ruff: noqa: S608 (only this folder's own column lists are put into statements; every value is a parameter)

from __future__ import annotations

from incidentlens.store.base import IncidentLine, Region

from .incidents import upsert
from .session import Session

LINE = (
    "id, title, service, status, severity, disposition, onset, opened_at, last_seen, ended_at, count, reopened, labels"
)
REGION = ("incident_id", "place", "grafana", "annotation_id", "sent", "attempts", "next_attempt_at", "error")
SAVE_REGION = upsert("annotations", ("project", "incident_id", "place"), REGION)


class RegionsPart:
    """The methods of `base.Transaction` over these tables."""

    project: str
    session: Session

    async def incident_lines(self, since: int, limit: int) -> list[IncidentLine]:
        rows = await self.session.rows(
            f"SELECT {LINE}, coalesce(root_cause ->> 'summary', '') AS cause FROM incidents "
            'WHERE project = %s AND (ended_at IS NULL OR ended_at >= %s) ORDER BY onset DESC, id COLLATE "C" DESC '
            "LIMIT %s",
            (self.project, since, limit),
        )
        return [IncidentLine(**row) for row in rows]

    async def regions(self) -> list[Region]:
        rows = await self.session.rows(
            f"SELECT {', '.join(REGION)} FROM annotations WHERE project = %s "
            'ORDER BY incident_id COLLATE "C", place COLLATE "C"',
            (self.project,),
        )
        return [Region(**row) for row in rows]

    async def save_region(self, region: Region) -> None:
        values = region.model_dump()
        keys = ("project", "incident_id", "place")
        rest = [values[column] for column in REGION if column not in keys]
        await self.session.run(SAVE_REGION, (self.project, region.incident_id, region.place, *rest))

    async def drop_region(self, incident_id: str, place: str) -> None:
        await self.session.run(
            "DELETE FROM annotations WHERE project = %s AND incident_id = %s AND place = %s",
            (self.project, incident_id, place),
        )
