"""An incident's title and severity, out of its problems."""

from __future__ import annotations

from collections.abc import Sequence

from incidentlens.model.incidents import Problem
from incidentlens.model.terms import Level, Severity

from .relations import headline


def severity_of(problems: Sequence[Problem]) -> Severity:
    """How bad a group of problems is; problems that are held back do not count unless all are.

    From the heaviest score, raised by one where three or more services fail together, and lowered for what came only
    once or twice and killed nothing.
    """
    counted = [problem for problem in problems if problem.suppressed is None] or list(problems)
    if not counted:
        return Severity.LOW
    heaviest = max(counted, key=lambda problem: problem.score)
    fatal = any(problem.level == Level.FATAL or problem.parts.severity_weight >= 3.5 for problem in counted)
    failing = [problem for problem in counted if problem.parts.severity_weight >= 2]
    rank = 1 + (heaviest.score >= 5) + (heaviest.score >= 12)
    if fatal:
        rank = max(rank, 3)
    if len({problem.service for problem in failing}) >= 3:
        rank += 1
    if not failing:
        rank = min(rank, 1 if sum(problem.count for problem in counted) < 20 else 2)
    elif sum(problem.count for problem in counted) <= 2 and not fatal:
        rank = min(rank, 2)
    return [Severity.LOW, Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL][min(rank, 4) - 1]


def title_of(problems: Sequence[Problem], cause: Problem | None = None) -> str:
    """`orders: connection pool exhausted: … of … in use`, at most 200 characters.

    Of the cause or, without one, of the leading problem; nothing in it changes as an incident grows.
    """
    lead = cause or leading(problems)
    return f"{lead.service}: {headline(lead.template)}"[:200]


def leading(problems: Sequence[Problem]) -> Problem:
    """The problem to speak of first: not held back, the heaviest, then the earliest."""
    return min(
        problems, key=lambda problem: (problem.suppressed is not None, -problem.score, problem.onset, problem.id)
    )
