"""`incidentlens grafana-plugin`: what the launcher becomes where Grafana itself starts the backend."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from .check import CONFIG
from .console import fail

if TYPE_CHECKING:
    from incidentlens.api.seams import RunnerLike

_PARENT_S = 5.0
_COOKIE = ("grafana_plugin_type", "datasource")


def register(app: typer.Typer) -> None:
    app.command("grafana-plugin", hidden=True)(grafana_plugin)


def grafana_plugin(config: Path = CONFIG) -> None:
    """Answer one Grafana that started this process, out of the store that `incidentlens serve` fills."""
    from incidentlens.grafana.server import ListenError
    from incidentlens.store.base import StoreError

    name, value = _COOKIE
    if os.environ.get(name) != value:
        fail("Grafana starts this as its plugin; beside a Grafana run `incidentlens serve` with grafana.listen")
    try:
        asyncio.run(_answer(config))
    except (StoreError, ListenError) as error:
        fail(str(error))


async def _answer(path: Path) -> None:
    from incidentlens.api.grafana import serve_grafana
    from incidentlens.config.reload import Reloader
    from incidentlens.model.clock import SystemClock

    from .opening import open_config, opened_store

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    loaded = open_config(path)
    async with contextlib.AsyncExitStack() as running:
        store = await running.enter_async_context(opened_store(loaded))
        reloader = Reloader(loaded)
        port = await serve_grafana(
            running, lambda: reloader.current, store, Elsewhere(), SystemClock(), "127.0.0.1:0", stop.set
        )
        # Grafana reads this line, and nothing may stand before it on stdout.
        print(f"1|2|tcp|127.0.0.1:{port}|grpc", flush=True)

        async def follow() -> None:
            async for _ in reloader.changes(stop):
                pass

        tasks = [asyncio.create_task(follow()), asyncio.create_task(_orphaned(stop))]
        await stop.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _orphaned(stop: asyncio.Event) -> None:
    """A Grafana that was killed cannot ask anybody to stop."""
    parent = os.getppid()
    while os.getppid() == parent:  # noqa: ASYNC110 - nobody sets an event when a parent is killed
        await asyncio.sleep(_PARENT_S)
    stop.set()


class Elsewhere:
    """Reading Loki is another process's work: an alert that comes in here is read at its next tick."""

    @property
    def runners(self) -> Mapping[str, RunnerLike]:
        return {}

    async def poke(self, project: str) -> None:
        """Nothing to run here."""
