"""The list of incidents, and one incident."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

import orjson
from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from incidentlens.api.params import Cursor, IncidentQuery, incident_query, read_term
from incidentlens.api.report import report_of
from incidentlens.api.routes.incidents import IncidentId, detail_of, opinions_on, similar_to
from incidentlens.model.clock import DAY, HOUR
from incidentlens.model.decisions import Action, Decision
from incidentlens.model.terms import ActionKind, Disposition, Severity, Status
from incidentlens.policy import why_nobody_was_told
from incidentlens.store.queries import IncidentDetail, IncidentSort

from .render import Visit, page, visit

router = APIRouter(tags=["pages"], include_in_schema=False)

Asked = Annotated[Visit, Depends(visit)]

PAGE = 50
_SNAPSHOT = 20_000  # characters of a decision's policy and inputs
_ALIKE = 3  # earlier incidents that are shown
_SERVICES = 1_000  # in the box that completes what one types
SORTS = {"last_seen": "last seen", "opened_at": "opened", "severity": "severity", "count": "records"}
SPANS = {"": "any time", "1h": "last hour", "24h": "last 24 hours", "7d": "last 7 days", "30d": "last 30 days"}
DONE = {
    "close": "Closed.", "ignore": "Ignored.", "reopen": "Re-opened.", "feedback": "Thank you: your feedback is kept.",
    "merge": "Merged.", "split": "Split: the new incident is here.", "relabel": "Changed.",
    "withdraw": "Withdrawn: it counts for nothing from now on.",
}  # fmt: skip


@router.get("/")
async def incidents(
    asked: Asked,
    query: Annotated[IncidentQuery, Depends(incident_query)],
    sort: Annotated[str, Query(max_length=20)] = "last_seen",
    cursor: Cursor = None,
) -> HTMLResponse:
    """The list with its filters and the day's figures."""
    queries, name = asked.services.queries, asked.principal.project.name
    where = query.where(asked.now)
    chosen = read_term(IncidentSort, sort, "sort") or IncidentSort.LAST_SEEN
    found = await queries.list_incidents(name, where, sort=chosen, limit=PAGE, cursor=cursor or None)
    stats = await queries.stats(name, since=asked.now - DAY, until=asked.now, bucket=HOUR)
    filters: dict[str, Any] = {
        "status": [term.value for term in where.status],
        "severity": [term.value for term in where.severity],
        "disposition": [term.value for term in where.disposition],
        "service": query.service,
        "signature": query.signature,
        "runbook": query.runbook,
        "since": query.since,
        "until": query.until,
        "q": where.text,
    }
    used = {key: value for key, value in filters.items() if value}
    if chosen is not IncidentSort.LAST_SEEN:
        used["sort"] = chosen.value
    return page(
        "incidents.html.j2",
        asked,
        rows=found.items,
        filters=filters,
        used=used,
        filtered=bool(set(used) - {"sort"}),
        sort=chosen.value,
        sorts=SORTS,
        spans=SPANS if (query.since or "") in SPANS else {**SPANS, query.since: query.since},
        first=cursor is None,
        next_url=asked.link("/", **used, cursor=found.next_cursor) if found.next_cursor else None,
        stats=stats,
        services=(await queries.services(name))[:_SERVICES],
        terms={"status": list(Status), "severity": list(Severity), "disposition": list(Disposition)},
    )


@router.get("/incidents")
async def incidents_too(asked: Asked) -> RedirectResponse:
    """What people type."""
    return RedirectResponse(asked.link("/"), 307)


@router.get("/incidents/{incident_id}")
async def incident(
    asked: Asked, incident_id: IncidentId, done: Annotated[str | None, Query(max_length=20)] = None
) -> HTMLResponse:
    """One incident: its cause, proof, decision, watch and history."""
    detail = await detail_of(asked.services, asked.principal, incident_id)
    alike = await similar_to(asked.services, detail, _ALIKE)
    said = await opinions_on(asked.services, detail)
    return page(
        "incident.html.j2", asked, **_shown(asked, detail), alike=alike, opinions=said, done=DONE.get(done or "")
    )


@router.get("/incidents/{incident_id}/report")
async def report(asked: Asked, incident_id: IncidentId) -> Response:
    """The report as a text to copy."""
    detail = await detail_of(asked.services, asked.principal, incident_id)
    text = report_of(detail, asked.principal.project, asked.now)
    name = quote(f"{detail.incident.id}.md", safe="")
    headers = {"Content-Disposition": f"inline; filename*=UTF-8''{name}"}
    return PlainTextResponse(text.encode("utf-8", "replace"), headers=headers)


@dataclass(frozen=True, slots=True)
class Link:
    """One step of the chain, with how much later it began than the step before (ns, None for the first)."""

    step: Any
    later: int | None


def _shown(asked: Visit, detail: IncidentDetail) -> dict[str, Any]:
    """What the template needs, in the order people read."""
    found = detail.incident
    cause = found.root_cause if found.root_cause and not found.root_cause.undetermined else None
    steps = cause.chain if cause else ()
    chain = [
        Link(step, step.onset - before.onset if before else None)
        for before, step in zip((None, *steps), steps, strict=False)
    ]
    numbers = {item.id: number for number, item in enumerate(detail.evidence, 1)}
    analysis = detail.analysis
    match = analysis.runbooks[0] if analysis and analysis.runbooks else None
    runbook = next((book for book in asked.principal.project.runbooks if match and book.id == match.runbook_id), None)
    notified = [action for action in detail.actions if action.kind is ActionKind.NOTIFY]
    enriched = [action for action in detail.actions if action.kind is ActionKind.ENRICH]
    whys = {member.problem_id: member for member in found.members}
    return {
        "detail": detail,
        "noise_times": asked.principal.project.policy.noise.times,
        "incident": found,
        "cause": cause,
        "chain": chain,
        "numbers": numbers,
        "records": [item for item in detail.evidence if item.kind == "record"],
        "others": [item for item in detail.evidence if item.kind != "record"],
        "analysis": analysis,
        "match": match,
        "runbook": runbook,
        "problems": sorted(found.problems, key=lambda problem: (problem.onset, problem.id)),
        "whys": whys,
        "told": next((action for action in reversed(notified) if action.state == "done"), None),
        "notification": notified[-1] if notified else None,
        "texts": _texts(enriched[-1]) if enriched else {},
        "nobody": why_nobody_was_told(detail.decisions, detail.actions, asked.now),
        "decision": detail.decisions[0] if detail.decisions else None,
        "earlier": detail.decisions[1:],
        "snapshot": _snapshot(detail.decisions[0]) if detail.decisions else "",
        "watches": tuple(reversed(detail.verifications)),
    }


def _texts(action: Action) -> dict[str, str]:
    """What enriching wrote, under a name for people."""
    names = {
        "ticket_title": "Ticket title", "ticket_body": "Ticket", "war_room": "War-room brief", "summary": "Summary",
    }  # fmt: skip
    return {name: str(action.payload[key]) for key, name in names.items() if action.payload.get(key)}


def _snapshot(decision: Decision) -> str:
    """The decision's inputs and policy as it kept them."""
    whole = {"inputs": decision.inputs, "policy": decision.policy}
    said = orjson.dumps(whole, option=orjson.OPT_INDENT_2, default=str).decode()
    return said if len(said) <= _SNAPSHOT else f"{said[:_SNAPSHOT]}\n… ({len(said) - _SNAPSHOT:,} more characters)"
