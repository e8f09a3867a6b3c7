"""What evidence, analysis and policy are told of an incident beside itself, out of the situation and the store."""

from __future__ import annotations

from incidentlens.analysis import AnalysisContext
from incidentlens.config.loader import Project
from incidentlens.evidence import EvidenceContext
from incidentlens.model.incidents import Incident
from incidentlens.model.terms import Outcome, ProblemKind
from incidentlens.policy import History, RulerAlert
from incidentlens.store.base import Transaction

from .situation import Situation

_FEEDBACK = 20  # other incidents whose feedback is read

Minutes = tuple[tuple[int, int], ...]
"""(start of the minute in ns, records), see `minutes.Minutes.of`."""


async def evidence_context(tx: Transaction, incident: Incident, situation: Situation) -> EvidenceContext:
    past = tuple(other for other in situation.live if other.id != incident.id)
    feedback = {other.id: tuple(await tx.feedback(other.id)) for other in past[:_FEEDBACK]}
    return EvidenceContext(
        past=past,
        deploys=tuple(situation.deploys),
        maintenance=tuple(situation.maintenance),
        alerts=tuple(situation.alerts),
        feedback={key: value for key, value in feedback.items() if value},
    )


def analysis_context(project: Project, incident: Incident, situation: Situation, minutes: Minutes) -> AnalysisContext:
    return AnalysisContext(
        now=situation.now,
        deploys=tuple(situation.deploys),
        related=tuple(other for other in situation.live if other.id != incident.id),
        owners=dict(project.config.owners),
        dependencies=dict(project.config.dependencies),
        counts=minutes,
    )


async def history_of(tx: Transaction, incident: Incident, situation: Situation, minutes: Minutes) -> History:
    own = await tx.decisions(incident.id)
    ids = {decision.id for decision in own}
    decisions = [*own, *(decision for decision in situation.decisions if decision.id not in ids)]
    reopened_at = tuple(event.at for event in await tx.events(incident.id) if event.kind == "reopened")
    episode = max(reopened_at, default=0)
    return History.of(
        decisions,
        counts=minutes,
        reopened_at=reopened_at,
        re_escalated=sum(
            watch.outcome is Outcome.RE_ESCALATED and watch.started_at >= episode
            for watch in await tx.verifications(incident.id)
        ),
        first_seen={
            service: situation.first_seen[service] for service in incident.services if service in situation.first_seen
        },
        maintenance=tuple(situation.maintenance),
        deploys=tuple(situation.deploys),
        ruler_alerts=_ruler_alerts(incident, situation),
    )


def _ruler_alerts(incident: Incident, situation: Situation) -> tuple[RulerAlert, ...]:
    """Alerts of the team's own rules that fire now and are problems of this incident."""
    own = {problem.id for problem in incident.problems if problem.kind is ProblemKind.ALERT}
    return tuple(
        RulerAlert(name=alert.name, starts_at=alert.starts_at, ends_at=alert.ends_at)
        for alert in situation.alerts
        if alert.told_by_ruler and alert.problem_id in own
    )
