"""The runbooks with how they did."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from incidentlens.api.handbook import handbook
from incidentlens.model.clock import DAY

from .incidents import Asked
from .render import page

router = APIRouter(tags=["pages"], include_in_schema=False)


@router.get("/runbooks")
async def runbooks(asked: Asked) -> HTMLResponse:
    """Hit rates and outcomes of the last 30 days, with hints for whoever keeps the runbooks."""
    uses = await handbook(asked.services.queries, asked.principal.project, asked.now - 30 * DAY, asked.now)
    return page(
        "runbooks.html.j2",
        asked,
        used=[use for use in uses if use.matches],
        unused=[use for use in uses if not use.matches],
        total=sum(use.matches for use in uses),
    )
