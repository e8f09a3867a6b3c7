"""How soon a change of an incident is in the stream that an open dashboard follows."""

from __future__ import annotations

import asyncio
import random
import statistics
import time

from .measure import Figure
from .serving import PROJECT, Served

_AIM_S = 2.0
_TIMEOUT_S = 30.0


async def measure(served: Served, conditions: str, changes: int) -> list[Figure]:
    """Median, 95th percentile and worst over `changes`, from the commit of a change to its packet."""
    incidents = [row.id for row in (await served.store.queries.list_incidents(PROJECT, limit=min(changes, 200))).items]
    heard: dict[str, float] = {}
    news = asyncio.Event()

    async def follow() -> None:
        async for packet in served.follow():
            now = time.perf_counter()
            text = packet.data.decode()
            named = [name for name in incidents if name in text]
            # Without names it says "look at everything again", as after a lost connection: that tells of a change too.
            heard.update(dict.fromkeys(named or incidents, now))
            news.set()

    following = asyncio.create_task(follow())
    try:
        await asyncio.wait_for(news.wait(), _TIMEOUT_S)  # the stream is open
        seconds = [await _one(served, incidents[number % len(incidents)], heard, news) for number in range(changes)]
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    seconds.sort()
    median = statistics.median(seconds)
    p95 = seconds[round(0.95 * (len(seconds) - 1))]
    details = {"seconds": [round(each, 3) for each in seconds]}
    told = (
        f"{conditions}; {changes} changes, from the change's commit to the packet of RunStream, in a process beside it"
    )
    return [
        Figure("stream_median", median, "s", told, "within 2", median < _AIM_S, details),
        Figure("stream_p95", p95, "s", told, "within 2", p95 < _AIM_S),
        Figure("stream_worst", seconds[-1], "s", told, "within 2", seconds[-1] < _AIM_S),
    ]


async def _one(served: Served, name: str, heard: dict[str, float], news: asyncio.Event) -> float:
    await asyncio.sleep(random.uniform(0.05, 0.5))
    heard.pop(name, None)
    async with served.store.transaction(PROJECT) as tx:
        incident = await tx.incident(name)
        assert incident is not None
        moved = incident.model_copy(update={"count": incident.count + 1, "updated_at": incident.updated_at + 1})
        await tx.save_incident(moved)
        began = time.perf_counter()
    deadline = time.monotonic() + _TIMEOUT_S
    while name not in heard and time.monotonic() < deadline:
        news.clear()
        try:
            await asyncio.wait_for(news.wait(), 1)
        except TimeoutError:
            continue
    return heard.get(name, began + _TIMEOUT_S) - began
