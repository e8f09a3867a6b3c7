"""Loading, linting and beginning runbooks; and the set that is shipped."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import make_incident, make_problem, make_sample
from incidentlens.model.yamlfile import YamlError
from incidentlens.runbooks import Matcher, Runbook, lint, load_runbook, load_runbooks, new_runbook
from incidentlens.runbooks.lint import pattern_fault
from incidentlens.scenarios.errors import ERRORS, Draw, ErrorType

SHIPPED = Path(__file__).parents[3] / "runbooks"
GOOD = """\
id: {id}
name: Pool
description: All in use.
default_severity: high
disposition: NEEDS_ONCALL
patterns: [{patterns}]
steps: [Look at who holds them.]
"""


def write(folder: Path, runbook_id: str, patterns: str = "connection pool exhausted", name: str | None = None) -> Path:
    path = folder / f"{name or runbook_id}.yaml"
    path.write_text(GOOD.format(id=runbook_id, patterns=patterns))
    return path


def codes(folder: Path) -> list[tuple[str, str]]:
    return [(issue.level, issue.code) for issue in lint([folder])]


def test_folders_are_read_to_any_depth_and_ordered_by_id(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    write(tmp_path / "a", "zz")
    write(tmp_path, "aa")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.yaml").write_text("no runbook")
    found = load_runbooks([tmp_path, tmp_path / "aa.yaml"])
    assert [runbook.id for runbook in found] == ["aa", "zz"]
    assert found[0].source.endswith("aa.yaml")


def test_a_bad_pattern_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(GOOD.format(id="x", patterns="").replace("[]", "\n  - good words\n  - '(unclosed'"))
    with pytest.raises(YamlError) as caught:
        load_runbook(path)
    assert (caught.value.line, caught.value.key) == (8, "patterns[1]")
    assert "missing )" in caught.value.message


def test_all_bad_files_are_told_at_once(tmp_path: Path) -> None:
    write(tmp_path, "one").write_text("id: one\nnme: x\n")
    write(tmp_path, "two").write_text("- a list\n")
    with pytest.raises(YamlError) as caught:
        load_runbooks([tmp_path])
    assert {Path(problem.file).name for problem in caught.value.problems} == {"one.yaml", "two.yaml"}


def test_two_files_of_one_id_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "same", name="a")
    write(tmp_path, "same", name="b")
    with pytest.raises(YamlError, match="also the id of"):
        load_runbooks([tmp_path])


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(YamlError, match="is not there"):
        load_runbooks([tmp_path / "none"])
    assert lint([tmp_path / "none"])[0].level == "error"


def test_an_escalation_below_the_own_disposition_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "x")
    path.write_text(path.read_text() + "observe_threshold: {count: 5, window_minutes: 5, escalate_to: OBSERVE}\n")
    with pytest.raises(YamlError, match="weighs less"):
        load_runbook(path)


@pytest.mark.parametrize(
    ("patterns", "code"),
    [
        ("'('", "pattern-invalid"),
        ("'.*'", "pattern-everything"),
        ("'(?:a|)'", "pattern-everything"),
        ("'foo$bar'", "pattern-nothing"),
        ("'a^b'", "pattern-nothing"),
        ("'[^\\s\\S]'", "pattern-nothing"),
        ("error", "pattern-broad"),
        ("timeout", "pattern-broad"),
        ("xq", "pattern-broad"),
        ("'connection refused '", "pattern-spaces"),
    ],
)
def test_lint_names_what_is_wrong_with_a_pattern(tmp_path: Path, patterns: str, code: str) -> None:
    write(tmp_path, "x", patterns)
    assert [found for _, found in codes(tmp_path)] == [code]


def test_lint_finds_duplicate_ids_overlaps_short_steps_and_misnamed_files(tmp_path: Path) -> None:
    write(tmp_path, "a", "pool exhausted at once")
    write(tmp_path, "b", "pool exhausted")
    assert codes(tmp_path) == [("warning", "pattern-overlap")]
    write(tmp_path, "b", "something else here", name="c")
    assert ("error", "id-twice") in codes(tmp_path)
    assert ("warning", "file-name") in codes(tmp_path)
    path = write(tmp_path, "d", "words of another failure")
    path.write_text(path.read_text().replace("Look at who holds them.", "Look."))
    assert ("error", "step-empty") in codes(tmp_path)


def test_lint_tells_yaml_errors_with_their_lines_and_an_empty_folder(tmp_path: Path) -> None:
    assert codes(tmp_path) == [("warning", "no-runbooks")]
    (tmp_path / "x.yaml").write_text("id: x\npaterns: [a]\n")
    issue = lint([tmp_path])[0]
    assert issue.level == "error"
    assert any("did you mean 'patterns'" in str(issue) for issue in lint([tmp_path]))


def test_patterns_that_are_well_have_no_fault() -> None:
    for pattern in ("connection pool exhausted", "^FATAL: out", "disk full$", r"a\$b is set", "[^a]bcd", "(?:^|x)word"):
        assert pattern_fault(pattern) is None, pattern


def test_a_new_runbook_can_be_loaded_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "my-new.yaml"
    path.write_text(new_runbook("my-new"))
    assert load_runbook(path).id == "my-new"
    with pytest.raises(ValueError, match="cannot be an id"):
        new_runbook("../etc")


def test_a_runbook_begun_from_an_incident_matches_that_incident(tmp_path: Path) -> None:
    text = "image pull of thumbnailer:v12 backs off after 3 tries"
    sample = make_sample(message=text, line=text)
    incident = make_incident(
        problems=(make_problem(template="image pull of <*> backs off after <*> tries", samples=(sample,)),)
    )
    path = tmp_path / "image-pull.yaml"
    path.write_text(new_runbook("image-pull", incident))
    assert lint([path]) == []
    assert Matcher([load_runbook(path)]).match(incident)[0].score >= 0.7


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=80), st.text(max_size=80))
def test_whatever_the_incident_says_the_new_runbook_is_valid(title: str, template: str) -> None:
    from incidentlens.model import yamlfile

    title, template = (text.encode("utf-8", "replace").decode() for text in (title, template))
    incident = make_incident(title=title, problems=(make_problem(template=template, samples=()),))
    document = yamlfile.parse(new_runbook("x", incident), "x.yaml")
    assert document.validate(Runbook).id == "x"


# The set that is shipped.


def shipped() -> list[Runbook]:
    return load_runbooks([SHIPPED])


def test_the_shipped_runbooks_pass_lint_without_a_warning() -> None:
    assert [str(issue) for issue in lint([SHIPPED])] == []


def test_the_shipped_runbooks_cover_every_family_with_real_steps() -> None:
    found = shipped()
    assert len(found) >= 28
    families = {Path(runbook.source).parent.name for runbook in found}
    assert families == {
        "database",
        "authentication",
        "payment",
        "infrastructure",
        "application",
        "data",
        "security",
    }
    for runbook in found:
        assert len(runbook.steps) >= 3, runbook.id
        assert len(runbook.patterns) >= 3, runbook.id


def matches(error: ErrorType) -> list[str]:
    class Masked(dict[str, str]):
        def __missing__(self, key: str) -> str:
            return "<*>"

    texts = [error.text.format_map(Draw(random.Random(seed))) for seed in range(4)]
    samples = tuple(
        make_sample(i, message=text, line=f"ERROR {text}", service=error.services[0]) for i, text in enumerate(texts)
    )
    template = error.text.format_map(Masked()).partition("\n")[0]
    problem = make_problem(template=template, samples=samples, signature="x:ERROR:y#1", service=error.services[0])
    return [match.runbook_id for match in MATCHER.match(make_incident(problems=(problem,)))]


MATCHER = Matcher(load_runbooks([SHIPPED]))


@pytest.mark.parametrize("error", [error for error in ERRORS if error.covered], ids=lambda error: error.name)
def test_an_everyday_error_finds_a_runbook_of_its_own_family(error: ErrorType) -> None:
    found = matches(error)
    families = {runbook.id: Path(runbook.source).parent.name for runbook in MATCHER.runbooks}
    assert found
    assert families[found[0]] == error.family


@pytest.mark.parametrize("error", [error for error in ERRORS if not error.covered], ids=lambda error: error.name)
def test_what_no_runbook_covers_finds_none(error: ErrorType) -> None:
    assert matches(error) == []


@pytest.mark.parametrize(
    "text",
    [
        'Failed to pull image "shop/web:1.2": ErrImagePull',
        "Back-off pulling image shop/web:1.2",
        "rpc error: code = DeadlineExceeded desc = context deadline exceeded",
        "all shards failed",
        "websocket closed abnormally: 1006",
        "feature flag evaluation timed out after 200 ms, default used",
        "CDN origin fetch failed for /static/app.js",
        "user 17 logged in",
        "processed 120 messages in 340 ms",
    ],
)
def test_other_words_for_what_is_not_covered_and_healthy_lines_find_none(text: str) -> None:
    sample = make_sample(message=text, line=text)
    incident = make_incident(problems=(make_problem(template=text, samples=(sample,), signature="x:ERROR:y#1"),))
    assert [match.runbook_id for match in MATCHER.match(incident)] == []
