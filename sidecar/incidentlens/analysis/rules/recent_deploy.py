"""A service of the incident was deployed, or its configuration changed, shortly before it began to fail."""

from __future__ import annotations

from incidentlens.model.analysis import Bundle, Finding
from incidentlens.model.clock import MINUTE
from incidentlens.model.terms import Severity
from incidentlens.model.times import duration

from ..citing import refers_to, service_records
from ..context import AnalysisContext
from .base import cause_service

LOOK_BACK = 30 * MINUTE
SLACK = MINUTE  # a deploy is often announced after its first containers run


class RecentDeploy:
    """The nearer before the onset, the surer: 0.9 at once, 0.5 after half an hour; less where it is not the cause."""

    name = "recent_deploy"

    def check(self, bundle: Bundle, context: AnalysisContext) -> Finding | None:
        incident = bundle.incident
        onsets: dict[str, int] = {}
        for problem in incident.problems:
            onsets[problem.service] = min(problem.onset, onsets.get(problem.service, problem.onset))
        cause = cause_service(incident)
        found = [
            (deploy.service != cause, abs(onsets[deploy.service] - deploy.at), deploy)
            for deploy in context.deploys
            if deploy.service in onsets and -SLACK <= onsets[deploy.service] - deploy.at <= LOOK_BACK
        ]
        if not found:
            return None
        elsewhere, lag, deploy = min(found, key=lambda entry: (entry[0], entry[1], entry[2].id))
        before = "before" if deploy.at <= onsets[deploy.service] else "after"
        version = f" ({deploy.version})" if deploy.version else ""
        return Finding(
            rule=self.name,
            severity=Severity.MEDIUM if elsewhere else Severity.HIGH,
            confidence=round((0.9 - 0.4 * lag / LOOK_BACK) * (0.7 if elsewhere else 1.0), 2),
            text=f"{deploy.service} was deployed{version} {duration(lag)} {before} its first failing record",
            evidence=(*refers_to(bundle, "deploy", deploy.id), *service_records(bundle, deploy.service, 1)),
        )
