"""Stored decisions taken again under another policy: what would have been sent, suppressed or escalated differently.

Pure: the same `decide`, on what each decision kept of its inputs. Who had been told before is told anew, by the new
policy; what happened in the world (counts, deploys, maintenance, words) stays as it was. A hold of the new policy that
runs out while the incident goes on is decided again then, as the pipeline would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pydantic import Field, ValidationError

from incidentlens.model.analysis import Analysis
from incidentlens.model.base import Value
from incidentlens.model.decisions import Decision
from incidentlens.model.incidents import Incident, Suppression
from incidentlens.model.terms import ActionKind, Disposition, Severity, Status
from incidentlens.model.yamlfile import did_you_mean
from incidentlens.runbooks.model import Runbook

from .decide import decide
from .history import History, Told, told_by
from .model import Policy

MAX_AGAIN = 20  # times one snapshot is decided again because a hold ran out

# What another set of runbooks makes of an incident as it was; None: the analysis and the runbook of the time.
Reconsider = Callable[[Incident, History, int], tuple[Analysis, Runbook | None]]


class Verdict(Value):
    """What came of an incident: its heaviest disposition, when somebody was told first, whether it was suppressed."""

    disposition: Disposition
    severity: Severity
    told_at: int | None  # ns
    told_as: Disposition | None  # the heaviest that somebody was told
    suppressed: bool
    reason: str  # the last step of the decision that settled it


class Difference(Value):
    """One incident before and after. `changes`: sent, not_sent, raised, lowered, sooner, later, suppressed, …"""

    incident_id: str
    title: str
    service: str
    at: int  # of its first decision, ns
    before: Verdict
    after: Verdict
    changes: tuple[str, ...]


class Backtest(Value):
    """The whole comparison; `differences` are those that changed, the latest first."""

    decisions: int  # that were taken again
    incidents: int
    skipped: int  # decisions whose inputs cannot be read any more, or whose incident is gone
    counts: dict[str, int] = Field(default_factory=dict)  # by change
    told_before: int = 0
    told_after: int = 0
    suppressed_before: int = 0
    suppressed_after: int = 0
    differences: tuple[Difference, ...] = ()
    cut: int = 0  # decisions that a bound left out


def backtest(
    decisions: Sequence[Decision],
    incidents: Mapping[str, Incident],
    policy: Policy,
    reconsider: Reconsider | None = None,
    *,
    keep_mode: bool = True,
    cut: int = 0,
) -> Backtest:
    """`decisions` of a project, in any order, with their incidents as they are now.

    `keep_mode`: each is taken in the mode of its time, so that a shadow policy can be compared with a live past.
    """
    ordered = sorted(decisions, key=lambda decision: (decision.at, decision.id))
    first_at = ordered[0].at if ordered else 0
    following = _following(ordered)
    before: dict[str, list[Decision]] = {}
    after: dict[str, list[Decision]] = {}
    told: list[Told] = []
    skipped = 0
    for number, old in enumerate(ordered):
        incident = incidents.get(old.incident_id)
        snapshot = _snapshot(old, incident) if incident is not None else None
        if snapshot is None:
            skipped += 1
            continue
        at_the_time, history, analysis, runbook = snapshot
        if reconsider is not None:
            analysis, runbook = reconsider(at_the_time, history, old.at)
        before.setdefault(old.incident_id, []).append(old)
        in_force = policy.model_copy(update={"mode": old.mode}) if keep_mode else policy
        earlier = [item for item in history.told if item.at < first_at]
        now: int | None = old.at
        for _ in range(MAX_AGAIN):
            assert now is not None
            new = decide(
                analysis,
                at_the_time,
                history.model_copy(update={"told": (*earlier, *told)}),
                in_force,
                now,
                runbook,
            )
            after.setdefault(old.incident_id, []).append(new)
            if new.tell:
                told.append(told_by(new))
            now = _again(new, at_the_time, incidents[old.incident_id], following.get(number))
            if now is None:
                break
    return _compared(ordered, incidents, before, after, skipped, cut)


def changed_policy(policy: Policy, settings: Iterable[str]) -> Policy:
    """`key=value` settings on a policy: `cooldown_minutes=30`, `thresholds.ESCALATE=0.7`, `suppress.enabled=false`.

    ValueError in one line where a key is not the policy's or a value is none of its.
    """
    body: dict[str, Any] = policy.model_dump(mode="json")
    for setting in settings:
        key, sign, value = setting.partition("=")
        if not sign or not key.strip():
            raise ValueError(f"write key=value, such as cooldown_minutes=30, not {setting[:60]!r}")
        place: Any = body
        *path, last = key.strip().split(".")
        for part in path:
            place = place.get(part) if isinstance(place, dict) else None
        inside: dict[str, Any] = place if isinstance(place, dict) else {}
        if not isinstance(place, dict) or (last not in inside and inside is not body.get("thresholds")):
            raise ValueError(f"the policy has no {key.strip()[:80]!r}{did_you_mean(last, list(inside or body))}")
        inside[last] = _plain(value.strip())
    try:
        return Policy.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{where}: {first['msg']}") from None


def _plain(text: str) -> object:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if text.lower() in ("null", "none", ""):
        return None
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def _following(ordered: Sequence[Decision]) -> dict[int, int]:
    """By the place of a decision, the time of the next one on the same incident."""
    later: dict[str, int] = {}
    found = {}
    for number in range(len(ordered) - 1, -1, -1):
        incident_id = ordered[number].incident_id
        if incident_id in later:
            found[number] = later[incident_id]
        later[incident_id] = ordered[number].at
    return found


def _again(new: Decision, then: Incident, now: Incident, following: int | None) -> int | None:
    """When the new decision's hold runs out while nothing else was decided and the incident still went on."""
    until = new.inputs.get("hold_until")
    if not isinstance(until, int) or until <= new.at or not then.status.active:
        return None
    end = now.ended_at if now.ended_at is not None else now.last_seen
    if until > end or (following is not None and until >= following):
        return None
    return until


