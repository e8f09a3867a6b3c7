"""The reading side over PostgreSQL: all parts over one pool."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg_pool

from .panels import ReadPanels
from .panels_figures import ReadFigures
from .panels_health import ReadHealth
from .panels_lists import ReadLists
from .read_alerts import ReadAlerts
from .read_context import ReadContext
from .read_decisions import ReadDecisions
from .read_incidents import ReadIncidents
from .read_signatures import ReadSignatures
from .read_stats import ReadStats
from .session import Session, translated


class PostgresQueries(
    ReadIncidents,
    ReadSignatures,
    ReadStats,
    ReadContext,
    ReadAlerts,
    ReadPanels,
    ReadFigures,
    ReadHealth,
    ReadLists,
    ReadDecisions,
):
    """See `store.queries.Queries`."""

    def __init__(self, pool: psycopg_pool.AsyncConnectionPool[Any]) -> None:
        self._pool = pool

    @asynccontextmanager
    async def _read(self) -> AsyncIterator[Session]:
        with translated():
            async with self._pool.connection() as connection:
                yield Session(connection)
