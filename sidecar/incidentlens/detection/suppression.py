"""Why a problem is held back although it is real. The first reason that holds is given; the problem stays visible."""

from __future__ import annotations

from incidentlens.model.clock import HOUR
from incidentlens.model.incidents import Suppression
from incidentlens.model.terms import ProblemKind
from incidentlens.model.times import utc

from .settings import DetectionContext

_HISTORY_FOR_GRACE = HOUR  # a project must have been watched this long before one of its services counts as new


def suppression(
    context: DetectionContext,
    kind: ProblemKind,
    service: str,
    signature: str,
    onset: int,
    last: int,
    weight: float,
    history_before: int = 0,
) -> Suppression | None:
    """The reason to hold back a problem of a kind that began at `onset` and went on to `last` (ns), or None.

    What goes on when a deploy or a grace period is over is held back no longer.

    `history_before` (ns): how long the project had been watched when the service was first seen. Where everything is
    new, nothing is: without an hour of it no service gets a grace period. A fatal line gets none either.
    """
    for window in context.maintenance:
        expected = (not window.services or service in window.services) and (not window.kinds or kind in window.kinds)
        if expected and window.starts_at <= onset < window.ends_at:
            reason = f": {window.reason}" if window.reason else ""
            return Suppression(reason="maintenance", detail=f"maintenance until {utc(window.ends_at)}{reason}")
    for deploy in context.deploys:
        if deploy.service == service:
            until = deploy.planned_until if deploy.planned_until is not None else deploy.at + context.deploy_grace
            if deploy.planned_until is not None and deploy.at <= onset and last < until and weight < 4:
                return Suppression(reason="deploy", detail=f"planned deploy {deploy.version} until {utc(until)}")
    if signature in context.noise:
        return Suppression(reason="noise", detail="a noise rule of the project names this signature")
    if context.learning:
        return Suppression(reason="learning", detail="the project is in mode learn")
    first_seen = context.service_first_seen.get(service)
    if first_seen is not None and weight < 4 and history_before >= _HISTORY_FOR_GRACE:
        until = first_seen + context.new_service_grace
        if last < until:
            return Suppression(reason="grace", detail=f"{service} is new: grace until {utc(until)}")
    return None
