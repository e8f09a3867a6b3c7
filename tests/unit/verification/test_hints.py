"""What the ends of incidents say about their runbooks."""

from __future__ import annotations

from typing import Any

from builders import T0
from incidentlens.model.analysis import PatternUse
from incidentlens.model.clock import DAY
from incidentlens.model.terms import Disposition, Outcome
from incidentlens.verification import Hint, RunbookOutcome, hints


def ends(count: int, **changes: Any) -> list[RunbookOutcome]:
    values: dict[str, Any] = {
        "runbook_id": "pool",
        "default": Disposition.NEEDS_DEV,
        "decided": Disposition.NEEDS_DEV,
        "outcome": Outcome.RESOLVED,
    }
    return [RunbookOutcome(**{**values, **changes}) for _ in range(count)]


def found(outcomes: list[RunbookOutcome], *patterns: PatternUse) -> list[Hint]:
    return hints(outcomes, patterns, T0)


def test_what_is_escalated_nine_of_nine_times_should_begin_higher() -> None:
    hint = found(ends(9, decided=Disposition.ESCALATE))[0]
    assert hint.code == "raise_default"
    assert hint.text.startswith("escalated 9 of 9 times: raise the default")
    assert (hint.seen, hint.of) == (9, 9)


def test_ends_without_a_pattern_and_too_few_ends_give_no_hint() -> None:
    assert found(ends(9)) == []
    assert found(ends(4, decided=Disposition.ESCALATE)) == []
    assert found(ends(5) + ends(5, decided=Disposition.ESCALATE)) == []


def test_each_kind_of_end_has_its_hint() -> None:
    for changes, code in (
        ({"outcome": Outcome.RE_ESCALATED}, "raise_default"),
        ({"verdict": "noise"}, "lower_default"),
        ({"outcome": Outcome.STILL_FIRING}, "steps_do_not_help"),
        ({"reopened": 2}, "quiet_too_short"),
        ({"outcome": Outcome.INCONCLUSIVE}, "cannot_verify"),
        ({"verdict": "wrong_cause"}, "wrong_cause"),
    ):
        assert [hint.code for hint in found(ends(6, **changes))] == [code]


def test_a_pattern_that_never_matched_in_thirty_days_is_told() -> None:
    old = PatternUse(runbook_id="pool", pattern="QueuePool limit", since=T0 - 31 * DAY)
    assert "has not matched in 31 days" in found([], old)[0].text
    assert found([], old.model_copy(update={"since": T0 - 29 * DAY})) == []
    assert found([], old.model_copy(update={"last_matched_at": T0 - DAY})) == []
    last = found([], old.model_copy(update={"last_matched_at": T0 - 30 * DAY}))[0]
    assert "last on 2025-05-16" in last.text


def test_hints_stand_in_the_order_of_runbooks() -> None:
    mixed = ends(5, verdict="noise") + ends(5, runbook_id="a", reopened=1)
    assert [hint.runbook_id for hint in found(mixed)] == ["a", "pool"]
