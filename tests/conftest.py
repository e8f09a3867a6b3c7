"""Fixtures that every folder of tests may use: a real PostgreSQL, with a fresh database for each test.

One embedded server a test session, or the one that INCIDENTLENS_TEST_DATABASE names (a URL whose user may create
databases). The schema is made once, in a template; a test's database is a copy of it, which takes some 20 ms.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings
from psycopg import sql
from psycopg.conninfo import make_conninfo

from incidentlens.store.embedded import EmbeddedPostgres
from incidentlens.store.memory import MemoryStore
from incidentlens.store.migrate import migrate
from incidentlens.store.postgres import PostgresStore

# How long an example takes depends on what else the machine does; what is fast enough, `incidentlens bench` says.
# A test run tries the same examples each time, so that it passes or fails by what was changed;
# INCIDENTLENS_EXPLORE=1 tries new ones, and keeps what fails.
settings.register_profile(
    "incidentlens",
    settings.get_profile(settings.get_current_profile_name()),
    deadline=None,
    derandomize="INCIDENTLENS_EXPLORE" not in os.environ,
)
settings.load_profile("incidentlens")


# A shell switches Ctrl-C off for what it runs in the background, and children inherit that: tests that press it in what
# they start could not.
signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server on which databases can be made."""

    admin_url: str

    def url(self, database: str) -> str:
        return make_conninfo(self.admin_url, dbname=database)

    def create(self, database: str, template: str | None = None) -> str:
        """Make a database, a copy of `template` where one is named; its URL."""
        copy = sql.SQL(" TEMPLATE {}").format(sql.Identifier(template)) if template else sql.SQL("")
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}{}").format(sql.Identifier(database), copy))
        return self.url(database)

    def drop(self, database: str) -> None:
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))


def _name() -> str:
    return f"incidentlens_test_{os.getpid()}_{secrets.token_hex(6)}"


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server of this test session."""
    if named := os.environ.get("INCIDENTLENS_TEST_DATABASE"):
        yield Server(named)
        return
    folder: Path = tmp_path_factory.mktemp("postgres")
    with EmbeddedPostgres(folder, durable=False) as server:
        yield Server(server.url_for("postgres"))


@pytest.fixture(scope="session")
def migrated_template(postgres_server: Server) -> Iterator[str]:
    """Name of a database with the newest schema and no rows, to be copied."""

    async def prepare(url: str) -> None:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await migrate(connection)

    name = _name()
    asyncio.run(prepare(postgres_server.create(name)))
    yield name
    postgres_server.drop(name)


@pytest.fixture
def database_url(postgres_server: Server, migrated_template: str) -> Iterator[str]:
    """A fresh database of this test's own, schema in place."""
    name = _name()
    yield postgres_server.create(name, migrated_template)
    postgres_server.drop(name)


@pytest.fixture
def empty_database_url(postgres_server: Server) -> Iterator[str]:
    """A fresh database without any schema."""
    name = _name()
    yield postgres_server.create(name)
    postgres_server.drop(name)


@pytest.fixture
async def postgres_store(database_url: str) -> AsyncIterator[PostgresStore]:
    """An open PostgresStore over a fresh database."""
    async with PostgresStore(database_url, pool_size=4) as store:
        yield store


@pytest.fixture(params=["memory", "postgres"])
def store_url(request: pytest.FixtureRequest) -> str | None:
    """A database for `store`, None for the one in memory."""
    return None if request.param == "memory" else str(request.getfixturevalue("database_url"))


@pytest.fixture
async def store(store_url: str | None) -> AsyncIterator[MemoryStore | PostgresStore]:
    """Either store in turn: for what the contract promises of both."""
    if store_url is None:
        yield MemoryStore()
        return
    async with PostgresStore(store_url, pool_size=4) as opened:
        yield opened
