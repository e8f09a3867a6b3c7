"""The data source for Grafana beside the HTTP API: one application answers both."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from incidentlens.config.loader import Loaded
from incidentlens.grafana.backend import Backend
from incidentlens.grafana.server import Server
from incidentlens.model.clock import Clock

from .app import create_app
from .seams import ReadableStore, Services, SidecarLike


async def serve_grafana(
    stack: contextlib.AsyncExitStack,
    loaded_of: Callable[[], Loaded],
    store: ReadableStore,
    sidecar: SidecarLike,
    clock: Clock,
    address: str,
    on_shutdown: Callable[[], None] | None = None,
) -> int:
    """Answer Grafana at `address` (host:port, port 0 for any) until `stack` ends; the port.

    `on_shutdown` is called when Grafana asks its plugin to stop; without one that is ignored, as a sidecar should.
    Raises grafana.server.ListenError.
    """
    app = create_app(loaded_of, store, sidecar, clock)
    services: Services = app.state.services
    stack.push_async_callback(services.stop)
    server = Server(Backend(loaded_of, store, clock, app, lambda: sidecar.runners), on_shutdown)
    port = await server.start(address)
    stack.push_async_callback(server.stop)
    return port
