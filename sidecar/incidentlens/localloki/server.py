"""Runs the local Loki: as a program, or inside another one (`LocalLoki`)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

import uvicorn

from ..model.clock import Clock, SystemClock
from .app import LocalLokiApp, create_app
from .limits import Limits

_START_S = 30.0


def _listen(host: str, port: int) -> socket.socket:
    """A bound socket; raises OSError when the address is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def split_address(listen: str) -> tuple[str, int]:
    """`HOST:PORT` apart; raises ValueError with what to write instead."""
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65_535:
        raise ValueError(f"{listen!r} is no address: write HOST:PORT, for instance 127.0.0.1:3100")
    return host.strip("[]") or "127.0.0.1", int(port)


class _Server(uvicorn.Server):
    """uvicorn inside a program that handles its signals itself."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _config(app: LocalLokiApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="on",
        ws="websockets-sansio",
        timeout_graceful_shutdown=3,
        server_header=False,
    )


class LocalLoki:
    """A local Loki inside this program, on a port of its own.

    `async with LocalLoki(folder) as loki: ... loki.url`. `stop` answers what is under way, seals and closes.
    """

    def __init__(
        self,
        data_dir: Path | str,
        *,
        auth: bool = False,
        clock: Clock | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        alertmanager_url: str | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._data_dir = Path(data_dir)
        self._auth = auth
        self._clock = clock or SystemClock()
        self._host = host
        self._port = port
        self._alertmanager_url = alertmanager_url
        self._limits = limits
        self._server: uvicorn.Server | None = None
        self._task: asyncio.Task[None] | None = None
        self.app: LocalLokiApp | None = None
        self.url = ""
        """`http://HOST:PORT` once it has started."""

    async def start(self) -> None:
        """Start and wait until it answers. Raises OSError when the address or the folder cannot be used."""
        bound = _listen(self._host, self._port)
        try:
            self.app = create_app(self._data_dir, self._auth, self._clock, self._alertmanager_url, self._limits)
        except BaseException:
            bound.close()
            raise
        host, port = bound.getsockname()[:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self._server = _Server(_config(self.app))
        self._task = asyncio.create_task(self._server.serve(sockets=[bound]))
        async with asyncio.timeout(_START_S):
            while not self._server.started:
                if self._task.done():
                    await self._task
                    raise OSError("the local Loki did not start")
                await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """Stop; a second call does nothing."""
        if self._server is None or self._task is None:
            return
        self._server.should_exit = True
        await self._task
        self._server = self._task = None

    async def __aenter__(self) -> LocalLoki:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


def run(
    listen: str,
    data: Path | str,
    auth: bool = False,
    alertmanager_url: str | None = None,
    limits: Limits | None = None,
    listening: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve until interrupted or terminated; `listening` is told the address once connections are taken.

    Raises ValueError, OSError or RuntimeError, saying what to do, when it cannot start.
    """
    host, port = split_address(listen)
    bound = _listen(host, port)
    try:
        app = create_app(data, auth, SystemClock(), alertmanager_url, limits)
        listening(f"http://{listen}")
        # uvicorn has stopped in good order by the time it gives Ctrl-C on.
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(_config(app)).run(sockets=[bound])
    finally:
        bound.close()
