"""Figures over many incidents."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from incidentlens.api.auth import Reader, Serving
from incidentlens.api.params import TimeText, as_json, read_length, read_time
from incidentlens.model.clock import DAY, HOUR
from incidentlens.store.queries import Stats

router = APIRouter(prefix="/api/stats", tags=["stats"])


@router.get("", response_model=Stats, summary="Key figures")
async def stats(
    services: Serving,
    principal: Reader,
    since: TimeText = None,
    until: TimeText = None,
    bucket: Annotated[str | None, Query(max_length=20, description="Length of a bucket: `1h`, `1d`.")] = None,
) -> Response:
    """Of the incidents opened in that time, the last 24 hours unless said otherwise: how many, how bad, how soon they
    were found and over, and how many were told. Lengths of time are nanoseconds."""
    now = services.clock.now()
    end = read_time(until, now, "until") or now
    start = read_time(since, now, "since")
    found = await services.queries.stats(
        principal.project.name,
        since=end - DAY if start is None else start,
        until=end,
        bucket=read_length(bucket, HOUR, "bucket"),
    )
    return as_json(found)
