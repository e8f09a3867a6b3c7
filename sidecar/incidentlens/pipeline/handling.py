"""From changed incidents to what is done about them: cause, evidence, analysis, decision, actions, verification.

Everything is written through the tick's transaction; nothing is sent from here (see `publish`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from incidentlens.actions import Actor
from incidentlens.analysis import AnalysisContext, Analyst
from incidentlens.config.loader import Project
from incidentlens.evidence import EvidenceContext, gather
from incidentlens.incidents import (
    Circumstances,
    apply_root_cause,
    mark_analysed,
    needs_analysis,
    opinions,
    root_cause,
    swayed,
)
from incidentlens.investigation.wishes import wish
from incidentlens.model.analysis import Analysis, Bundle, EvidenceItem
from incidentlens.model.clock import MINUTE
from incidentlens.model.decisions import Decision, Verification
from incidentlens.model.incidents import Incident
from incidentlens.model.records import SIGNED, empty
from incidentlens.model.signatures import SignatureCount
from incidentlens.model.terms import ActionKind, Disposition, Outcome, Status
from incidentlens.policy import decide, due_again, in_cooldown
from incidentlens.publish.loki_events import FIRST
from incidentlens.runbooks import Matcher
from incidentlens.runbooks.model import Runbook
from incidentlens.store.base import Transaction
from incidentlens.verification import begin, incident_query, needs_watch

from .contexts import analysis_context, evidence_context, history_of
from .digest import flush_digest
from .minutes import Minutes
from .offloop import Run, here
from .patterns import Patterns
from .report import TickReport
from .situation import Situation
from .timeline import Timeline, action_text, analysed_text, decided_text, first_told, watched_text, what_happened
from .watching import look

_TOGETHER = MINUTE  # incidents that begin this near to each other may have one cause after all


class Handling:
    """The later stages for one project. Holds no state of its own but the counts a minute of the live incidents.

    `run` says where the stages compute.
    """

    def __init__(self, project: Project, run: Run = here) -> None:
        self.project = project
        self._run = run
        self._matcher = Matcher(project.runbooks, background=True)
        self._analyst = Analyst(self._matcher)
        self._actor = Actor(project.templates)
        self._timeline = Timeline(project)
        self._patterns = Patterns(self._matcher, run)
        self.minutes = Minutes()

    def forget(self) -> None:
        """A tick failed: what was counted in it is counted again."""
        self.minutes.forget()
        self._patterns.forget()

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
        self.minutes.add(counts, situation.live, situation.now)
        before = {incident.id: incident for incident in situation.live}
        situation.changed.extend(changed)
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
        events = what_happened(incident, before, situation.now)
        if incident.status is Status.CLOSED:  # it turned out to be part of another
            await tx.save_incident(incident)
            await self._timeline.add(tx, incident, events)
            return incident
        why = needs_analysis(incident, before, self.project.policy.reanalyse_at)
        await self._patterns.note(tx, incident, situation.now, anew=why is not None)
        if why is None:
            if before is not None and before.analysed_count:
                # What was decided holds until the next analysis, whatever grouping now makes of the counts.
                incident = incident.model_copy(update={"severity": before.severity})
            await tx.save_incident(incident)
            await self._timeline.add(tx, incident, events)
            newest = next((found for found in situation.decisions if found.incident_id == incident.id), None)
            if newest is not None and due_again(newest, situation.now):
                return await self._look_after(tx, incident, situation) or incident
            return incident
        known = situation.known_services | set(situation.first_seen)
        around = _circumstances(incident, situation)
        cause = await self._run(root_cause, incident, signed, self.project.config.dependencies, known, around)
        past = await tx.past_incidents(incident)
        said = opinions(incident, past)
        incident = apply_root_cause(incident, swayed(cause, incident, said))
        await tx.save_incident(incident)
        await self._timeline.add(tx, incident, events)
        known_of = evidence_context(past, situation)
        told = analysis_context(self.project, incident, situation, self.minutes.of(incident), said)
        bundle, analysis = await self._run(self._analyse, incident, known_of, told)
        await tx.save_evidence(incident.id, bundle.items)
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
        data = {"source": analysis.source, "confidence": analysis.confidence, "why": why}
        text = analysed_text(analysis, incident, why)
        await self._timeline.say(tx, incident, situation.now, "analysed", text, data)
        decided = await self._decide(tx, incident, analysis, bundle, situation)
        if self.project.model is not None and analysis.source == "rules" and decided.status is not Status.SUPPRESSED:
            await tx.want_investigation(wish(incident, situation.now))
        return decided

    async def conclude(
        self, tx: Transaction, incident: Incident, analysis: Analysis, text: str, situation: Situation
    ) -> None:
        """A model has looked: its analysis is kept and goes through policy like any other."""
        await tx.save_analysis(incident.id, situation.now, analysis)
        data = {
            "source": analysis.source,
            "confidence": analysis.confidence,
            "model": analysis.details.get("model", {}),
        }
        await self._timeline.say(tx, incident, situation.now, "analysed", text, data)
        bundle = Bundle(incident=incident, items=tuple(await tx.evidence(incident.id)))
        await self._decide(tx, incident, analysis, bundle, situation)

    def _analyse(self, incident: Incident, known: EvidenceContext, told: AnalysisContext) -> tuple[Bundle, Analysis]:
        bundle = self._with_runbooks(gather(incident, known), told)
        return bundle, self._analyst.analyse(bundle, told)

    async def _decide(
        self, tx: Transaction, incident: Incident, analysis: Analysis, bundle: Bundle, situation: Situation
    ) -> Incident:
        runbook = self._runbook(analysis)
        decision = decide(
            analysis,
            incident,
            await history_of(tx, incident, situation, self.minutes.of(incident)),
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
            data = {"decision": decision.id}
            escalates = decision.disposition is Disposition.ESCALATE
            if escalates and all(earlier.disposition is not Disposition.ESCALATE for earlier in known):
                data[FIRST] = "escalated"
            await self._timeline.say(tx, incident, situation.now, "decided", decided_text(decision), data)
        for action in self._actor.act(decision, incident, analysis, bundle, situation.now):
            if await tx.add_action(action) and action.kind is not ActionKind.ENRICH:
                kind = "notified" if action.kind is ActionKind.NOTIFY else "suppressed"
                data = {FIRST: "told"} if await first_told(tx, action) else {}
                await self._timeline.say(tx, incident, situation.now, kind, action_text(action, decision), data)
        return await self._watch(tx, incident, decision, runbook, situation)

    async def _look_after(self, tx: Transaction, incident: Incident, situation: Situation) -> Incident | None:
        """An active incident without news: decide again where a hold (maintenance, a grace, a cooldown) has run out,
        and take up what a person split off or re-opened, which nobody watches yet."""
        newest = next((found for found in situation.decisions if found.incident_id == incident.id), None)
        watches = [watch for watch in situation.watches if watch.incident_id == incident.id]
        if watches and (newest is None or not due_again(newest, situation.now)):
            return None
        if newest is not None and in_cooldown(newest) and any(watch.quiet_since is not None for watch in watches):
            return None  # it was told, and may be over: it is not told again for having lasted into the cooldown
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
        await self._timeline.say(tx, incident, situation.now, "verifying", watched_text(verification))
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
        text = f"{outcome.value}: {looked.why}"
        if not incident.status.active:
            await self._timeline.say(tx, incident, now, "verified", text)
            return incident
        if outcome is Outcome.RESOLVED:
            incident = incident.model_copy(
                update={"status": Status.RESOLVED, "ended_at": max(now, incident.opened_at), "updated_at": now}
            )
            await tx.save_incident(incident)
            others = [each for each in await tx.verifications(incident.id) if each.id != looked.id]
            first = all(each.outcome is not Outcome.RESOLVED for each in others)
            await self._timeline.say(tx, incident, now, "verified", text, {FIRST: "resolved"} if first else {})
            return incident
        await self._timeline.say(tx, incident, now, "verified", text)
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

    def _with_runbooks(self, bundle: Bundle, context: AnalysisContext) -> Bundle:
        """Matched runbooks can be cited like everything else."""
        items = [
            EvidenceItem(
                id=f"runbook_{match.runbook_id}",
                kind="runbook",
                service=bundle.incident.service,
                ts=context.now,
                text=f"{match.name} ({match.score:.2f}): {'; '.join(match.reasons)}",
                data={"runbook_id": match.runbook_id, "score": match.score, "by": match.by},
            )
            for match in self._matcher.match(bundle.incident, context.runbook_votes)[:5]
        ]
        return bundle.model_copy(update={"items": (*bundle.items, *items)})

    def _runbook(self, analysis: Analysis) -> Runbook | None:
        """The runbook that the analysis rests on."""
        if analysis.source != "runbook" or not analysis.runbooks:
            return None
        return self._matcher.runbook(analysis.runbooks[0].runbook_id)


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


def _differs(one: Decision, other: Decision) -> bool:
    return (one.disposition, one.severity, one.tell, one.actions) != (
        other.disposition,
        other.severity,
        other.tell,
        other.actions,
    )


def _circumstances(incident: Incident, situation: Situation) -> Circumstances:
    near = [
        one
        for one in (*situation.live, *situation.changed)
        if one.id != incident.id
        and one.status.active
        and one.suppression is None
        and abs(one.onset - incident.onset) <= _TOGETHER
    ]
    return Circumstances(
        calls=situation.calls,
        liveliness=situation.liveliness(incident.onset),
        deploys=tuple(situation.deploys),
        rivals=frozenset(service for one in near for service in one.services if service not in incident.services),
        history=max(0.0, situation.observed - (situation.now - incident.onset) / MINUTE),
    )
