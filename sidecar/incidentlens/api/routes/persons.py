"""What a person changes of an incident. All of it needs a token with role editor."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from incidentlens.api.auth import Editor, Serving
from incidentlens.api.doings import Doings
from incidentlens.api.params import as_json
from incidentlens.model.decisions import Feedback
from incidentlens.model.incidents import Incident
from incidentlens.model.terms import Severity

from .incidents import IncidentId

router = APIRouter(prefix="/api/incidents", tags=["incidents: a person's changes"])

FeedbackId = Annotated[str, Path(max_length=100, description="The feedback's id.")]
Verdict = Literal["right_cause", "wrong_cause", "noise", "helped", "not_helped", "note"]


class Body(BaseModel):
    """Unknown keys are refused: a misspelt one would silently do nothing."""

    model_config = ConfigDict(extra="forbid")

    by: str | None = Field(default=None, max_length=100, description="Who did it; the token's name is kept beside it.")


class Said(Body):
    """Why."""

    text: str = Field(default="", max_length=4000, description="Kept in the timeline.")


class FeedbackBody(Body):
    """What a person thinks of it."""

    verdict: Verdict
    text: str = Field(default="", max_length=4000)
    service: str | None = Field(default=None, max_length=300, description="The true cause's, with `wrong_cause`.")


class MergeBody(Body):
    other: str = Field(max_length=200, description="Id of the incident whose problems come into this one.")


class SplitBody(Body):
    problems: list[Annotated[str, StringConstraints(max_length=200)]] = Field(
        min_length=1, max_length=1000, description="Ids of the problems that become an incident of their own."
    )


class RelabelBody(Body):
    title: Annotated[str, StringConstraints(min_length=1, max_length=300, strip_whitespace=True)] | None = None
    severity: Severity | None = None
    labels: dict[
        Annotated[str, StringConstraints(min_length=1, max_length=100)],
        Annotated[str, StringConstraints(max_length=500)],
    ] = Field(default_factory=dict, max_length=50, description="An empty value takes a label away.")


class Parts(BaseModel):
    """Both incidents after a split."""

    kept: Incident
    new: Incident


@router.post("/{incident_id}/close", response_model=Incident, summary="It is over")
async def close(services: Serving, principal: Editor, incident_id: IncidentId, body: Said | None = None) -> Response:
    """A person closes it; its watches end. Closing a closed one changes nothing."""
    body = body or Said()
    return as_json(await Doings(services, principal, body.by).close(incident_id, body.text))


@router.post("/{incident_id}/ignore", response_model=Incident, summary="It is nothing to look at")
async def ignore(services: Serving, principal: Editor, incident_id: IncidentId, body: Said | None = None) -> Response:
    """Ignoring an ignored one changes nothing."""
    body = body or Said()
    return as_json(await Doings(services, principal, body.by).ignore(incident_id, body.text))


@router.post("/{incident_id}/reopen", response_model=Incident, summary="It is not over")
async def reopen(services: Serving, principal: Editor, incident_id: IncidentId, body: Said | None = None) -> Response:
    """409 where it is still active."""
    body = body or Said()
    return as_json(await Doings(services, principal, body.by).reopen(incident_id, body.text))


@router.post("/{incident_id}/feedback", response_model=Feedback, status_code=201, summary="Right, wrong, noise?")
async def feedback(services: Serving, principal: Editor, incident_id: IncidentId, body: FeedbackBody) -> Response:
    """A confirmed or corrected cause is evidence for the next incident like it, and counts for the runbook."""
    doings = Doings(services, principal, body.by)
    return as_json(await doings.feedback(incident_id, body.verdict, body.text, body.service), 201)


@router.post("/{incident_id}/feedback/{feedback_id}/withdraw", status_code=204, summary="Take it back")
async def withdraw(
    services: Serving, principal: Editor, incident_id: IncidentId, feedback_id: FeedbackId, body: Body | None = None
) -> Response:
    """It stays on record and counts for nothing from then on; 409 where that was done before."""
    await Doings(services, principal, body.by if body else None).withdraw_feedback(incident_id, feedback_id)
    return Response(status_code=204)


@router.post("/{incident_id}/merge", response_model=Incident, summary="Two are one")
async def merge(services: Serving, principal: Editor, incident_id: IncidentId, body: MergeBody) -> Response:
    """The other incident's problems come into this one and go on coming; the other is closed."""
    return as_json(await Doings(services, principal, body.by).merge(incident_id, body.other))


@router.post("/{incident_id}/split", response_model=Parts, summary="One is two")
async def split(services: Serving, principal: Editor, incident_id: IncidentId, body: SplitBody) -> Response:
    """Those problems become an incident of their own, and stay apart from then on."""
    kept, new = await Doings(services, principal, body.by).split(incident_id, body.problems)
    return as_json(Parts(kept=kept, new=new))


@router.post("/{incident_id}/relabel", response_model=Incident, summary="Another title, severity or labels")
async def relabel(services: Serving, principal: Editor, incident_id: IncidentId, body: RelabelBody) -> Response:
    """Grouping keeps its hands off the incident from then on."""
    doings = Doings(services, principal, body.by)
    return as_json(await doings.relabel(incident_id, title=body.title, severity=body.severity, labels=body.labels))
