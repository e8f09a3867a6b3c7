"""What a person does to an incident, as forms: each answers with a redirection to the page."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException

from incidentlens.api.auth import require_editor
from incidentlens.api.doings import Doings
from incidentlens.api.errors import ApiError
from incidentlens.api.params import read_term
from incidentlens.api.routes.incidents import IncidentId
from incidentlens.api.routes.persons import FeedbackId
from incidentlens.model.terms import Severity
from incidentlens.store.checks import VERDICTS

from .render import Visit, visit

router = APIRouter(tags=["pages"], include_in_schema=False)

_MAX_TEXT = 4_000
_MAX_FIELDS = 1_100


async def read_form(request: Request) -> FormData:
    """The fields of a form. ApiError 400 for what is none."""
    try:
        return await request.form(max_files=0, max_fields=_MAX_FIELDS)
    except HTTPException as error:
        raise ApiError(400, f"the form cannot be read: {error.detail}") from None


async def visit_by_form(request: Request, form: Annotated[FormData, Depends(read_form)]) -> Visit:
    """Who sends a form: it names its project itself."""
    asked = visit(request, field(form, "project", 80) or None)
    require_editor(asked.principal)
    return asked


Form = Annotated[FormData, Depends(read_form)]
Asked = Annotated[Visit, Depends(visit_by_form)]


def field(form: FormData, name: str, limit: int = _MAX_TEXT) -> str:
    """One field's text. ApiError 400 where it is too long."""
    value = form.get(name)
    text = value.strip() if isinstance(value, str) else ""
    if len(text) > limit:
        raise ApiError(400, f"{name}: at most {limit:,} characters are kept; shorten it")
    return text


def _back(asked: Visit, incident_id: str, done: str) -> RedirectResponse:
    from urllib.parse import quote

    return RedirectResponse(asked.link(f"/incidents/{quote(incident_id, safe='')}", done=done), 303)


@router.post("/incidents/{incident_id}/close")
async def close(asked: Asked, form: Form, incident_id: IncidentId) -> RedirectResponse:
    await Doings(asked.services, asked.principal, field(form, "by", 100)).close(incident_id, field(form, "text"))
    return _back(asked, incident_id, "close")


@router.post("/incidents/{incident_id}/ignore")
async def ignore(asked: Asked, form: Form, incident_id: IncidentId) -> RedirectResponse:
    await Doings(asked.services, asked.principal, field(form, "by", 100)).ignore(incident_id, field(form, "text"))
    return _back(asked, incident_id, "ignore")


@router.post("/incidents/{incident_id}/reopen")
async def reopen(asked: Asked, form: Form, incident_id: IncidentId) -> RedirectResponse:
    await Doings(asked.services, asked.principal, field(form, "by", 100)).reopen(incident_id, field(form, "text"))
    return _back(asked, incident_id, "reopen")


@router.post("/incidents/{incident_id}/feedback")
async def feedback(asked: Asked, form: Form, incident_id: IncidentId) -> RedirectResponse:
    verdict = field(form, "verdict", 40)
    if verdict not in VERDICTS:
        raise ApiError(400, f"verdict: choose one of {', '.join(sorted(VERDICTS))}")
    service = field(form, "service", 300) or None
    doings = Doings(asked.services, asked.principal, field(form, "by", 100))
    await doings.feedback(incident_id, verdict, field(form, "text"), service if verdict == "wrong_cause" else None)
    return _back(asked, incident_id, "feedback")


@router.post("/incidents/{incident_id}/feedback/{feedback_id}/withdraw")
async def withdraw(asked: Asked, form: Form, incident_id: IncidentId, feedback_id: FeedbackId) -> RedirectResponse:
    doings = Doings(asked.services, asked.principal, field(form, "by", 100))
    await doings.withdraw_feedback(incident_id, feedback_id)
    return _back(asked, incident_id, "withdraw")


@router.post("/incidents/{incident_id}/merge")
async def merge(asked: Asked, form: Form, incident_id: IncidentId) -> RedirectResponse:
    other = field(form, "other", 200)
    if not other:
        raise ApiError(400, "other: give the id of the incident to merge into this one")
    await Doings(asked.services, asked.principal, field(form, "by", 100)).merge(incident_id, other)
    return _back(asked, incident_id, "merge")


@router.post("/incidents/{incident_id}/split")
async def split(asked: Asked, form: Form, incident_id: IncidentId) -> RedirectResponse:
    chosen = [value for value in form.getlist("problem") if isinstance(value, str)]
    if not chosen:
        raise ApiError(400, "problem: tick the problems that are to become an incident of their own")
    doings = Doings(asked.services, asked.principal, field(form, "by", 100))
    _, new = await doings.split(incident_id, chosen)
    return _back(asked, new.id, "split")


@router.post("/incidents/{incident_id}/relabel")
async def relabel(asked: Asked, form: Form, incident_id: IncidentId) -> RedirectResponse:
    """A field that is as it was changes nothing; a label is `name=value`, one a line."""
    title, before = field(form, "title", 300), field(form, "title_before", 300)
    severity = read_term(Severity, field(form, "severity", 20), "severity")
    labels = {}
    for line in field(form, "labels").splitlines():
        name, sign, value = line.partition("=")
        if line.strip() and (not sign or not name.strip()):
            raise ApiError(400, f"labels: write name=value, one a line, not {line.strip()[:60]!r}")
        if line.strip():
            labels[name.strip()[:100]] = value.strip()[:500]
    doings = Doings(asked.services, asked.principal, field(form, "by", 100))
    await doings.relabel(
        incident_id, title=title if title and title != before else None, severity=severity, labels=labels
    )
    return _back(asked, incident_id, "relabel")
