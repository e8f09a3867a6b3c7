"""Opening what a command works on: the configuration, and the store it names."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import typer

from incidentlens.config.loader import ConfigError, Loaded, load_config
from incidentlens.store.embedded import EmbeddedPostgres
from incidentlens.store.postgres import PostgresStore

from .console import talk


def open_config(path: Path) -> Loaded:
    """The configuration, or every complaint about it on stderr and status 1."""
    try:
        return load_config(path)
    except ConfigError as error:
        for problem in error.problems:
            talk.print(str(problem), markup=False)
        talk.print(f"see: incidentlens check --config {path}", markup=False)
        raise typer.Exit(1) from None


@asynccontextmanager
async def opened_store(loaded: Loaded, *, join: bool = True) -> AsyncIterator[PostgresStore]:
    """The store of a configuration, its schema up to date; an embedded server is started and stopped again.

    `join`: where a running sidecar has started that server, use it beside the sidecar.
    Raises StoreError.
    """
    async with contextlib.AsyncExitStack() as stack:
        if loaded.config.store.embedded:
            server = EmbeddedPostgres(loaded.path.parent / loaded.config.store.data)
            await asyncio.to_thread(server.start, join=join)
            stack.push_async_callback(asyncio.to_thread, server.stop)
            url = server.url
        else:
            url = loaded.store_url.get_secret_value() if loaded.store_url else ""
        store = PostgresStore(url)
        await store.open()
        stack.push_async_callback(store.close)
        yield store
