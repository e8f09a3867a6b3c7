"""Incidents and everything about one, read only."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field

from incidentlens.api.auth import Principal, Reader, Serving
from incidentlens.api.errors import ApiError
from incidentlens.api.params import Cursor, IncidentQuery, Limit, as_json, incident_query, read_term
from incidentlens.api.report import report_of
from incidentlens.api.seams import Services
from incidentlens.incidents import Opinion, opinions, similar
from incidentlens.model.analysis import Analysis, EvidenceItem
from incidentlens.model.decisions import Action, Decision, Feedback, IncidentEvent, Verification
from incidentlens.model.incidents import RootCause
from incidentlens.model.investigations import Investigation as ModelRun
from incidentlens.model.past import PastIncident, SimilarIncident
from incidentlens.policy import explain, why_nobody_was_told
from incidentlens.store.paging import Page
from incidentlens.store.queries import IncidentDetail, IncidentRow, IncidentSort

router = APIRouter(prefix="/api/incidents", tags=["incidents"])

IncidentId = Annotated[str, Path(max_length=200, description="The incident's id.")]


class SimilarList(BaseModel):
    """Earlier incidents like it, the most like first."""

    items: tuple[SimilarIncident, ...]


class OpinionList(BaseModel):
    """What people said of this incident and of those like it, as far as it acts on this one."""

    items: tuple[Opinion, ...]
    feedback: tuple[Feedback, ...] = Field(description="On this incident, with what was withdrawn.")


class EvidenceList(BaseModel):
    """Everything that may be cited, in the order in which it was found. `cut`: items that are not shown."""

    items: tuple[EvidenceItem, ...]
    cut: int


class ActionList(BaseModel):
    """What was done or, in shadow mode, would have been."""

    items: tuple[Action, ...]
    cut: int


class Timeline(BaseModel):
    """What happened, in order of time."""

    items: tuple[IncidentEvent, ...]
    cut: int


class VerificationList(BaseModel):
    """Each watch of the verifier, in order of time. `outcome`: of the latest that ended."""

    outcome: str | None
    items: tuple[Verification, ...]
    cut: int


class Investigation(BaseModel):
    """The latest analysis, with the suspected cause, the chain to it and the services ranked as causes."""

    analysed_at: int | None = Field(description="ns; null while nothing was analysed")
    analysis: Analysis | None
    root_cause: RootCause | None
    runs: tuple[ModelRun, ...] = Field(
        description="What a language model was shown and said, masked, and what was struck out; newest first."
    )


class DecisionList(BaseModel):
    """Decisions, newest first, with an answer to the question that is asked most."""

    why_nobody_was_told: str | None = Field(description="One sentence or two; null where somebody was told.")
    explanation: str = Field(description="All of it in words, as `incidentlens policy explain` prints it.")
    items: tuple[Decision, ...]
    cut: int


async def detail_of(services: Services, principal: Principal, incident_id: str) -> IncidentDetail:
    """The incident of the asker's project. ApiError 404."""
    found = await services.queries.incident_detail(principal.project.name, incident_id)
    if found is None:
        raise ApiError(404, f"there is no incident {incident_id[:80]!r} in project {principal.project.name}")
    return found


async def _detail(services: Serving, principal: Reader, incident_id: IncidentId) -> IncidentDetail:
    return await detail_of(services, principal, incident_id)


Detail = Annotated[IncidentDetail, Depends(_detail)]


