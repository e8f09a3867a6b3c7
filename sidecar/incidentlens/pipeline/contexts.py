"""What evidence, analysis and policy are told of an incident beside itself, out of the situation and the store."""

from __future__ import annotations

from collections.abc import Sequence

from incidentlens.analysis import AnalysisContext
from incidentlens.config.loader import Project
from incidentlens.evidence import EvidenceContext
from incidentlens.incidents import Opinion, opinions
from incidentlens.model.analysis import RunbookVotes
from incidentlens.model.incidents import Incident
from incidentlens.model.past import PastIncident
from incidentlens.model.terms import Outcome, ProblemKind
from incidentlens.policy import History, RulerAlert
from incidentlens.store.base import Transaction

from .situation import Situation

Minutes = tuple[tuple[int, int], ...]
"""(start of the minute in ns, records), see `minutes.Minutes.of`."""


def evidence_context(past: Sequence[PastIncident], situation: Situation) -> EvidenceContext:
    return EvidenceContext(
        past=tuple(past),
        deploys=tuple(situation.deploys),
        maintenance=tuple(situation.maintenance),
        alerts=tuple(situation.alerts),
    )


def analysis_context(
    project: Project, incident: Incident, situation: Situation, minutes: Minutes, said: Sequence[Opinion]
) -> AnalysisContext:
    return AnalysisContext(
        now=situation.now,
        deploys=tuple(situation.deploys),
        related=tuple(other for other in situation.live if other.id != incident.id),
        owners=dict(project.config.owners),
        dependencies=dict(project.config.dependencies),
        counts=minutes,
        runbook_votes={
            opinion.about: RunbookVotes(net=opinion.votes, why=opinion.text)
            for opinion in said
            if opinion.kind == "runbook"
        },
    )


async def history_of(tx: Transaction, incident: Incident, situation: Situation, minutes: Minutes) -> History:
    own = await tx.decisions(incident.id)
    ids = {decision.id for decision in own}
    decisions = [*own, *(decision for decision in situation.decisions if decision.id not in ids)]
    reopened_at = tuple(event.at for event in await tx.events(incident.id) if event.kind == "reopened")
    episode = max(reopened_at, default=0)
    said = opinions(incident, [*await tx.past_incidents(incident), await _as_past(tx, incident)])
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
        noise=tuple(entry for opinion in said if opinion.kind == "noise" for entry in opinion.said),
    )


async def _as_past(tx: Transaction, incident: Incident) -> PastIncident:
    """The incident itself: what people say of it while it is open counts too."""
    said = tuple(entry for entry in await tx.feedback(incident.id) if entry.withdrawn_at is None)
    return PastIncident.of(incident, feedback=said)


def _ruler_alerts(incident: Incident, situation: Situation) -> tuple[RulerAlert, ...]:
    """Alerts of the team's own rules that fire now and are problems of this incident."""
    own = {problem.id for problem in incident.problems if problem.kind is ProblemKind.ALERT}
    return tuple(
        RulerAlert(name=alert.name, starts_at=alert.starts_at, ends_at=alert.ends_at)
        for alert in situation.alerts
        if alert.told_by_ruler and alert.problem_id in own
    )
