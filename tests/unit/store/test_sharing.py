"""Who reads what: the queries are divided evenly, nobody holds what another does, and what ran out is taken over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidentlens.store.memory import MemoryStore
from incidentlens.store.postgres import PostgresStore

LEASE = 20
QUERIES = ["a", "b", "c"]


@pytest.fixture(params=["memory", "postgres"])
async def store(request, postgres_server, migrated_template):
    if request.param == "memory":
        yield MemoryStore()
        return
    name = f"sharing_{id(request)}"
    async with PostgresStore(postgres_server.create(name, migrated_template)) as made:
        yield made
    postgres_server.drop(name)


async def test_one_alone_reads_everything_and_keeps_it(store):
    for at in (100, 105, 110):
        assert await store.claim_queries("shop", QUERIES, "one", at, LEASE) == QUERIES


async def test_a_second_one_gets_its_share_and_never_what_the_first_one_holds(store):
    first = await store.claim_queries("shop", QUERIES, "one", 100, LEASE)
    assert await store.claim_queries("shop", QUERIES, "two", 101, LEASE) == []
    first = await store.claim_queries("shop", QUERIES, "one", 105, LEASE)
    second = await store.claim_queries("shop", QUERIES, "two", 106, LEASE)
    assert sorted(first + second) == QUERIES
    assert len(first) == 2
    assert await store.claim_queries("shop", QUERIES, "one", 110, LEASE) == first, "and so it stays"


async def test_several_projects_are_shared_too(store):
    for at in (100, 105, 110):
        held = {
            me: [
                (project, query)
                for project in ("bank", "shop")
                for query in await store.claim_queries(project, ["logs"], me, at, LEASE)
            ]
            for me in ("one", "two")
        }
    assert sorted(held["one"] + held["two"]) == [("bank", "logs"), ("shop", "logs")]
    assert len(held["one"]) == len(held["two"]) == 1


async def test_what_one_that_is_gone_held_is_taken_over_when_its_lease_ran_out_and_not_before(store):
    assert await store.claim_queries("shop", QUERIES, "one", 100, LEASE) == QUERIES
    assert await store.claim_queries("shop", QUERIES, "two", 119, LEASE) == []
    assert await store.claim_queries("shop", QUERIES, "two", 121, LEASE) == QUERIES


async def test_one_that_stops_gives_back_what_it_held(store):
    await store.claim_queries("shop", QUERIES, "one", 100, LEASE)
    await store.release_queries("shop", "one")
    assert len(await store.claim_queries("shop", QUERIES, "two", 101, LEASE)) == 2, "its share while the other counts"
    assert await store.claim_queries("shop", QUERIES, "two", 121, LEASE) == QUERIES


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 15)), max_size=40))
async def test_in_whatever_order_they_ask_no_query_has_two_readers_at_once(steps):
    store, at, held = MemoryStore(), 0, {}
    for me, pause in steps:
        at += pause
        held[me] = (at + LEASE, await store.claim_queries("shop", QUERIES, me, at, LEASE))
        living = [query for until, queries in held.values() if until > at for query in queries]
        # Whoever gave one up learns of it only when it asks again; what it holds is what it was told last.
        assert len(living) == len(set(living))
