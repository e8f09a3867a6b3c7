"""What is particular to the store in memory, and to telling changes."""

from __future__ import annotations

import asyncio

from builders import PROJECT, T0, make_incident
from incidentlens.model.clock import MINUTE
from incidentlens.model.signatures import SignatureCount
from incidentlens.model.terms import Level
from incidentlens.store.fanout import PENDING, Fanout
from incidentlens.store.memory import MemoryStore


async def test_counts_are_not_kept_where_memory_must_stay_constant() -> None:
    store = MemoryStore(keep_counts=False)
    async with store.transaction(PROJECT) as tx:
        await tx.add_counts([SignatureCount(service="db", signature="s", level=Level.ERROR, bucket=T0, count=1)])
    assert (await store.prune(PROJECT, T0 + MINUTE)).counts == 0


async def test_a_cancelled_transaction_is_taken_back() -> None:
    store = MemoryStore()
    inside = asyncio.Event()

    async def hang() -> None:
        async with store.transaction(PROJECT) as tx:
            await tx.save_incident(make_incident())
            inside.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(hang())
    await inside.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with store.transaction(PROJECT) as tx:
        assert await tx.incident("i1") is None


async def test_a_slow_reader_is_told_to_look_again_and_holds_no_memory() -> None:
    fanout = Fanout()
    reader = fanout.read(PROJECT)
    assert await anext(reader) == ""
    fanout.tell(PROJECT, (str(number) for number in range(PENDING + 1)))
    assert await anext(reader) == ""
    fanout.tell(PROJECT, ["next"])
    assert await anext(reader) == "next"
    await reader.aclose()  # type: ignore[attr-defined]
    assert fanout.empty
    fanout.tell(PROJECT, ["nobody hears"])
