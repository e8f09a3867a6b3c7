"""`incidentlens serve`: the sidecar itself."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import logging
import signal
import sys
from pathlib import Path

import typer

from .check import CONFIG
from .console import fail, talk

log = logging.getLogger("incidentlens")


def register(app: typer.Typer) -> None:
    app.command("serve")(serve)


def serve(config: Path = CONFIG) -> None:
    """Watch Loki, find incidents, decide, verify; serve the pages and the API. SIGTERM and Ctrl-C end it in order."""
    from incidentlens.api.server import ServeError
    from incidentlens.grafana.server import ListenError
    from incidentlens.store.base import StoreError

    from .opening import open_config

    _few_arenas()
    loaded = open_config(config)
    if any(project.model is not None for project in loaded.projects.values()):
        from incidentlens.investigation import tracing

        tracing.start()
    modes = ", ".join(f"{name} ({project.policy.mode})" for name, project in loaded.projects.items())
    talk.print(f"projects: {modes}", markup=False)
    try:
        asyncio.run(_serve(config))
    except (StoreError, ServeError, ListenError) as error:
        fail(str(error))


async def _serve(path: Path) -> None:
    from incidentlens.api.grafana import serve_grafana
    from incidentlens.api.server import serve_in_background
    from incidentlens.config.reload import Reloader
    from incidentlens.model.clock import SystemClock
    from incidentlens.pipeline.live import Sidecar
    from incidentlens.pipeline.upkeep import Upkeep

    from .opening import open_config, opened_store

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    loaded = open_config(path)
    clock = SystemClock()
    async with contextlib.AsyncExitStack() as running:
        store = await running.enter_async_context(opened_store(loaded, join=False))
        reloader = Reloader(loaded)
        sidecar = Sidecar(loaded, store, clock)
        address = await serve_in_background(running, reloader, store, sidecar, clock)
        listen = loaded.config.grafana.listen
        if listen is not None:
            await serve_grafana(running, lambda: reloader.current, store, sidecar, clock, listen)
            talk.print(f"answering Grafana at {listen}", markup=False)
        await sidecar.start()
        running.push_async_callback(sidecar.stop)
        upkeep = Upkeep(sidecar, store, clock)
        upkeep.start()
        running.push_async_callback(upkeep.stop)
        talk.print(f"serving {address}   (Ctrl-C ends it)", markup=False)
        _give_back()

        async def follow() -> None:
            async for changed in reloader.changes(stop):
                await sidecar.reconfigure(changed)

        following = asyncio.create_task(follow())
        await stop.wait()
        talk.print("stopping: the tick under way is finished first")
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following


def _few_arenas() -> None:
    """Let glibc's allocator share two arenas among all threads: one each would keep its own free memory."""
    with contextlib.suppress(OSError, AttributeError):
        if sys.platform == "linux":
            ctypes.CDLL(None).mallopt(-8, 2)  # M_ARENA_MAX


def _give_back() -> None:
    """What only starting needed: a sidecar lives for weeks."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        if sys.platform == "linux":
            ctypes.CDLL(None).malloc_trim(0)
