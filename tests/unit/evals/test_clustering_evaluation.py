"""The clustering evaluation: cases that come out as written, and metric code that would notice were they not."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders import make_problem
from incidentlens.evals.cases import load_cases, load_file
from incidentlens.evals.clustering import ClusteringExpected, Joins, by_signature, f1, joins_of, near, play, truth_of
from incidentlens.model.clock import MINUTE

CASES = Path(__file__).parents[3] / "evals" / "clustering"


def case_of(file: str, number: int):
    return load_file(CASES / f"{file}.yaml", ClusteringExpected)[number - 1]


def problems(*places):
    """(service, signature, onset in minutes), each lasting ten seconds."""
    return [
        make_problem(n, service=service, signature=signature, onset=at * MINUTE, last_seen=at * MINUTE + MINUTE // 6)
        for n, (service, signature, at) in enumerate(places)
    ]


def test_there_are_forty_cases_or_more_with_controls_and_each_names_as_many_incidents_as_it_expects():
    cases = load_cases(CASES, ClusteringExpected)
    assert len(cases) >= 40
    assert sum(case.expect.incidents == 0 for case in cases) >= 3
    for case in cases:
        assert len(set(truth_of(case).values()) - {""}) == case.expect.incidents, case.id


@pytest.mark.parametrize(("file", "number"), [("related", 1), ("apart", 1), ("apart", 15)])
def test_a_case_that_is_plain_comes_out_as_written(file, number):
    assert play(case_of(file, number)).right


def test_two_faults_that_a_peer_merges_are_a_wrong_merge_of_the_peer_and_none_of_ours():
    played = play(case_of("apart", 2))
    assert played.joins["within two minutes"].wrong > 0
    assert played.joins[""].wrong == 0
    assert played.joins["one a signature"].missing > 0


TRUTH = {"0.0": "a", "1.0": "a", "2.0": "b", "3.0": ""}


def test_a_merge_of_two_incidents_is_wrong_for_each_pair_and_leaves_nothing_missing():
    found = dict(zip(TRUTH, problems(("x", "s", 0), ("y", "s", 0), ("z", "s", 0), ("n", "s", 0)), strict=True))
    together = joins_of(TRUTH, found, {problem.id: "i" for problem in found.values()})
    assert together == Joins(right=1, wrong=5, missing=0, pieces=(1, 1))
    assert not together.whole


def test_what_is_left_apart_or_not_found_is_missing_and_in_pieces():
    found = dict(zip(TRUTH, problems(("x", "s", 0), ("y", "s", 0), ("z", "s", 0), ("n", "s", 0)), strict=True))
    apart = joins_of(TRUTH, {**found, "2.0": None}, {problem.id: problem.id for problem in found.values()})
    assert apart == Joins(right=0, wrong=0, missing=1, pieces=(2, 1))


def test_f1_is_of_all_pairs_and_whole_where_there_is_nothing_to_join():
    assert f1([Joins(3, 1, 0, (1,)), Joins(0, 0, 2, (2,))]) == pytest.approx(2 * 3 / (6 + 1 + 2))
    assert f1([Joins(0, 0, 0, (1,))]) == 1.0


def test_the_peer_of_two_minutes_begins_anew_after_a_longer_gap():
    first, second, third = problems(("a", "s", 0), ("b", "t", 1.5), ("c", "u", 6))
    homes = near([first, second, third])
    assert homes[first.id] == homes[second.id] != homes[third.id]


def test_the_peer_of_signatures_knows_a_recurrence_within_the_cooldown_only():
    first, again, later, other = problems(("a", "s", 0), ("a", "s", 10), ("a", "s", 60), ("b", "s", 10))
    homes = by_signature([first, again, other, later])
    assert homes[first.id] == homes[again.id]
    assert len({homes[first.id], homes[later.id], homes[other.id]}) == 3


def test_a_case_that_names_another_number_of_incidents_than_it_expects_is_refused(tmp_path):
    lines = '[{at: 0s, incident: a, say: ["x: ERROR y"]}]'
    text = f"cases: [{{name: counted wrongly, family: plain, lines: {lines}, expect: {{incidents: 2}}}}]"
    (tmp_path / "case.yaml").write_text(text)
    (case,) = load_cases(tmp_path, ClusteringExpected)
    with pytest.raises(ValueError, match="names 1 incidents and expects 2"):
        play(case)
