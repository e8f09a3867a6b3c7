"""Times every list and page query of the reading side against a seeded project (`store.seed`)."""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

from incidentlens.model.base import Value
from incidentlens.model.clock import DAY, HOUR, MINUTE
from incidentlens.model.terms import ActionKind, Disposition, Severity, Status

from .paging import Page
from .postgres import PostgresStore
from .queries import IncidentFilter, IncidentSort, SignatureSort

ACTIVE = (Status.OPEN, Status.VERIFYING, Status.SUPPRESSED)

Case = Callable[[], Awaitable[Any]]


class Timing(Value):
    """One query, asked several times through the pool as the API does; milliseconds."""

    name: str
    median_ms: float
    worst_ms: float
    rows: int | None  # of a page, None for what is no list


async def measure(store: PostgresStore, *, project: str = "bench", now: int, repeat: int = 7) -> list[Timing]:
    """Every query once to warm up and `repeat` times measured, the slowest first. The project must hold incidents."""
    timings = []
    for name, case in (await cases(store, project, now)).items():
        found = await case()
        took = []
        for _ in range(repeat):
            started = time.perf_counter()
            await case()
            took.append((time.perf_counter() - started) * 1000)
        rows = len(found.items) if isinstance(found, Page) else None
        timings.append(Timing(name=name, median_ms=statistics.median(took), worst_ms=max(took), rows=rows))
    return sorted(timings, key=lambda timing: timing.median_ms, reverse=True)


async def cases(store: PostgresStore, project: str, now: int) -> dict[str, Case]:
    """What the API and the pages ask, common and rare, and pages far down a list."""
    queries = store.queries
    first = (await queries.list_incidents(project)).items[0]
    signature, service = first.signatures[0], first.services[0]
    cursor = None
    for _ in range(20):
        cursor = (await queries.list_incidents(project, limit=500, cursor=cursor)).next_cursor or cursor

    def incidents(where: IncidentFilter | None = None, **asked: Any) -> Case:
        return lambda: queries.list_incidents(project, where or IncidentFilter(), **asked)

    detail = await queries.incident_detail(project, first.id)
    assert detail is not None
    whole = detail.incident

    found: dict[str, Case] = {
        "incidents": incidents(),
        "incidents, 500 a page": incidents(limit=500),
        "incidents, page at 10,000": incidents(cursor=cursor),
        "incidents, active, worst first": incidents(IncidentFilter(status=ACTIVE), sort=IncidentSort.SEVERITY),
        "incidents, last day": incidents(IncidentFilter(since=now - DAY)),
        "incidents, one day long ago": incidents(IncidentFilter(since=now - 60 * DAY, until=now - 59 * DAY)),
        "incidents, one service": incidents(IncidentFilter(service=service)),
        "incidents, one service by count": incidents(IncidentFilter(service=service), sort=IncidentSort.COUNT),
        "incidents, one signature": incidents(IncidentFilter(signature=signature)),
        "incidents, one runbook": incidents(IncidentFilter(runbook="db-deadlock"), sort=IncidentSort.OPENED_AT),
        "incidents, unknown service": incidents(IncidentFilter(service="nowhere")),
        "incidents, frequent words": incidents(IncidentFilter(text="pool exhausted")),
        "incidents, frequent words by count": incidents(IncidentFilter(text="deadlock"), sort=IncidentSort.COUNT),
        "incidents, one rare word": incidents(IncidentFilter(text="00012345")),
        "incidents, one letter": incidents(IncidentFilter(text="e"), sort=IncidentSort.SEVERITY),
        "incidents, every filter": incidents(
            IncidentFilter(
                status=(Status.RESOLVED,),
                severity=(Severity.CRITICAL, Severity.HIGH),
                disposition=(Disposition.ESCALATE, Disposition.NEEDS_ONCALL),
                service=service,
                text="deadlock",
                since=now - 30 * DAY,
            )
        ),
        "incident": lambda: queries.incident_detail(project, first.id),
        "incidents that may be like one": lambda: queries.past_incidents(whole),
        "signatures, a text": lambda: queries.list_signatures(project, now=now, text="dead"),
        "signatures, one service": lambda: queries.list_signatures(project, now=now, service=service),
        "signature, a day by minutes": lambda: queries.signature_detail(
            project, signature, since=now - DAY, until=now, bucket=MINUTE
        ),
        "signature, 30 days by hours": lambda: queries.signature_detail(
            project, signature, since=now - 30 * DAY, until=now, bucket=HOUR
        ),
        "templates": lambda: queries.templates(project, [signature]),
        "runbooks, 90 days": lambda: queries.runbook_stats(project, since=now - 90 * DAY),
        "statistics, a day by hours": lambda: queries.stats(project, since=now - DAY, until=now, bucket=HOUR),
        "statistics, a week by hours": lambda: queries.stats(project, since=now - 7 * DAY, until=now, bucket=HOUR),
        "statistics, 90 days by days": lambda: queries.stats(project, since=now - 90 * DAY, until=now, bucket=DAY),
        "actions": lambda: queries.list_actions(project),
        "actions, of one kind": lambda: queries.list_actions(project, kind=ActionKind.SUPPRESS),
        "events": lambda: queries.list_events(project),
        "deploys": lambda: queries.list_deploys(project),
        "maintenance": lambda: queries.list_maintenance(project, now=now),
        "services": lambda: queries.services(project),
        "outbox": lambda: queries.outbox_state(project),
    }
    for sort in IncidentSort:
        found[f"incidents by {sort}"] = incidents(sort=sort)
        found[f"incidents by {sort}, least first"] = incidents(sort=sort, descending=False)
    for status in Status:
        found[f"incidents, {status}"] = incidents(IncidentFilter(status=(status,)))
    for severity in Severity:
        found[f"incidents, {severity}"] = incidents(IncidentFilter(severity=(severity,)))
    for disposition in Disposition:
        found[f"incidents, {disposition}"] = incidents(IncidentFilter(disposition=(disposition,)))
    for order in SignatureSort:
        found[f"signatures, {order}"] = _signatures(store, project, now, order)
    return found


def _signatures(store: PostgresStore, project: str, now: int, order: SignatureSort) -> Case:
    return lambda: store.queries.list_signatures(project, now=now, sort=order)