def _snapshot(old: Decision, incident: Incident | None) -> tuple[Incident, History, Analysis, Runbook | None] | None:
    """What the decision was given; None where an older version kept it in a form that cannot be read."""
    if incident is None:
        return None
    inputs = old.inputs
    try:
        kept = inputs["incident"]
        pairs = set(kept["services"]), set(kept["signatures"])
        problems = tuple(
            problem for problem in incident.problems if problem.service in pairs[0] and problem.signature in pairs[1]
        )
        held = kept.get("suppression")
        then = incident.model_copy(
            update={
                "status": Status(kept["status"]),
                "severity": Severity(kept["severity"]),
                "onset": int(kept["onset"]),
                "last_seen": int(kept["last_seen"]),
                "count": int(kept["count"]),
                "reopened": int(kept["reopened"]),
                "suppression": Suppression(**held) if held else None,
                "problems": problems or incident.problems,
            }
        )
        runbook = inputs.get("runbook")
        return (
            then,
            History(**inputs["history"]),
            Analysis(**inputs["analysis"]),
            Runbook(**runbook) if runbook else None,
        )
    except (KeyError, TypeError, ValueError):
        return None


def _compared(
    ordered: Sequence[Decision],
    incidents: Mapping[str, Incident],
    before: Mapping[str, Sequence[Decision]],
    after: Mapping[str, Sequence[Decision]],
    skipped: int,
    cut: int,
) -> Backtest:
    counts: dict[str, int] = {}
    differences = []
    verdicts = {key: (_verdict(before[key]), _verdict(after[key])) for key in before}
    for key, (old, new) in verdicts.items():
        changes = _changes(old, new)
        for change in changes:
            counts[change] = counts.get(change, 0) + 1
        if changes:
            incident = incidents[key]
            differences.append(
                Difference(
                    incident_id=key,
                    title=incident.title,
                    service=incident.service,
                    at=before[key][0].at,
                    before=old,
                    after=new,
                    changes=changes,
                )
            )
    return Backtest(
        decisions=len(ordered) - skipped,
        incidents=len(verdicts),
        skipped=skipped,
        counts=counts,
        told_before=sum(old.told_at is not None for old, _ in verdicts.values()),
        told_after=sum(new.told_at is not None for _, new in verdicts.values()),
        suppressed_before=sum(old.suppressed for old, _ in verdicts.values()),
        suppressed_after=sum(new.suppressed for _, new in verdicts.values()),
        differences=tuple(sorted(differences, key=lambda one: (-one.at, one.incident_id))),
        cut=cut,
    )


def _verdict(decisions: Sequence[Decision]) -> Verdict:
    tells = [decision for decision in decisions if decision.tell]
    heaviest = max(decisions, key=lambda decision: decision.disposition.rank)
    settled = tells[0] if tells else decisions[-1]
    return Verdict(
        disposition=heaviest.disposition,
        severity=max((decision.severity for decision in decisions), key=lambda severity: severity.rank),
        told_at=tells[0].at if tells else None,
        told_as=max((decision.disposition for decision in tells), key=lambda one: one.rank) if tells else None,
        suppressed=not tells and any(ActionKind.SUPPRESS in decision.actions for decision in decisions),
        reason=_settling(settled),
    )


def _settling(decision: Decision) -> str:
    """The step that settled it: why nobody was told, or what raised or lowered it."""
    steps = [reason for reason in decision.reasons if reason.code not in ("analysis", "tell", "not_notified")]
    reason = steps[-1] if steps else decision.reasons[-1] if decision.reasons else None
    return f"{reason.code}: {reason.text}"[:500] if reason else ""


def _changes(old: Verdict, new: Verdict) -> tuple[str, ...]:
    changes = []
    if old.told_at is None and new.told_at is not None:
        changes.append("sent")
    elif old.told_at is not None and new.told_at is None:
        changes.append("not_sent")
    elif old.told_at is not None and new.told_at is not None and old.told_at != new.told_at:
        changes.append("sooner" if new.told_at < old.told_at else "later")
    if new.disposition.rank != old.disposition.rank:
        changes.append("raised" if new.disposition.rank > old.disposition.rank else "lowered")
    if new.suppressed != old.suppressed:
        changes.append("suppressed" if new.suppressed else "not_suppressed")
    return tuple(changes)
