"""From changed incidents to what is done about them: cause, evidence, analysis, decision, actions, verification.

Everything is written through the tick's transaction; nothing is sent from here (see `publish`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import polars as pl
import xxhash

from incidentlens.actions import Actor
from incidentlens.analysis import AnalysisContext, Analyst
from incidentlens.config.loader import Project
from incidentlens.evidence import EvidenceContext, gather
from incidentlens.incidents import MERGED_INTO, apply_root_cause, mark_analysed, needs_analysis, root_cause
from incidentlens.model.analysis import Analysis, Bundle, EvidenceItem
from incidentlens.model.clock import MINUTE
from incidentlens.model.decisions import Decision, IncidentEvent, Verification
from incidentlens.model.incidents import Incident
from incidentlens.model.records import SIGNED, empty
from incidentlens.model.signatures import SignatureCount
from incidentlens.model.terms import ActionKind, Outcome, ProblemKind, Status
from incidentlens.policy import History, RulerAlert, decide, due_again
from incidentlens.publish.loki_events import event_payload
from incidentlens.runbooks import Matcher
from incidentlens.runbooks.model import Runbook
from incidentlens.store.base import Transaction
from incidentlens.verification import begin, incident_query, needs_watch

from .digest import flush_digest
from .report import TickReport
from .situation import Situation
from .watching import look

_COUNT_MINUTES = 240  # counts a minute kept for an incident's history


class Handling:
    """The later stages for one project. Holds no state of its own but the counts a minute of the live incidents."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._matcher = Matcher(project.runbooks)
        self._analyst = Analyst(self._matcher)
        self._actor = Actor(project.templates)
        self._sequence = 0
        self._counts: dict[tuple[str, str], dict[int, int]] = defaultdict(dict)

    def forget(self) -> None:
        """A tick failed: what was counted in it is counted again."""
        self._counts.clear()

    async def handle(
        self,
        tx: Transaction,
        changed: Sequence[Incident],
        signed: pl.DataFrame,
        situation: Situation,
        counts: Sequence[SignatureCount],
        watched: Mapping[str, int | None] | None,
        report: TickReport,
    ) -> None:
        """Bring every changed incident, every held decision and every watch up to date.

        `watched` is what Loki counted for each verification; None counts the tick's own records instead.
        """
        self._remember_counts(counts, situation)
        before = {incident.id: incident for incident in situation.live}
        current = dict(before)
        for incident in changed:
            handled = await self._changed(tx, incident, before.get(incident.id), signed, situation)
            current[handled.id] = handled
            report.changed.append(handled)
        touched = {incident.id for incident in report.changed}
        for incident in list(current.values()):
            if incident.id in touched or not incident.status.active:
                continue
            looked_after = await self._look_after(tx, incident, situation)
            if looked_after is not None:
                current[looked_after.id] = looked_after
                report.changed.append(looked_after)
        await self._verify(tx, current, situation, counts, watched, report)
        await flush_digest(tx, self.project, situation, report)
        report.changed = [current[incident.id] for incident in report.changed]
        report.open_incidents = sum(incident.status.active for incident in current.values())

    # -- one incident ----------------------------------------------------------------------------------------------

    async def _changed(
        self,
        tx: Transaction,
        incident: Incident,
        before: Incident | None,
        signed: pl.DataFrame,
        situation: Situation,
    ) -> Incident:
        events = _what_happened(incident, before, situation.now)
        if incident.status is Status.CLOSED:  # it turned out to be part of another
            await tx.save_incident(incident)
            await self._add_events(tx, incident, events)
            return incident
        why = needs_analysis(incident, before, self.project.policy.reanalyse_at)
        if why is None:
            if before is not None and before.analysed_count:
                # What was decided holds until the next analysis, whatever grouping now makes of the counts.
                incident = incident.model_copy(update={"severity": before.severity})
            await tx.save_incident(incident)
            await self._add_events(tx, incident, events)
            newest = next((found for found in situation.decisions if found.incident_id == incident.id), None)
            if newest is not None and due_again(newest, situation.now):
                return await self._look_after(tx, incident, situation) or incident
            return incident
        cause = root_cause(
            incident, signed, self.project.config.dependencies, situation.known_services | set(situation.first_seen)
        )
        incident = apply_root_cause(incident, cause)
        await tx.save_incident(incident)
        await self._add_events(tx, incident, events)
        bundle = gather(incident, await self._evidence_context(tx, incident, situation))
        bundle = self._with_runbooks(bundle, situation.now)
        await tx.save_evidence(incident.id, bundle.items)
        analysis = self._analyst.analyse(bundle, self._analysis_context(incident, situation))
        incident = mark_analysed(
            incident.model_copy(
                update={
                    "summary": analysis.summary,
                    "runbook": analysis.runbooks[0].runbook_id if analysis.runbooks else None,
                    "updated_at": situation.now,
                }
            )
        )
        await tx.save_analysis(incident.id, situation.now, analysis)
        await self._add_events(
            tx,
            incident,
            [
                IncidentEvent(
                    incident_id=incident.id,
                    at=situation.now,
                    kind="analysed",
                    text=_analysed_text(analysis, incident, why),
                    data={"source": analysis.source, "confidence": analysis.confidence, "why": why},
                )
            ],
        )
        return await self._decide(tx, incident, analysis, bundle, situation)

    async def _decide(
        self, tx: Transaction, incident: Incident, analysis: Analysis, bundle: Bundle, situation: Situation
    ) -> Incident:
        runbook = self._runbook(analysis)
        decision = decide(
            analysis,
            incident,
            await self._history(tx, incident, situation),
            self.project.policy,
            situation.now,
            runbook,
        )
        known = await tx.decisions(incident.id)
        if any(earlier.id == decision.id for earlier in known):
            return incident
        status = incident.status
        if ActionKind.SUPPRESS in decision.actions and status is Status.OPEN:
            status = Status.SUPPRESSED
        elif (
            ActionKind.SUPPRESS not in decision.actions and status is Status.SUPPRESSED and incident.suppression is None
        ):
            status = Status.OPEN
        incident = incident.model_copy(
            update={"severity": decision.severity, "disposition": decision.disposition, "status": status}
        )
        await tx.save_incident(incident)
        await tx.add_decision(decision)
        situation.decisions.insert(0, decision)
        if not known or _differs(known[0], decision):
            await self._add_events(tx, incident, [_decided_event(decision)])
        for action in self._actor.act(decision, incident, analysis, bundle, situation.now):
            if not await tx.add_action(action):
                continue
            if action.kind is not ActionKind.ENRICH:
                kind = "notified" if action.kind is ActionKind.NOTIFY else "suppressed"
                text = _action_text(action.kind, action.state, decision)
                await self._add_events(
                    tx, incident, [IncidentEvent(incident_id=incident.id, at=situation.now, kind=kind, text=text)]
                )
        return await self._watch(tx, incident, decision, runbook, situation)

    async def _look_after(self, tx: Transaction, incident: Incident, situation: Situation) -> Incident | None:
        """An active incident without news: decide again where a hold (maintenance, a grace, a cooldown) has run out,
        and take up what a person split off or re-opened, which nobody watches yet."""
        newest = next((found for found in situation.decisions if found.incident_id == incident.id), None)
        watched = any(watch.incident_id == incident.id for watch in situation.watches)
        if watched and (newest is None or not due_again(newest, situation.now)):
            return None
        analysis = await tx.latest_analysis(incident.id)
        if analysis is None:
            anew = incident.model_copy(update={"analysed_count": 0})
            return await self._changed(tx, anew, incident, empty(SIGNED), situation)
        bundle = Bundle(incident=incident, items=tuple(await tx.evidence(incident.id)))
        return await self._decide(tx, incident, analysis, bundle, situation)

    # -- verification ----------------------------------------------------------------------------------------------

    async def _watch(
        self,
        tx: Transaction,
        incident: Incident,
        decision: Decision,
        runbook: Runbook | None,
        situation: Situation,
    ) -> Incident:
        verifications = await tx.verifications(incident.id)
        if not needs_watch(incident, verifications):
            await self._widen_watch(tx, incident, runbook, situation)
            return incident
        verification = begin(
            incident, decision, runbook, self.project.policy, situation.now, self.project.config.service_label
        )
        await tx.save_verification(verification)
        situation.watches.append(verification)
        if incident.status is Status.OPEN:
            incident = incident.model_copy(update={"status": Status.VERIFYING})
            await tx.save_incident(incident)
        await self._add_events(
            tx,
            incident,
            [
                IncidentEvent(
                    incident_id=incident.id,
                    at=situation.now,
                    kind="verifying",
                    text=f"until quiet for {verification.quiet_ns / MINUTE:.3g} min: {verification.query}",
                )
            ],
        )
        return incident

    async def _widen_watch(
        self, tx: Transaction, incident: Incident, runbook: Runbook | None, situation: Situation
    ) -> None:
        """A problem that joined is watched too, from the next look on."""
        if runbook is not None and runbook.verification.query:
            return
        query = incident_query(incident, self.project.config.service_label)
        for index, watch in enumerate(situation.watches):
            if watch.incident_id == incident.id and watch.query != query:
                situation.watches[index] = watch.model_copy(update={"query": query})
                await tx.save_verification(situation.watches[index])

    async def _verify(
        self,
        tx: Transaction,
        current: dict[str, Incident],
        situation: Situation,
        counts: Sequence[SignatureCount],
        watched: Mapping[str, int | None] | None,
        report: TickReport,
    ) -> None:
        for verification in list(situation.watches):
            incident = current.get(verification.incident_id) or await tx.incident(verification.incident_id)
            if incident is None:
                continue
            looked = look(verification, incident, counts, watched, situation.now, self.project.policy)
            if looked is None:
                report.watching += 1
                continue
            if not incident.status.active:
                looked = _ended_by_person(looked, incident, situation.now)
            await tx.save_verification(looked)
            if looked.outcome is None:
                report.watching += 1
                continue
            report.outcomes.append(looked.outcome.value)
            current[incident.id] = await self._ended(tx, incident, looked, situation)
            if all(known.id != incident.id for known in report.changed):
                report.changed.append(current[incident.id])

    async def _ended(self, tx: Transaction, incident: Incident, looked: Verification, situation: Situation) -> Incident:
        outcome = looked.outcome or Outcome.INCONCLUSIVE
        now = situation.now
        await self._add_events(
            tx,
            incident,
            [IncidentEvent(incident_id=incident.id, at=now, kind="verified", text=f"{outcome.value}: {looked.why}")],
        )
        if not incident.status.active:
            return incident
        if outcome is Outcome.RESOLVED:
            incident = incident.model_copy(
                update={"status": Status.RESOLVED, "ended_at": max(now, incident.opened_at), "updated_at": now}
            )
            await tx.save_incident(incident)
            return incident
        # Not the end: analyse and decide anew, and watch on.
        incident = incident.model_copy(update={"status": Status.OPEN, "updated_at": now})
        await tx.save_incident(incident)
        analysis = await tx.latest_analysis(incident.id)
        if analysis is None:
            return incident
        bundle = Bundle(incident=incident, items=tuple(await tx.evidence(incident.id)))
        situation.watches[:] = [watch for watch in situation.watches if watch.id != looked.id]
        return await self._decide(tx, incident, analysis, bundle, situation)

    # -- contexts --------------------------------------------------------------------------------------------------

    async def _evidence_context(self, tx: Transaction, incident: Incident, situation: Situation) -> EvidenceContext:
        past = tuple(other for other in situation.live if other.id != incident.id)
        feedback = {other.id: tuple(await tx.feedback(other.id)) for other in past[:20]}
        return EvidenceContext(
            past=past,
            deploys=tuple(situation.deploys),
            maintenance=tuple(situation.maintenance),
            alerts=tuple(situation.alerts),
            feedback={key: value for key, value in feedback.items() if value},
        )

    def _with_runbooks(self, bundle: Bundle, now: int) -> Bundle:
        """Matched runbooks can be cited like everything else."""
        items = [
            EvidenceItem(
                id=f"runbook_{match.runbook_id}",
                kind="runbook",
                service=bundle.incident.service,
                ts=now,
                text=f"{match.name} ({match.score:.2f}): {'; '.join(match.reasons)}",
                data={"runbook_id": match.runbook_id, "score": match.score},
            )
            for match in self._matcher.match(bundle.incident)[:5]
        ]
        return bundle.model_copy(update={"items": (*bundle.items, *items)})

    def _analysis_context(self, incident: Incident, situation: Situation) -> AnalysisContext:
        return AnalysisContext(
            now=situation.now,
            deploys=tuple(situation.deploys),
            related=tuple(other for other in situation.live if other.id != incident.id),
            owners=dict(self.project.config.owners),
            dependencies=dict(self.project.config.dependencies),
            counts=self._minutes(incident),
        )

    async def _history(self, tx: Transaction, incident: Incident, situation: Situation) -> History:
        own = await tx.decisions(incident.id)
        ids = {decision.id for decision in own}
        decisions = [*own, *(decision for decision in situation.decisions if decision.id not in ids)]
        reopened_at = tuple(event.at for event in await tx.events(incident.id) if event.kind == "reopened")
        episode = max(reopened_at, default=0)
        return History.of(
            decisions,
            counts=self._minutes(incident),
            reopened_at=reopened_at,
            re_escalated=sum(
                watch.outcome is Outcome.RE_ESCALATED and watch.started_at >= episode
                for watch in await tx.verifications(incident.id)
            ),
            first_seen={
                service: situation.first_seen[service]
                for service in incident.services
                if service in situation.first_seen
            },
            maintenance=tuple(situation.maintenance),
            deploys=tuple(situation.deploys),
            ruler_alerts=_ruler_alerts(incident, situation),
        )

    def _runbook(self, analysis: Analysis) -> Runbook | None:
        """The runbook that the analysis rests on."""
        if analysis.source != "runbook" or not analysis.runbooks:
            return None
        return self._matcher.runbook(analysis.runbooks[0].runbook_id)

    # -- counts ----------------------------------------------------------------------------------------------------

    def _remember_counts(self, counts: Iterable[SignatureCount], situation: Situation) -> None:
        """Counts a minute of the live incidents' signatures; a restart begins them anew, policy then estimates."""
        wanted = {
            (problem.service, problem.signature)
            for incident in situation.live
            if incident.status.active
            for problem in incident.problems
        }
        for key in self._counts.keys() - wanted:
            del self._counts[key]
        edge = situation.now - _COUNT_MINUTES * MINUTE
        for count in counts:
            key = (count.service, count.signature)
            if key in wanted:
                minutes = self._counts[key]
                minutes[count.bucket] = minutes.get(count.bucket, 0) + count.count
                for old in [bucket for bucket in minutes if bucket < edge]:
                    del minutes[old]

    def _minutes(self, incident: Incident) -> tuple[tuple[int, int], ...]:
        """(start of the minute, records) of an incident; empty where its history is not whole."""
        keys = {(problem.service, problem.signature) for problem in incident.problems}
        total: dict[int, int] = {}
        for key in keys:
            for bucket, count in self._counts.get(key, {}).items():
                total[bucket] = total.get(bucket, 0) + count
        if sum(total.values()) < incident.count:
            return ()
        return tuple(sorted(total.items()))

    async def _add_events(self, tx: Transaction, incident: Incident, events: Iterable[IncidentEvent]) -> None:
        """Onto the timeline, and into the outbox where the project wants its events in Loki."""
        for event in events:
            await tx.add_event(event)
            if self.project.loki_events:
                self._sequence = (self._sequence + 1) % 1000
                payload = event_payload(event, incident, self._sequence)
                digest = xxhash.xxh3_64(f"{event.kind}\n{event.text}".encode("utf-8", "replace")).hexdigest()
                await tx.enqueue("loki", f"{incident.id}:{event.at}:{digest}", payload, event.at)


