"""The real store: PostgreSQL by psycopg 3 with a pool."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import psycopg
import psycopg_pool
from psycopg.conninfo import conninfo_to_dict

from incidentlens.model.clock import MINUTE

from .base import OutboxItem, Pruned, StoreError
from .migrate import migrate
from .pg import sharing
from .pg.listen import Listener
from .pg.outbox import claim, done, failed
from .pg.prune import prune
from .pg.queries import PostgresQueries
from .pg.session import Session, configure, translated
from .pg.transaction import PgTransaction

LEASE = MINUTE
KEEPALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}


class PostgresStore:
    """`PostgresStore("postgresql://…")`, then `open()`. One a process and event loop; it keeps its own connections.

    `pool_size` connections at most, `wait_seconds` for one of them. When the server goes away every call raises
    StoreError, and the first call after it is back succeeds: broken connections are found out before they are used.
    PgBouncer works only in session mode (prepared statements, LISTEN).
    """

    def __init__(self, url: str, *, pool_size: int = 8, wait_seconds: float = 10) -> None:
        self._url = url
        self._wait = wait_seconds
        self._pool = psycopg_pool.AsyncConnectionPool(
            url,
            min_size=1,
            max_size=pool_size,
            open=False,
            timeout=wait_seconds,
            # A failed attempt to connect is given up soon: the next call begins a fresh one, without the long pauses
            # that come at the end of a row of attempts.
            reconnect_timeout=2,
            max_idle=300,
            check=psycopg_pool.AsyncConnectionPool.check_connection,
            configure=configure,
            kwargs={"autocommit": True, "application_name": "incidentlens", "connect_timeout": 5, **KEEPALIVE},
            name="incidentlens",
        )
        self._listener = Listener(url)
        self.queries = PostgresQueries(self._pool)

    async def open(self) -> None:
        """Connect, and bring the schema up to date under a lock."""
        where = describe(self._url)
        try:
            connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True, connect_timeout=10)
        except psycopg.Error as error:
            said = " ".join(str(error).split())
            raise StoreError(
                f"cannot reach PostgreSQL at {where}: {said}; start it, or correct the store's address"
            ) from error
        with translated():
            async with connection:
                await migrate(connection)
            await self._pool.open(wait=True, timeout=self._wait)

    async def close(self) -> None:
        """Give back every connection; waits for none that is in use longer than a moment."""
        await self._listener.close()
        await self._pool.close(timeout=5)

    async def __aenter__(self) -> PostgresStore:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """A connection outside any transaction, each statement by itself."""
        with translated():
            async with self._pool.connection() as connection:
                yield Session(connection)

    @asynccontextmanager
    async def transaction(self, project: str) -> AsyncIterator[PgTransaction]:
        """See `base.Store.transaction`. An error at the commit itself leaves open whether it took place: as the cursors
        moved with it, doing the tick again is right either way."""
        with translated():
            async with self._pool.connection() as connection, connection.transaction():
                transaction = PgTransaction(Session(connection), project)
                await transaction.lock()
                yield transaction
                await transaction.announce()

    async def claim_outbox(self, at: int, limit: int) -> list[OutboxItem]:
        async with self.session() as session:
            return await claim(session, at, limit, LEASE)

    async def outbox_done(self, item_id: int, at: int) -> None:
        async with self.session() as session:
            await done(session, item_id, at)

    async def outbox_failed(self, item_id: int, at: int, error: str, retry_at: int | None) -> None:
        async with self.session() as session:
            await failed(session, item_id, at, error, retry_at)

    async def claim_queries(self, project: str, queries: Sequence[str], me: str, at: int, lease: int) -> list[str]:
        with translated():
            async with self._pool.connection() as connection, connection.transaction():
                return await sharing.claim(Session(connection), project, queries, me, at, lease)

    async def release_queries(self, project: str, me: str) -> None:
        async with self.session() as session:
            await sharing.release(session, project, me)

    async def prune(self, project: str, before: int, *, hourly_before: int | None = None) -> Pruned:
        return await prune(self.transaction, project, before, hourly_before)

    def changes(self, project: str) -> AsyncIterator[str]:
        return self._listener.changes(project)


def describe(url: str) -> str:
    """Host, port and database of a connection string, without its password. StoreError where it is none."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise StoreError(
            "the store's address is not one; it looks like postgresql://user:password@host:5432/database"
        ) from None
    host = parts.get("host") or "localhost"
    return f"{host}:{parts.get('port') or 5432}/{parts.get('dbname') or parts.get('user') or ''}"
