"""Signing in with a project's token, and out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from incidentlens.api.auth import COOKIE, presented, services_of, to_cookie

from .forms import Form, field
from .render import bare_page

router = APIRouter(tags=["pages"], include_in_schema=False)

_MONTH_S = 30 * 24 * 3600


@router.get("/login")
async def login_page(
    request: Request, next: Annotated[str, Query(max_length=2000)] = "/", out: bool = False
) -> Response:
    """Asks for a token; leads on where none is needed or the one at hand is good."""
    loaded = services_of(request).loaded
    known = presented(request)
    if not loaded.config.server.require_token or (known and loaded.token_of(known)):
        return RedirectResponse(_local(next), 303)
    said = "You are signed out." if out else None
    return bare_page("login.html.j2", next=_local(next), wrong=None, said=said)


@router.post("/login")
async def login(request: Request, form: Form) -> Response:
    """A token that is good is kept in a cookie that scripts cannot read and other sites cannot use."""
    following = _local(field(form, "next", 2000) or "/")
    token = field(form, "token", 1024)
    services = services_of(request)
    if not token or services.loaded.token_of(token) is None:
        wrong = "This token is not known. Take one of the project's tokens from whoever runs IncidentLens."
        return bare_page("login.html.j2", 401, next=following, wrong=wrong, said=None)
    response = RedirectResponse(following, 303)
    public = services.loaded.config.server.public_url
    response.set_cookie(
        COOKIE,
        to_cookie(token),
        max_age=_MONTH_S,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https" or (public is not None and public.scheme == "https"),
    )
    return response


@router.post("/logout")
async def logout() -> Response:
    response = RedirectResponse("/login?out=true", 303)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


def _local(path: str) -> str:
    """A path of ours; anything that a browser could take for another site becomes the start page."""
    if not path.startswith("/") or path.startswith(("//", "/\\")) or any(ord(char) < 0x21 for char in path):
        return "/"
    return path
