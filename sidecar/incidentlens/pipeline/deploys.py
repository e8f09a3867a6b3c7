"""Deploys that are announced in the logs: each line of a project's `deploys` queries is one.

No cursor is kept: a deploy's id is made of its line, so reading it again changes nothing. After a start the last hour
is read again.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from incidentlens.config.loader import DeployQuery, Project
from incidentlens.intake.errors import LokiError
from incidentlens.intake.loki import LokiClient
from incidentlens.intake.paging import Window
from incidentlens.model.clock import HOUR
from incidentlens.model.decisions import Deploy
from incidentlens.model.records import record_id

_BACK = HOUR
_MOST = 200  # deploys of one query that one read takes in
_TEXT = 1_000  # characters of the line that are kept


class Announced:
    """Reads them, from where the last read that Loki answered ended."""

    def __init__(self) -> None:
        self._read_to: dict[DeployQuery, int] = {}

    async def read(self, project: Project, client: LokiClient, now: int, problems: list[LokiError]) -> list[Deploy]:
        """What was announced since the last call. A query that Loki refuses is read again later, see `problems`."""
        found: list[Deploy] = []
        config = project.config
        until = now - config.delay
        for query in project.deploys:
            since = self._read_to.get(query, until - _BACK)
            if since >= until:
                continue
            window = Window(client, query.logql, config.service_label, project.page_limit)
            told: list[Deploy] = []
            try:
                async for frame in window.read(since, until):
                    told.extend(deploys_of(frame, project.name, query))
                    if len(told) >= _MOST:
                        break
            except LokiError as error:
                problems.append(error)
                continue
            found.extend(told[:_MOST])
            self._read_to[query] = told[_MOST - 1].at if len(told) >= _MOST else until - config.overlap
        return found


def deploys_of(lines: pl.DataFrame, project: str, query: DeployQuery) -> Iterator[Deploy]:
    """A deploy a record (LINES)."""
    for ts, service, stream, line in lines.select("ts", "service", "stream", "line").iter_rows():
        deploy = Deploy(
            id=record_id(stream, ts, line),
            project=project,
            service=(query.service or service)[:300],
            at=ts,
            text=line[:_TEXT],
        )
        yield deploy.model_copy(update={"planned_until": ts + query.planned}) if query.planned else deploy
