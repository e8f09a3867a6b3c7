"""The channel `incidents` of Grafana Live: which incidents changed, as they change.

However many panels and Grafanas follow a project, it is read from the store once, and each change is made into a frame
once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Sequence

import orjson

from incidentlens.store.base import StoreError
from incidentlens.store.queries import IncidentFilter, IncidentRow

from .auth import Refused, asker_of
from .backend import Backend, ReadableStore
from .frames import Field, FieldType, Frame, to_json
from .pb.pluginv2_pb2 import (
    PublishStreamRequest,
    PublishStreamResponse,
    RunStreamRequest,
    StreamPacket,
    SubscribeStreamRequest,
    SubscribeStreamResponse,
)

log = logging.getLogger(__name__)

PATH = "incidents"
GATHER_S = 0.25  # changes that come together are told together
MAX_FOLLOWERS = 500
MOST_INCIDENTS = 200  # of one packet; beyond, everything shown is to be looked at again
_PENDING = 20  # packets that a slow follower may be behind
_RETRY_S = (1.0, 2.0, 5.0)


def frame_of(rows: Sequence[IncidentRow]) -> Frame:
    """The changed incidents. A frame without rows says that everything shown is to be looked at again."""
    text, count = FieldType.STRING, FieldType.INT
    return Frame(
        "incidents",
        (
            Field("time", FieldType.TIME, [row.updated_at for row in rows]),
            Field("id", text, [row.id for row in rows], nullable=False),
            Field("title", text, [row.title for row in rows], nullable=False),
            Field("service", text, [row.service for row in rows], nullable=False),
            Field("status", text, [row.status for row in rows], nullable=False),
            Field("severity", text, [row.severity for row in rows], nullable=False),
            Field("disposition", text, [row.disposition for row in rows], nullable=False),
            Field("outcome", text, [row.outcome for row in rows]),
            Field("count", count, [row.count for row in rows], nullable=False),
        ),
    )


def _packet(frame: Frame) -> bytes:
    return orjson.dumps(to_json(frame))


LOOK_AGAIN = _packet(frame_of(()))


class Hub:
    """One reader of the store a project that is followed; it stops with the last follower."""

    def __init__(self, store: ReadableStore) -> None:
        self._store = store
        self._readers: dict[str, asyncio.Task[None]] = {}
        self._followers: dict[str, set[asyncio.Queue[bytes | None]]] = {}
        self._stopping = False

    @property
    def followers(self) -> int:
        return sum(len(queues) for queues in self._followers.values())

    async def follow(self, project: str) -> AsyncGenerator[bytes, None]:
        """Packets of the project, LOOK_AGAIN first. Ends when the hub stops."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._followers.setdefault(project, set()).add(queue)
        if project in self._readers:
            queue.put_nowait(LOOK_AGAIN)
        else:  # the store itself begins with one
            self._readers[project] = asyncio.create_task(self._read(project), name=f"grafana-stream-{project}")
        try:
            while not self._stopping and (packet := await queue.get()) is not None:
                yield packet
        finally:
            await self._leave(project, queue)

    async def stop(self) -> None:
        """Every stream ends."""
        self._stopping = True
        for queues in self._followers.values():
            for queue in queues:
                queue.put_nowait(None)

    async def _leave(self, project: str, queue: asyncio.Queue[bytes | None]) -> None:
        queues = self._followers[project]
        queues.discard(queue)
        if queues:
            return
        del self._followers[project]
        reader = self._readers.pop(project)
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)

    async def _read(self, project: str) -> None:
        """Never ends by itself: Grafana takes an ended stream for a finished one and would not ask again."""
        failures = 0
        while True:
            try:
                async with contextlib.aclosing(self._batches(project)) as batches:
                    async for ids in batches:
                        self._tell(project, await self._frame(project, ids))
                        failures = 0
            except StoreError as error:
                log.warning("%s: the stream of changes waits for the store: %s", project, error)
            except Exception:
                log.exception("%s: the stream of changes failed; it is begun again", project)
            await asyncio.sleep(_RETRY_S[min(failures, len(_RETRY_S) - 1)])
            failures += 1

    async def _batches(self, project: str) -> AsyncGenerator[list[str], None]:
        """Ids that changed within GATHER_S of each other; an empty list for "look again"."""
        changes = self._store.changes(project)
        heard: asyncio.Queue[str] = asyncio.Queue(1_000)

        async def listen() -> None:
            async with contextlib.aclosing(changes) as opened:  # type: ignore[type-var]
                async for incident in opened:
                    await heard.put(incident)

        listening = asyncio.create_task(listen())
        getting: asyncio.Task[str] | None = None
        try:
            while True:
                getting = asyncio.create_task(heard.get())
                await asyncio.wait((getting, listening), return_when=asyncio.FIRST_COMPLETED)
                if not getting.done():
                    await listening  # raises what ended it
                    return
                ids = [getting.result()]
                await asyncio.sleep(GATHER_S)
                while not heard.empty():
                    ids.append(heard.get_nowait())
                distinct = list(dict.fromkeys(ids))
                yield [] if "" in distinct or len(distinct) > MOST_INCIDENTS else distinct
        finally:
            begun = [task for task in (listening, getting) if task is not None]
            for task in begun:
                task.cancel()
            await asyncio.gather(*begun, return_exceptions=True)

    async def _frame(self, project: str, ids: list[str]) -> bytes:
        if not ids:
            return LOOK_AGAIN
        found = await self._store.queries.list_incidents(project, IncidentFilter(ids=tuple(ids)), limit=MOST_INCIDENTS)
        return _packet(frame_of(found.items))

    def _tell(self, project: str, packet: bytes) -> None:
        for queue in self._followers.get(project, ()):
            late = queue.qsize() >= _PENDING  # too slow to be told each change
            while late and not queue.empty():
                queue.get_nowait()
            queue.put_nowait(LOOK_AGAIN if late else packet)


def subscribe(backend: Backend, request: SubscribeStreamRequest) -> SubscribeStreamResponse:
    """Whether this data source may follow that channel."""
    try:
        asker_of(backend.loaded_of(), request.pluginContext)
    except Refused:
        return SubscribeStreamResponse(status=SubscribeStreamResponse.PERMISSION_DENIED)
    if request.path != PATH:
        return SubscribeStreamResponse(status=SubscribeStreamResponse.NOT_FOUND)
    return SubscribeStreamResponse(status=SubscribeStreamResponse.OK, data=LOOK_AGAIN)


async def run(backend: Backend, hub: Hub, request: RunStreamRequest) -> AsyncGenerator[StreamPacket, None]:
    """Packets until Grafana hangs up, or the token is taken away. Raises Refused."""
    asker = asker_of(backend.loaded_of(), request.pluginContext)
    if request.path != PATH:
        raise Refused(404, f"there is no stream {request.path!r:.100}; there is {PATH!r}")
    if hub.followers >= MAX_FOLLOWERS:
        raise Refused(429, f"{MAX_FOLLOWERS} streams are open already; let the dashboard refresh instead")
    async with contextlib.aclosing(hub.follow(asker.project.name)) as packets:
        async for packet in packets:
            asker_of(backend.loaded_of(), request.pluginContext)  # the configuration may have changed
            yield StreamPacket(data=packet)


def publish(_request: PublishStreamRequest) -> PublishStreamResponse:
    """Nobody publishes but the store."""
    return PublishStreamResponse(status=PublishStreamResponse.PERMISSION_DENIED)
