"""Hears which incidents changed, in this process and in others, over one connection of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import orjson
import psycopg

from incidentlens.store.base import StoreError
from incidentlens.store.fanout import Fanout

from .session import translated
from .transaction import CHANNEL

CONNECT_SECONDS = 10
RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)


class Listener:
    """LISTEN, and pass on to readers. Starts with the first reader; connects again by itself."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._fanout = Fanout()
        self._task: asyncio.Task[None] | None = None
        self._listening = asyncio.Event()

    async def changes(self, project: str) -> AsyncIterator[str]:
        """See `base.Store.changes`. StoreError where no connection comes about at the start."""
        if self._task is None:
            self._task = asyncio.create_task(self._listen(), name="incidentlens-listener")
        try:
            await asyncio.wait_for(self._listening.wait(), CONNECT_SECONDS)
        except TimeoutError:
            raise StoreError("the database cannot be reached to listen for changes; see that PostgreSQL runs") from None
        reader = self._fanout.read(project)
        try:
            async for incident in reader:
                yield incident
        finally:
            await reader.aclose()  # type: ignore[attr-defined]

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
            self._listening.clear()

    async def _listen(self) -> None:
        failures = 0
        while True:
            try:
                with translated():
                    connection = await psycopg.AsyncConnection.connect(
                        self._url, autocommit=True, connect_timeout=CONNECT_SECONDS
                    )
                    async with connection:
                        await connection.execute(f"LISTEN {CHANNEL}")
                        failures = 0
                        self._listening.set()
                        self._fanout.tell_all()  # whatever changed while nobody listened
                        async for notice in connection.notifies():
                            self._hear(notice.payload)
            except StoreError:
                pass
            self._listening.clear()
            await asyncio.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
            failures += 1

    def _hear(self, payload: str) -> None:
        try:
            change = orjson.loads(payload)
            project, incident = change["project"], change["incident"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return  # somebody else's message on our channel
        if isinstance(project, str) and isinstance(incident, str):
            self._fanout.tell(project, [incident])
