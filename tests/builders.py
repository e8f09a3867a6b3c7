"""Real values for tests, with every field that does not matter filled in."""

from __future__ import annotations

from typing import Any

from incidentlens.model.analysis import Analysis, EvidenceItem
from incidentlens.model.clock import SECOND
from incidentlens.model.decisions import Action, Decision, IncidentEvent, Reason, Verification
from incidentlens.model.incidents import Incident, Membership, Problem, Sample, ScoreParts
from incidentlens.model.investigations import Investigation, InvestigationState
from incidentlens.model.signatures import Template
from incidentlens.model.terms import ActionKind, Disposition, Level, Mode, ProblemKind, Severity, Status

T0 = 1_750_000_000 * SECOND
PROJECT = "shop"


def make_sample(number: int = 1, **changes: Any) -> Sample:
    values: dict[str, Any] = {
        "id": f"r_{number:016x}",
        "ts": T0 + number * SECOND,
        "service": "db",
        "stream": '{"service":"db"}',
        "level": Level.ERROR,
        "line": f"ERROR connection pool exhausted ({number})",
        "message": f"connection pool exhausted ({number})",
    }
    return Sample(**{**values, **changes})


def make_problem(number: int = 1, **changes: Any) -> Problem:
    values: dict[str, Any] = {
        "id": f"p{number}",
        "project": PROJECT,
        "service": "db",
        "signature": f"db:ERROR:connection_pool_exhausted#{number:04x}",
        "template": "connection pool exhausted (<*>)",
        "level": Level.ERROR,
        "kind": ProblemKind.SPIKE,
        "onset": T0,
        "last_seen": T0 + 60 * SECOND,
        "count": 41,
        "baseline_per_minute": 0.3,
        "rate_per_minute": 20.5,
        "score": 12.5,
        "parts": ScoreParts(severity_weight=3, spike_ratio=68.3, criticality=1),
        "why": "41 in 2 min where 0.3 is usual",
        "samples": (make_sample(1), make_sample(2)),
    }
    return Problem(**{**values, **changes})


def make_incident(incident_id: str = "i1", **changes: Any) -> Incident:
    problems = changes.pop("problems", (make_problem(project=changes.get("project", PROJECT)),))
    values: dict[str, Any] = {
        "id": incident_id,
        "project": PROJECT,
        "title": "Connection pool exhausted in db",
        "service": "db",
        "status": Status.OPEN,
        "severity": Severity.HIGH,
        "disposition": Disposition.NEEDS_ONCALL,
        "confidence": 0.8,
        "onset": T0,
        "opened_at": T0 + 10 * SECOND,
        "last_seen": T0 + 60 * SECOND,
        "updated_at": T0 + 60 * SECOND,
        "count": 41,
        "problems": problems,
        "members": tuple(Membership(problem_id=problem.id, why="first of its kind") for problem in problems),
    }
    return Incident(**{**values, **changes})


def make_decision(decision_id: str = "d1", incident_id: str = "i1", **changes: Any) -> Decision:
    values: dict[str, Any] = {
        "id": decision_id,
        "incident_id": incident_id,
        "at": T0 + 11 * SECOND,
        "mode": Mode.LIVE,
        "disposition": Disposition.NEEDS_ONCALL,
        "severity": Severity.HIGH,
        "actions": (ActionKind.ENRICH, ActionKind.NOTIFY),
        "tell": True,
        "reasons": (Reason(code="floor", text="critical is at least NEEDS_ONCALL"),),
        "policy": {"mode": "live", "min_count": 1},
        "inputs": {"count": 41},
    }
    return Decision(**{**values, **changes})


def make_action(key: str = "notify:i1:1", incident_id: str = "i1", **changes: Any) -> Action:
    values: dict[str, Any] = {
        "key": key,
        "incident_id": incident_id,
        "decision_id": "d1",
        "kind": ActionKind.NOTIFY,
        "at": T0 + 12 * SECOND,
        "state": "done",
        "payload": {"title": "Connection pool exhausted"},
    }
    return Action(**{**values, **changes})


def make_verification(verification_id: str = "v1", incident_id: str = "i1", **changes: Any) -> Verification:
    values: dict[str, Any] = {
        "id": verification_id,
        "incident_id": incident_id,
        "started_at": T0 + 13 * SECOND,
        "quiet_ns": 300 * SECOND,
        "query": '{service="db"} |= "pool exhausted"',
    }
    return Verification(**{**values, **changes})


def make_event(kind: str = "opened", incident_id: str = "i1", **changes: Any) -> IncidentEvent:
    values: dict[str, Any] = {"incident_id": incident_id, "at": T0, "kind": kind, "text": f"it was {kind}"}
    return IncidentEvent(**{**values, **changes})


def make_evidence(number: int = 1, **changes: Any) -> EvidenceItem:
    values: dict[str, Any] = {
        "id": f"r_{number:016x}",
        "kind": "record",
        "service": "db",
        "ts": T0 + number * SECOND,
        "text": f"ERROR connection pool exhausted ({number})",
    }
    return EvidenceItem(**{**values, **changes})


def make_analysis(**changes: Any) -> Analysis:
    values: dict[str, Any] = {
        "source": "runbook",
        "cause": "the connection pool of db is exhausted",
        "summary": "db ran out of connections",
        "severity": Severity.HIGH,
        "disposition": Disposition.NEEDS_ONCALL,
        "confidence": 0.9,
    }
    return Analysis(**{**values, **changes})


def make_investigation(investigation_id: str = "inv_1", incident_id: str = "i1", **changes: Any) -> Investigation:
    values: dict[str, Any] = {
        "id": investigation_id,
        "incident_id": incident_id,
        "signature": "db:ERROR:connection_pool_exhausted#0001",
        "state": InvestigationState.DONE,
        "wanted_at": T0,
        "updated_at": T0 + SECOND,
        "model": "llama",
        "calls": 1,
        "tokens": 1200,
        "cost": 0.0014,
    }
    return Investigation(**{**values, **changes})


def make_template(signature: str = "db:ERROR:connection_pool_exhausted#0001", **changes: Any) -> Template:
    values: dict[str, Any] = {
        "signature": signature,
        "template": "connection pool exhausted (<*>)",
        "family": "db",
        "level": Level.ERROR,
        "first_seen": T0,
        "last_seen": T0 + 60 * SECOND,
        "count": 41,
    }
    return Template(**{**values, **changes})
