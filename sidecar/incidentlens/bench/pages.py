"""Time of every page and list of the API with a hundred thousand incidents in the store."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from .measure import Figure, alone

_REPEATS = 15


def measure(incidents: int) -> list[Figure]:
    """One figure a page or list: the median of 15 requests inside the process, rendering included."""
    times: dict[str, list[float]] = alone(_run, incidents)
    figures = []
    for route, seconds in times.items():
        median = statistics.median(seconds) * 1000
        figures.append(
            Figure(
                f"page {route}",
                median,
                "ms",
                f"{incidents} incidents in PostgreSQL, median of {_REPEATS}, slowest {max(seconds) * 1000:.1f} ms",
                "under 50",
                median < 50,
            )
        )
    return figures


def _run(incidents: int) -> dict[str, list[float]]:
    return asyncio.run(_requests(incidents))


async def _requests(incidents: int) -> dict[str, list[float]]:
    import httpx

    from incidentlens.api.app import create_app
    from incidentlens.config.loader import load_config
    from incidentlens.demo import configuration
    from incidentlens.demo.stack import Stack
    from incidentlens.model.clock import SystemClock
    from incidentlens.pipeline.live import Sidecar
    from incidentlens.store.embedded import EmbeddedPostgres
    from incidentlens.store.postgres import PostgresStore
    from incidentlens.store.seed import seed

    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name, EmbeddedPostgres(Path(name) / "postgres") as server:
        path = configuration.write(Stack(Path(name), "http://127.0.0.1:1", server.url, 8095), None, 60, 20)
        loaded = load_config(path)
        store = PostgresStore(server.url)
        await store.open()
        await seed(store, incidents=incidents, project=configuration.PROJECT)
        clock = SystemClock()
        app = create_app(lambda: loaded, store, Sidecar(loaded, store, clock), clock)
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8095") as client:
            for route in await _routes(client):
                times[_plain(route)] = await _time(client, route)
        await store.close()
    return times


async def _routes(client: Any) -> list[str]:
    listed = (await client.get("/api/incidents?limit=1")).json()
    incident = listed["items"][0]["id"] if listed.get("items") else "none"
    api = f"/api/incidents/{incident}"
    return [
        "/",
        f"/incidents/{incident}",
        "/signatures",
        "/runbooks",
        "/api/incidents",
        "/api/incidents?status=open&severity=critical",
        "/api/incidents?sort=count&limit=100",
        "/api/incidents?q=timeout",
        api,
        f"{api}/evidence",
        f"{api}/actions",
        f"{api}/investigation",
        f"{api}/timeline",
        f"{api}/verification",
        "/api/signatures",
        "/api/runbooks",
        "/api/stats",
        "/api/deploys",
        "/api/maintenance",
        "/api/open_alerts",
    ]


def _plain(route: str) -> str:
    """The route without the incident's id."""
    parts = route.split("/")
    return "/".join("{id}" if part.startswith("inc") and not part.startswith("incidents") else part for part in parts)


async def _time(client: Any, route: str) -> list[float]:
    seconds = []
    for _ in range(_REPEATS + 1):
        began = time.perf_counter()
        response = await client.get(route)
        seconds.append(time.perf_counter() - began)
        response.raise_for_status()
    return seconds[1:]  # the first one compiles templates and warms the pool
