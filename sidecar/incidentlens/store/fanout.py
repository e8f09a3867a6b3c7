"""Tells whoever waits that incidents changed: live pages, streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

PENDING = 1_000  # changes a slow reader may be behind before it is told to look again at everything
LOOK_AGAIN = ""


class Fanout:
    """Readers a project, each with its own bounded queue. Lives in one event loop."""

    def __init__(self) -> None:
        self._readers: dict[str, set[asyncio.Queue[str]]] = {}

    @property
    def empty(self) -> bool:
        return not self._readers

    def tell(self, project: str, incidents: Iterable[str]) -> None:
        """Pass changed incidents on to the project's readers; never waits."""
        readers = self._readers.get(project)
        if not readers:
            return
        for incident in incidents:
            for queue in readers:
                _put(queue, incident)

    def tell_all(self) -> None:
        """Every reader is to look again at everything."""
        for readers in self._readers.values():
            for queue in readers:
                _put(queue, LOOK_AGAIN)

    async def read(self, project: str) -> AsyncIterator[str]:
        """Changes of the project, an empty id first."""
        queue: asyncio.Queue[str] = asyncio.Queue(PENDING)
        queue.put_nowait(LOOK_AGAIN)
        self._readers.setdefault(project, set()).add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            readers = self._readers[project]
            readers.discard(queue)
            if not readers:
                del self._readers[project]


def _put(queue: asyncio.Queue[str], incident: str) -> None:
    try:
        queue.put_nowait(incident)
    except asyncio.QueueFull:
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(LOOK_AGAIN)
