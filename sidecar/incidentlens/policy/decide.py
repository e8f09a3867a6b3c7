"""The verdict on an incident: who should know, whether to tell them now, and every step that led there.

Pure: the same inputs give the same decision, its id included. docs/policy.md has the order on one page; the functions
below stand in that order.
"""

from __future__ import annotations

import json
from fnmatch import fnmatchcase

import xxhash

from incidentlens.model.analysis import Analysis
from incidentlens.model.clock import MINUTE
from incidentlens.model.decisions import Decision
from incidentlens.model.incidents import Incident
from incidentlens.model.terms import ActionKind, Disposition, Severity
from incidentlens.runbooks.model import Runbook

from .case import Case
from .history import History
from .holds import tell
from .model import Floor, Policy

_BY_RANK = {disposition.rank: disposition for disposition in Disposition}
_SEVERITY = {severity.rank: severity for severity in Severity}
_MODEL_CONFIDENCE = 0.2  # how much a model may add to the confidence of the rules


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
    case = Case(analysis, incident, history, policy, now, runbook)
    case.say(
        "analysis",
        f"the {analysis.source} {'say' if analysis.source == 'rules' else 'says'} {analysis.disposition}, severity "
        f"{analysis.severity}, confidence {analysis.confidence:.2f}: {analysis.cause}"[:500],
    )
    _model(case)
    _thresholds(case)
    _runbook_threshold(case)
    _count_escalations(case)
    _re_escalation(case)
    _floors(case)
    _ratchet(case)
    suppress = _suppress(case)
    told = tell(case)
    actions = [ActionKind.ENRICH]
    if suppress:
        actions.append(ActionKind.SUPPRESS)
    if told:
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
        tell=told,
        reasons=tuple(case.reasons),
        policy=policy.model_dump(mode="json"),
        inputs=inputs,
    )


def due_again(decision: Decision, now: int) -> bool:
    """True where a decision held something back and the time it gave for deciding again has come."""
    until = decision.inputs.get("hold_until")
    return isinstance(until, int) and until <= now


def in_cooldown(decision: Decision) -> bool:
    """True where it would have been told, had the same not been told shortly before."""
    return any(reason.code == "cooldown" for reason in decision.reasons)


def _model(case: Case) -> None:
    """What a model says counts within bounds around what the rules say of the same evidence: never milder, and one step
    graver at most, so that nothing written into a log can hide an incident or wake everybody through a model."""
    rules = case.analysis.rules
    if case.analysis.source != "model":
        return
    worst = max(case.incident.severity.rank, rules.severity.rank if rules else 0)
    if worst > case.severity.rank:
        case.say("severity", f"a model does not lower the severity: {_SEVERITY[worst]}, not {case.severity}")
        case.severity = _SEVERITY[worst]
    if rules is None:
        return
    allowed = _SEVERITY[min(case.severity.rank, max(worst, min(worst + 1, Severity.HIGH.rank)))]
    if allowed is not case.severity:
        text = f"a model raises the severity by one step, and never to critical: {allowed}, not {case.severity}"
        case.say("severity", text)
        case.severity = allowed
    if case.disposition.rank < rules.disposition.rank:
        case.raise_to(rules.disposition, "model_not_below", "a model does not lower what the rules advise")
    highest = _BY_RANK[min(rules.disposition.rank + 1, Disposition.ESCALATE.rank)]
    if case.disposition.rank > highest.rank:
        case.say("model_one_step", f"a model raises by one step at most: {highest}, not {case.disposition}")
        case.disposition = highest
    bounded = min(max(case.confidence, rules.confidence), min(1.0, rules.confidence + _MODEL_CONFIDENCE))
    if bounded != case.confidence:
        case.say(
            "model_confidence",
            f"the model's confidence {case.confidence:.2f} counts as {bounded:.2f}: the rules have "
            f"{rules.confidence:.2f}, and it may add {_MODEL_CONFIDENCE:.2f}",
        )
        case.confidence = bounded


def _thresholds(case: Case) -> None:
    while case.disposition.notifies:
        needed = case.policy.thresholds[case.disposition]
        if case.confidence >= needed:
            return
        lower = _BY_RANK[case.disposition.rank - 1]
        case.say(
            "threshold",
            f"confidence {case.confidence:.2f} is below the {needed:.2f} that {case.disposition} needs: "
            f"lowered to {lower}",
        )
        case.disposition = lower


def _runbook_threshold(case: Case) -> None:
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


def _count_escalations(case: Case) -> None:
    for rule in sorted(case.policy.count_escalations, key=lambda rule: -rule.to.rank):
        count, text = _counted(case, rule.window_minutes)
        if count >= rule.count:
            case.raise_to(rule.to, "count_escalation", f"{text}, the policy's limit is {rule.count}")


def _counted(case: Case, window_minutes: float) -> tuple[int, str]:
    count, estimated = case.history.records(case.incident, round(window_minutes * MINUTE), case.now)
    about = "about " if estimated else ""
    return count, f"{about}{count:,} records in {window_minutes:g} minutes"


def _re_escalation(case: Case) -> None:
    """The verifier watched it grow past its disposition: one step up from the analysis each time."""
    if case.history.re_escalated > 0:
        advised = case.analysis.without_model().disposition
        rank = min(advised.rank + case.history.re_escalated, Disposition.ESCALATE.rank)
        case.raise_to(_BY_RANK[rank], "re_escalated", "the verifier found it under-triaged")


def _floors(case: Case) -> None:
    for floor in sorted(case.policy.floors, key=lambda floor: -floor.disposition.rank):
        if _fits(floor, case):
            case.raise_to(floor.disposition, "floor", f"the policy's floor for {_floor_text(floor)}")


def _fits(floor: Floor, case: Case) -> bool:
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


def _ratchet(case: Case) -> None:
    """Who was woken for a disposition is not told halfway that it was less: it stays until the episode ends."""
    before = [item for item in case.own() if item.episode == case.episode]
    if before and case.incident.status.active:
        heaviest = max(before, key=lambda item: item.disposition.rank)
        case.raise_to(heaviest.disposition, "ratchet", "already told in this episode, and it is not over yet")


def _suppress(case: Case) -> bool:
    """auto_suppress: NO_ACTION, sure enough, and mild enough. Otherwise NO_ACTION becomes OBSERVE."""
    rule = case.policy.suppress
    if case.disposition is not Disposition.NO_ACTION or not rule.enabled:
        return False
    if case.severity.rank >= rule.never_severity.rank:
        text = f"severity {case.severity} is never suppressed (from {rule.never_severity} on)"
        case.raise_to(Disposition.OBSERVE, "suppress_severity", text)
        return False
    if case.confidence < rule.confidence:
        text = f"confidence {case.confidence:.2f} is below the {rule.confidence:.2f} that suppressing needs"
        case.raise_to(Disposition.OBSERVE, "suppress_confidence", text)
        return False
    case.say("suppress", f"known to need nothing, with confidence {case.confidence:.2f}: suppressed")
    return True


def _inputs(case: Case) -> dict[str, object]:
    incident = case.incident
    return {
        "now": case.now,
        "episode": case.episode,
        "signature": case.signature,
        "digest": case.digest,
        "hold_until": case.hold_until,
        "analysis": case.analysis.model_dump(mode="json"),
        "runbook": case.runbook.model_dump(mode="json", exclude={"body"}) if case.runbook else None,
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
