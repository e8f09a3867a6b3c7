"""Whether it lives, whether it is ready, and its metrics. Open to all who reach the port: they say nothing of logs."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from incidentlens.api.auth import Serving, authenticate
from incidentlens.api.errors import ApiError
from incidentlens.api.seams import Services
from incidentlens.model.times import utc
from incidentlens.pipeline.metrics import REGISTRY
from incidentlens.store.base import StoreError

router = APIRouter(tags=["health"])


class Alive(BaseModel):
    status: str


class Ready(BaseModel):
    """`reasons`: why not, one sentence each. `projects`: `ok`, or why not. `quarantined`: records of each that made a
    stage raise and are kept aside; a defect to report, but nothing stands still for it. `reading`: by project and
    query, `full` or `push_down` and why; of the projects that the asker may see."""

    ready: bool
    store: str
    projects: dict[str, str]
    reasons: list[str]
    quarantined: dict[str, int]
    reading: dict[str, dict[str, str]] = {}


@router.get("/healthz", response_model=Alive, summary="Alive")
async def healthz() -> Alive:
    """The process answers."""
    return Alive(status="ok")


@router.get("/readyz", response_model=Ready, responses={503: {"model": Ready}}, summary="Ready")
async def readyz(request: Request, services: Serving) -> Response:
    """The store answers and every project reads its Loki; 503 with the reasons otherwise. Details need a token where
    tokens are required: an error of Loki may quote a query."""
    shown = _shown(request, services)
    store, aside = await _store(services)
    projects = {name: _project(services, name, detailed=shown in ("", name)) for name in services.loaded.projects}
    reasons = [] if store == "ok" else [f"store: {store}"]
    reasons += [f"project {name}: {state}" for name, state in projects.items() if state != "ok"]
    body = Ready(ready=not reasons, store=store, projects=projects, reasons=reasons, quarantined=aside)
    body.reading = {name: _reading(services, name) for name in projects if shown in ("", name)}
    return JSONResponse(body.model_dump(), 503 if reasons else 200)


@router.get("/metrics", response_class=Response, summary="Prometheus metrics")
async def metrics() -> Response:
    """In Prometheus' text format."""
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)


def _shown(request: Request, services: Services) -> str | None:
    """The project whose details the asker may see: "" for all of them, None for none."""
    if not services.loaded.config.server.require_token:
        return ""
    try:
        return authenticate(request, None).project.name
    except ApiError:
        return None


async def _store(services: Services) -> tuple[str, dict[str, int]]:
    """`ok` or what is wrong, and how many records of each project are in quarantine."""
    try:
        aside = await services.queries.count_quarantined()
    except StoreError as error:
        return str(error), {}
    return "ok", {name: aside.get(name, 0) for name in services.loaded.projects}


def _reading(services: Services, name: str) -> dict[str, str]:
    runner = services.sidecar.runners.get(name)
    chosen = runner.health.reading if runner is not None else {}
    return {query: f"{choice.mode.value}: {choice.why}" for query, choice in chosen.items()}


def _project(services: Services, name: str, *, detailed: bool) -> str:
    runner = services.sidecar.runners.get(name)
    if runner is None:
        return "is not started yet"
    health = runner.health
    if health.error is not None:
        since = f" since {utc(health.failing_since)}" if health.failing_since else ""
        return f"reading fails{since}: {health.error}" if detailed else f"reading fails{since}; see the log"
    return "ok" if health.last_tick is not None else "its Loki has not been read yet"
