"""What the project announces: deploys and maintenance."""

from __future__ import annotations

from typing import Annotated

import xxhash
from fastapi import APIRouter, Path, Query, Response
from pydantic import Field, StringConstraints

from incidentlens.api.auth import Editor, Principal, Reader, Serving
from incidentlens.api.errors import ApiError
from incidentlens.api.params import Cursor, Limit, Text, as_json, read_time
from incidentlens.api.seams import Services
from incidentlens.model.clock import MINUTE
from incidentlens.model.decisions import Deploy, Maintenance
from incidentlens.model.terms import ProblemKind
from incidentlens.store.base import NotFound
from incidentlens.store.paging import Page

from .persons import Body

router = APIRouter(prefix="/api", tags=["deploys and maintenance"])

When = Annotated[
    str | int | None, Field(description="ns, an RFC 3339 time, or how long ago; now unless said otherwise")
]
Service = Annotated[str, StringConstraints(min_length=1, max_length=300)]
_MONTH = 60 * 24 * 31


class DeployBody(Body):
    """A deploy or a change of configuration."""

    service: Service
    version: str = Field(default="", max_length=300)
    text: str = Field(default="", max_length=4000, description="What changed; a link, if you like.")
    at: When = None
    planned_minutes: float | None = Field(
        default=None, gt=0, le=_MONTH, description="Problems of the service are expected for so long."
    )
    id: str | None = Field(default=None, max_length=200, description="Sent again under the same id it is the same one.")


class MaintenanceBody(Body):
    """A window in which problems are expected. Give `ends_at` or `minutes`."""

    services: list[Service] = Field(default_factory=list, max_length=500, description="Empty: all of the project.")
    starts_at: When = None
    ends_at: Annotated[str | int | None, Field(description="ns or an RFC 3339 time")] = None
    minutes: float | None = Field(default=None, gt=0, le=_MONTH, description="How long, instead of `ends_at`.")
    reason: str = Field(default="", max_length=1000)
    kinds: list[ProblemKind] = Field(default_factory=list, description="Only problems of these kinds; empty: all.")
    id: str | None = Field(default=None, max_length=200, description="An id of your own: the same id replaces it.")


@router.get("/deploys", response_model=Page[Deploy], summary="List deploys")
async def list_deploys(
    services: Serving, principal: Reader, service: Text = None, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """Latest first."""
    return as_json(
        await services.queries.list_deploys(principal.project.name, service=service or None, limit=limit, cursor=cursor)
    )


@router.post("/deploys", response_model=Deploy, status_code=201, summary="Announce a deploy")
async def add_deploy(services: Serving, principal: Editor, body: DeployBody) -> Response:
    """It is cited where an incident follows it. The same one sent again changes nothing."""
    return as_json(await announce_deploy(services, principal, body), 201)


async def announce_deploy(services: Services, principal: Principal, body: DeployBody) -> Deploy:
    """Keep it. ApiError 400 for a time that is none."""
    now = services.clock.now()
    at = read_time(body.at, now, "at")
    at = now if at is None else at
    name = (
        body.id
        or xxhash.xxh3_64(f"{body.service}\n{body.version}\n{body.text}\n{at}".encode("utf-8", "replace")).hexdigest()
    )
    deploy = Deploy(
        id=name,
        project=principal.project.name,
        service=body.service,
        at=at,
        version=body.version,
        text=body.text,
        planned_until=None if body.planned_minutes is None else at + round(body.planned_minutes * MINUTE),
    )
    async with services.store.transaction(principal.project.name) as tx:
        await tx.add_deploy(deploy)
    return deploy


@router.get("/maintenance", response_model=Page[Maintenance], summary="List maintenance windows")
async def list_maintenance(
    services: Serving,
    principal: Reader,
    past: Annotated[bool, Query(description="Also those that have ended.")] = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Latest start first."""
    now = None if past else services.clock.now()
    return as_json(await services.queries.list_maintenance(principal.project.name, now=now, limit=limit, cursor=cursor))


@router.post("/maintenance", response_model=Maintenance, status_code=201, summary="Announce maintenance")
async def add_maintenance(services: Serving, principal: Editor, body: MaintenanceBody) -> Response:
    """Problems in it are kept and shown, and tell nobody."""
    return as_json(await announce_maintenance(services, principal, body), 201)


async def announce_maintenance(services: Services, principal: Principal, body: MaintenanceBody) -> Maintenance:
    """Keep it. ApiError 400 and 422 for times that are none, or make no window."""
    now = services.clock.now()
    starts_at = read_time(body.starts_at, now, "starts_at")
    starts_at = now if starts_at is None else starts_at
    if (body.ends_at is None) == (body.minutes is None):
        raise ApiError(422, "give exactly one of ends_at and minutes")
    ends_at = read_time(body.ends_at, now, "ends_at")
    if ends_at is None:
        ends_at = starts_at + round((body.minutes or 0) * MINUTE)
    if not starts_at < ends_at <= starts_at + _MONTH * MINUTE:
        raise ApiError(422, "a maintenance window ends after it starts, and within 31 days; give it another ends_at")
    by = principal.signed(body.by)
    kinds = tuple(dict.fromkeys(body.kinds))
    key = f"{sorted(body.services)}\n{starts_at}\n{ends_at}\n{body.reason}"
    if kinds:
        key += f"\n{sorted(kinds)}"
    window = Maintenance(
        id=body.id or xxhash.xxh3_64(key.encode("utf-8", "replace")).hexdigest(),
        project=principal.project.name,
        services=tuple(dict.fromkeys(body.services)),
        starts_at=starts_at,
        ends_at=ends_at,
        reason=body.reason,
        by=by,
        kinds=kinds,
    )
    async with services.store.transaction(principal.project.name) as tx:
        await tx.add_maintenance(window)
    return window


@router.delete("/maintenance/{window_id}", status_code=204, response_class=Response, summary="End maintenance")
async def delete_maintenance(
    services: Serving, principal: Editor, window_id: Annotated[str, Path(max_length=200)]
) -> Response:
    """The window is taken away as if it had never been."""
    async with services.store.transaction(principal.project.name) as tx:
        if not await tx.delete_maintenance(window_id):
            raise NotFound(f"there is no maintenance window {window_id[:80]!r} in project {principal.project.name}")
    return Response(status_code=204)
