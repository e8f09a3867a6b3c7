"""The server itself: its start, its stop, and the stream of changes."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
import time
from pathlib import Path

import httpx
import orjson
import pytest

from api_app import FakeSidecar, load
from builders import T0
from incidentlens.api.server import ServeError, serve, serve_in_background
from incidentlens.config.loader import Loaded
from incidentlens.model.clock import ManualClock
from incidentlens.store.postgres import PostgresStore
from incidents_in_store import put


def on(loaded: Loaded, listen: str) -> Loaded:
    server = loaded.config.server.model_copy(update={"listen": listen})
    return dataclasses.replace(loaded, config=loaded.config.model_copy(update={"server": server}))


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    return on(load(tmp_path, tokens=False), "127.0.0.1:0")


async def test_it_answers_until_the_stack_ends(loaded: Loaded, postgres_store: PostgresStore) -> None:
    async with contextlib.AsyncExitStack() as stack:
        url = await serve_in_background(stack, loaded, postgres_store, FakeSidecar(), ManualClock(T0))
        async with httpx.AsyncClient(base_url=url) as client:
            assert (await client.get("/healthz")).status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/healthz")


async def test_a_reloader_gives_each_request_the_configuration_in_force(
    loaded: Loaded, postgres_store: PostgresStore
) -> None:
    @dataclasses.dataclass
    class Reloader:
        current: Loaded

    reloader = Reloader(loaded)
    async with contextlib.AsyncExitStack() as stack:
        url = await serve_in_background(stack, reloader, postgres_store, FakeSidecar(), ManualClock(T0))
        async with httpx.AsyncClient(base_url=url) as client:
            assert (await client.get("/api/incidents?project=bank")).status_code == 200
            reloader.current = dataclasses.replace(loaded, projects={"shop": loaded.projects["shop"]})
            assert (await client.get("/api/incidents?project=bank")).status_code == 404


async def test_a_port_that_is_taken_is_said_with_what_to_do(loaded: Loaded, postgres_store: PostgresStore) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        there = on(loaded, f"127.0.0.1:{taken.getsockname()[1]}")
        async with contextlib.AsyncExitStack() as stack:
            with pytest.raises(ServeError, match=r"server\.listen to another port"):
                await serve_in_background(stack, there, postgres_store, FakeSidecar(), ManualClock(T0))


async def test_in_the_foreground_it_serves_until_told_to_stop(loaded: Loaded, postgres_store: PostgresStore) -> None:
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(loaded, postgres_store, FakeSidecar(), ManualClock(T0), stop))
    await asyncio.sleep(0.2)
    assert not serving.done()
    stop.set()
    await asyncio.wait_for(serving, 5)


async def test_changes_are_told_as_they_happen_and_only_the_projects_own(
    loaded: Loaded, postgres_store: PostgresStore
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        url = await serve_in_background(stack, loaded, postgres_store, FakeSidecar(), ManualClock(T0))
        async with httpx.AsyncClient(base_url=url, timeout=10) as client:
            async with client.stream("GET", "/api/changes") as stream:
                assert stream.headers["content-type"].startswith("text/event-stream")
                lines = stream.aiter_lines()

                async def following() -> list[str]:
                    async for line in lines:
                        if line.startswith("data: "):
                            return list(orjson.loads(line[6:])["incidents"])
                    raise AssertionError("the stream ended")

                assert await asyncio.wait_for(following(), 5) == []
                await put(postgres_store, "b1", project="bank")
                await put(postgres_store, "i1")
                assert await asyncio.wait_for(following(), 5) == ["i1"]
            async with client.stream("GET", "/api/changes?project=nothing") as refused:
                assert refused.status_code == 404


async def test_an_open_stream_does_not_hold_up_the_stop(loaded: Loaded, postgres_store: PostgresStore) -> None:
    async with httpx.AsyncClient(timeout=10) as client, contextlib.AsyncExitStack() as reading:
        serving = contextlib.AsyncExitStack()
        url = await serve_in_background(serving, loaded, postgres_store, FakeSidecar(), ManualClock(T0))
        stream = await reading.enter_async_context(client.stream("GET", f"{url}/api/changes"))
        begun = time.monotonic()
        stopping = asyncio.create_task(serving.aclose())
        async for _ in stream.aiter_lines():
            pass
        await asyncio.wait_for(stopping, 5)
        assert time.monotonic() - begun < 3
