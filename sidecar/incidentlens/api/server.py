"""Serving the application with uvicorn, in the background of the sidecar's own event loop or in the foreground."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Protocol

import uvicorn

from incidentlens.config.loader import Loaded
from incidentlens.model.clock import Clock

from .app import create_app
from .seams import ReadableStore, Services, SidecarLike

_LAST_ANSWERS_S = 3  # requests under way may finish when the server stops


class ServeError(OSError):
    """The address cannot be listened on; the message says what to do."""


class HasCurrent(Protocol):
    """A `config.reload.Reloader`."""

    @property
    def current(self) -> Loaded: ...


async def serve_in_background(
    stack: contextlib.AsyncExitStack,
    loaded: Loaded | HasCurrent,
    store: ReadableStore,
    sidecar: SidecarLike,
    clock: Clock,
) -> str:
    """Listen on `server.listen` and answer in the running loop until `stack` ends; the base URL.

    With a Reloader each request sees the configuration in force then. Raises ServeError where the address is taken.
    """
    loaded_of = _loaded_of(loaded)
    listener, url = _listen(loaded_of().config.server.listen)
    app = create_app(loaded_of, store, sidecar, clock)
    services: Services = app.state.services
    server = _Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_LAST_ANSWERS_S,
            timeout_keep_alive=30,
            h11_max_incomplete_event_size=64 * 1024,
            lifespan="off",
        )
    )
    running = asyncio.create_task(server.serve(sockets=[listener]), name="incidentlens-http")

    async def stop() -> None:
        await services.stop()
        server.should_exit = True
        try:
            await running
        finally:
            listener.close()

    stack.push_async_callback(stop)
    while not server.started:
        if running.done():
            await running  # raises what kept it from starting
            raise ServeError(f"the server at {url} did not start; see the log")
        await asyncio.sleep(0.01)
    return url


async def serve(
    loaded: Loaded | HasCurrent,
    store: ReadableStore,
    sidecar: SidecarLike,
    clock: Clock,
    stop: asyncio.Event | None = None,
) -> None:
    """Serve in the foreground until `stop` is set, or, without one, until SIGINT or SIGTERM."""
    ended = stop or asyncio.Event()
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM) if stop is None else ()
    for number in numbers:
        loop.add_signal_handler(number, ended.set)
    try:
        async with contextlib.AsyncExitStack() as stack:
            await serve_in_background(stack, loaded, store, sidecar, clock)
            await ended.wait()
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _loaded_of(loaded: Loaded | HasCurrent) -> Callable[[], Loaded]:
    if isinstance(loaded, Loaded):
        return lambda: loaded
    return lambda: loaded.current


def _listen(address: str) -> tuple[socket.socket, str]:
    """A listening socket, and the URL of it. Port 0 takes any that is free. Raises ServeError."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        family, kind, _, _, where = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind)
    except (OSError, ValueError, OverflowError) as error:
        raise ServeError(f"server.listen: {address} is no address to listen on: {error}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        raise ServeError(
            f"cannot listen on {address}: {error}; free it, or set server.listen to another port"
        ) from error
    listener.setblocking(False)
    name = f"[{host}]" if ":" in host else host
    return listener, f"http://{name}:{listener.getsockname()[1]}"
