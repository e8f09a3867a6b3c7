"""A plain incident for cases that are about something else."""

from __future__ import annotations

from incidentlens.model.clock import MINUTE, SECOND
from incidentlens.model.incidents import Incident, Membership, Problem, Sample, ScoreParts
from incidentlens.model.terms import Disposition, Level, ProblemKind, Severity, Status

AT = 1_763_640_000 * SECOND


def an_incident(*services: str, line: str = "", project: str = "shop") -> Incident:
    """One that is open, of severity high, with a spike in each service. `line` is each problem's sample."""
    problems = tuple(_problem(service, number, line, project) for number, service in enumerate(dict.fromkeys(services)))
    return Incident(
        id="inc_case",
        project=project,
        title="a case",
        service=problems[0].service,
        status=Status.OPEN,
        severity=Severity.HIGH,
        disposition=Disposition.NEEDS_DEV,
        confidence=0.6,
        onset=AT,
        opened_at=AT + 10 * SECOND,
        last_seen=AT + MINUTE,
        updated_at=AT + MINUTE,
        count=40 * len(problems),
        problems=problems,
        members=tuple(Membership(problem_id=problem.id, why="the case says so") for problem in problems),
    )


def _problem(service: str, number: int, line: str, project: str) -> Problem:
    signature = f"app:ERROR:case#{number:04x}"
    sample = Sample(
        id=f"r_{number:016x}", ts=AT, service=service, stream="{}", level=Level.ERROR, line=line, message=line,
        signature=signature,
    )  # fmt: skip
    return Problem(
        id=f"p_{number}",
        project=project,
        service=service,
        signature=signature,
        template=line or "it failed",
        level=Level.ERROR,
        kind=ProblemKind.SPIKE,
        onset=AT,
        last_seen=AT + MINUTE,
        count=40,
        baseline_per_minute=0.2,
        rate_per_minute=40,
        score=9.0,
        parts=ScoreParts(severity_weight=3, spike_ratio=200, criticality=1),
        why="40 in 1 min where 0.2 is usual",
        samples=(sample,) if line else (),
    )