def _ruler_alerts(incident: Incident, situation: Situation) -> tuple[RulerAlert, ...]:
    """Alerts of the team's own rules that fire now and are problems of this incident."""
    own = {problem.id for problem in incident.problems if problem.kind is ProblemKind.ALERT}
    return tuple(
        RulerAlert(name=alert.name, starts_at=alert.starts_at, ends_at=alert.ends_at)
        for alert in situation.alerts
        if alert.told_by_ruler and alert.problem_id in own
    )


def _what_happened(incident: Incident, before: Incident | None, now: int) -> list[IncidentEvent]:
    """The timeline's entries for what grouping did."""
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
    for problem in joined[:20]:
        add("problem_joined", f"{problem.service}: {problem.template[:200]} ({whys.get(problem.id, '')})")
    if len(joined) > 20:
        add("problem_joined", f"and {len(joined) - 20} more problems")
    if incident.status is Status.CLOSED and MERGED_INTO in incident.labels:
        add("closed", f"part of {incident.labels[MERGED_INTO]}")
    return events


def _analysed_text(analysis: Analysis, incident: Incident, why: str) -> str:
    root = incident.root_cause
    cause = "the cause is undetermined" if root is None or root.undetermined else root.summary
    by = f"runbook {analysis.runbooks[0].runbook_id}" if analysis.source == "runbook" else analysis.source
    return f"{cause} (confidence {analysis.confidence:.2f}, by {by}; {why})"


