"""The application: routes for programs, pages for people, and the guard around both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from incidentlens import __version__
from incidentlens.config.loader import Loaded
from incidentlens.model.clock import Clock

from . import errors
from .errors import ErrorBody
from .guard import Guard
from .pages import ROUTERS as PAGES
from .routes import ROUTERS
from .seams import ReadableStore, Services, SidecarLike

STATIC = Path(__file__).parent / "static"

_DESCRIPTION = """
What IncidentLens found in a project's logs, and what a person makes of it.

**Projects.** Every request is about one project: the one its token belongs to (`Authorization: Bearer <token>`). A
token with role `viewer` reads, one with role `editor` also changes. Where `server.require_token` is false (on loopback
only) no token is needed and `?project=` names the project, the first one unless it is given.

**Times** are nanoseconds since 1970 (UTC), as in Loki. Where a request takes a time, RFC 3339 and lengths such as
`24h` (ago) do as well.

**Lists** come in pages: `limit` up to 500, and `cursor` with the `next_cursor` of the page before. A cursor belongs to
its filters and sort.

**Errors** are `{"error": "one sentence that says what to do"}`: 400 and 422 for what cannot be asked, 401 and 403 for
the token, 404, 409 for what cannot be done in the present state, 413 for too large a body, 429, and 503 while the store
is away (send it again).

Log text is given as it stood, whatever is in it: treat it as text.
"""


def create_app(loaded_of: Callable[[], Loaded], store: ReadableStore, sidecar: SidecarLike, clock: Clock) -> FastAPI:
    """The application over an open store. `loaded_of` gives the configuration in force: it may be reloaded."""
    services = Services(loaded_of, store, sidecar, clock)
    failures = {status: {"model": ErrorBody, "description": text} for status, text in _FAILURES.items()}
    app = FastAPI(
        title="IncidentLens",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,  # it would load scripts from elsewhere
        redoc_url=None,
        responses=failures,  # type: ignore[arg-type]
    )
    app.state.services = services
    errors.install(app)
    for router in (*ROUTERS, *PAGES):
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_middleware(Guard, services=services)
    return app


_FAILURES = {
    400: "It cannot be asked like that.",
    401: "The token is missing or not known.",
    403: "The token is not for that project, or may only read.",
    404: "There is no such thing in the project.",
    503: "The store is away; send it again.",
}
