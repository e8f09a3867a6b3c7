"""An incident as the command line gives it (DESIGN section 5), out of a store's transaction."""

from __future__ import annotations

from collections import Counter
from typing import Any

from incidentlens.model.incidents import Incident, Problem
from incidentlens.store.base import Transaction

_EVIDENCE_ITEMS = 50


async def incident_result(tx: Transaction, incident: Incident) -> dict[str, Any]:
    """One incident with its proof, decision and verification. Times in ns."""
    counts: Counter[str] = Counter()
    for problem in incident.problems:
        counts[problem.signature] += problem.count
    templates = {problem.signature: problem.template for problem in incident.problems}
    decisions = await tx.decisions(incident.id)
    verifications = await tx.verifications(incident.id)
    evidence = [item for item in await tx.evidence(incident.id) if item.kind == "record"]
    analysis = await tx.latest_analysis(incident.id)
    root = incident.root_cause
    return {
        "id": incident.id,
        "title": incident.title,
        "service": incident.service,
        "severity": incident.severity.value,
        "disposition": incident.disposition.value,
        "confidence": incident.confidence,
        "status": incident.status.value,
        "onset": incident.onset,
        "opened_at": incident.opened_at,
        "last_seen": incident.last_seen,
        "count": incident.count,
        "reopened": incident.reopened,
        "summary": incident.summary,
        "runbook": incident.runbook,
        "signatures": [
            {"signature": signature, "template": templates[signature], "count": counts[signature]}
            for signature in incident.signatures
        ],
        "problems": [_problem(problem) for problem in incident.problems],
        "root_cause": {
            "service": root.service,
            "signature": root.signature,
            "summary": root.summary,
            "confidence": root.confidence,
            "undetermined": root.undetermined,
            "chain": [step.model_dump(mode="json") for step in root.chain],
        }
        if root
        else None,
        "evidence": [
            {"id": item.id, "service": item.service, "ts": item.ts, "line": item.text}
            for item in evidence[:_EVIDENCE_ITEMS]
        ],
        "runbooks": [
            {"id": match.runbook_id, "name": match.name, "score": match.score, "reasons": list(match.reasons)}
            for match in (analysis.runbooks if analysis else ())
        ],
        "next_steps": list(analysis.next_steps) if analysis else [],
        "decision": {
            "disposition": decisions[0].disposition.value,
            "told": any(decision.tell for decision in decisions),
            "reasons": [reason.model_dump() for reason in decisions[0].reasons],
        }
        if decisions
        else None,
        "verification": {
            "outcome": verifications[-1].outcome.value if verifications[-1].outcome else None,
            "why": verifications[-1].why,
        }
        if verifications
        else None,
    }


def _problem(problem: Problem) -> dict[str, Any]:
    """What was found and how its score is made: score = severity_weight × log1p(spike_ratio) × criticality."""
    return {
        "service": problem.service,
        "signature": problem.signature,
        "kind": problem.kind.value,
        "onset": problem.onset,
        "count": problem.count,
        "score": problem.score,
        "parts": problem.parts.model_dump(),
        "why": problem.why,
        "suppressed": problem.suppressed.model_dump() if problem.suppressed else None,
    }


def importance(incident: Incident) -> tuple[float, ...]:
    """For sorting, most important first: who should know, how bad, how unusual, how many."""
    score = max((problem.score for problem in incident.problems), default=0.0)
    return (-incident.disposition.rank, -incident.severity.rank, -score, -incident.count, incident.onset)
