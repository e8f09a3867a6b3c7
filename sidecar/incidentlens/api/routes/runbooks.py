"""Runbooks with how they did."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from incidentlens.api.auth import Reader, Serving
from incidentlens.api.handbook import RunbookUse, handbook
from incidentlens.api.params import TimeText, as_json, read_time
from incidentlens.model.clock import DAY

router = APIRouter(prefix="/api/runbooks", tags=["runbooks"])


class Runbooks(BaseModel):
    """The project's runbooks, the one with most matches first."""

    since: int
    incidents: int
    items: tuple[RunbookUse, ...]


@router.get("", response_model=Runbooks, summary="List runbooks")
async def list_runbooks(
    services: Serving,
    principal: Reader,
    since: TimeText = None,
    matched: Annotated[bool, Query(description="Only those that matched since then.")] = False,
) -> Response:
    """Each with what it matched since then (30 days unless said otherwise), what became of it, and hints."""
    now = services.clock.now()
    start = read_time(since, now, "since")
    begin = now - 30 * DAY if start is None else start
    uses = await handbook(services.queries, principal.project, begin, now)
    items = tuple(use for use in uses if use.matches or not matched)
    return as_json(Runbooks(since=begin, incidents=sum(use.matches for use in uses), items=items))
