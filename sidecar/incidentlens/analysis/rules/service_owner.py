"""Who owns the service that is suspected."""

from __future__ import annotations

from incidentlens.model.analysis import Bundle, Finding
from incidentlens.model.terms import Severity

from ..citing import anything, service_records
from ..context import AnalysisContext
from .base import cause_service


class ServiceOwner:
    """From the configured owners."""

    name = "service_owner"

    def check(self, bundle: Bundle, context: AnalysisContext) -> Finding | None:
        service = cause_service(bundle.incident)
        owner = context.owner(service)
        if not owner:
            return None
        return Finding(
            rule=self.name,
            severity=Severity.LOW,
            confidence=1.0,
            text=f"{service} belongs to {owner}",
            evidence=service_records(bundle, service, 1) or anything(bundle),
        )
