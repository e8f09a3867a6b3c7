from __future__ import annotations

from pathlib import Path

import pytest

from incidentlens.evals.cases import load_file
from incidentlens.evals.disguise import jittered, permutation, renamed, shifted, thinned
from incidentlens.evals.outcomes import Outcome, figures
from incidentlens.evals.playing import Known, play
from incidentlens.evals.reliability import brier, ece, picture
from incidentlens.evals.rootcause_cases import RootCauseExpected, grade
from incidentlens.evals.topologies import make
from incidentlens.model.clock import DAY

CASES = Path(__file__).parents[3] / "evals" / "root_cause"


def case_of(file: str, number: int):
    return load_file(CASES / f"{file}.yaml", RootCauseExpected)[number - 1]


@pytest.mark.parametrize(("file", "number"), [("database", 1), ("quiet", 4)])
def test_a_case_with_its_services_renamed_and_its_time_shifted_gives_the_same_answer(file, number):
    case = case_of(file, number)
    known = Known()
    plain = play(case.records, case.baseline, known)
    names = permutation([*case.records["service"].unique(), *case.baseline["service"].unique()])
    other = play(shifted(renamed(case.records, names)), shifted(renamed(case.baseline, names)), known)
    back = {new: old for old, new in names.items()}
    assert [back[service] for service in other.ranking] == plain.ranking
    assert plain.named is not None
    assert other.named == (names[plain.named[0]], plain.named[1])
    assert grade(case.expect, plain).cause


def test_renaming_touches_labels_and_whole_names_in_lines_only():
    case = case_of("database", 1)
    names = {"orders": "web", "web": "orders", "billing": "billing2"}
    changed = renamed(case.records, names)
    assert set(case.records["service"]) - set(changed["service"]) == {"billing"}
    assert any("http://web:8080/total" in line for line in changed["line"])


def test_a_shift_is_of_whole_days_and_moves_dates_in_lines():
    frame = case_of("database", 1).records.with_columns(line=__import__("polars").lit("at 2024-02-28T10:00:00 said"))
    later = shifted(frame, 2)
    assert (later["ts"] - frame["ts"]).unique().to_list() == [2 * DAY]
    assert later["line"][0] == "at 2024-03-01T10:00:00 said"


def test_lines_lost_and_stamps_jittered_leave_the_order_of_time():
    frame = case_of("database", 1).records
    assert 0.7 * frame.height < thinned(frame).height < 0.9 * frame.height
    moved = jittered(frame)
    assert moved["ts"].is_sorted()
    assert moved.height == frame.height


def test_a_made_up_system_is_the_same_for_the_same_seed_and_hides_no_truth():
    one, two = make(3), make(3)
    assert one.records.equals(two.records)
    assert one.truth == two.truth
    assert (make(5, "none").truth, make(5, "error").truth != "") == ("", True)
    assert make(9, "silent").truth not in set(make(9, "silent").records["service"])


def test_a_confident_wrong_cause_costs_what_a_right_one_earns():
    right = Outcome("a", "x", {"s"}, "s", 0.9, 1)
    wrong = Outcome("b", "x", {"s"}, "t", 0.9, 2)
    doubtful = Outcome("c", "x", {"s"}, "t", 0.6, 2)
    none = Outcome("d", "x", {"s"}, None, 0.0, 0)
    values = {figure.key: figure.value for figure in figures("k", "of", [right, wrong, doubtful, none])}
    assert values["k_net"] == 0
    assert values["k_confident_wrong"] == 0.25
    assert values["k_undetermined"] == 0.25
    assert values["k_mrr"] == pytest.approx((1 + 0.5 + 0.5 + 0) / 4)


def test_a_confidence_that_keeps_its_word_has_no_calibration_error():
    true = [(0.75, index % 4 != 0) for index in range(400)]
    assert ece(true) == pytest.approx(0, abs=1e-9)
    assert ece([(0.95, False)] * 10) == pytest.approx(0.95)
    assert brier([(1.0, True), (0.0, False)]) == 0
    assert picture({"some": true}).startswith(b"<?xml")
    assert picture({"some": true}) == picture({"some": true})
