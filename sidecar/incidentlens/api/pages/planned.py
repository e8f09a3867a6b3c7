"""What is expected: maintenance windows and deploys, announced by a form as well as by the API."""

from __future__ import annotations

from typing import Annotated, TypeVar

from fastapi import APIRouter, Path, Query
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import ValidationError
from starlette.datastructures import FormData

from incidentlens.api.errors import ApiError
from incidentlens.api.params import Cursor
from incidentlens.api.routes.context import DeployBody, MaintenanceBody, announce_deploy, announce_maintenance
from incidentlens.api.routes.persons import Body
from incidentlens.store.base import NotFound
from incidentlens.store.paging import MAX_LIMIT

from .forms import Asked as Sent
from .forms import Form, field
from .incidents import Asked
from .render import Visit, page

router = APIRouter(tags=["pages"], include_in_schema=False)

B = TypeVar("B", bound=Body)

PAGE = 50
_SERVICES = 1_000  # in the box that completes what one types
DONE = {
    "maintenance": "Announced: problems in it are kept and shown, and tell nobody.",
    "deploy": "Announced: incidents that follow it cite it.",
    "ended": "Ended.",
}


@router.get("/planned")
async def planned(
    asked: Asked,
    past: Annotated[bool, Query()] = False,
    windows: Cursor = None,
    deploys: Cursor = None,
    done: Annotated[str | None, Query(max_length=20)] = None,
) -> HTMLResponse:
    """Maintenance that holds or comes (with `past` also what is over), and deploys. `windows` and `deploys` are the
    cursors of the two lists."""
    queries, name = asked.services.queries, asked.principal.project.name
    found = await queries.list_maintenance(name, now=None if past else asked.now, limit=PAGE, cursor=windows or None)
    released = await queries.list_deploys(name, limit=PAGE, cursor=deploys or None)
    kept = {"past": "true" if past else ""}
    return page(
        "planned.html.j2",
        asked,
        windows=found.items,
        deploys=released.items,
        past=past,
        first_windows=windows is None,
        first_deploys=deploys is None,
        next_windows=asked.link("/planned", **kept, windows=found.next_cursor) if found.next_cursor else None,
        next_deploys=asked.link("/planned", **kept, deploys=released.next_cursor) if released.next_cursor else None,
        services=(await queries.services(name))[:_SERVICES],
        done=DONE.get(done or ""),
    )


@router.post("/planned/maintenance")
async def add_maintenance(asked: Sent, form: Form) -> RedirectResponse:
    """Give `ends_at` or `minutes`; `services` are separated by commas, none means all."""
    services = [word.strip() for word in field(form, "services").split(",") if word.strip()]
    body = _body(MaintenanceBody, form, ("starts_at", "ends_at", "minutes", "reason", "by"), services=services)
    await announce_maintenance(asked.services, asked.principal, body)
    return _back(asked, "maintenance")


@router.post("/planned/maintenance/{window_id}/end")
async def end_maintenance(asked: Sent, window_id: Annotated[str, Path(max_length=200)]) -> RedirectResponse:
    """One that holds ends now and stays in the list of what is over; one that has not begun is taken away."""
    project = asked.principal.project.name
    found = await asked.services.queries.list_maintenance(project, now=asked.now, limit=MAX_LIMIT)
    window = next((window for window in found.items if window.id == window_id), None)
    if window is None:
        raise NotFound(f"no maintenance window {window_id[:80]!r} holds or is to come in project {project}")
    async with asked.services.store.transaction(project) as tx:
        if window.starts_at < asked.now:
            await tx.add_maintenance(window.model_copy(update={"ends_at": asked.now}))
        else:
            await tx.delete_maintenance(window_id)
    return _back(asked, "ended")


@router.post("/planned/deploys")
async def add_deploy(asked: Sent, form: Form) -> RedirectResponse:
    """A deploy or a change of configuration."""
    body = _body(DeployBody, form, ("service", "version", "text", "at", "planned_minutes"))
    await announce_deploy(asked.services, asked.principal, body)
    return _back(asked, "deploy")


def _body(kind: type[B], form: FormData, names: tuple[str, ...], **more: object) -> B:
    """The form's fields as the API takes them; an empty one is one that was not given. ApiError 400."""
    given = {name: text for name in names if (text := field(form, name))}
    try:
        return kind.model_validate({**given, **more})
    except ValidationError as error:
        first = error.errors()[0]
        raise ApiError(400, f"{first['loc'][0]}: {first['msg'].lower()}") from None


def _back(asked: Visit, done: str) -> RedirectResponse:
    return RedirectResponse(asked.link("/planned", done=done), 303)
