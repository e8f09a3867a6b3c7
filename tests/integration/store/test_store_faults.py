"""Killed processes, servers that go away, databases that are not ours."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from builders import PROJECT, T0, make_event, make_incident, make_sample
from incidentlens.store.base import NotFound, StoreError, StoreRefused
from incidentlens.store.embedded import EmbeddedPostgres
from incidentlens.store.migrate import Migration, migrate, migrations
from incidentlens.store.postgres import PostgresStore, describe

WORKER = textwrap.dedent(
    """
    import asyncio, sys
    from builders import make_event, make_incident
    from incidentlens.model.signatures import SignatureCount
    from incidentlens.model.terms import Level
    from incidentlens.store.postgres import PostgresStore

    async def work(url):
        async with PostgresStore(url) as store:
            print("ready", flush=True)
            while True:
                async with store.transaction("shop") as tx:
                    tick = (await tx.cursor("q") or 0) + 1
                    await tx.set_cursor("q", tick)
                    await tx.add_seen([(f"r{tick}", tick)], 0)
                    await tx.save_incident(make_incident(count=tick))
                    await tx.add_event(make_event(at=tick))
                    await tx.enqueue("loki", str(tick), {"tick": tick}, tick)
                    count = SignatureCount(service="db", signature="s", level=Level.ERROR, bucket=0, count=1)
                    await tx.add_counts([count])

    asyncio.run(work(sys.argv[1]))
    """
)


def start_worker(url: str) -> subprocess.Popen[bytes]:
    tests = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(tests)}
    worker = subprocess.Popen([sys.executable, "-c", WORKER, url], stdout=subprocess.PIPE, env=environment)
    assert worker.stdout is not None
    assert worker.stdout.readline() == b"ready\n"
    return worker


async def test_kill_9_in_the_middle_leaves_whole_ticks_only(database_url: str) -> None:
    done = 0
    for wait in (0.02, 0.11, 0.05, 0.173):
        workers = [start_worker(database_url) for _ in range(2)]  # two sidecars on one project
        await asyncio.sleep(wait)
        for worker in workers:
            worker.send_signal(signal.SIGKILL)
            worker.communicate()
        async with PostgresStore(database_url) as store, store.transaction("shop") as tx:
            ticks = await tx.cursor("q") or 0
            assert ticks > done
            done = ticks
            assert await tx.seen(0) == {f"r{tick}" for tick in range(1, ticks + 1)}
            incident = await tx.incident("i1")
            assert incident is not None
            assert incident.count == ticks
            assert [event.at for event in await tx.events("i1")] == list(range(1, ticks + 1))
    async with PostgresStore(database_url) as store:
        items = await store.claim_outbox(done, done + 5)
        assert [item.payload["tick"] for item in items] == list(range(1, done + 1))
        detail = await store.queries.stats("shop", since=0, until=T0 * 2, bucket=10**18 - 10**18 % 86_400_000_000_000)
        assert detail.opened == 1
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count FROM counts").fetchone() == (done,)


async def test_a_server_that_goes_away_and_comes_back_is_used_again(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "pg", durable=False)
    await asyncio.to_thread(server.start)
    store = PostgresStore(server.url, wait_seconds=1)
    try:
        await store.open()
        changes = store.changes(PROJECT)
        assert await anext(changes) == ""
        async with store.transaction(PROJECT) as tx:
            await tx.save_incident(make_incident())
        while await asyncio.wait_for(anext(changes), 5) != "i1":
            pass

        # Lost in the middle of a transaction: nothing of it stays.
        with pytest.raises(StoreError, match="tried again"):
            await lose_the_server_inside_a_transaction(store, server)
        for call in (store.claim_outbox(T0, 1), store.queries.list_incidents(PROJECT)):
            with pytest.raises(StoreError):
                await call

        await asyncio.to_thread(server.start)
        async with store.transaction(PROJECT) as tx:
            assert await tx.cursor("q") is None
            assert await tx.incident("i1") == make_incident()
        assert len((await store.queries.list_incidents(PROJECT)).items) == 1
        # A listener is told that it may have missed something, and hears again.
        assert await asyncio.wait_for(anext(changes), 10) == ""
        async with store.transaction(PROJECT) as tx:
            await tx.save_incident(make_incident("i2"))
        while await asyncio.wait_for(anext(changes), 5) != "i2":
            pass
    finally:
        await store.close()
        await asyncio.to_thread(server.stop)


async def lose_the_server_inside_a_transaction(store: PostgresStore, server: EmbeddedPostgres) -> None:
    async with store.transaction(PROJECT) as tx:
        await tx.set_cursor("q", 5)
        await asyncio.to_thread(server.stop)
        await tx.set_cursor("q", 6)


async def test_a_server_that_is_not_there_gives_one_clear_error(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(StoreError, match=r"cannot reach PostgreSQL at 127.0.0.1:9/none"):
        await PostgresStore("postgresql://me:secret@127.0.0.1:9/none").open()
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("url", ["nonsense", "postgresql://me:sec%zzret@host/db", "host= port=x y"])
async def test_an_address_that_is_none_is_named_without_its_password(url: str) -> None:
    with pytest.raises(StoreError) as found:
        await PostgresStore(url).open()
    assert "sec" not in str(found.value)
    assert "address" in str(found.value)


def test_the_description_of_an_address_has_no_password() -> None:
    assert describe("postgresql://me:secret@db.example:6543/lens") == "db.example:6543/lens"


async def test_a_closed_store_says_so(database_url: str) -> None:
    store = PostgresStore(database_url)
    await store.open()
    await store.close()
    with pytest.raises(StoreError, match="closed"):
        await store.claim_outbox(T0, 1)


async def test_sidecars_that_start_together_migrate_once(empty_database_url: str) -> None:
    stores = [PostgresStore(empty_database_url) for _ in range(4)]
    await asyncio.gather(*(store.open() for store in stores))
    for store in stores:
        await store.close()
    with psycopg.connect(empty_database_url) as connection:
        found = connection.execute("SELECT version FROM schema_migrations ORDER BY version").fetchall()
    assert [version for (version,) in found] == [migration.version for migration in migrations()]


async def test_a_database_newer_than_the_code_is_refused(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO schema_migrations (version, name, checksum) VALUES (9999, 'future', 'x')")
    with pytest.raises(StoreError, match="newer than this IncidentLens"):
        await PostgresStore(database_url).open()


async def test_a_database_made_by_other_steps_is_refused(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE schema_migrations SET checksum = 'other' WHERE version = 1")
    with pytest.raises(StoreError, match="made by another build"):
        await PostgresStore(database_url).open()


async def test_a_migration_that_fails_leaves_nothing_behind(empty_database_url: str) -> None:
    steps = [Migration(1, "good", "CREATE TABLE a (x int)"), Migration(2, "bad", "CREATE TABLE b (x int); SELECT 1/0")]
    async with await psycopg.AsyncConnection.connect(empty_database_url, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.DivisionByZero):
            await migrate(connection, steps)
        cursor = await connection.execute("SELECT to_regclass('a'), to_regclass('b'), to_regclass('schema_migrations')")
        assert await cursor.fetchone() == (None, None, None)
        assert await migrate(connection, steps[:1]) == 1
        assert await migrate(connection, steps[:1]) == 0


async def test_a_database_that_cannot_hold_every_line_is_refused(postgres_server: Any) -> None:
    name = f"incidentlens_test_{os.getpid()}_ascii"
    with psycopg.connect(postgres_server.admin_url, autocommit=True) as connection:
        connection.execute(
            f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        )
    try:
        with pytest.raises(StoreError, match="ENCODING 'UTF8'"):
            await PostgresStore(postgres_server.url(name)).open()
    finally:
        postgres_server.drop(name)


async def test_a_line_of_a_megabyte_is_kept_whole(postgres_store: PostgresStore) -> None:
    sample = make_sample(line="x€" * 500_000)
    problem = make_incident().problems[0].model_copy(update={"samples": (sample,)})
    async with postgres_store.transaction(PROJECT) as tx:
        await tx.save_incident(make_incident(problems=(problem,)))
        incident = await tx.incident("i1")
    assert incident is not None
    assert incident.problems[0].samples == (sample,)


async def test_a_name_too_long_for_an_index_is_refused_and_not_taken_for_a_lost_connection(
    postgres_store: PostgresStore,
) -> None:
    name = "".join(chr(0x4E00 + n * 7 % 20_000) for n in range(5_000))
    with pytest.raises(StoreRefused, match="too long"):
        await save_with_service(postgres_store, name)
    async with postgres_store.transaction(PROJECT) as tx:
        assert await tx.live_incidents(0) == []


async def save_with_service(store: PostgresStore, name: str) -> None:
    async with store.transaction(PROJECT) as tx:
        await tx.service_first_seen({name: 1})


async def test_times_beyond_64_bits_are_refused(postgres_store: PostgresStore) -> None:
    with pytest.raises(StoreRefused):
        await save_with_event(postgres_store, 2**64)


async def save_with_event(store: PostgresStore, at: int) -> None:
    async with store.transaction(PROJECT) as tx:
        await tx.save_incident(make_incident())
        await tx.add_event(make_event(at=at))


async def test_a_waiting_sidecar_is_told_who_holds_it_up(postgres_store: PostgresStore) -> None:
    async with postgres_store.transaction(PROJECT), postgres_store.session() as other:
        await other.run("SET statement_timeout = 100")
        with pytest.raises(StoreError, match="another sidecar holds the project"):
            await other.run("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"incidentlens:{PROJECT}",))


def test_not_found_is_a_refusal_and_a_refusal_is_a_store_error() -> None:
    assert issubclass(NotFound, StoreRefused)
    assert issubclass(StoreRefused, StoreError)
