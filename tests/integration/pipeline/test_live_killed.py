"""kill -9 at any moment, again and again: the end is that of a sidecar nobody touched."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

import pytest

from incidentlens.intake.loki import LokiClient, LokiSettings
from incidentlens.localloki import LocalLoki
from incidentlens.model.clock import SECOND
from incidentlens.scenarios.generator import Scenario, Timeline
from incidentlens.store.postgres import PostgresStore
from killed_sidecar import run
from running import NAME, T0, counts_in

PROGRAM = Path(__file__).parents[2] / "killed_sidecar.py"
END = T0 + 130 * SECOND
KILLS = 5


def played():
    """Five minutes of a healthy shop, then a cascade and its end, with `app` for `service_name`."""
    calm = Scenario("healthy", 5, rate=4)
    yield from calm.history(T0, 300)
    yield from Scenario("db_cascade", 5, rate=4, timeline=Timeline(15, 25, 90)).lines(T0)


async def push(loki):
    streams: dict[str, list[list[str]]] = {}
    number = 0
    for line in played():
        streams.setdefault(line.labels["service_name"], []).append([str(line.ts), line.text])
        number += 1
    async with LokiClient(LokiSettings(loki)) as client:
        await client.push([{"stream": {"app": app}, "values": values} for app, values in streams.items()])
    return number


async def outcome(store):
    """All that a person or a receiver may see, without what a restart may word otherwise."""
    async with store.transaction(NAME) as tx:
        incidents = []
        for one in await tx.live_incidents(0):
            problems = sorted((problem.id, problem.signature, problem.count) for problem in one.problems)
            notified = sorted(action.key for action in await tx.actions(one.id) if action.kind == "notify")
            kinds = sorted((event.kind, event.at) for event in await tx.events(one.id) if event.kind != "decided")
            outcomes = [watch.outcome for watch in await tx.verifications(one.id)]
            root = one.root_cause.service if one.root_cause else None
            life = (one.status, one.disposition, one.count, one.reopened, one.opened_at, one.onset, root)
            incidents.append((one.id, life, problems, notified, kinds, outcomes))
    return sorted(incidents), await counts_in(store)


async def until_killed(database, loki, seconds, end=END, poison=()):
    """Run the program and kill it after so long; True where it had come to its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(PROGRAM),
        *(database, loki, str(T0), str(end), *poison),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    said = await process.stdout.readline()
    try:
        await asyncio.wait_for(process.wait(), seconds)
    except TimeoutError:
        process.kill()
        await process.wait()
        return False
    finally:
        errors = await process.stderr.read()
    assert said == b"ready\n", errors.decode()
    assert process.returncode == 0, errors.decode()
    return True


@pytest.mark.slow
async def test_a_sidecar_that_is_killed_again_and_again_ends_as_one_that_was_left_alone(
    postgres_server, migrated_template, tmp_path
):
    left_alone, killed = (postgres_server.create(f"killed_{n}_{T0}", migrated_template) for n in ("a", "b"))
    rng = random.Random()
    pauses = [rng.uniform(0.05, 0.3) for _ in range(KILLS)]
    try:
        async with LocalLoki(tmp_path / "one") as loki:
            pushed = await push(loki.url)
            await run(left_alone, loki.url, T0, END)
        async with LocalLoki(tmp_path / "two") as loki:
            await push(loki.url)
            for pause in pauses:
                assert not await until_killed(killed, loki.url, pause), f"came to its end too soon: {pauses}"
            assert await until_killed(killed, loki.url, 120)
            async with LokiClient(LokiSettings(loki.url)) as client:
                events = await client.query_vector('sum(count_over_time({job="incidentlens"}[1h]))', END + 60 * SECOND)
        async with PostgresStore(left_alone) as one, PostgresStore(killed) as other:
            expected, found = await outcome(one), await outcome(other)
            assert found == expected, f"killed after {pauses}"
            assert found[0], "the cascade must be found"
            counted = sum(found[1].values())
            assert counted == sum(expected[1].values())
            assert pushed * 0.5 < counted <= pushed  # a stack trace is one record
            async with other.session() as session:
                rows = await session.rows("SELECT target, done_at FROM outbox WHERE project = %s", (NAME,))
        assert all(row["done_at"] is not None for row in rows)
        assert int(float(events[0]["value"][1])) == sum(row["target"] == "loki" for row in rows)
    finally:
        postgres_server.drop(f"killed_a_{T0}")
        postgres_server.drop(f"killed_b_{T0}")


@pytest.mark.slow
async def test_a_sidecar_killed_while_it_looks_for_what_raises_loses_and_doubles_nothing(
    postgres_server, migrated_template, tmp_path
):
    database = postgres_server.create(f"killed_c_{T0}", migrated_template)
    end = T0 + 25 * SECOND
    served = [[str(T0 + n * SECOND // 5), f"level=info msg=served id={n}"] for n in range(80)]
    bad = [[str(T0 + (5 + 6 * n) * SECOND + 7), f"POISON {n}"] for n in range(2)]
    rng = random.Random()
    pauses = [rng.uniform(0.02, 0.4) for _ in range(3)]
    try:
        async with LocalLoki(tmp_path / "loki") as loki:
            async with LokiClient(LokiSettings(loki.url)) as client:
                await client.push([{"stream": {"app": "a"}, "values": sorted(served + bad)}])
            for pause in pauses:
                await until_killed(database, loki.url, pause, end, ["POISON"])
            assert await until_killed(database, loki.url, 300, end, ["POISON"])
        async with PostgresStore(database) as store:
            kept = (await store.queries.list_quarantined(NAME)).items
            counted = sum((await counts_in(store)).values())
        assert sorted(record.line for record in kept) == [f"POISON {n}" for n in range(2)], f"killed after {pauses}"
        assert counted == 80, f"killed after {pauses}"
    finally:
        postgres_server.drop(f"killed_c_{T0}")
