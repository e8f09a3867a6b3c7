"""The bundle of an incident: records first, then what else was known at the time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pydantic import Field

from incidentlens.incidents.similarity import known_cause, similar
from incidentlens.model.analysis import Bundle, EvidenceItem
from incidentlens.model.base import Value
from incidentlens.model.clock import HOUR, MINUTE, SECOND
from incidentlens.model.decisions import Alert, Deploy, IncidentEvent, Maintenance
from incidentlens.model.incidents import Incident, Problem, Sample
from incidentlens.model.past import PastIncident
from incidentlens.model.times import duration, utc

_MAX_TEXT = 4_000  # characters of one item's text


class EvidenceContext(Value):
    """What else is known. Times in ns. Everything may be left out."""

    past: tuple[PastIncident, ...] = ()  # other incidents of the project that may be like it, ended or not
    deploys: tuple[Deploy, ...] = ()
    maintenance: tuple[Maintenance, ...] = ()
    alerts: tuple[Alert, ...] = ()
    events: tuple[IncidentEvent, ...] = ()  # of this incident
    max_items: int = Field(default=80, ge=1)
    max_bytes: int = Field(default=128_000, ge=1)
    deploy_lookback: int = Field(default=2 * HOUR, gt=0)
    max_past: int = Field(default=3, ge=0)


def gather(incident: Incident, context: EvidenceContext | None = None) -> Bundle:
    """Everything citable about `incident`: records, timeline, changes, alerts, maintenance, similar incidents, causes.

    A record's id is its record id, others are prefixed: `timeline_`, `deploy_`, `maintenance_`, `alert_`, `incident_`,
    `cause_`. The records that the chain cites come first, so the bounds never cut what a conclusion rests on before
    something else; what they do cut is counted in `dropped`.
    """
    context = context or EvidenceContext()
    kept: list[EvidenceItem] = []
    seen: set[str] = set()
    size = dropped = 0
    for item in _in_order(incident, context):
        if item.id in seen:
            continue
        seen.add(item.id)
        cost = len(item.text.encode("utf-8", "surrogatepass")) + 200
        if len(kept) >= context.max_items or size + cost > context.max_bytes:
            dropped += 1
            continue
        size += cost
        kept.append(item)
    return Bundle(incident=incident, items=tuple(kept), dropped=dropped)


def _in_order(incident: Incident, context: EvidenceContext) -> Iterator[EvidenceItem]:
    """Every item, the most needed first."""
    samples = {sample.id: (sample, problem) for problem in incident.problems for sample in problem.samples}
    cited = [found for step in _chain(incident) for found in step if found in samples]
    yield from (_record(*samples[found]) for found in dict.fromkeys(cited))
    yield from (_timeline(problem) for problem in sorted(incident.problems, key=lambda p: (p.onset, p.id))[:20])
    yield from _deploys(incident, context)
    yield from _alerts(incident, context.alerts)
    yield from _maintenance(incident, context.maintenance)
    yield from _past(incident, context)
    yield from (_event(event, index) for index, event in enumerate(context.events[:20]))
    yield from (_record(sample, problem) for sample, problem in _round_robin(incident.problems))


def _chain(incident: Incident) -> Iterator[Sequence[str]]:
    if incident.root_cause is not None:
        yield from (step.evidence for step in incident.root_cause.chain)


def _round_robin(problems: Sequence[Problem]) -> Iterator[tuple[Sample, Problem]]:
    """The first sample of each problem, then the second of each, …: no problem crowds out another."""
    ordered = sorted(problems, key=lambda problem: (-problem.score, problem.onset, problem.id))
    for index in range(max((len(problem.samples) for problem in ordered), default=0)):
        yield from ((problem.samples[index], problem) for problem in ordered if index < len(problem.samples))


def _record(sample: Sample, problem: Problem) -> EvidenceItem:
    return EvidenceItem(
        id=sample.id,
        kind="record",
        service=sample.service,
        ts=sample.ts,
        text=sample.line,
        data={
            "level": sample.level.value,
            "signature": problem.signature,
            "stream": sample.stream,
            "trace_id": sample.trace_id,
        },
    )


def _timeline(problem: Problem) -> EvidenceItem:
    usual = f", usual {problem.baseline_per_minute:g} a minute" if problem.baseline_per_minute else ""
    return EvidenceItem(
        id=f"timeline_{problem.id.removeprefix('p_')}",
        kind="timeline",
        service=problem.service,
        ts=problem.onset,
        text=_cut(
            f"{utc(problem.onset)} to {utc(problem.last_seen)}: {problem.count} records of "
            f'"{problem.template}" in {problem.service} ({problem.kind.value}; {problem.why}{usual})'
        ),
        data={
            "problem_id": problem.id,
            "signature": problem.signature,
            "count": problem.count,
            "onset": problem.onset,
            "last_seen": problem.last_seen,
            "score": problem.score,
        },
    )


def _deploys(incident: Incident, context: EvidenceContext) -> Iterator[EvidenceItem]:
    """Deploys before the incident, those of its services first, then the latest."""
    services = set(incident.services)
    near = [d for d in context.deploys if incident.onset - context.deploy_lookback <= d.at <= incident.last_seen]
    for deploy in sorted(near, key=lambda deploy: (deploy.service not in services, -deploy.at))[:10]:
        apart = (incident.onset - deploy.at) / SECOND
        length = duration(abs(incident.onset - deploy.at))
        when = f"{length} before the incident began" if apart >= 0 else f"{length} after it began"
        version = f" {deploy.version}" if deploy.version else ""
        said = f": {deploy.text}" if deploy.text else ""
        yield EvidenceItem(
            id=f"deploy_{deploy.id}",
            kind="deploy",
            service=deploy.service,
            ts=deploy.at,
            text=_cut(f"{utc(deploy.at)}: {deploy.service}{version} was deployed, {when}{said}"),
            data={"version": deploy.version, "seconds_before": round(apart, 1)},
        )


def _alerts(incident: Incident, alerts: Iterable[Alert]) -> Iterator[EvidenceItem]:
    own = {problem.id for problem in incident.problems}
    services = set(incident.services)
    for alert in alerts:
        service = next(
            (alert.labels[name] for name in ("service", "service_name", "app", "job") if name in alert.labels), ""
        )
        during = alert.starts_at <= incident.last_seen + MINUTE and (
            alert.ends_at is None or alert.ends_at >= incident.onset - MINUTE
        )
        if alert.problem_id in own or (during and service in services):
            said = alert.annotations.get("summary") or alert.annotations.get("description") or ""
            yield EvidenceItem(
                id=f"alert_{alert.fingerprint}",
                kind="alert",
                service=service or incident.service,
                ts=alert.starts_at,
                text=_cut(f"{utc(alert.starts_at)}: alert {alert.name} fires{f': {said}' if said else ''}"),
                data={"name": alert.name, "labels": dict(alert.labels), "query": alert.query},
            )


def _maintenance(incident: Incident, windows: Iterable[Maintenance]) -> Iterator[EvidenceItem]:
    services = set(incident.services)
    for window in windows:
        overlaps = window.starts_at <= incident.last_seen and window.ends_at >= incident.onset
        if overlaps and (not window.services or services & set(window.services)):
            named = ", ".join(window.services) or "all services"
            yield EvidenceItem(
                id=f"maintenance_{window.id}",
                kind="maintenance",
                service=incident.service,
                ts=window.starts_at,
                text=_cut(
                    f"maintenance of {named} from {utc(window.starts_at)} to {utc(window.ends_at)}"
                    f"{f': {window.reason}' if window.reason else ''}"
                ),
                data={"services": list(window.services)},
            )


def _past(incident: Incident, context: EvidenceContext) -> Iterator[EvidenceItem]:
    """Similar incidents, why they are, and what they turned out to be."""
    for found in similar(incident, context.past, context.max_past):
        past = found.past
        end = f"; {found.resolved_by}" if found.resolved_by else ""
        outcome = past.outcome.value if past.outcome else ""
        yield EvidenceItem(
            id=f"incident_{past.id.removeprefix('inc_')}",
            kind="incident",
            service=past.service,
            ts=past.onset,
            text=_cut(
                f"{utc(past.onset)}: {past.title} ({past.status.value}, {past.count} records; "
                f"{found.score:.0%} alike: {'; '.join(found.reasons)}{end})"
            ),
            data={
                "incident_id": past.id,
                "similarity": found.score,
                "status": past.status.value,
                "outcome": outcome,
                "reasons": list(found.reasons),
                "resolved_by": found.resolved_by,
            },
        )
        if cause := known_cause(past):
            yield EvidenceItem(
                id=f"cause_{past.id.removeprefix('inc_')}",
                kind="cause",
                service=past.service,
                ts=past.onset,
                text=_cut(cause),
                data={"incident_id": past.id, "similarity": found.score},
            )


def _event(event: IncidentEvent, index: int) -> EvidenceItem:
    return EvidenceItem(
        id=f"timeline_{event.at}_{index}",
        kind="timeline",
        service="",
        ts=event.at,
        text=_cut(f"{utc(event.at)}: {event.text}"),
        data={"kind": event.kind, "by": event.by},
    )


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…"
