from __future__ import annotations

from pathlib import Path

import pytest

from incidentlens.evals.cases import ZERO, load_cases, load_file
from incidentlens.evals.rootcause_cases import RootCauseExpected
from incidentlens.model.clock import MINUTE, SECOND
from incidentlens.model.yamlfile import YamlError

GOOD = """
healthy:
  calm:
    - {at: -2m, every: 30s, times: 6, say: ["web: INFO page {n}"]}
cases:
  - name: something breaks
    family: plain
    healthy: calm
    clocks: {db: 3s}
    deploys: [{service: db, at: -10s, version: "2"}]
    lines:
      - {at: 1s, every: 2s, times: 2, trace: "t{n}", say: ["db: ERROR x{n} {hex}", "web: ERROR y"]}
    expect: {causes: [{service: db, says: x0, chain: [db, web]}]}
"""


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "some.yaml"
    file.write_text(text, "utf-8")
    return file


def test_everyday_lines_before_zero_are_learnt_from_and_the_rest_is_replayed(tmp_path):
    (case,) = load_file(written(tmp_path, GOOD), RootCauseExpected)
    assert case.id == "some/1"
    assert case.baseline["ts"].to_list() == [ZERO - 2 * MINUTE + i * 30 * SECOND for i in range(4)]
    assert case.records.height == 2 + 4
    assert case.records["ts"].is_sorted()


def test_a_clock_that_is_ahead_moves_its_services_lines_and_a_trace_is_shared(tmp_path):
    (case,) = load_file(written(tmp_path, GOOD), RootCauseExpected)
    failing = case.records.filter(case.records["line"].str.contains("ERROR"))
    first = failing.filter(failing["service"] == "db").row(0, named=True)
    assert first["ts"] == ZERO + 4 * SECOND
    assert first["line"].startswith("ERROR x0 ")
    assert failing["metadata"].n_unique() == 2
    assert case.deploys[0].at == ZERO - 10 * SECOND


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("at: 1s,", "at: soon,", 12, "write 90s, -5m, 250ms or 1h"),
        ("healthy: calm", "healthy: clam", 8, "there are: calm"),
        ("web: ERROR y", "web ERROR y", 12, "each line is 'service: text'"),
        ("family: plain", "famly: plain", 7, "did you mean 'family'?"),
        ("{service: db, says", "{undetermined: true, service: db, says", 13, "either 'service' or 'undetermined"),
        ("every: 2s, ", "", 12, "'times' needs 'every'"),
    ],
)
def test_what_is_wrong_with_a_case_is_named_with_its_line(tmp_path, old, new, line, said):
    with pytest.raises(YamlError) as error:
        load_file(written(tmp_path, GOOD.replace(old, new)), RootCauseExpected)
    assert any(said in str(problem) for problem in error.value.problems)
    assert any(problem.line == line for problem in error.value.problems)


def test_a_folder_without_cases_says_what_it_needs(tmp_path):
    with pytest.raises(YamlError, match="holds no cases"):
        load_cases(tmp_path, RootCauseExpected)


def test_the_cases_of_the_repository_can_be_read_and_are_at_least_sixty():
    cases = load_cases(Path(__file__).parents[3] / "evals" / "root_cause", RootCauseExpected)
    assert len(cases) >= 60
    assert sum(not case.expect.causes for case in cases) >= 8
    families = {case.inputs.family for case in cases}
    assert {"two_at_once", "logs_least", "no_errors", "clock_skew", "innocent_deploy", "maintenance"} <= families
