"""Whether somebody is to be told now. The functions stand in the order in which they are asked; the first holds."""

from __future__ import annotations

from collections.abc import Callable

from incidentlens.model.clock import HOUR, MINUTE
from incidentlens.model.decisions import Maintenance
from incidentlens.model.incidents import Incident
from incidentlens.model.terms import Disposition, Mode, Status
from incidentlens.model.times import utc

from .case import Case

_WATCHED_FOR = HOUR  # where all is new, nothing is: a service counts as new in a project that was watched before it
_ASK_AGAIN = 15 * MINUTE  # what people said may have been withdrawn by then
# Held back by IncidentLens itself, so only below the severity that is never held back.
_AUTOMATIC = {"deploy", "grace", "noise", "learning"}


def tell(case: Case) -> bool:
    """Whether somebody is to be told now; the first thing that holds it back is the reason given."""
    if not case.disposition.notifies:
        case.say("not_notified", f"{case.disposition} tells nobody")
        return False
    holds: tuple[Callable[[Case], bool], ...] = (
        _hold_ended,
        _hold_learning,
        _hold_maintenance,
        _hold_automatic,
        _hold_min_count,
        _hold_already_told,
        _hold_ruler_told,
        _hold_flapping,
        _hold_cooldown,
    )
    if any(hold(case) for hold in holds):
        return False
    _storm(case)
    sent = "decided and shown, not sent (shadow mode)" if case.policy.mode is Mode.SHADOW else "to be told"
    case.say("tell", f"{case.disposition}: {sent}{', in the digest' if case.digest else ''}")
    return True


def _hold_ended(case: Case) -> bool:
    status = case.incident.status
    if status in (Status.CLOSED, Status.IGNORED):
        case.say("closed", f"a person has {status} the incident")
        return True
    if status is Status.RESOLVED:
        case.say("closed", "the incident is resolved")
        return True
    return False


def _hold_learning(case: Case) -> bool:
    if case.policy.mode is Mode.LEARN:
        case.say("learn", f"the project is in mode learn: {case.disposition} is noted and nobody is told")
        return True
    return False


def _hold_maintenance(case: Case) -> bool:
    suppression = case.incident.suppression
    for window in case.history.maintenance:
        if _expects(window, case.incident) and window.starts_at <= case.now < window.ends_at:
            text = f"maintenance {window.id} until {utc(window.ends_at)}"
            return case.hold("maintenance", f"{text}: {window.reason}" if window.reason else text, window.ends_at)
    if suppression is not None and suppression.reason == "maintenance":
        return case.hold("maintenance", f"within maintenance: {suppression.detail}")
    return False


def _expects(window: Maintenance, incident: Incident) -> bool:
    """True where the window is of the incident's service and of every kind of problem in it.

    What fails in a service that is not under maintenance is expected only as a symptom: where it is in the chain.
    """
    if window.kinds and any(problem.kind not in window.kinds for problem in incident.problems):
        return False
    if not window.services:
        return True
    cause = incident.root_cause
    symptoms = {step.service for step in cause.chain} if cause is not None else set()
    expected = symptoms | set(window.services)
    return incident.service in window.services and all(
        problem.service in expected or problem.suppressed is not None for problem in incident.problems
    )


def _hold_automatic(case: Case) -> bool:
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


def _automatic(case: Case) -> tuple[str, str, int | None] | None:
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
    said, needed = case.history.noise, policy.noise.times
    if needed and len(said) >= needed:
        persons = ", ".join(dict.fromkeys(entry.by for entry in said))
        times = {1: "once", 2: "twice"}.get(len(said), f"{len(said)} times")
        return "noise", f"suppressed: called noise {times} by {persons}; withdraw that to be told", now + _ASK_AGAIN
    suppression = case.incident.suppression
    if suppression is not None and suppression.reason in _AUTOMATIC:
        return suppression.reason, f"held back by {suppression.reason}: {suppression.detail}", None
    return None


def _hold_min_count(case: Case) -> bool:
    if case.incident.count >= case.policy.min_count:
        return False
    text = f"{case.incident.count} records so far; the policy tells from {case.policy.min_count} on"
    return case.hold("min_count", text)


def _hold_already_told(case: Case) -> bool:
    for item in case.own():
        if item.episode == case.episode and item.disposition.rank >= case.disposition.rank:
            case.say("already_told", f"told at {utc(item.at)} as {item.disposition}; the alert stands until it is over")
            return True
    return False


def _hold_ruler_told(case: Case) -> bool:
    """The ruler's own alert has reached somebody: the incident adds to it, and is told once that alert is over."""
    alerts = case.history.ruler_alerts
    if not alerts or not case.policy.ruler_notifies:
        return False
    first = min(alerts, key=lambda alert: (alert.starts_at, alert.name))
    more = f" and {len(alerts) - 1} more" if len(alerts) > 1 else ""
    text = f"Loki's ruler alerts on it since {utc(first.starts_at)} ({first.name}{more}), whoever gets its alerts knows"
    last = max(alert.ends_at or 0 for alert in alerts)
    # Each time it is sent the ruler puts the end a little further off.
    return case.hold("ruler_told", text, min(max(last, case.now + MINUTE), case.now + 5 * MINUTE))


def _hold_flapping(case: Case) -> bool:
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


def _hold_cooldown(case: Case) -> bool:
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


def _storm(case: Case) -> None:
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
