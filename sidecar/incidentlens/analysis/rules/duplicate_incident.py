"""Another open incident says the same."""

from __future__ import annotations

from incidentlens.model.analysis import Bundle, Finding
from incidentlens.model.incidents import Incident
from incidentlens.model.terms import Severity

from ..citing import anything, problem_records, refers_to
from ..context import AnalysisContext
from .base import cause_first

SHARE = 0.5


class DuplicateIncident:
    """The same suspected cause, or at least half of the signatures in common, with an older incident still open."""

    name = "duplicate_of_open_incident"

    def check(self, bundle: Bundle, context: AnalysisContext) -> Finding | None:
        incident = bundle.incident
        best: tuple[float, Incident, str] | None = None
        for other in context.related:
            older = (other.opened_at, other.id) < (incident.opened_at, incident.id)
            if other.id == incident.id or other.project != incident.project or not other.status.active or not older:
                continue
            share, why = _likeness(incident, other)
            if share >= SHARE and (best is None or share > best[0]):
                best = share, other, why
        if best is None:
            return None
        share, other, why = best
        cited = refers_to(bundle, "incident", other.id) or problem_records(bundle, cause_first(incident)[0])
        return Finding(
            rule=self.name,
            severity=Severity.LOW,
            confidence=round(min(0.9, 0.4 + 0.5 * share), 2),
            text=f"incident {other.id} ({other.title}) is open with {why}",
            evidence=cited or anything(bundle),
        )


def _likeness(one: Incident, other: Incident) -> tuple[float, str]:
    causes = [
        (cause.service, cause.signature)
        for cause in (one.root_cause, other.root_cause)
        if cause is not None and not cause.undetermined and cause.signature
    ]
    if len(causes) == 2 and causes[0] == causes[1]:
        return 1.0, "the same suspected cause"
    mine = {(problem.service, problem.signature) for problem in one.problems}
    theirs = {(problem.service, problem.signature) for problem in other.problems}
    common = len(mine & theirs)
    return common / max(len(mine | theirs), 1), f"{common} signatures in common"
