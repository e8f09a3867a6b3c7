"""Server-Sent Events: which incidents changed, as they change."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import orjson
from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from incidentlens.api.auth import Reader, Serving
from incidentlens.api.errors import ApiError
from incidentlens.api.seams import Services
from incidentlens.store.base import StoreError

router = APIRouter(prefix="/api/changes", tags=["changes"])

MAX_STREAMS = 500
HEARTBEAT_S = 15.0
GATHER_S = 0.25  # changes that come together are told together
_MOST_IDS = 200


@router.get("", response_class=StreamingResponse, summary="Follow changes", responses={200: {
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
    "description": 'Events `change` with `{"incidents": [ids]}`; an empty list: look again at everything shown.',
}})  # fmt: skip
async def changes(services: Serving, principal: Reader) -> StreamingResponse:
    """Never ends. The first event has an empty list and comes once the stream listens."""
    if services.streams >= MAX_STREAMS:
        raise ApiError(503, f"{MAX_STREAMS} pages are being followed already; ask again from time to time instead")
    stream = _events(services, principal.project.name)
    return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _events(services: Services, project: str) -> AsyncIterator[bytes]:
    services.streams += 1
    heard: asyncio.Queue[str | None] = asyncio.Queue(2_000)
    listening = asyncio.create_task(_listen(services, project, heard))
    stopping = asyncio.create_task(services.stopping.wait())
    try:
        yield b"retry: 2000\n\n"
        while not services.stopping.is_set():
            following = asyncio.create_task(heard.get())
            done, _ = await asyncio.wait(
                {following, stopping}, timeout=HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED
            )
            if following not in done:
                following.cancel()
                if not done:
                    yield b": still here\n\n"
                continue
            first = following.result()
            await asyncio.sleep(GATHER_S)
            ids = [first]
            while not heard.empty():
                ids.append(heard.get_nowait())
            if None in ids:
                return  # the store is away: the browser connects again
            yield _event([incident for incident in ids if incident is not None])
    finally:
        services.streams -= 1
        for task in (listening, stopping):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(listening, stopping, return_exceptions=True)


def _event(ids: list[str]) -> bytes:
    """An empty id, or too many of them, says: look at everything."""
    distinct = list(dict.fromkeys(ids))
    known = [] if "" in distinct or len(distinct) > _MOST_IDS else distinct
    return b"event: change\ndata: " + orjson.dumps({"incidents": known}) + b"\n\n"


async def _listen(services: Services, project: str, heard: asyncio.Queue[str | None]) -> None:
    changed = services.store.changes(project)
    try:
        async for incident in changed:
            await heard.put(incident)
    except StoreError:
        pass
    finally:
        with contextlib.suppress(Exception):
            await changed.aclose()  # type: ignore[attr-defined]
    await heard.put(None)
