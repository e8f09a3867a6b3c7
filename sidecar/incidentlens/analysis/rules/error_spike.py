"""A signature comes far more often than is usual for it."""

from __future__ import annotations

from incidentlens.model.analysis import Bundle, Finding
from incidentlens.model.terms import ProblemKind, Severity

from ..citing import items, problem_records
from ..context import AnalysisContext
from .base import readable

RATIO = 3.0  # times the usual rate


class ErrorSpike:
    """Speaks of the strongest spike. Ten times the usual is HIGH; a handful of records stays unsure."""

    name = "error_spike"

    def check(self, bundle: Bundle, context: AnalysisContext) -> Finding | None:
        spikes = [
            problem
            for problem in bundle.incident.problems
            if problem.kind in (ProblemKind.SPIKE, ProblemKind.ERROR_SHARE) and problem.parts.spike_ratio >= RATIO
        ]
        if not spikes:
            return None
        problem = max(spikes, key=lambda p: (p.level.failing, p.parts.spike_ratio, p.id))
        ratio = problem.parts.spike_ratio
        timeline = items(bundle, "timeline", lambda item: item.service in ("", problem.service))
        return Finding(
            rule=self.name,
            severity=Severity.HIGH if ratio >= 10 and problem.level.failing else Severity.MEDIUM,
            confidence=round(min(0.95, 0.5 + 0.05 * min(problem.count, 6) + 0.015 * min(ratio, 10)), 2),
            text=f"{problem.service}: “{readable(problem.template)}” {problem.count:,} times, "
            f"{problem.rate_per_minute:.3g} a minute where {problem.baseline_per_minute:.3g} is usual",
            evidence=(*problem_records(bundle, problem), *(item.id for item in timeline[:1])),
        )
