"""Running statements: parameters cleaned, JSON by orjson, errors as StoreError."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

import orjson
import psycopg
import psycopg_pool
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb, set_json_dumps, set_json_loads

from incidentlens.store.base import StoreError, StoreRefused
from incidentlens.store.text import clean, clean_json

T = TypeVar("T")

Connection = psycopg.AsyncConnection[Any]

STATEMENT_TIMEOUT_MS = 60_000
IDLE_IN_TRANSACTION_MS = 300_000  # a sidecar that hangs does not hold its project's lock for ever
BATCH = 20_000  # rows a statement


async def configure(connection: Connection) -> None:
    """Settings of every connection of the pool."""
    set_json_dumps(orjson.dumps, connection)
    set_json_loads(orjson.loads, connection)
    await connection.execute(
        f"SET statement_timeout = {STATEMENT_TIMEOUT_MS}; "
        f"SET idle_in_transaction_session_timeout = {IDLE_IN_TRANSACTION_MS}; SET timezone = 'UTC'; "
        # What a panel asks takes some ms: starting workers for it takes longer than they save.
        "SET max_parallel_workers_per_gather = 0; "
        # Sums over a quarter's incidents are made by hashing, not by sorting on disk; and what is read is in memory.
        "SET work_mem = '32MB'; SET random_page_cost = 1.1"
    )


def as_json(value: Any) -> Jsonb:
    """A jsonb parameter: what PostgreSQL's JSON cannot hold is replaced (see `store.text`)."""
    return Jsonb(clean_json(value))


def batches(items: Iterable[T], size: int = BATCH) -> Iterator[list[T]]:
    """The items in lists of at most `size`."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


@contextmanager
def translated() -> Iterator[None]:
    """psycopg's errors as the store's: StoreRefused for what the data is to blame for, StoreError for the rest."""
    try:
        yield
    except (psycopg.IntegrityError, psycopg.DataError) as error:
        name = error.diag.constraint_name
        said = error.diag.message_primary or str(error).strip()
        raise StoreRefused(f"refused: {said}" + (f" ({name})" if name else "")) from error
    except psycopg_pool.PoolTimeout as error:
        raise StoreError(
            "the database gives no connection in time; is PostgreSQL running and reachable, and below its "
            "max_connections? It is tried again"
        ) from error
    except psycopg_pool.PoolClosed as error:
        raise StoreError("the store is closed; open it first") from error
    except psycopg.errors.QueryCanceled as error:
        raise StoreError(
            f"the database took longer than {STATEMENT_TIMEOUT_MS // 1000} s, or another sidecar holds the project; "
            "it is tried again"
        ) from error
    except psycopg.errors.ProgramLimitExceeded as error:
        raise StoreRefused(
            f"refused: a name (service, signature, id, query) is too long: {error.diag.message_primary}"
        ) from error
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise StoreError(
            f"the connection to the database was lost ({said}); it is tried again, see that PostgreSQL runs"
        ) from error
    except psycopg.Error as error:
        said = error.diag.message_primary or str(error).strip()
        raise StoreError(f"the database refuses: {said}; see PostgreSQL's log") from error


class Session:
    """One connection's statements. Every text parameter is cleaned; every error is a StoreError."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def rows(self, query: str, params: Sequence[Any] = (), *, plan: bool | None = None) -> list[DictRow]:
        """All rows as dicts. `plan=False` never caches the plan: for statements whose best plan hangs on values."""
        with translated():
            cursor = self.connection.cursor(row_factory=dict_row)
            await cursor.execute(query, clean(tuple(params)), prepare=plan)
            return await cursor.fetchall()

    async def named_rows(self, query: str, params: Mapping[str, Any]) -> list[DictRow]:
        """As `rows` with parameters by name; its plan is never cached."""
        with translated():
            cursor = self.connection.cursor(row_factory=dict_row)
            await cursor.execute(query, {name: clean(value) for name, value in params.items()}, prepare=False)
            return await cursor.fetchall()

    async def row(self, query: str, params: Sequence[Any] = (), *, plan: bool | None = None) -> DictRow | None:
        """The first row, None where there is none."""
        found = await self.rows(query, params, plan=plan)
        return found[0] if found else None

    async def run(self, query: str, params: Sequence[Any] = ()) -> int:
        """Execute; how many rows it touched."""
        with translated():
            cursor = await self.connection.execute(query, clean(tuple(params)))
            return int(cursor.rowcount)

    async def many(self, query: str, params: Iterable[Sequence[Any]]) -> None:
        """Execute once a set of parameters, in one exchange with the server."""
        cleaned = [clean(tuple(row)) for row in params]
        if not cleaned:
            return
        with translated():
            async with self.connection.cursor() as cursor:
                await cursor.executemany(query, cleaned)
