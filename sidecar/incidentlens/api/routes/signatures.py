"""Signatures: the catalogue, one with its series, and a person's own name for it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from incidentlens.api.auth import Editor, Principal, Reader, Serving
from incidentlens.api.errors import ApiError
from incidentlens.api.params import Cursor, Limit, Text, TimeText, as_json, read_length, read_term, read_time
from incidentlens.api.seams import Services
from incidentlens.model.clock import DAY, HOUR
from incidentlens.model.signatures import Template
from incidentlens.model.terms import Level
from incidentlens.pipeline.memory import outdate
from incidentlens.store.base import NotFound
from incidentlens.store.paging import Page
from incidentlens.store.queries import SignatureDetail, SignatureRow, SignatureSort

from .persons import Body

router = APIRouter(prefix="/api/signatures", tags=["signatures"])

Name = Annotated[str, Path(max_length=1000, description="The signature; `#` is written `%23`.")]


class LabelBody(Body):
    label: str = Field(max_length=200, description="Your own name for it; empty takes it away.")


async def rename(services: Services, principal: Principal, signature: str, label: str) -> Template:
    """A person's name for a signature; an empty one takes it away. NotFound where there is no such signature."""
    async with services.store.transaction(principal.project.name) as tx:
        templates = {template.signature: template for template in await tx.templates()}
        known = templates.get(signature)
        for _ in templates:  # an old name is named where it leads to; a circle of names ends
            if known is None or known.alias_of is None:
                break
            known = templates.get(known.alias_of)
        if known is None:
            raise NotFound(f"there is no signature {signature[:200]!r} in project {principal.project.name}")
        changed = known.model_copy(update={"label": " ".join(label.split()) or None})
        await tx.save_templates([changed])
        await outdate(tx)  # the engine would write its own copy back, without the name
    return changed


@router.get("", response_model=Page[SignatureRow], summary="List signatures")
async def list_signatures(
    services: Serving,
    principal: Reader,
    sort: Annotated[str, Query(max_length=20, description=f"One of {', '.join(SignatureSort)}.")] = "top",
    level: Annotated[str | None, Query(max_length=20, description=f"One of {', '.join(Level)}.")] = None,
    family: Text = None,
    service: Annotated[str | None, Query(max_length=300, description="Seen there in the last 24 hours.")] = None,
    q: Annotated[str | None, Query(max_length=300, description="Words of its name or template.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """The loudest, the newest or those that grow; each with its counts in the last 24 hours."""
    page = await services.queries.list_signatures(
        principal.project.name,
        now=services.clock.now(),
        sort=read_term(SignatureSort, sort, "sort") or SignatureSort.TOP,
        level=read_term(Level, level, "level"),
        family=family or None,
        service=service or None,
        text=(q or "").strip() or None,
        limit=limit,
        cursor=cursor,
    )
    return as_json(page)


@router.post("/{signature:path}/label", response_model=Template, summary="Name a signature")
async def label(services: Serving, principal: Editor, signature: Name, body: LabelBody) -> Response:
    """The signature itself never changes: it goes on being found under its own name too."""
    changed = await rename(services, principal, signature, body.label)
    return as_json(changed)


@router.get("/{signature:path}", response_model=SignatureDetail, summary="One signature")
async def one_signature(
    services: Serving,
    principal: Reader,
    signature: Name,
    since: TimeText = None,
    until: TimeText = None,
    bucket: Annotated[
        str | None, Query(max_length=20, description="`1m`, `5m`, `1h`; 1h unless said otherwise.")
    ] = None,
) -> Response:
    """Where it comes from, how it went (the last 24 hours unless said otherwise), and its incidents."""
    now = services.clock.now()
    end = read_time(until, now, "until") or now
    start = read_time(since, now, "since")
    found = await services.queries.signature_detail(
        principal.project.name,
        signature,
        since=end - DAY if start is None else start,
        until=end,
        bucket=read_length(bucket, HOUR, "bucket"),
    )
    if found is None:
        raise ApiError(404, f"there is no signature {signature[:200]!r} in project {principal.project.name}")
    return as_json(found)
