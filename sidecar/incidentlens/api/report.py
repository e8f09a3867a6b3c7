"""The post-incident report of one incident, from what the store has of it."""

from __future__ import annotations

from incidentlens.actions import render_report
from incidentlens.config.loader import Project
from incidentlens.model.analysis import Bundle
from incidentlens.store.queries import IncidentDetail


def report_of(detail: IncidentDetail, project: Project, now: int) -> str:
    """Markdown, secrets masked. `now` (ns) is when the report says it was made."""
    return render_report(
        detail.incident,
        detail.analysis,
        Bundle(incident=detail.incident, items=detail.evidence, dropped=detail.cut.get("evidence", 0)),
        decisions=detail.decisions,
        actions=detail.actions,
        verifications=detail.verifications,
        events=detail.events,
        now=now,
        template_dirs=project.templates,
    )
