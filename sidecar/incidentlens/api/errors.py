"""Every error is one sentence that says what to do: as JSON for programs, as a page for people."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from incidentlens.store.base import NotFound, StoreError, StoreRefused
from incidentlens.store.paging import BadPage

log = logging.getLogger(__name__)


class ApiError(Exception):
    """A request that cannot be fulfilled: its status and one sentence that says what to do."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = dict(headers or {})


class ErrorBody(BaseModel):
    """What every error answers."""

    error: str = Field(description="One sentence that says what is wrong and what to do.")


_TITLES = {
    400: "That cannot be asked",
    401: "Please sign in",
    403: "Not allowed",
    404: "Not here",
    409: "That cannot be done now",
    413: "Too large",
    422: "That cannot be asked",
    429: "Too many at once",
    503: "The store is away",
}


def answer(request: Request, status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    """The error as this request wants it."""
    if not wants_page(request):
        return JSONResponse({"error": text}, status, headers)
    if status == 401 and request.method == "GET":
        following = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/login?{_query(following)}", 303)
    from .pages.render import error_page

    return error_page(request, status, _TITLES.get(status, "Something went wrong"), text, headers)


def wants_page(request: Request) -> bool:
    """True for the routes of the pages, False for those of programs."""
    route = request.scope.get("route")
    if route is not None:
        return "pages" in getattr(route, "tags", ())
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/api/")


def install(app: FastAPI) -> None:
    """Register the handlers."""

    @app.exception_handler(ApiError)
    async def _api(request: Request, error: ApiError) -> Response:
        return answer(request, error.status, error.text, error.headers)

    @app.exception_handler(BadPage)
    async def _page(request: Request, error: BadPage) -> Response:
        return answer(request, 400, str(error))

    @app.exception_handler(StoreError)
    async def _store(request: Request, error: StoreError) -> Response:
        status = 404 if isinstance(error, NotFound) else 409 if isinstance(error, StoreRefused) else 503
        return answer(request, status, str(error), {"Retry-After": "5"} if status == 503 else None)

    @app.exception_handler(RequestValidationError)
    async def _validation(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            return answer(request, 400, f"the body is no JSON: {first.get('ctx', {}).get('error', first['msg'])}")
        where = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
        said = str(first["msg"]).removeprefix("Value error, ")
        return answer(request, 422, f"{where}: {said[:1].lower()}{said[1:]}; /openapi.json says what is allowed")

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        if error.status_code == 404:
            text = f"there is nothing at {request.url.path[:200]}; /openapi.json lists what there is"
        elif error.status_code == 405:
            text = f"{request.method} is not possible at {request.url.path[:200]}; /openapi.json lists what is"
        else:
            text = str(error.detail)
        return answer(request, error.status_code, text, error.headers)

    @app.exception_handler(Exception)
    async def _defect(request: Request, error: Exception) -> Response:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return answer(request, 500, "a defect in IncidentLens: its log has the details; please report it")


def _query(following: str) -> str:
    from urllib.parse import urlencode

    return urlencode({"next": following})
