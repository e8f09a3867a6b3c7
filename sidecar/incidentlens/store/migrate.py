"""Brings a database's schema up to date: numbered SQL files, each applied once, all under one lock."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import psycopg

from .base import StoreError

MINIMUM_SERVER = 140_000
# Any number that nothing else uses: the lock is one of the whole database.
LOCK = 0x1C1D_E275_5704_E001


@dataclass(frozen=True)
class Migration:
    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def migrations() -> list[Migration]:
    """All that this version of the code has, in order."""
    found = []
    for entry in files("incidentlens.store").joinpath("migrations").iterdir():
        number, _, rest = entry.name.partition("_")
        if entry.name.endswith(".sql") and number.isdigit():
            found.append(Migration(int(number), rest.removesuffix(".sql"), entry.read_text(encoding="utf-8")))
    return sorted(found, key=lambda migration: migration.version)


async def migrate(connection: psycopg.AsyncConnection[Any], known: list[Migration] | None = None) -> int:
    """Apply what is missing, in one transaction under a lock; how many were applied.

    Several sidecars may start at once: one applies, the others wait and find it done. Raises StoreError where the
    database is newer than the code, was made by other migrations than these, or is not one IncidentLens can use.
    """
    known = migrations() if known is None else known
    await _check_server(connection)
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        await connection.execute("SET LOCAL statement_timeout = 0")
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations (version integer PRIMARY KEY, name text NOT NULL, "
            "checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        cursor = await connection.execute("SELECT version, name, checksum FROM schema_migrations ORDER BY version")
        applied = {version: (name, checksum) for version, name, checksum in await cursor.fetchall()}
        _check_applied(applied, known)
        missing = [migration for migration in known if migration.version not in applied]
        for migration in missing:
            await connection.execute(migration.text.encode())
            await connection.execute(
                "INSERT INTO schema_migrations (version, name, checksum) VALUES (%s, %s, %s)",
                (migration.version, migration.name, migration.checksum),
            )
        return len(missing)


def _check_applied(applied: dict[int, tuple[str, str]], known: list[Migration]) -> None:
    by_version = {migration.version: migration for migration in known}
    newest = max(by_version, default=0)
    for version, (name, checksum) in applied.items():
        if version > newest:
            raise StoreError(
                f"the database is at schema {version} ({name}), newer than this IncidentLens, which knows up to "
                f"{newest}; install the newer version, or restore the backup made before it"
            )
        migration = by_version.get(version)
        if migration is None or migration.checksum != checksum:
            raise StoreError(
                f"schema step {version} ({name}) of the database is not the one this IncidentLens has; it was made by "
                "another build. Use that build, or a new database"
            )


async def _check_server(connection: psycopg.AsyncConnection[Any]) -> None:
    if connection.info.server_version < MINIMUM_SERVER:
        raise StoreError(
            f"PostgreSQL {connection.info.server_version // 10_000} is too old; IncidentLens needs 14 or newer"
        )
    cursor = await connection.execute("SELECT getdatabaseencoding()")
    row = await cursor.fetchone()
    if row is not None and row[0] != "UTF8":
        raise StoreError(
            f"the database's encoding is {row[0]}, which cannot hold every log line; "
            "create one with ENCODING 'UTF8' TEMPLATE template0"
        )
