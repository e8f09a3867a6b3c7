"""What the demo starts, and how it is all stopped again: one process tree, nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from incidentlens.store.embedded import EmbeddedPostgres

from . import loki as loki_program
from .ports import free_port

WEB_PORT = 8095
GRAFANA_PORT = 50051


@dataclass(frozen=True, slots=True)
class Stack:
    """Where everything is."""

    folder: Path
    loki_url: str
    database_url: str
    web_port: int
    grafana_port: int = GRAFANA_PORT  # where Grafana's data source is answered


@asynccontextmanager
async def stack(
    loki: str | None, database: str | None, keep: bool, program: Path | None = None
) -> AsyncIterator[Stack]:
    """Start what is not given, and stop it again whatever happens. `program`: a Loki instead of the local one."""
    folder = _folder(keep)
    async with contextlib.AsyncExitStack() as started:
        if not keep:
            started.callback(shutil.rmtree, folder, ignore_errors=True)
        postgres = asyncio.create_task(_database(started, folder, database))
        try:
            loki_url = loki or await _loki(started, folder, program)
        finally:
            database_url = await postgres
        yield Stack(folder, loki_url, database_url, free_port(WEB_PORT), free_port(GRAFANA_PORT))


def _folder(keep: bool) -> Path:
    if not keep:
        return Path(tempfile.mkdtemp(prefix="incidentlens-demo-"))
    folder = Path(".incidentlens/demo").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


async def _database(started: contextlib.AsyncExitStack, folder: Path, given: str | None) -> str:
    if given:
        return given
    server = EmbeddedPostgres(folder / "postgres")
    await asyncio.to_thread(server.start)
    started.push_async_callback(asyncio.to_thread, server.stop)
    return server.url


async def _loki(started: contextlib.AsyncExitStack, folder: Path, program: Path | None) -> str:
    child, url = await loki_program.start(folder, program)
    started.push_async_callback(child.stop)
    return url