@router.get("", response_model=Page[IncidentRow], summary="List incidents")
async def list_incidents(
    services: Serving,
    principal: Reader,
    query: Annotated[IncidentQuery, Depends(incident_query)],
    sort: Annotated[str, Query(max_length=20, description=f"One of {', '.join(IncidentSort)}.")] = "last_seen",
    order: Annotated[str, Query(pattern="^(asc|desc)$", description="`desc`: the greatest or latest first.")] = "desc",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """The project's incidents, filtered, sorted and in pages. Times are nanoseconds since 1970."""
    page = await services.queries.list_incidents(
        principal.project.name,
        query.where(services.clock.now()),
        sort=read_term(IncidentSort, sort, "sort") or IncidentSort.LAST_SEEN,
        descending=order == "desc",
        limit=limit,
        cursor=cursor,
    )
    return as_json(page)


@router.get("/{incident_id}", response_model=IncidentDetail, summary="One incident with all that is known of it")
async def one_incident(detail: Detail) -> Response:
    """The incident with its problems, evidence, analysis, decisions, actions, verification and timeline.

    Lists are bounded; `cut` counts what is not shown."""
    return as_json(detail)


async def similar_to(services: Services, detail: IncidentDetail, limit: int) -> list[SimilarIncident]:
    """Earlier incidents of the same project like this one."""
    return similar(detail.incident, await services.queries.past_incidents(detail.incident), limit)


@router.get("/{incident_id}/similar", response_model=SimilarList, summary="Have we had this before?")
async def similar_incidents(
    services: Serving,
    detail: Detail,
    limit: Annotated[int, Query(ge=1, le=20, description="How many at most.")] = 3,
) -> Response:
    """Earlier incidents by common signatures, services, chain and words; why each is like it, and what ended it."""
    return as_json(SimilarList(items=tuple(await similar_to(services, detail, limit))))


async def opinions_on(services: Services, detail: IncidentDetail) -> tuple[Opinion, ...]:
    """What people's words, those on the incident itself among them, do to it."""
    own = tuple(said for said in detail.feedback if said.withdrawn_at is None)
    past = await services.queries.past_incidents(detail.incident)
    return opinions(detail.incident, [*past, PastIncident.of(detail.incident, feedback=own)])


@router.get("/{incident_id}/feedback", response_model=OpinionList, summary="What people said, and what it does")
async def feedback(services: Serving, detail: Detail) -> Response:
    """Each word in force that ranks a cause or a runbook up or down here, or holds the incident back as noise."""
    return as_json(OpinionList(items=await opinions_on(services, detail), feedback=detail.feedback))


@router.get("/{incident_id}/evidence", response_model=EvidenceList, summary="What proves it")
async def evidence(detail: Detail) -> Response:
    """Records as they stood, timelines, deploys, alerts, past incidents; each with the id by which it is cited."""
    return as_json(EvidenceList(items=detail.evidence, cut=detail.cut.get("evidence", 0)))


@router.get("/{incident_id}/actions", response_model=ActionList, summary="What was done")
async def actions(detail: Detail) -> Response:
    """Enrichments, suppressions and notifications; state `shadow` was decided and not sent."""
    return as_json(ActionList(items=detail.actions, cut=detail.cut.get("actions", 0)))


@router.get("/{incident_id}/investigation", response_model=Investigation, summary="The analysis")
async def investigation(services: Serving, principal: Reader, detail: Detail) -> Response:
    """Findings, claims with the evidence they cite, matched runbooks, the chain and the ranking of services; and each
    time that a language model was asked, or was not and why."""
    runs = await services.queries.investigations(principal.project.name, detail.incident.id)
    return as_json(
        Investigation(
            analysed_at=detail.analysed_at,
            analysis=detail.analysis,
            root_cause=detail.incident.root_cause,
            runs=tuple(runs),
        )
    )


@router.get("/{incident_id}/timeline", response_model=Timeline, summary="What happened when")
async def timeline(detail: Detail) -> Response:
    """Opened, joined, analysed, decided, told, verified, closed, in order of time."""
    return as_json(Timeline(items=detail.events, cut=detail.cut.get("events", 0)))


@router.get("/{incident_id}/verification", response_model=VerificationList, summary="Whether it is over")
async def verification(detail: Detail) -> Response:
    """The verifier's watches: the LogQL it counts, each look, and the outcome."""
    return as_json(
        VerificationList(outcome=detail.outcome, items=detail.verifications, cut=detail.cut.get("verifications", 0))
    )


@router.get("/{incident_id}/decisions", response_model=DecisionList, summary="What was decided, and why")
async def decisions(services: Serving, detail: Detail) -> Response:
    """Every decision with its reasons, inputs and the policy in force; and why nobody was told, where nobody was."""
    now = services.clock.now()
    return as_json(
        DecisionList(
            why_nobody_was_told=why_nobody_was_told(detail.decisions, detail.actions, now),
            explanation=explain(detail.decisions, detail.actions, detail.events, now=now),
            items=detail.decisions,
            cut=detail.cut.get("decisions", 0),
        )
    )


@router.get("/{incident_id}/report", response_class=PlainTextResponse, summary="The post-incident report")
async def report(services: Serving, principal: Reader, detail: Detail) -> Response:
    """In Markdown, by the project's own template where it has one. Secrets are masked in it."""
    text = report_of(detail, principal.project, services.clock.now())
    return PlainTextResponse(text, media_type="text/markdown; charset=utf-8")
