"""The storm's digest: what the limit held back is told together when the window ends. Never silence."""

from __future__ import annotations

from incidentlens.config.loader import Project
from incidentlens.model.clock import MINUTE
from incidentlens.model.decisions import Decision
from incidentlens.model.terms import Mode
from incidentlens.store.base import Transaction

from .report import TickReport
from .situation import Situation

_LISTED = 50
_FLUSHED = "@digest"  # cursor row: the newest window that was dealt with


async def flush_digest(tx: Transaction, project: Project, situation: Situation, report: TickReport) -> None:
    """Send one digest for each window of the storm limit that is over, for all that it held back.

    Windows lie on a fixed grid and the newest one dealt with is kept in the store, so a digest is neither lost nor
    doubled by a restart or by a stop that lasts for several windows.
    """
    window = round(project.policy.storm.window_minutes * MINUTE)
    held: dict[int, list[Decision]] = {}
    for decision in situation.decisions:
        if decision.tell and decision.inputs.get("digest"):
            held.setdefault(decision.at // window, []).append(decision)
    current = situation.now // window
    over = sorted(number for number in held if number < current)
    if not over:
        return
    # The window's length is part of the row: another length counts its windows otherwise.
    row = f"{_FLUSHED}:{window}"
    flushed = await tx.cursor(row)
    for number in over:
        if flushed is not None and number <= flushed < current:  # not below: the clock had run ahead
            continue
        await _send(tx, project, number, held[number], situation.now)
        await tx.set_cursor(row, number)
        report.notifications.append("digest")


async def _send(tx: Transaction, project: Project, number: int, due: list[Decision], now: int) -> None:
    due = sorted(due, key=lambda decision: decision.at)
    ids = list(dict.fromkeys(decision.incident_id for decision in due))
    incidents = [await tx.incident(incident_id) for incident_id in ids[:_LISTED]]
    payload = {
        "kind": "digest",
        "at": now,
        "count": len(ids),
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
    await tx.enqueue(target, f"digest:{project.policy.storm.window_minutes:g}:{number}", payload, now)
