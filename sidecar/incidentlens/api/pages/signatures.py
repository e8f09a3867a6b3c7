"""The catalogue of signatures, and one signature."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, RedirectResponse

from incidentlens.api.errors import ApiError
from incidentlens.api.params import Cursor, Text, read_term
from incidentlens.api.routes.signatures import Name, rename
from incidentlens.model.clock import DAY, HOUR
from incidentlens.model.terms import Level
from incidentlens.store.queries import SignatureSort

from .forms import Asked as Sent
from .forms import Form, field
from .incidents import Asked
from .render import page

router = APIRouter(tags=["pages"], include_in_schema=False)

PAGE = 50
_BUCKETS = {"24h": (DAY, 10 * HOUR // 60), "7d": (7 * DAY, HOUR), "30d": (30 * DAY, 6 * HOUR)}


@router.get("/signatures")
async def signatures(
    asked: Asked,
    sort: Annotated[str, Query(max_length=20)] = "top",
    level: Annotated[str | None, Query(max_length=20)] = None,
    family: Text = None,
    service: Text = None,
    q: Text = None,
    cursor: Cursor = None,
) -> HTMLResponse:
    """The loudest, the newest, or those that grow."""
    chosen = read_term(SignatureSort, sort, "sort") or SignatureSort.TOP
    filters = {"level": level or "", "family": family or "", "service": service or "", "q": (q or "").strip()}
    found = await asked.services.queries.list_signatures(
        asked.principal.project.name,
        now=asked.now,
        sort=chosen,
        level=read_term(Level, level, "level"),
        family=filters["family"] or None,
        service=filters["service"] or None,
        text=filters["q"] or None,
        limit=PAGE,
        cursor=cursor or None,
    )
    return page(
        "signatures.html.j2",
        asked,
        rows=found.items,
        sort=chosen.value,
        filters=filters,
        levels=list(Level),
        next_url=asked.link("/signatures", sort=chosen.value, **filters, cursor=found.next_cursor)
        if found.next_cursor
        else None,
    )


@router.get("/signatures/{signature:path}")
async def signature(asked: Asked, signature: Name, span: Annotated[str, Query(max_length=10)] = "24h") -> HTMLResponse:
    """Where it comes from, how it went, and its incidents."""
    if span not in _BUCKETS:
        raise ApiError(400, f"span: choose one of {', '.join(_BUCKETS)}")
    length, bucket = _BUCKETS[span]
    since = asked.now - length
    found = await asked.services.queries.signature_detail(
        asked.principal.project.name, signature, since=since - since % bucket, until=asked.now, bucket=bucket
    )
    if found is None:
        raise ApiError(404, f"there is no signature {signature[:200]!r} in project {asked.principal.project.name}")
    return page(
        "signature.html.j2",
        asked,
        detail=found,
        template=found.template,
        span=span,
        spans=list(_BUCKETS),
        since=since,
        until=asked.now,
        total=sum(point.count for point in found.series),
    )


@router.post("/signatures/{signature:path}/label")
async def label(asked: Sent, form: Form, signature: Name) -> RedirectResponse:
    await rename(asked.services, asked.principal, signature, field(form, "label", 200))
    return RedirectResponse(asked.link(f"/signatures/{quote(signature, safe='')}"), 303)
