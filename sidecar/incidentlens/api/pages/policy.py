"""The policy in force, and what another one would have done with the project's past."""

from __future__ import annotations

from typing import Annotated

import yaml
from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from starlette.datastructures import FormData

from incidentlens.api.errors import ApiError
from incidentlens.api.routes.policy import MAX_YAML, SHOWN, BacktestBody, tried
from incidentlens.policy.backtest import Backtest

from .forms import field, read_form
from .incidents import Asked
from .render import Visit, page, visit

router = APIRouter(tags=["pages"], include_in_schema=False)

SPANS = {"24h": "last 24 hours", "7d": "last 7 days", "30d": "last 30 days", "90d": "last 90 days"}


@router.get("/policy")
async def policy(asked: Asked) -> HTMLResponse:
    """The policy in force, ready to be changed for a try."""
    return _page(asked, BacktestBody(policy=_in_force(asked)), None, "")


@router.post("/policy")
async def try_policy(request: Request, form: Annotated[FormData, Depends(read_form)]) -> HTMLResponse:
    """The same page with what it would have changed. Nothing is kept: the policy in force stays in force."""
    asked = visit(request, field(form, "project", 80) or None)
    since = field(form, "since", 20)
    body = BacktestBody(since=since if since in SPANS else "30d", policy=field(form, "policy", MAX_YAML))
    try:
        return _page(asked, body, await tried(asked.services, asked.principal, body), "")
    except ApiError as error:
        return _page(asked, body, None, str(error))


def _in_force(asked: Visit) -> str:
    text: str = yaml.safe_dump(asked.principal.project.policy.model_dump(mode="json"), sort_keys=False)
    return text


def _page(asked: Visit, body: BacktestBody, found: Backtest | None, wrong: str) -> HTMLResponse:
    return page("policy.html.j2", asked, tried=body, found=found, wrong=wrong, spans=SPANS, shown=SHOWN)
