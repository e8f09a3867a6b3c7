"""What templates may show: plain dictionaries, bounded, nothing with methods to call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from incidentlens.model.analysis import Analysis, Bundle
from incidentlens.model.decisions import Action, Decision, IncidentEvent, Verification
from incidentlens.model.incidents import Incident, Problem
from incidentlens.model.terms import ActionKind

MAX_PROBLEMS = 20
MAX_EVIDENCE = 12
MAX_EVENTS = 200


def facts(incident: Incident, analysis: Analysis | None, bundle: Bundle | None, now: int) -> dict[str, Any]:
    """The context of the templates of one incident: `incident cause chain problems analysis evidence runbook now`."""
    cause = incident.root_cause
    determined = cause is not None and not cause.undetermined
    problems = sorted(incident.problems, key=lambda problem: (-problem.score, problem.onset))
    match = analysis.runbooks[0] if analysis and analysis.runbooks else None
    return {
        "now": now,
        "incident": {
            "id": incident.id,
            "project": incident.project,
            "title": incident.title,
            "service": incident.service,
            "services": list(incident.services),
            "status": incident.status.value,
            "severity": incident.severity.value,
            "disposition": incident.disposition.value,
            "onset": incident.onset,
            "opened_at": incident.opened_at,
            "last_seen": incident.last_seen,
            "ended_at": incident.ended_at,
            "count": incident.count,
            "reopened": incident.reopened,
            "labels": dict(incident.labels),
        },
        "cause": {"service": cause.service, "summary": cause.summary, "confidence": round(cause.confidence, 2)}
        if cause is not None and determined
        else None,
        "chain": [
            {
                "service": step.service,
                "template": readable(step.template),
                "onset": step.onset,
                "role": step.role,
                "because": step.because,
                "evidence": list(step.evidence),
            }
            for step in (cause.chain if cause is not None and determined else ())
        ],
        "problems": [_problem(problem) for problem in problems[:MAX_PROBLEMS]],
        "problems_left_out": max(len(problems) - MAX_PROBLEMS, 0),
        "analysis": _analysis(analysis) if analysis else None,
        "runbook": {"id": match.runbook_id, "name": match.name, "score": match.score, "reasons": list(match.reasons)}
        if match
        else None,
        "evidence": evidence(incident, analysis, bundle),
        "evidence_dropped": bundle.dropped if bundle else 0,
    }


def ending(
    decisions: Sequence[Decision],
    actions: Sequence[Action],
    verifications: Sequence[Verification],
    events: Sequence[IncidentEvent],
) -> dict[str, Any]:
    """What a report tells besides: `decisions notifications verifications events`, each in order of time."""
    ordered = sorted(events, key=lambda event: event.at)
    return {
        "decisions": [
            {
                "at": decision.at,
                "disposition": decision.disposition.value,
                "severity": decision.severity.value,
                "mode": decision.mode.value,
                "told": decision.tell,
                "reasons": [reason.text for reason in decision.reasons],
            }
            for decision in sorted(decisions, key=lambda decision: decision.at)[-20:]
        ],
        "notifications": [
            {"at": action.at, "state": action.state, "disposition": str(action.payload.get("disposition", ""))}
            for action in sorted(actions, key=lambda action: action.at)
            if action.kind is ActionKind.NOTIFY
        ],
        "verifications": [
            {
                "started_at": watch.started_at,
                "ended_at": watch.ended_at,
                "outcome": watch.outcome.value if watch.outcome else None,
                "query": watch.query,
                "why": watch.why,
            }
            for watch in sorted(verifications, key=lambda watch: watch.started_at)
        ],
        "events": [
            {"at": event.at, "kind": event.kind, "text": event.text, "by": event.by} for event in ordered[-MAX_EVENTS:]
        ],
        "events_left_out": max(len(ordered) - MAX_EVENTS, 0),
    }


def evidence(incident: Incident, analysis: Analysis | None, bundle: Bundle | None) -> list[dict[str, Any]]:
    """The records to show, at most 12: what the claims cite comes first; without a bundle the problems' samples."""
    if bundle is None:
        samples = [sample for problem in incident.problems for sample in problem.samples[:2]]
        return [
            {"id": sample.id, "service": sample.service, "ts": sample.ts, "text": sample.line}
            for sample in sorted(samples, key=lambda sample: sample.ts)[:MAX_EVIDENCE]
        ]
    cited = dict.fromkeys(e for claim in (analysis.claims if analysis else ()) for e in claim.evidence)
    order = {evidence_id: index for index, evidence_id in enumerate(cited)}
    records = [item for item in bundle.items if item.kind == "record"]
    chosen = sorted(records, key=lambda item: (order.get(item.id, len(order)), item.ts))[:MAX_EVIDENCE]
    return [
        {"id": item.id, "service": item.service, "ts": item.ts, "text": item.text}
        for item in sorted(chosen, key=lambda item: item.ts)
    ]


def readable(template: str) -> str:
    """A template for people: its first line, variable parts as `…`."""
    return " ".join(template.strip().partition("\n")[0].replace("<*>", "…").split())


def _problem(problem: Problem) -> dict[str, Any]:
    return {
        "service": problem.service,
        "signature": problem.signature,
        "template": readable(problem.template),
        "level": problem.level.value,
        "count": problem.count,
        "onset": problem.onset,
        "last_seen": problem.last_seen,
        "why": problem.why,
    }


def _analysis(analysis: Analysis) -> dict[str, Any]:
    return {
        "source": analysis.source,
        "cause": analysis.cause,
        "summary": analysis.summary,
        "severity": analysis.severity.value,
        "disposition": analysis.disposition.value,
        "confidence": round(analysis.confidence, 2),
        "next_steps": list(analysis.next_steps),
        "claims": [{"text": claim.text, "evidence": list(claim.evidence)} for claim in analysis.claims],
        "findings": [
            {
                "rule": finding.rule,
                "severity": finding.severity.value,
                "confidence": round(finding.confidence, 2),
                "text": finding.text,
                "evidence": list(finding.evidence),
            }
            for finding in analysis.findings
        ],
    }
