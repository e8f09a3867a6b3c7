"""When an incident has changed so much that it should be looked at again."""

from __future__ import annotations

from collections.abc import Sequence

from incidentlens.model.incidents import Incident


def needs_analysis(
    incident: Incident, before: Incident | None, reanalyse_at: Sequence[int] = (5, 10, 20)
) -> str | None:
    """Why the incident needs analysis now, or None.

    `before` is the incident as it was stored before this tick (None for a new one). It is analysed at first; when a
    problem joined; when it was re-opened; when what held it back is over; and when its count passes one of the
    multiples of `analysed_count`, which `mark_analysed` sets at the first analysis and leaves alone afterwards.
    """
    if incident.analysed_count <= 0:
        return "not analysed yet"
    if before is None:
        return "no earlier state to compare with"
    if joined := len({problem.id for problem in incident.problems} - {problem.id for problem in before.problems}):
        return "a problem joined" if joined == 1 else f"{joined} problems joined"
    if incident.reopened > before.reopened:
        return "re-opened"
    if before.suppression is not None and incident.suppression is None:
        return f"no longer held back ({before.suppression.reason})"
    passed = [
        multiple for multiple in reanalyse_at if before.count < multiple * incident.analysed_count <= incident.count
    ]
    return f"{max(passed)} times the count at the first analysis" if passed else None


def mark_analysed(incident: Incident) -> Incident:
    """The incident with the count of its first analysis."""
    return incident if incident.analysed_count else incident.model_copy(update={"analysed_count": incident.count})
