"""A message that was never seen before."""

from __future__ import annotations

from incidentlens.model.analysis import Bundle, Finding
from incidentlens.model.terms import Level, ProblemKind, Severity

from ..citing import problem_records
from ..context import AnalysisContext
from .base import cause_first, readable


class NewSignature:
    """The suspected cause's first, else the heaviest. A failing level makes it surer that the novelty matters."""

    name = "new_signature"

    def check(self, bundle: Bundle, context: AnalysisContext) -> Finding | None:
        new = [problem for problem in cause_first(bundle.incident) if problem.kind is ProblemKind.NEW]
        if not new:
            return None
        problem = new[0]
        more = f", and {len(new) - 1} more new ones" if len(new) > 1 else ""
        return Finding(
            rule=self.name,
            severity=Severity.HIGH if problem.level is Level.FATAL else Severity.MEDIUM,
            confidence=0.75 if problem.level.failing else 0.5,
            text=f"{problem.service}: “{readable(problem.template)}” was never seen before{more}",
            evidence=problem_records(bundle, problem),
        )
