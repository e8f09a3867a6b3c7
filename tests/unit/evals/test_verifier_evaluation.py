"""The verifier and latency evaluations: cases and a scenario that come out as written, and metric code that would
notice were they not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from incidentlens.evals import latency, report, scenario_runs
from incidentlens.evals.cases import load_cases, load_file
from incidentlens.evals.intervals import share
from incidentlens.evals.section import Context, Figure, Section
from incidentlens.evals.verifier import Ending, Graded, VerifierExpected, first_quiet_minute, play, scenario_agrees
from incidentlens.model.clock import MINUTE, SECOND
from incidentlens.model.terms import Outcome

CASES = Path(__file__).parents[3] / "evals" / "verifier"


def case_of(file: str, name: str):
    return next(case for case in load_file(CASES / f"{file}.yaml", VerifierExpected) if case.inputs.name == name)


PLAIN = "it stops and stays away"  # over after 2 minutes, to be resolved by 12


def test_there_are_thirty_cases_or_more():
    assert len(load_cases(CASES, VerifierExpected)) >= 30


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("ends", PLAIN),
        ("returns", "it is quiet for three minutes and comes back"),
        ("returns", "one record comes two minutes late"),
        ("returns", "a restart cycle of two minutes"),
        ("ends", "it decays with gaps that nearly are the quiet time"),
    ],
)
def test_a_case_that_is_plain_ends_as_written(file, name):
    graded = Graded(case_of(file, name), play(case_of(file, name)))
    assert graded.agrees
    assert graded.in_time


def test_the_peer_calls_it_over_in_the_first_gap():
    case = case_of("returns", "it is quiet for three minutes and comes back")
    assert Graded(case, first_quiet_minute(case)).too_early
    plain = case_of("ends", PLAIN)
    ending = first_quiet_minute(plain)
    assert ending == Ending(Outcome.RESOLVED, 3 * MINUTE, 3 * MINUTE)
    assert Graded(plain, ending).agrees


def test_while_loki_is_away_nothing_is_called_over_and_the_outage_is_what_makes_the_difference():
    case = case_of("returns", "Loki is away for five minutes after the end")
    away = play(case)
    there = play(replace(case, inputs=case.inputs.model_copy(update={"away": ()})))
    assert there.first_resolved is not None
    assert there.first_resolved < 8 * MINUTE
    assert away.first_resolved is None or away.first_resolved >= 8 * MINUTE


def test_an_end_before_the_fault_is_over_disagrees_whatever_the_outcome():
    case = case_of("ends", PLAIN)
    early = Graded(case, Ending(Outcome.RESOLVED, 2 * MINUTE - SECOND, 9 * MINUTE))
    assert early.too_early
    assert not early.agrees
    assert early.in_time
    late = Graded(case, Ending(Outcome.RESOLVED, 13 * MINUTE, 13 * MINUTE))
    assert late.agrees
    assert not late.in_time
    assert not Graded(case, Ending(None, None, None)).agrees


def test_a_scenario_is_told_ends_as_its_truth_says_and_says_how_long_it_took(monkeypatch):
    monkeypatch.setattr(scenario_runs, "CASCADES", {"db_cascade": scenario_runs.CASCADES["db_cascade"]})
    scenario_runs.runs.cache_clear()
    (run,) = scenario_runs.runs((1,))
    assert scenario_agrees(run)
    assert not scenario_agrees(replace(run, found=[]))
    late = {**run.truth, "fault": {**run.truth["fault"], "end": run.truth["fault"]["end"] + 60 * MINUTE}}
    assert not scenario_agrees(replace(run, truth=late))
    assert run.investigated
    section = latency.evaluate(Context(CASES.parent, quick=True))
    value = {figure.key: figure.value for figure in section.figures}
    assert value["found"] == 1
    assert 0 < value["investigate_median"] <= value["investigate_p95"]
    assert 0 < value["detect_median"] < 30
    assert value["lines"] > 0
    scenario_runs.runs.cache_clear()


def test_the_95th_percentile_is_a_value_that_was_measured():
    assert latency.p95([float(n) for n in range(1, 21)]) == 19.0
    assert latency.p95([3.0]) == 3.0
    with pytest.raises(ValueError, match="no values"):
        latency.p95([])


MACHINE = {"at": "2026-11-28T00:00:00+00:00", "cores": 2, "cpu": "a processor", "python": "3.11"}


def test_the_page_begins_with_what_people_ask_for_beside_what_was_published():
    sections = [
        Section("root-cause", "Causes", figures=[share("hand_cause", "by hand: right", 9, 12)]),
        Section(
            "suppression",
            "Told",
            figures=[share("precision", "suppressed", 7, 8), share("precision", "suppressed", 1, 8, peer="a peer")],
        ),
        Section("verifier", "Over", skipped="no cases"),
    ]
    page = report.markdown(sections, MACHINE, "incidentlens eval all")
    assert page.index("## At a glance") < page.index("## Causes")
    assert "| by hand: right | 0.750 [0.468, 0.911] | 12 | 95% of 20 cases |" in page
    assert "| suppressed | 0.875 [0.529, 0.978] | 8 | precision 100% on 8 cases |" in page
    assert "verifier" not in page.split("## Causes")[0]


def test_a_page_without_any_of_them_has_no_such_table():
    other = Section("demo", "A demo", figures=[Figure("x", "x", 1.0)])
    assert "At a glance" not in report.markdown([other], MACHINE, "incidentlens eval demo")
