"""The watch after an action. Pure: the pipeline runs the query, or counts the new records of the signatures itself.

The count handed to `watch` is that of the records since the last look that succeeded (`checks[-1].at`, at first
`started_at`). A look that fails leaves no check, so the next one covers its time too and nothing is missed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import xxhash

from incidentlens.model.clock import MINUTE, SECOND
from incidentlens.model.decisions import Check, Decision, Verification
from incidentlens.model.incidents import Incident
from incidentlens.model.terms import Disposition, Outcome
from incidentlens.model.times import duration, utc
from incidentlens.policy.model import Policy
from incidentlens.runbooks.model import Runbook

from .query import incident_query

MAX_CHECKS = 50
REOPENED_FACTOR = 1.5  # each time it is re-opened, it must be quiet for half as long again
# It must stay away for so many times as long as it was ever away before it came back: a restart cycle whose back-off
# doubles comes back after twice as long, one that only pauses after as long.
GAPS = 2.5
MAX_QUIET = 4.0  # but never, by coming back, for more than four times the quiet time that is usual
# A watch that finds no rest for so long (or twice its quiet time) ends as still firing; another may begin.
FIRING_LIMIT = 60 * MINUTE
ASK_LIMIT = 15 * MINUTE  # without an answer for so long it ends as inconclusive
RECENT = 2 * MINUTE  # what "lately" is for growth
FASTER = 2.0  # times the rate before: less is no growth
MIN_GROWTH = 20  # records: five times one record is no growth to wake anybody for
_GROWTH_STEP = {
    Disposition.NO_ACTION: 0,
    Disposition.OBSERVE: 0,
    Disposition.NEEDS_DEV: 1,
    Disposition.NEEDS_ONCALL: 2,
}


def begin(
    incident: Incident,
    decision: Decision,
    runbook: Runbook | None,
    policy: Policy,
    now: int,
    service_label: str = "service",
) -> Verification:
    """A watch that begins at `now` (ns). Its query is the runbook's where it has one, else made of the incident.

    The quiet time is the runbook's where it has one, else the policy's, and never more than the policy's most; a
    re-opened incident must be quiet for longer (hysteresis).
    """
    own_minutes = runbook.verification.quiet_minutes if runbook else None
    minutes = min(own_minutes or policy.quiet_minutes, policy.max_quiet_minutes or math.inf)
    factor = min(REOPENED_FACTOR ** min(incident.reopened, 8), MAX_QUIET)
    own = runbook.verification.query if runbook else None
    key = xxhash.xxh3_64(f"{incident.id}\n{decision.id}\n{now}".encode()).hexdigest()
    return Verification(
        id=f"v_{key}",
        incident_id=incident.id,
        started_at=now,
        quiet_ns=round(minutes * MINUTE * factor),
        query=own or incident_query(incident, service_label),
        why=f"watching since {utc(now)}",
    )


def needs_watch(incident: Incident, verifications: Iterable[Verification]) -> bool:
    """True where the incident is active and nothing watches it: begin a watch, after still_firing too."""
    return incident.status.active and all(verification.outcome is not None for verification in verifications)


def watch(
    verification: Verification,
    count: int | None,
    now: int,
    incident: Incident,
    policy: Policy,
    usual: int = 0,
) -> Verification:
    """The verification after one more look at `now` (ns). `count` None: it could not be asked. `usual`: records that
    came besides and are the signatures' everyday share; they are no failure and are only kept.

    Ends (with `outcome` and `ended_at`) as resolved after the quiet time, re_escalated where it grows past what the
    disposition allows, still_firing after an hour without rest, inconclusive after 15 minutes without an answer.
    Only `resolved` is the end of the incident; after the others begin another watch.
    """
    if verification.outcome is not None or now < _last_look(verification):
        return verification  # over, or the clock went back
    if count is None:
        return _unanswered(verification, now)
    if count > 0:
        return _firing(verification, count, now, incident, policy)
    return _quiet(verification, now, incident, usual)


def quiet_so_far(verification: Verification) -> tuple[int, int]:
    """(since when (ns), how many records of the everyday share came since then) of the stretch of quiet that lasts."""
    last = verification.checks[-1] if verification.checks else None
    if verification.quiet_since is None or last is None or last.count:
        return _last_look(verification), 0
    return verification.quiet_since, last.usual


def _last_look(verification: Verification) -> int:
    return verification.checks[-1].at if verification.checks else verification.started_at


def _unanswered(verification: Verification, now: int) -> Verification:
    since = _last_look(verification)
    if now - since < ASK_LIMIT:
        why = f"no answer since {utc(since)}; the next look covers the time since then"
        return verification.model_copy(update={"why": why})
    return _end(verification, Outcome.INCONCLUSIVE, now, f"no answer for {duration(now - since)}, since {utc(since)}")


def _quiet(verification: Verification, now: int, incident: Incident, usual: int) -> Verification:
    since = verification.quiet_since
    if since is None:  # nothing since the last look; a record may be known that is younger than that
        since = min(max(_last_look(verification), incident.last_seen), now)
    elapsed = now - since
    left = verification.quiet_ns - elapsed
    note = f"quiet for {duration(elapsed)}" + (f", {duration(left)} to go" if left > 0 else "")
    usual += quiet_so_far(verification)[1]
    if usual:
        note += f" ({usual:,} records as every day)"
    checks = list(verification.checks)
    if checks and checks[-1].count == 0:
        checks.pop()  # one row a stretch of quiet, so that 50 checks tell the whole story
    checks.append(Check(at=now, count=0, note=note, usual=usual))
    looked = verification.model_copy(
        update={"quiet_since": since, "checks": tuple(checks[-MAX_CHECKS:]), "why": note},
    )
    if left > 0:
        return looked
    return _end(looked, Outcome.RESOLVED, now, f"no record since {utc(since)}: quiet for {duration(elapsed)}")


def _firing(verification: Verification, count: int, now: int, incident: Incident, policy: Policy) -> Verification:
    quiet_ns = verification.quiet_ns
    note = f"{count:,} records in {duration(now - _last_look(verification))}"
    if verification.quiet_since is not None:
        most = min(policy.quiet_minutes, policy.max_quiet_minutes or math.inf) * MINUTE * MAX_QUIET
        needed = round(min((now - verification.quiet_since) * GAPS, most))
        note += "; it had been quiet"
        if needed > quiet_ns:
            quiet_ns = needed
            note += f", and must now be for {duration(quiet_ns)}"
    checks = list(verification.checks)
    checks.append(Check(at=now, count=count, note=note))
    looked = verification.model_copy(
        update={
            "quiet_since": None,
            "quiet_ns": quiet_ns,
            "checks": _bounded(checks),
            "why": f"still firing: {note}",
        },
    )
    grown = _outgrown(looked, incident, policy, now)
    if grown:
        return _end(looked, Outcome.RE_ESCALATED, now, grown)
    lasted = now - verification.started_at
    if lasted >= max(FIRING_LIMIT, 2 * quiet_ns):
        return _end(looked, Outcome.STILL_FIRING, now, f"it came to no rest for {duration(lasted)}")
    return looked


def _bounded(checks: list[Check]) -> tuple[Check, ...]:
    """Beyond 50, the oldest neighbours that both fired become one: the sum stays right."""
    while len(checks) > MAX_CHECKS:
        pair = next((i for i in range(len(checks) - 1) if checks[i].count and checks[i + 1].count), None)
        if pair is None:
            checks = checks[1:]
            continue
        total = checks[pair].count + checks[pair + 1].count
        joined = Check(at=checks[pair + 1].at, count=total, note=f"{total:,} records in several looks")
        checks[pair : pair + 2] = [joined]
    return tuple(checks)


def _counted(verification: Verification, since: int) -> int:
    """Records after `since` (ns). A look that covers more, as the first after an outage does, counts by its share."""
    total, began = 0.0, verification.started_at
    for check in verification.checks:
        if check.at > since:
            total += check.count * (check.at - max(began, since)) / max(check.at - began, 1)
        began = check.at
    return round(total)


def _outgrown(verification: Verification, incident: Incident, policy: Policy, now: int) -> str:
    """Why the disposition no longer does, or "". The policy's count limits, then its multiples for re-analysis:
    observed incidents may grow to less than the first multiple, NEEDS_DEV to the second, NEEDS_ONCALL to the third.
    A fault that goes on as it began only lasts; it has outgrown its disposition where it also comes faster lately."""
    for rule in policy.count_escalations:
        if rule.to.rank <= incident.disposition.rank:
            continue
        since = now - round(rule.window_minutes * MINUTE)
        recent = _counted(verification, since)
        if recent >= rule.count:
            return (
                f"under-triaged: {recent:,} records in {rule.window_minutes:g} minutes, where {rule.count:,} "
                f"make it {rule.to} and it is {incident.disposition}"
            )
    step = _GROWTH_STEP.get(incident.disposition)
    if step is None or step >= len(policy.reanalyse_at):
        return ""
    multiple = policy.reanalyse_at[step]
    total = sum(check.count for check in verification.checks)
    base = max(incident.analysed_count, 1)
    if total < max(multiple * base, MIN_GROWTH):
        return ""
    if now - verification.started_at < 2 * RECENT:
        return ""  # a cascade spreads within its first minutes: that is one failure, found early
    lately = _counted(verification, now - RECENT)
    rate = _a_minute(lately, RECENT)
    # Earlier watches have seen records too, since it was last analysed.
    before = _a_minute(max(incident.count, base + total) - lately, now - RECENT - incident.onset)
    if rate < FASTER * before:
        return ""
    return (
        f"under-triaged: {total:,} more records since {utc(verification.started_at)}, at least {multiple} times the "
        f"{base:,} it was analysed with, lately {rate:,.0f} a minute where it was {before:,.0f}, "
        f"and it is only {incident.disposition}"
    )


def _a_minute(count: int, span: int) -> float:
    """Records a minute over `span` ns; a span under ten seconds says too little to be divided by."""
    return count * MINUTE / max(span, 10 * SECOND)


def _end(verification: Verification, outcome: Outcome, now: int, why: str) -> Verification:
    return verification.model_copy(update={"outcome": outcome, "ended_at": now, "why": why})