def _differs(one: Decision, other: Decision) -> bool:
    return (one.disposition, one.severity, one.tell, one.actions) != (
        other.disposition,
        other.severity,
        other.tell,
        other.actions,
    )


def _decided_event(decision: Decision) -> IncidentEvent:
    told = "somebody is told" if decision.tell else f"nobody is told: {decision.reasons[-1].text}"
    return IncidentEvent(
        incident_id=decision.incident_id,
        at=decision.at,
        kind="decided",
        text=f"{decision.disposition.value}, severity {decision.severity.value}; {told}",
        data={"decision": decision.id},
    )


def _action_text(kind: ActionKind, state: str, decision: Decision) -> str:
    if kind is ActionKind.SUPPRESS:
        return f"suppressed: {decision.reasons[-1].text}"
    where = {"shadow": "not sent: the project is in shadow mode", "digest": "held for the digest"}.get(state)
    return f"{decision.disposition.value} {f'({where})' if where else 'for Grafana to deliver'}"


def _ended_by_person(looked: Verification, incident: Incident, now: int) -> Verification:
    if looked.outcome is not None:
        return looked
    return looked.model_copy(
        update={
            "outcome": Outcome.INCONCLUSIVE,
            "ended_at": max(now, looked.started_at),
            "why": f"the incident was {incident.status.value}",
        }
    )
