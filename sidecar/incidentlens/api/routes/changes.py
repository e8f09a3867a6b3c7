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
from incidentlens.api.seams import Heard, Services
from incidentlens.store.base import StoreError

router = APIRouter(prefix="/api/changes", tags=["changes"])

MAX_STREAMS = 500
HEARTBEAT_S = 15.0
GATHER_S = 0.25  # changes that come together are told together
_MOST_IDS = 200
_PENDING = 2_000


@router.get("", response_class=StreamingResponse, summary="Follow changes", responses={200: {
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
    "description": 'Events `change` with `{"incidents": [ids]}`; an empty list: look again at everything shown.',
}})  # fmt: skip
async def changes(services: Serving, principal: Reader) -> StreamingResponse:
    """Never ends. The first event has an empty list and comes once the stream listens."""
    if len(services.followers) >= MAX_STREAMS:
        raise ApiError(503, f"{MAX_STREAMS} pages are being followed already; ask again from time to time instead")
    stream = _events(services, principal.project.name)
    return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _events(services: Services, project: str) -> AsyncIterator[bytes]:
    heard: Heard = asyncio.Queue()
    services.followers.add(heard)
    listening = asyncio.create_task(_listen(services, project, heard))
    try:
        yield b"retry: 2000\n\n"
        while not services.stopping:
            try:
                ids = [await asyncio.wait_for(heard.get(), HEARTBEAT_S)]
            except TimeoutError:
                yield b": still here\n\n"
                continue
            if ids != [None]:
                await asyncio.sleep(GATHER_S)
            while not heard.empty():
                ids.append(heard.get_nowait())
            if None in ids:
                return  # the store is away, or the server stops: the browser connects again
            yield _event([incident for incident in ids if incident is not None])
    finally:
        services.followers.discard(heard)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


def _event(ids: list[str]) -> bytes:
    """An empty id, or too many of them, says: look at everything."""
    distinct = list(dict.fromkeys(ids))
    known = [] if "" in distinct or len(distinct) > _MOST_IDS else distinct
    return b"event: change\ndata: " + orjson.dumps({"incidents": known}) + b"\n\n"


async def _listen(services: Services, project: str, heard: Heard) -> None:
    changed = services.store.changes(project)
    try:
        async for incident in changed:
            if heard.qsize() < _PENDING:  # beyond that the reader looks at everything anyway
                heard.put_nowait(incident)
    except StoreError:
        pass
    finally:
        with contextlib.suppress(Exception):
            await changed.aclose()  # type: ignore[attr-defined]
    heard.put_nowait(None)
