"""A user's YAML file: every error names file, line, key and what is allowed."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from incidentlens.model import yamlfile
from incidentlens.model.base import Value
from incidentlens.model.terms import Disposition, Severity
from incidentlens.model.yamlfile import YamlError


class Inner(Value):
    severity: Severity
    at: float = Field(default=1, gt=0)


class Outer(Value):
    name: str
    inner: Inner | None = None
    many: tuple[Inner, ...] = ()
    thresholds: dict[Disposition, float] = Field(default_factory=dict)
    on: bool = False
    port: int = 1


def fail(text: str | bytes, environ: dict[str, str] | None = None) -> YamlError:
    with pytest.raises(YamlError) as caught:
        yamlfile.parse(text, "f.yaml", environ).validate(Outer)
    return caught.value


def good(text: str, environ: dict[str, str] | None = None) -> Outer:
    return yamlfile.parse(text, "f.yaml", environ).validate(Outer)


def test_a_good_file_becomes_the_value(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("name: x\ninner: {severity: high}\nmany:\n  - severity: low\n    at: 2\n")
    value = yamlfile.load(path, Outer)
    assert value.inner == Inner(severity=Severity.HIGH)
    assert value.many == (Inner(severity=Severity.LOW, at=2),)


def test_an_unknown_key_is_named_with_line_suggestion_and_what_is_allowed() -> None:
    error = fail("name: x\ninner:\n  severity: low\n  att: 3\n")
    assert (error.file, error.line, error.key) == ("f.yaml", 4, "inner.att")
    assert "did you mean 'at'" in error.message
    assert "allowed: at, severity" in error.message


def test_an_unknown_key_deep_in_a_list_is_named_with_its_index() -> None:
    error = fail("name: x\nmany:\n  - severity: low\n  - severity: low\n    sevrity: high\n")
    assert (error.line, error.key) == (5, "many[1].sevrity")
    assert "did you mean 'severity'" in error.message


def test_a_wrong_word_of_a_closed_vocabulary_names_the_allowed_ones_and_a_near_one() -> None:
    error = fail("name: x\nmany:\n- severity: hihg\n")
    assert (error.line, error.key) == (3, "many[0].severity")
    assert "'critical', 'high', 'medium' or 'low'; did you mean 'high'?" in error.message


def test_a_wrong_key_of_a_dictionary_is_found_on_its_line() -> None:
    error = fail("name: x\nthresholds:\n  ESCALATE: 0.5\n  ESCALADE: 0.5\n")
    assert (error.line, error.key) == (4, "thresholds.ESCALADE")
    assert "did you mean 'ESCALATE'" in error.message


def test_every_problem_is_told_in_the_order_of_the_file() -> None:
    error = fail("nam: x\nport: abc\n")
    assert [(problem.line, problem.key) for problem in error.problems] == [(1, "nam"), (1, "name"), (2, "port")]
    assert str(error).count("\n") == 0
    assert "(and 2 more)" in str(error)


def test_a_missing_key_is_told_where_its_mapping_stands() -> None:
    error = fail("name: x\n\ninner:\n  at: 2\n")
    assert (error.line, error.key, error.message) == (3, "inner.severity", "is missing; it is required")


def test_a_number_where_text_is_wanted_says_to_quote_it() -> None:
    assert "quotes" in fail("name: 12\n").message


def test_a_key_that_stands_twice_is_refused_with_both_lines() -> None:
    error = fail("name: x\nport: 1\nport: 2\n")
    assert (error.line, error.key) == (3, "port")
    assert "line 2" in error.message


def test_a_syntax_error_names_its_line() -> None:
    error = fail("name: x\ninner: {severity: high\nport: 1\n")
    assert error.line in (2, 3, 4)
    assert "is not YAML" in error.message


def test_an_alias_bomb_is_refused_quickly() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    assert "aliases" in fail("\n".join(lines)).message


def test_an_alias_that_contains_itself_is_refused() -> None:
    assert "contains itself" in fail("name: &a [*a]\n").message


def test_deep_nesting_is_refused_without_a_crash() -> None:
    assert "deep" in fail("name: " + "[" * 5000).message


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    path.write_bytes(b"#" * (yamlfile.MAX_BYTES + 5))
    with pytest.raises(YamlError, match="larger"):
        yamlfile.load(path, Outer)


def test_a_missing_file_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(YamlError, match="cannot be read: No such file"):
        yamlfile.load(tmp_path / "none.yaml", Outer)


def test_an_empty_file_says_what_it_needs() -> None:
    assert "it needs name" in fail("# nothing\n").message


def test_two_documents_are_refused_with_the_line_of_the_second() -> None:
    error = fail("name: x\n---\nname: y\n")
    assert error.line == 2


def test_python_tags_are_refused() -> None:
    assert "not allowed" in fail("name: !!python/object/apply:os.system ['true']\n").message


def test_invalid_utf8_and_control_characters_are_one_error() -> None:
    assert "is not YAML" in fail(b"name: \xff\xfe\xfa\n").message
    assert fail(b"port: 1\nname: a\x01\n").line == 2


def test_words_of_yaml_1_1_stay_text() -> None:
    assert good("name: no\n").name == "no"
    assert good("name: 1:30\n").name == "1:30"
    assert good("name: x\non: yes\n").on is True


def test_merge_keys_and_aliases_work_and_own_keys_win() -> None:
    value = good("name: x\ninner: &base {severity: low, at: 3}\nmany:\n  - <<: *base\n    at: 4\n")
    assert value.many == (Inner(severity=Severity.LOW, at=4),)


def test_the_environment_fills_in_values_and_only_where_it_is_asked_for() -> None:
    assert good("name: a-${X}\nport: ${P}\n", {"X": "1", "P": "8095"}).port == 8095
    assert good("name: ${X:-z}\n", {}).name == "z"
    assert good("name: $${X}\n", {}).name == "${X}"
    assert good("name: ${X}\n").name == "${X}"


def test_an_unset_variable_names_line_key_and_variable() -> None:
    error = fail("name: x\nport: ${PORT}\n", {})
    assert (error.line, error.key) == (2, "port")
    assert "PORT" in error.message


def test_a_value_is_never_repeated_in_an_error() -> None:
    assert "hunter2" not in str(fail("name: x\nport: hunter2\nmany: [{severity: hunter2}]\n"))


def test_a_check_outside_the_model_can_name_its_line() -> None:
    document = yamlfile.parse("name: x\nmany:\n  - severity: low\n", "f.yaml")
    assert str(document.error(("many", 0, "severity"), "bad")) == "f.yaml:3: many[0].severity: bad"


@settings(deadline=None, max_examples=150)
@given(st.one_of(st.text(max_size=200), st.binary(max_size=200), st.text("nam: x\n-[]{}&*!|>'\"#,?<1.e$", max_size=60)))
def test_whatever_is_in_the_file_the_answer_is_a_value_or_a_yaml_error(content: str | bytes) -> None:
    with contextlib.suppress(YamlError):
        assert isinstance(yamlfile.parse(content, "f.yaml", {}).validate(Outer), Outer)
