"""The wish to have a model look at an incident: what a tick writes down."""

from __future__ import annotations

from incidentlens.model.incidents import Incident
from incidentlens.model.investigations import Investigation, InvestigationState


def wish(incident: Incident, now: int) -> Investigation:
    """The wish to have a model look at `incident` as it is now; the same analysis gives the same wish."""
    cause = incident.root_cause
    determined = cause is not None and not cause.undetermined
    loudest = max(incident.problems, key=lambda problem: (problem.count, problem.id), default=None)
    signature = cause.signature if cause is not None and determined else loudest.signature if loudest else ""
    return Investigation(
        id=f"inv_{incident.id.removeprefix('inc_')}_{incident.reopened}_{incident.analysed_count}",
        incident_id=incident.id,
        signature=signature,
        state=InvestigationState.WANTED,
        wanted_at=now,
        updated_at=now,
    )
