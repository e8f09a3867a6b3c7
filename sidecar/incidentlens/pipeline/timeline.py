"""An incident's timeline: what is written on it, in which words, and the same into the outbox for Loki."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from incidentlens.config.loader import Project
from incidentlens.incidents import MERGED_INTO
from incidentlens.model.analysis import Analysis
from incidentlens.model.clock import MINUTE
from incidentlens.model.decisions import Action, Decision, IncidentEvent, Verification
from incidentlens.model.incidents import Incident
from incidentlens.model.terms import ActionKind, Status
from incidentlens.publish.loki_events import event_key, event_payload
from incidentlens.store.base import Transaction

_JOINED = 20  # problems that are named one by one


class Timeline:
    """Writes events; where the project wants them in Loki too, into the outbox with them."""

    def __init__(self, project: Project) -> None:
        self._to_loki = project.loki_events
        self._sequence, self._latest = 0, 0

    async def add(self, tx: Transaction, incident: Incident, events: Iterable[IncidentEvent]) -> None:
        """Onto the timeline of `incident`."""
        for event in events:
            await tx.add_event(event)
            if self._to_loki:
                # Of one moment: in Loki the later is the later by a nanosecond.
                self._sequence = self._sequence + 1 if event.at == self._latest else 0
                self._latest = event.at
                payload = event_payload(event, incident, self._sequence)
                await tx.enqueue("loki", event_key(event), payload, event.at)

    async def say(
        self, tx: Transaction, incident: Incident, at: int, kind: str, text: str, data: dict[str, Any] | None = None
    ) -> None:
        """One event at `at` (ns)."""
        event = IncidentEvent(incident_id=incident.id, at=at, kind=kind, text=text, data=data or {})
        await self.add(tx, incident, [event])


def what_happened(incident: Incident, before: Incident | None, now: int) -> list[IncidentEvent]:
    """The entries for what grouping did."""
    whys = {member.problem_id: member.why for member in incident.members}
    known = {problem.id for problem in before.problems} if before else set()
    joined = [problem for problem in incident.problems if problem.id not in known]
    events = []

    def add(kind: str, text: str) -> None:
        events.append(IncidentEvent(incident_id=incident.id, at=now, kind=kind, text=text))

    if before is None:
        first = min(incident.problems, key=lambda problem: problem.onset)
        add("opened", f"{incident.title} ({first.why})")
        joined = [problem for problem in joined if problem.id != first.id]
    elif incident.reopened > before.reopened:
        add("reopened", f"{incident.title}: it came back")
    for problem in joined[:_JOINED]:
        add("problem_joined", f"{problem.service}: {problem.template[:200]} ({whys.get(problem.id, '')})")
    if len(joined) > _JOINED:
        add("problem_joined", f"and {len(joined) - _JOINED} more problems")
    if incident.status is Status.CLOSED and MERGED_INTO in incident.labels:
        add("closed", f"part of {incident.labels[MERGED_INTO]}")
    return events


def analysed_text(analysis: Analysis, incident: Incident, why: str) -> str:
    root = incident.root_cause
    cause = "the cause is undetermined" if root is None or root.undetermined else root.summary
    by = f"runbook {analysis.runbooks[0].runbook_id}" if analysis.source == "runbook" else analysis.source
    return f"{cause} (confidence {analysis.confidence:.2f}, by {by}; {why})"


def decided_text(decision: Decision) -> str:
    told = "somebody is told" if decision.tell else f"nobody is told: {decision.reasons[-1].text}"
    return f"{decision.disposition.value}, severity {decision.severity.value}; {told}"


def action_text(action: Action, decision: Decision) -> str:
    if action.kind is ActionKind.SUPPRESS:
        return f"suppressed: {decision.reasons[-1].text}"
    where = {"shadow": "not sent: the project is in shadow mode", "digest": "held for the digest"}.get(action.state)
    return f"{decision.disposition.value} {f'({where})' if where else 'for Grafana to deliver'}"


def watched_text(verification: Verification) -> str:
    return f"until quiet for {verification.quiet_ns / MINUTE:.3g} min: {verification.query}"


async def first_told(tx: Transaction, action: Action) -> bool:
    """Whether this is the first notification of its incident that goes out, by itself or in a digest."""

    def goes_out(one: Action) -> bool:
        return one.kind is ActionKind.NOTIFY and one.state in ("done", "digest")

    if not goes_out(action):
        return False
    return not any(goes_out(one) and one.key != action.key for one in await tx.actions(action.incident_id))
