"""One transaction of the memory store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from incidentlens.model.analysis import Analysis, EvidenceItem, PatternUse
from incidentlens.model.clock import HOUR, SECOND
from incidentlens.model.decisions import (
    Action,
    Alert,
    Decision,
    Deploy,
    Feedback,
    IncidentEvent,
    Maintenance,
    Verification,
)
from incidentlens.model.incidents import Incident
from incidentlens.model.investigations import Investigation, InvestigationState, Spending
from incidentlens.model.past import PastIncident
from incidentlens.model.signatures import SignatureCount, Template

from . import checks
from .alerts import changed_state
from .base import IncidentLine, Pruned, Quarantined, Region
from .memory_past import past_incidents
from .memory_space import Space, Undo
from .text import clean

V = TypeVar("V")

SLICE = 10 * SECOND  # of the seen records


class Outbox(Protocol):
    """What a transaction needs of its store."""

    keep_counts: bool

    def new_item(self, undo: Undo, project: str, target: str, key: str, payload: dict[str, Any], at: int) -> None: ...


class MemoryTransaction:
    """See `base.Transaction`."""

    def __init__(self, store: Outbox, project: str, space: Space, undo: Undo) -> None:
        self.project = project
        self.changed: dict[str, None] = {}  # incidents, in order
        self._store = store
        self._space = space
        self._undo = undo
        self._aliases: list[Template] = []

    # Intake.
    async def cursor(self, query: str) -> int | None:
        return self._space.cursors.get(query)

    async def set_cursor(self, query: str, at: int) -> None:
        self._undo.put(self._space.cursors, query, at)

    async def seen(self, since: int) -> set[str]:
        first = since // SLICE
        return {
            record
            for number, part in self._space.seen.items()
            if number >= first
            for record, ts in part.items()
            if ts >= since
        }

    async def add_seen(
        self, records: Iterable[tuple[str, int]], forget_before: int, keep: Sequence[tuple[int, int]] = ()
    ) -> None:
        seen = self._space.seen
        for record, ts in records:
            part = seen.get(ts // SLICE)
            if part is None:
                part = {}
                self._undo.put(seen, ts // SLICE, part)
            self._undo.put(part, record, ts)
        self._forget_seen(forget_before, keep)

    def _forget_seen(self, before: int, keep: Sequence[tuple[int, int]] = ()) -> int:
        seen = self._space.seen
        removed = 0
        for number in [number for number in seen if number <= before // SLICE]:
            kept = {
                record: ts
                for record, ts in seen[number].items()
                if ts >= before or any(first <= ts <= last for first, last in keep)
            }
            removed += len(seen[number]) - len(kept)
            if not kept:
                self._undo.drop(seen, number)
            elif len(kept) < len(seen[number]):
                self._undo.put(seen, number, kept)
        return removed

    async def add_quarantined(self, records: Iterable[Quarantined]) -> None:
        for record in records:
            if record.id not in self._space.quarantine:
                self._undo.put(self._space.quarantine, record.id, clean(record))

    # Signatures and detection.
    async def templates(self) -> list[Template]:
        return sorted(self._space.templates.values(), key=lambda template: template.signature)

    async def save_templates(self, templates: Iterable[Template]) -> None:
        for template in templates:
            template = clean(template)
            checks.check_template(template)
            if template.alias_of is not None:
                self._aliases.append(template)
            self._undo.put(self._space.templates, template.signature, template)

    def check_before_commit(self) -> None:
        """What PostgreSQL checks at the commit: an alias leads to a template that is there."""
        for template in self._aliases:
            checks.refuse_unless(
                template.alias_of in self._space.templates,
                f"template {template.signature} leads to {template.alias_of}, which is not there",
            )

    async def add_counts(self, counts: Iterable[SignatureCount]) -> None:
        if not self._store.keep_counts:
            return
        for count in counts:
            key = (count.signature, count.service, count.level.value)
            for table, bucket in (
                (self._space.counts, count.bucket),
                (self._space.hourly, count.bucket - count.bucket % HOUR),
            ):
                self._undo.put(table, (bucket, *key), table.get((bucket, *key), 0) + count.count)

    async def detector_state(self) -> dict[str, bytes]:
        return dict(self._space.detector)

    async def save_detector_state(self, changed: Mapping[str, bytes]) -> None:
        for key, value in changed.items():
            self._undo.put(self._space.detector, key, bytes(value))

    async def know_patterns(self, patterns: Iterable[tuple[str, str]], at: int) -> None:
        known, wanted = self._space.patterns, {clean(pair) for pair in patterns}
        for pair in known.keys() - wanted:
            self._undo.drop(known, pair)
        for runbook, pattern in wanted - known.keys():
            use = PatternUse(runbook_id=runbook, pattern=pattern, since=at)
            self._undo.put(known, (runbook, pattern), use)

    async def patterns_matched(self, patterns: Iterable[tuple[str, str]], at: int) -> None:
        for pair in (clean(pair) for pair in patterns):
            use = self._space.patterns.get(pair)
            if use is not None and at > (use.last_matched_at or 0):
                self._undo.put(self._space.patterns, pair, use.model_copy(update={"last_matched_at": at}))

    # Incidents.
    async def live_incidents(self, since: int) -> list[Incident]:
        found = [
            incident
            for incident in self._space.incidents.values()
            if incident.ended_at is None or incident.ended_at >= since
        ]
        return sorted(found, key=lambda incident: (incident.opened_at, incident.id), reverse=True)

    async def incident(self, incident_id: str) -> Incident | None:
        return self._space.incidents.get(incident_id)

    async def save_incident(self, incident: Incident) -> None:
        checks.refuse_unless(
            incident.project == self.project,
            f"incident {incident.id} belongs to project {incident.project}, not {self.project}",
        )
        checks.check_incident(incident)
        self._undo.put(self._space.incidents, incident.id, clean(incident))
        self.changed[incident.id] = None

    def _touch(self, incident_id: str) -> None:
        checks.refuse_unless(incident_id in self._space.incidents, f"there is no incident {incident_id}")
        self.changed[incident_id] = None

    async def save_evidence(self, incident_id: str, items: Sequence[EvidenceItem]) -> None:
        self._touch(incident_id)
        kept = self._space.evidence.get(incident_id)
        if kept is None:
            kept = {}
            self._undo.put(self._space.evidence, incident_id, kept)
        for item in items:
            if item.id not in kept:
                self._undo.put(kept, item.id, clean(item))

    async def evidence(self, incident_id: str) -> list[EvidenceItem]:
        return list(self._space.evidence.get(incident_id, {}).values())

    async def save_analysis(self, incident_id: str, at: int, analysis: Analysis) -> None:
        self._touch(incident_id)
        self._add(self._space.analyses, incident_id, (at, clean(analysis)))

    async def latest_analysis(self, incident_id: str) -> Analysis | None:
        found = newest_first(self._space.analyses.get(incident_id, []), lambda entry: entry[0])
        return found[0][1] if found else None

    async def add_decision(self, decision: Decision) -> None:
        self._touch(decision.incident_id)
        checks.refuse_unless(decision.id not in self._space.decisions, f"there is a decision {decision.id} already")
        decision = clean(decision)
        self._undo.put(self._space.decisions, decision.id, decision)
        self._add(self._space.decisions_of, decision.incident_id, decision)

    async def decisions(self, incident_id: str) -> list[Decision]:
        return newest_first(self._space.decisions_of.get(incident_id, []), lambda decision: decision.at)

    async def recent_decisions(self, since: int) -> list[Decision]:
        found = (decision for decision in self._space.decisions.values() if decision.at >= since)
        return newest_first(found, lambda decision: decision.at)

    async def add_action(self, action: Action) -> bool:
        checks.check_action(action)
        if action.key in self._space.actions:
            return False
        self._touch(action.incident_id)
        decision = self._space.decisions.get(action.decision_id)
        checks.refuse_unless(
            decision is not None and decision.incident_id == action.incident_id,
            f"action {action.key} follows from no decision on incident {action.incident_id}",
        )
        action = clean(action)
        self._undo.put(self._space.actions, action.key, action)
        self._add(self._space.actions_of, action.incident_id, action)
        return True

    async def actions(self, incident_id: str) -> list[Action]:
        return sorted(self._space.actions_of.get(incident_id, []), key=lambda action: action.at)

    async def save_verification(self, verification: Verification) -> None:
        checks.check_verification(verification)
        self._touch(verification.incident_id)
        verification = clean(verification)
        before = self._space.verifications.get(verification.id)
        if before is not None:
            checks.refuse_unless(
                before.incident_id == verification.incident_id,
                f"verification {verification.id} belongs to incident {before.incident_id}",
            )
        self._undo.put(self._space.verifications, verification.id, verification)
        of_incident = self._space.verifications_of.get(verification.incident_id)
        if of_incident is None:
            of_incident = {}
            self._undo.put(self._space.verifications_of, verification.incident_id, of_incident)
        self._undo.put(of_incident, verification.id, verification)
        if verification.outcome is None:
            self._undo.put(self._space.watching, verification.id, verification)
        elif verification.id in self._space.watching:
            self._undo.drop(self._space.watching, verification.id)

    async def verifications(self, incident_id: str) -> list[Verification]:
        found = self._space.verifications_of.get(incident_id, {}).values()
        return sorted(found, key=lambda entry: entry.started_at)

    async def open_verifications(self) -> list[Verification]:
        return sorted(self._space.watching.values(), key=lambda entry: entry.started_at)

    async def add_event(self, event: IncidentEvent) -> None:
        self._touch(event.incident_id)
        self._add(self._space.events, event.incident_id, clean(event))

    async def events(self, incident_id: str) -> list[IncidentEvent]:
        return sorted(self._space.events.get(incident_id, []), key=lambda event: event.at)

    async def add_feedback(self, feedback: Feedback) -> None:
        checks.check_feedback(feedback)
        self._touch(feedback.incident_id)
        if all(said.id != feedback.id for said in self._space.feedback.get(feedback.incident_id, ())):
            self._add(self._space.feedback, feedback.incident_id, clean(feedback))

    async def feedback(self, incident_id: str) -> list[Feedback]:
        return sorted(self._space.feedback.get(incident_id, []), key=lambda entry: entry.at)

    async def withdraw_feedback(self, incident_id: str, feedback_id: str, by: str, at: int) -> bool:
        self._touch(incident_id)
        given = self._space.feedback.get(incident_id, [])
        for index, said in enumerate(given):
            if said.id == feedback_id and said.withdrawn_at is None:
                taken_back = clean(said.model_copy(update={"withdrawn_at": at, "withdrawn_by": by}))
                changed = [*given[:index], taken_back, *given[index + 1 :]]
                self._undo.put(self._space.feedback, incident_id, changed)
                return True
        return False

    async def past_incidents(self, incident: Incident) -> list[PastIncident]:
        return past_incidents(self._space, incident)

    def _add(self, lists: dict[str, list[V]], key: str, value: V) -> None:
        if key not in lists:
            self._undo.put(lists, key, [])
        self._undo.append(lists[key], value)

    # Context.
    async def deploys(self, since: int) -> list[Deploy]:
        found = [deploy for deploy in self._space.deploys.values() if deploy.at >= since]
        return sorted(found, key=lambda deploy: (deploy.at, deploy.id), reverse=True)

    async def add_deploy(self, deploy: Deploy) -> None:
        self._undo.put(self._space.deploys, deploy.id, clean(deploy))

    async def maintenance(self, at: int) -> list[Maintenance]:
        found = [window for window in self._space.maintenance.values() if window.starts_at <= at < window.ends_at]
        return sorted(found, key=lambda window: (window.starts_at, window.id))

    async def add_maintenance(self, window: Maintenance) -> None:
        checks.check_maintenance(window)
        self._undo.put(self._space.maintenance, window.id, clean(window))

    async def delete_maintenance(self, window_id: str) -> bool:
        if window_id not in self._space.maintenance:
            return False
        self._undo.drop(self._space.maintenance, window_id)
        return True

    async def save_alert(self, alert: Alert) -> bool:
        alert = clean(alert)
        before = self._space.alerts.get(alert.fingerprint)
        self._undo.put(self._space.alerts, alert.fingerprint, alert)
        return changed_state(before, alert)

    async def active_alerts(self, at: int) -> list[Alert]:
        found = [
            alert
            for alert in self._space.alerts.values()
            if alert.starts_at <= at and (alert.ends_at is None or alert.ends_at > at)
        ]
        return sorted(found, key=lambda alert: (alert.starts_at, alert.fingerprint))

    async def service_first_seen(self, services: Mapping[str, int]) -> dict[str, int]:
        for service, at in services.items():
            service = clean(service)
            if at < self._space.services.get(service, at + 1):
                self._undo.put(self._space.services, service, at)
        return dict(self._space.services)

    # Regions in Grafana.
    async def incident_lines(self, since: int, limit: int) -> list[IncidentLine]:
        found = [i for i in self._space.incidents.values() if i.ended_at is None or i.ended_at >= since]
        found.sort(key=lambda incident: (incident.onset, incident.id), reverse=True)
        return [
            IncidentLine(
                id=incident.id,
                title=incident.title,
                service=incident.service,
                status=incident.status,
                severity=incident.severity,
                disposition=incident.disposition,
                onset=incident.onset,
                opened_at=incident.opened_at,
                last_seen=incident.last_seen,
                ended_at=incident.ended_at,
                count=incident.count,
                reopened=incident.reopened,
                cause=incident.root_cause.summary if incident.root_cause else "",
                labels=incident.labels,
            )
            for incident in found[:limit]
        ]

    async def regions(self) -> list[Region]:
        return [self._space.regions[key] for key in sorted(self._space.regions)]

    async def save_region(self, region: Region) -> None:
        self._undo.put(self._space.regions, (region.incident_id, region.place), clean(region))

    async def drop_region(self, incident_id: str, place: str) -> None:
        if (incident_id, place) in self._space.regions:
            self._undo.drop(self._space.regions, (incident_id, place))

    # What a language model is asked about.
    async def want_investigation(self, wanted: Investigation) -> None:
        self._touch(wanted.incident_id)
        if wanted.id not in self._space.investigations:
            self._undo.put(self._space.investigations, wanted.id, clean(wanted))

    async def save_investigation(self, investigation: Investigation) -> None:
        self._touch(investigation.incident_id)
        self._undo.put(self._space.investigations, investigation.id, clean(investigation))

    async def due_investigations(self, at: int, limit: int) -> list[Investigation]:
        open_states = (InvestigationState.WANTED, InvestigationState.RUNNING)
        due = [
            one
            for one in self._space.investigations.values()
            if one.state in open_states and (one.leased_until is None or one.leased_until <= at)
        ]
        return sorted(due, key=lambda one: (one.wanted_at, one.id))[:limit]

    async def investigations(self, incident_id: str) -> list[Investigation]:
        found = [one for one in self._space.investigations.values() if one.incident_id == incident_id]
        return sorted(found, key=lambda one: (one.wanted_at, one.id), reverse=True)[:50]

    async def answered_investigation(self, digest: str, prompt_version: str) -> Investigation | None:
        return self._latest(
            lambda one: (
                one.state is InvestigationState.DONE and (one.digest, one.prompt_version) == (digest, prompt_version)
            )
        )

    async def last_asked(self, signature: str, since: int) -> Investigation | None:
        return self._latest(lambda one: one.signature == signature and one.calls > 0 and one.updated_at >= since)

    async def spending(self, since: int) -> Spending:
        asked = [one for one in self._space.investigations.values() if one.calls > 0 and one.updated_at >= since]
        return Spending(
            calls=sum(one.calls for one in asked),
            tokens=sum(one.tokens for one in asked),
            cost=sum(one.cost for one in asked),
        )

    def _latest(self, wanted: Callable[[Investigation], bool]) -> Investigation | None:
        found = [one for one in self._space.investigations.values() if wanted(one)]
        return max(found, key=lambda one: one.updated_at, default=None)

    # Outbox, and keeping it small.
    async def enqueue(self, target: str, key: str, payload: dict[str, Any], at: int) -> None:
        self._store.new_item(self._undo, self.project, target, key, clean(payload), at)

    def prune(self, before: int, hourly_before: int | None) -> Pruned:
        """The project's part of `Store.prune`."""
        counts = self._drop_buckets(self._space.counts, before)
        hourly = self._drop_buckets(self._space.hourly, hourly_before) if hourly_before is not None else 0
        samples = 0
        for incident in list(self._space.incidents.values()):
            if incident.ended_at is None or incident.ended_at >= before:
                continue
            held = sum(len(problem.samples) for problem in incident.problems)
            if held:
                samples += held
                problems = tuple(problem.model_copy(update={"samples": ()}) for problem in incident.problems)
                self._undo.put(self._space.incidents, incident.id, incident.model_copy(update={"problems": problems}))
        aside = [record for record in self._space.quarantine.values() if record.at < before]
        for record in aside:
            self._undo.drop(self._space.quarantine, record.id)
        seen = self._forget_seen(before)
        return Pruned(counts=counts, hourly=hourly, seen=seen, samples=samples, quarantined=len(aside))

    def _drop_buckets(self, table: dict[tuple[int, str, str, str], int], before: int) -> int:
        old = [key for key in table if key[0] < before]
        for key in old:
            self._undo.drop(table, key)
        return len(old)


def newest_first(items: Iterable[V], when: Callable[[V], int]) -> list[V]:
    """Sorted by time, the latest first; of equal times the one added last comes first."""
    found = list(items)
    found.reverse()
    found.sort(key=when, reverse=True)
    return found
