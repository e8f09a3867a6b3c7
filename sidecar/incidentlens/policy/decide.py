"""The verdict on an incident: who should know, whether to tell them now, and every step that led there.

Pure: the same inputs give the same decision, its id included. docs/policy.md has the order on one page; the functions
below stand in that order.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from fnmatch import fnmatchcase

import xxhash

from incidentlens.model.analysis import Analysis
from incidentlens.model.clock import HOUR, MINUTE
from incidentlens.model.decisions import Decision, Reason
from incidentlens.model.incidents import Incident
from incidentlens.model.terms import ActionKind, Disposition, Mode, Status
from incidentlens.model.times import utc
from incidentlens.runbooks.model import Runbook

from .history import History, Told
from .model import Floor, Policy

_BY_RANK = {disposition.rank: disposition for disposition in Disposition}
_WATCHED_FOR = HOUR  # where all is new, nothing is: a service counts as new in a project that was watched before it
# Held back by IncidentLens itself, so only below the severity that is never held back.
_AUTOMATIC = {"deploy", "grace", "noise", "learning"}


class _Case:
    """One decision in the making."""

    def __init__(
        self,
        analysis: Analysis,
        incident: Incident,
        history: History,
        policy: Policy,
        now: int,
        runbook: Runbook | None,
    ) -> None:
        self.analysis, self.incident, self.history = analysis, incident, history
        self.policy, self.now, self.runbook = policy, now, runbook
        self.disposition = analysis.disposition
        self.severity = analysis.severity
        self.reasons: list[Reason] = []
        self.hold_until: int | None = None
        self.digest = False
        cause = incident.root_cause
        self.signature = cause.signature if cause and not cause.undetermined else next(iter(incident.signatures), "")
        self.episode = incident.reopened
        # In live, what shadow decided was never sent and counts for nothing.
        self.told = [item for item in history.told if item.mode is policy.mode or policy.mode is not Mode.LIVE]

    def say(self, code: str, text: str) -> None:
        self.reasons.append(Reason(code=code, text=text))

    def raise_to(self, disposition: Disposition, code: str, text: str) -> None:
        if disposition.rank > self.disposition.rank:
            self.say(code, f"{text}: raised from {self.disposition} to {disposition}")
            self.disposition = disposition

    def own(self) -> list[Told]:
        return [item for item in self.told if item.incident_id == self.incident.id]

    def hold(self, code: str, text: str, until: int | None = None) -> bool:
        self.say(code, text)
        self.hold_until = until if until is not None else self.now + MINUTE
        return True


def decide(
    analysis: Analysis,
    incident: Incident,
    history: History,
    policy: Policy,
    now: int,
    runbook: Runbook | None = None,
) -> Decision:
    """The decision on `incident` at `now` (ns).

    `runbook` is the one the analysis rests on; its observe threshold and cooldown come before the policy's.
    Decision.inputs has analysis, history, runbook, the incident's figures, and: `episode` (times re-opened),
    `signature` (the cause's), `digest` (told in the digest), `hold_until` (ns; decide again then; None: not held).
    """
    case = _Case(analysis, incident, history, policy, now, runbook)
    case.say(
        "analysis",
        f"the {analysis.source} {'say' if analysis.source == 'rules' else 'says'} {analysis.disposition}, severity "
        f"{analysis.severity}, confidence {analysis.confidence:.2f}: {analysis.cause}"[:500],
    )
    _severity(case)
    _thresholds(case)
    _runbook_threshold(case)
    _count_escalations(case)
    _re_escalation(case)
    _floors(case)
    _ratchet(case)
    suppress = _suppress(case)
    tell = _tell(case)
    actions = [ActionKind.ENRICH]
    if suppress:
        actions.append(ActionKind.SUPPRESS)
    if tell:
        actions.append(ActionKind.NOTIFY)
    inputs = _inputs(case)
    return Decision(
        id=_decision_id(incident.id, now, inputs, policy),
        incident_id=incident.id,
        at=now,
        mode=policy.mode,
        disposition=case.disposition,
        severity=case.severity,
        actions=tuple(actions),
        tell=tell,
        reasons=tuple(case.reasons),
        policy=policy.model_dump(mode="json"),
        inputs=inputs,
    )


def due_again(decision: Decision, now: int) -> bool:
    """True where a decision held something back and the time it gave for deciding again has come."""
    until = decision.inputs.get("hold_until")
    return isinstance(until, int) and until <= now


def _severity(case: _Case) -> None:
    """A model may find it worse than the counts say, never milder."""
    if case.analysis.source == "model" and case.incident.severity.rank > case.severity.rank:
        case.say("severity", f"a model does not lower the severity: {case.incident.severity}, not {case.severity}")
        case.severity = case.incident.severity


def _thresholds(case: _Case) -> None:
    while case.disposition.notifies:
        needed = case.policy.thresholds[case.disposition]
        if case.analysis.confidence >= needed:
            return
        lower = _BY_RANK[case.disposition.rank - 1]
        case.say(
            "threshold",
            f"confidence {case.analysis.confidence:.2f} is below the {needed:.2f} that {case.disposition} needs: "
            f"lowered to {lower}",
        )
        case.disposition = lower


def _runbook_threshold(case: _Case) -> None:
    threshold = case.runbook.observe_threshold if case.runbook else None
    if case.runbook is None or threshold is None:
        return
    count, text = _counted(case, threshold.window_minutes)
    if count >= threshold.count:
        text = f"runbook {case.runbook.id}: {text}, its threshold is {threshold.count}"
        case.raise_to(threshold.escalate_to, "runbook_threshold", text)
    else:
        text = f"runbook {case.runbook.id}: {text}, below its threshold of {threshold.count}"
        case.say("runbook_threshold", f"{text} for {threshold.escalate_to}")


def _count_escalations(case: _Case) -> None:
    for rule in sorted(case.policy.count_escalations, key=lambda rule: -rule.to.rank):
        count, text = _counted(case, rule.window_minutes)
        if count >= rule.count:
            case.raise_to(rule.to, "count_escalation", f"{text}, the policy's limit is {rule.count}")


def _counted(case: _Case, window_minutes: float) -> tuple[int, str]:
    count, estimated = case.history.records(case.incident, round(window_minutes * MINUTE), case.now)
    about = "about " if estimated else ""
    return count, f"{about}{count:,} records in {window_minutes:g} minutes"


def _re_escalation(case: _Case) -> None:
    """The verifier watched it grow past its disposition: one step up from the analysis each time."""
    if case.history.re_escalated > 0:
        rank = min(case.analysis.disposition.rank + case.history.re_escalated, Disposition.ESCALATE.rank)
        case.raise_to(_BY_RANK[rank], "re_escalated", "the verifier found it under-triaged")


def _floors(case: _Case) -> None:
    for floor in sorted(case.policy.floors, key=lambda floor: -floor.disposition.rank):
        if _fits(floor, case):
            case.raise_to(floor.disposition, "floor", f"the policy's floor for {_floor_text(floor)}")


def _fits(floor: Floor, case: _Case) -> bool:
    if floor.severity is not None and case.severity.rank < floor.severity.rank:
        return False
    if floor.services and not _any_glob(floor.services, case.incident.services):
        return False
    return not floor.signatures or _any_glob(floor.signatures, case.incident.signatures)


def _any_glob(globs: tuple[str, ...], names: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, glob) for name in names for glob in globs)


def _floor_text(floor: Floor) -> str:
    parts = [f"severity {floor.severity} or worse"] if floor.severity else []
    parts += [f"services {', '.join(floor.services)}"] if floor.services else []
    parts += [f"signatures {', '.join(floor.signatures)}"] if floor.signatures else []
    return " and ".join(parts) or "every incident"


def _ratchet(case: _Case) -> None:
    """Who was woken for a disposition is not told halfway that it was less: it stays until the episode ends."""
    before = [item for item in case.own() if item.episode == case.episode]
    if before and case.incident.status.active:
        heaviest = max(before, key=lambda item: item.disposition.rank)
        case.raise_to(heaviest.disposition, "ratchet", "already told in this episode, and it is not over yet")


def _suppress(case: _Case) -> bool:
    """auto_suppress: NO_ACTION, sure enough, and mild enough. Otherwise NO_ACTION becomes OBSERVE."""
    rule = case.policy.suppress
    if case.disposition is not Disposition.NO_ACTION or not rule.enabled:
        return False
    if case.severity.rank >= rule.never_severity.rank:
        text = f"severity {case.severity} is never suppressed (from {rule.never_severity} on)"
        case.raise_to(Disposition.OBSERVE, "suppress_severity", text)
        return False
    if case.analysis.confidence < rule.confidence:
        text = f"confidence {case.analysis.confidence:.2f} is below the {rule.confidence:.2f} that suppressing needs"
        case.raise_to(Disposition.OBSERVE, "suppress_confidence", text)
        return False
    case.say("suppress", f"known to need nothing, with confidence {case.analysis.confidence:.2f}: suppressed")
    return True


def _tell(case: _Case) -> bool:
    """Whether somebody is to be told now; the first thing that holds it back is the reason given."""
    if not case.disposition.notifies:
        case.say("not_notified", f"{case.disposition} tells nobody")
        return False
    holds: tuple[Callable[[_Case], bool], ...] = (
        _hold_ended,
        _hold_learning,
        _hold_maintenance,
        _hold_automatic,
        _hold_min_count,
        _hold_already_told,
        _hold_flapping,
        _hold_cooldown,
    )
    if any(hold(case) for hold in holds):
        return False
    _storm(case)
    sent = "decided and shown, not sent (shadow mode)" if case.policy.mode is Mode.SHADOW else "to be told"
    case.say("tell", f"{case.disposition}: {sent}{', in the digest' if case.digest else ''}")
    return True


def _hold_ended(case: _Case) -> bool:
    status = case.incident.status
    if status in (Status.CLOSED, Status.IGNORED):
        case.say("closed", f"a person has {status} the incident")
        return True
    if status is Status.RESOLVED:
        case.say("closed", "the incident is resolved")
        return True
    return False


def _hold_learning(case: _Case) -> bool:
    if case.policy.mode is Mode.LEARN:
        case.say("learn", f"the project is in mode learn: {case.disposition} is noted and nobody is told")
        return True
    return False


def _hold_maintenance(case: _Case) -> bool:
    suppression = case.incident.suppression
    for window in case.history.maintenance:
        covers = not window.services or case.incident.service in window.services
        if covers and window.starts_at <= case.now < window.ends_at:
            text = f"maintenance {window.id} until {utc(window.ends_at)}"
            return case.hold("maintenance", f"{text}: {window.reason}" if window.reason else text, window.ends_at)
    if suppression is not None and suppression.reason == "maintenance":
        return case.hold("maintenance", f"within maintenance: {suppression.detail}")
    return False


def _hold_automatic(case: _Case) -> bool:
    """Deploys, new services, noise: held back only below the severity that is never held back."""
    found = _automatic(case)
    if found is None:
        return False
    code, text, until = found
    never = case.policy.suppress.never_severity
    if case.severity.rank >= never.rank:
        case.say(f"{code}_overruled", f"{text}; told all the same, as severity {case.severity} is never held back")
        return False
    return case.hold(code, text, until)


def _automatic(case: _Case) -> tuple[str, str, int | None] | None:
    policy, service, now = case.policy, case.incident.service, case.now
    for deploy in sorted(case.history.deploys, key=lambda deploy: -deploy.at):
        grace = max(deploy.at + round(policy.deploy_grace_minutes * MINUTE), deploy.planned_until or 0)
        if deploy.service == service and deploy.at <= case.incident.onset and now < grace:
            return "deploy", f"{service} was deployed at {utc(deploy.at)} and may settle until {utc(grace)}", grace
    first, watched = case.history.first_seen.get(service), case.history.watched_since
    if first is not None and watched is not None and first - watched >= _WATCHED_FOR:
        until = first + round(policy.new_service_grace_minutes * MINUTE)
        if now < until:
            return "grace", f"{service} is new (first seen {utc(first)}), in its grace period until {utc(until)}", until
    suppression = case.incident.suppression
    if suppression is not None and suppression.reason in _AUTOMATIC:
        return suppression.reason, f"held back by {suppression.reason}: {suppression.detail}", None
    return None


def _hold_min_count(case: _Case) -> bool:
    if case.incident.count >= case.policy.min_count:
        return False
    text = f"{case.incident.count} records so far; the policy tells from {case.policy.min_count} on"
    return case.hold("min_count", text)


def _hold_already_told(case: _Case) -> bool:
    for item in case.own():
        if item.episode == case.episode and item.disposition.rank >= case.disposition.rank:
            case.say("already_told", f"told at {utc(item.at)} as {item.disposition}; the alert stands until it is over")
            return True
    return False


def _hold_flapping(case: _Case) -> bool:
    """A fault that comes and goes is told once, and again only when it weighs more."""
    rule = case.policy.flapping
    since = case.now - round(rule.window_minutes * MINUTE)
    times = sum(at > since for at in case.history.reopened_at)
    marked = case.incident.suppression is not None and case.incident.suppression.reason == "flapping"
    before = [item for item in case.own() if item.disposition.rank >= case.disposition.rank and item.at > since]
    if not before or not (times >= rule.reopened or marked):
        return False
    last = max(item.at for item in before)
    text = f"flapping: re-opened {times} times in {rule.window_minutes:g} minutes, told once at {utc(last)}"
    return case.hold("flapping", text, last + round(rule.window_minutes * MINUTE))


def _hold_cooldown(case: _Case) -> bool:
    minutes = case.runbook.cooldown_minutes if case.runbook else case.policy.cooldown_minutes
    whose = f"runbook {case.runbook.id}'s" if case.runbook else "the policy's"
    cooldown = round(minutes * MINUTE)
    recent = [
        item
        for item in case.told
        if item.disposition.rank >= case.disposition.rank
        and case.now - cooldown < item.at <= case.now
        and (item.incident_id == case.incident.id or (item.signature and item.signature == case.signature))
    ]
    if not recent:
        return False
    last = max(recent, key=lambda item: item.at)
    what = (
        "this incident" if last.incident_id == case.incident.id else f"the same signature (incident {last.incident_id})"
    )
    text = f"{what} was told at {utc(last.at)} as {last.disposition}; {whose} cooldown is {minutes:g} minutes"
    return case.hold("cooldown", text, last.at + cooldown)


def _storm(case: _Case) -> None:
    """Beyond the limit a notification goes into the digest. Escalations have a limit of their own."""
    limit = case.policy.storm
    since = case.now - round(limit.window_minutes * MINUTE)
    escalates = case.disposition is Disposition.ESCALATE
    single = [
        item
        for item in case.told
        if not item.digest
        and since < item.at <= case.now
        and (not escalates or item.disposition is Disposition.ESCALATE)
    ]
    if len(single) >= limit.notifications:
        case.digest = True
        kind = "escalations" if escalates else "notifications"
        case.say(
            "storm",
            f"{len(single)} {kind} in {limit.window_minutes:g} minutes, the limit is {limit.notifications}: "
            "this one goes into the digest",
        )


def _inputs(case: _Case) -> dict[str, object]:
    incident = case.incident
    return {
        "now": case.now,
        "episode": case.episode,
        "signature": case.signature,
        "digest": case.digest,
        "hold_until": case.hold_until,
        "analysis": case.analysis.model_dump(mode="json"),
        "runbook": case.runbook.model_dump(mode="json") if case.runbook else None,
        "history": case.history.model_dump(mode="json"),
        "incident": {
            "status": incident.status.value,
            "severity": incident.severity.value,
            "services": list(incident.services),
            "signatures": list(incident.signatures),
            "onset": incident.onset,
            "last_seen": incident.last_seen,
            "count": incident.count,
            "reopened": incident.reopened,
            "suppression": incident.suppression.model_dump(mode="json") if incident.suppression else None,
        },
    }


def _decision_id(incident_id: str, now: int, inputs: dict[str, object], policy: Policy) -> str:
    content = json.dumps([incident_id, now, inputs, policy.model_dump(mode="json")], sort_keys=True)
    return f"d_{xxhash.xxh3_64(content.encode()).hexdigest()}"
