"""The records that made a stage raise."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from incidentlens.api.params import Cursor

from .incidents import Asked
from .render import page

router = APIRouter(tags=["pages"], include_in_schema=False)

PAGE = 50


@router.get("/quarantine")
async def quarantine(asked: Asked, cursor: Cursor = None) -> HTMLResponse:
    """Latest first, each with what it made a stage raise."""
    found = await asked.services.queries.list_quarantined(
        asked.principal.project.name, limit=PAGE, cursor=cursor or None
    )
    return page(
        "quarantine.html.j2",
        asked,
        rows=found.items,
        first=cursor is None,
        next_url=asked.link("/quarantine", cursor=found.next_cursor) if found.next_cursor else None,
    )
