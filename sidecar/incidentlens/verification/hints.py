"""What the ends of incidents say about the runbooks that were used on them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from incidentlens.model.analysis import PatternUse
from incidentlens.model.base import Value
from incidentlens.model.clock import DAY
from incidentlens.model.terms import Disposition, Outcome
from incidentlens.model.times import utc

ENOUGH = 5  # fewer ends say nothing
MOST = 0.8
UNUSED_AFTER = 30 * DAY


class RunbookOutcome(Value):
    """How one incident with that runbook ended."""

    runbook_id: str
    default: Disposition  # the runbook's own
    decided: Disposition  # the heaviest that was decided for the incident
    outcome: Outcome
    reopened: int = 0
    verdict: str = ""  # a person's, see model.decisions.Feedback


class Hint(Value):
    """A proposal for a person: nothing is changed by it."""

    runbook_id: str
    code: str  # raise_default, lower_default, steps_do_not_help, quiet_too_short, cannot_verify, wrong_cause, unused
    text: str
    seen: int  # out of `of` ends
    of: int


def hints(outcomes: Iterable[RunbookOutcome], patterns: Sequence[PatternUse], now: int) -> list[Hint]:
    """Hints in the order of the runbooks' ids; fewer than 5 ends say nothing about a runbook."""
    by_runbook: dict[str, list[RunbookOutcome]] = defaultdict(list)
    for outcome in outcomes:
        by_runbook[outcome.runbook_id].append(outcome)
    found = [hint for runbook_id, ends in by_runbook.items() for hint in _of_runbook(runbook_id, ends)]
    found += _unused(patterns, now)
    return sorted(found, key=lambda hint: (hint.runbook_id, hint.code, hint.text))


def _of_runbook(runbook_id: str, ends: Sequence[RunbookOutcome]) -> list[Hint]:
    total = len(ends)
    if total < ENOUGH:
        return []

    def seen(fits: Callable[[RunbookOutcome], bool]) -> int:
        return sum(1 for end in ends if fits(end))

    checks: tuple[tuple[str, int, str], ...] = (
        (
            "raise_default",
            seen(lambda end: end.decided.rank > end.default.rank or end.outcome is Outcome.RE_ESCALATED),
            "escalated {}: raise the default disposition, or lower the threshold",
        ),
        (
            "lower_default",
            seen(lambda end: end.default.notifies and end.verdict == "noise"),
            "called noise by people {}: lower the default disposition, or make the patterns more specific",
        ),
        (
            "steps_do_not_help",
            seen(lambda end: end.outcome is Outcome.STILL_FIRING),
            "still firing {}: review the steps",
        ),
        ("quiet_too_short", seen(lambda end: end.reopened > 0), "re-opened after it was called over {}: wait longer"),
        (
            "cannot_verify",
            seen(lambda end: end.outcome is Outcome.INCONCLUSIVE),
            "could not be verified {}: try its query",
        ),
        (
            "wrong_cause",
            seen(lambda end: end.verdict == "wrong_cause"),
            "not the cause, people said, {}: check its patterns",
        ),
    )
    return [
        Hint(runbook_id=runbook_id, code=code, text=text.format(f"{count} of {total} times"), seen=count, of=total)
        for code, count, text in checks
        if count >= MOST * total
    ]


def _unused(patterns: Sequence[PatternUse], now: int) -> list[Hint]:
    found = []
    for use in patterns:
        since = use.since if use.last_matched_at is None else use.last_matched_at
        if now - since < UNUSED_AFTER:
            continue
        days = (now - since) // DAY
        last = "" if use.last_matched_at is None else f" (last on {utc(use.last_matched_at)[:10]})"
        text = f"the pattern {use.pattern!r} has not matched in {days} days{last}: is it still what is logged?"
        found.append(Hint(runbook_id=use.runbook_id, code="unused", text=text, seen=0, of=0))
    return found
