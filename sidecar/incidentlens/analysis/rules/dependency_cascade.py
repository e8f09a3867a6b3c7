"""One service's failure shows in the services that depend on it."""

from __future__ import annotations

from incidentlens.model.analysis import Bundle, Finding
from incidentlens.model.terms import Severity

from ..citing import known, service_records
from ..context import AnalysisContext


class DependencyCascade:
    """From the chain of the suspected cause, as sure as that is."""

    name = "dependency_cascade"

    def check(self, bundle: Bundle, context: AnalysisContext) -> Finding | None:
        cause = bundle.incident.root_cause
        if cause is None or cause.undetermined:
            return None
        services = list(dict.fromkeys(step.service for step in cause.chain))
        if len(services) < 2:
            return None
        cited = known(bundle, (evidence for step in cause.chain for evidence in step.evidence))
        return Finding(
            rule=self.name,
            severity=Severity.HIGH if len(services) >= 3 else Severity.MEDIUM,
            confidence=cause.confidence,
            text=f"a failure of {services[0]} shows in {', '.join(services[1:6])}: {' → '.join(services[:6])}",
            evidence=cited or service_records(bundle, services[0]),
        )
