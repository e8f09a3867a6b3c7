"""The suppression evaluation: cases that come out as written, and metric code that would notice were they not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from incidentlens.evals import suppression
from incidentlens.evals.cases import load_cases, load_file
from incidentlens.evals.section import Context
from incidentlens.evals.suppression import Fault, SuppressionExpected, Verdict, judge

CASES = Path(__file__).parents[3] / "evals" / "suppression"


def case_of(file: str, name: str):
    return next(case for case in load_file(CASES / f"{file}.yaml", SuppressionExpected) if case.inputs.name == name)


def given(told: bool, times: int, *reasons: str, high: bool = False, **fault) -> Verdict:
    case = case_of("planned", "the service under maintenance fails")
    return Verdict(case, Fault(service="x", says="y", told=told, **fault), times, frozenset(reasons), high)


def test_there_are_forty_cases_or_more():
    assert len(load_cases(CASES, SuppressionExpected)) >= 40


def test_maintenance_holds_back_its_own_service_and_hides_no_other():
    quiet, told = judge(case_of("planned", "two faults, one of them under maintenance"))
    assert not quiet.told
    assert "maintenance" in quiet.reasons
    assert told.told
    assert quiet.right
    assert told.right


def test_a_noise_rule_excuses_its_lines_and_a_policy_of_a_case_is_in_force():
    (noise,) = judge(case_of("noise", "a noise rule names it"))
    assert "noise" in noise.reasons
    (floor,) = judge(case_of("limits", "a floor for a service that must never be silent"))
    assert "floor" in floor.reasons


def test_what_was_told_and_is_quiet_when_its_cooldown_ends_is_not_told_again():
    (again,) = judge(case_of("limits", "the same fault within the cooldown is not told again"))
    assert (again.times, "cooldown" in again.reasons) == (1, True)


def test_a_line_that_only_names_an_error_page_is_an_error_of_its_level_and_never_less():
    (checksum,) = judge(case_of("planned", "a window for silence does not excuse errors"))
    assert checksum.told
    (harmless,) = judge(case_of("noise", "errors at INFO level that only sound bad"))
    assert not harmless.told


def test_words_of_people_are_said_in_the_middle_of_a_case():
    case = case_of("noise", "two people called it noise and it comes back mildly")
    (verdict,) = judge(case)
    silent = replace(case, inputs=case.inputs.model_copy(update={"judged": ()}))
    (without,) = judge(silent)
    assert "noise" not in without.reasons
    assert not verdict.told


def test_a_real_fault_that_was_held_back_is_confident_and_wrong_and_one_found_mild_is_only_wrong():
    assert given(True, 0, "maintenance").confident_wrong
    assert not given(True, 0, "not_notified").confident_wrong
    assert not given(False, 0, "maintenance").confident_wrong
    assert not given(True, 0).right


def test_told_too_often_or_for_another_reason_is_not_right():
    assert given(True, 1, most=1).right
    assert not given(True, 2, most=1).right
    assert not given(False, 0, "cooldown", reason="maintenance").right


def test_precision_counts_hidden_faults_and_recall_what_was_told_needlessly(monkeypatch):
    verdicts = [given(False, 0), given(False, 1), given(True, 0, "grace", high=True), given(True, 1)]
    case = case_of("planned", "the service under maintenance fails")
    monkeypatch.setattr(suppression, "load_cases", lambda folder, model: [case])
    monkeypatch.setattr(suppression, "judge", lambda case: verdicts)
    section = suppression.evaluate(Context(CASES.parent))
    value = {figure.key: figure.value for figure in section.figures}
    assert value["precision"] == pytest.approx(1 / 2)
    assert value["recall"] == pytest.approx(1 / 2)
    assert value["hidden"] == value["confident_wrong"] == pytest.approx(1 / 2)
    assert value["severity_precision"] == pytest.approx(2 / 3)
    assert value["severity_hidden"] == pytest.approx(1 / 2)
    assert [failure.confident for failure in section.failures] == [False, True]
