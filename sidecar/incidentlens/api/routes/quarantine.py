"""Records that made a stage raise."""

from __future__ import annotations

from fastapi import APIRouter, Response

from incidentlens.api.auth import Reader, Serving
from incidentlens.api.params import Cursor, Limit, as_json
from incidentlens.store.base import Quarantined
from incidentlens.store.paging import Page

router = APIRouter(prefix="/api/quarantine", tags=["health"])


@router.get("", response_model=Page[Quarantined], summary="List records that were put aside")
async def list_quarantined(services: Serving, principal: Reader, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """Latest first, each with what it made a stage raise. They are kept for 30 days; no incident counts them."""
    return as_json(await services.queries.list_quarantined(principal.project.name, limit=limit, cursor=cursor))
