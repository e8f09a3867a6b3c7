"""The storm's digest: what the limit held back is told together when the window ends. Never silence."""

from __future__ import annotations

from incidentlens.config.loader import Project
from incidentlens.model.clock import MINUTE
from incidentlens.model.terms import Mode
from incidentlens.store.base import Transaction

from .report import TickReport
from .situation import Situation

_LISTED = 50


async def flush_digest(tx: Transaction, project: Project, situation: Situation, report: TickReport) -> None:
    """Send one digest a window of the storm limit, once the window is over, for all that it held back.

    Windows lie on a fixed grid, so a digest has the same identity after a restart: neither lost nor doubled.
    """
    window = round(project.policy.storm.window_minutes * MINUTE)
    last = situation.now // window - 1  # the newest window that is over
    due = [
        decision
        for decision in situation.decisions
        if decision.tell and decision.inputs.get("digest") and decision.at // window == last
    ]
    if not due:
        return
    due.sort(key=lambda decision: decision.at)
    incidents = [await tx.incident(decision.incident_id) for decision in due[:_LISTED]]
    payload = {
        "kind": "digest",
        "at": situation.now,
        "count": len({decision.incident_id for decision in due}),
        "mode": project.policy.mode.value,
        "incidents": [
            {
                "incident_id": incident.id,
                "title": incident.title,
                "service": incident.service,
                "severity": incident.severity.value,
                "disposition": incident.disposition.value,
            }
            for incident in incidents
            if incident is not None
        ],
    }
    target = "notification" if project.policy.mode is Mode.LIVE else "shadow"
    await tx.enqueue(target, f"digest:{last}", payload, situation.now)
    report.notifications.append("digest")
