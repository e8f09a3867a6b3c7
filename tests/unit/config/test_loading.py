"""incidentlens.yaml: what it may say, and that every error names file, line, key and what is allowed."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from incidentlens.config.loader import OWN_STREAMS, ConfigError, load_config
from incidentlens.config.types import format_duration, parse_duration
from incidentlens.model.clock import SECOND
from incidentlens.model.terms import Mode

GOOD = """\
version: 1
loki:
  url: http://127.0.0.1:3100
store:
  url: postgresql://localhost/incidentlens
projects:
  shop:
    tenant: shop
    queries:
      - name: errors
        logql: '{env="prod"} |= "error"'
      - name: rate
        logql: 'sum(rate({env="prod"}[1m]))'
        above: 5
"""


@pytest.fixture
def write(tmp_path):
    """Write a file beside incidentlens.yaml, or that file itself; its path."""

    def written(text, name="incidentlens.yaml"):
        path: Path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    return written


def problems(path, environ=None):
    with pytest.raises(ConfigError) as caught:
        load_config(path, environ or {})
    return caught.value.problems


def only(path, environ=None):
    (problem,) = problems(path, environ)
    return problem


def test_a_small_file_is_enough_and_its_defaults_are_those_of_a_first_day(write):
    loaded = load_config(write(GOOD), {})
    project = loaded.projects["shop"]
    assert project.policy.mode is Mode.SHADOW
    assert project.config.interval == 5 * SECOND
    assert project.config.window == 120 * SECOND
    assert project.loki.tenant == "shop"
    assert [(query.name, query.metric, query.above) for query in project.queries] == [
        ("errors", False, None),
        ("rate", True, 5.0),
    ]
    assert len(project.runbooks) >= 28


def test_own_streams_are_left_out_of_every_query_unless_they_are_wanted(write):
    loaded = load_config(write(GOOD), {})
    for query in loaded.projects["shop"].queries:
        assert f'service_name!~"{OWN_STREAMS}"' in query.logql
    kept = GOOD.replace("        above: 5", "        above: 5\n        keep_own_streams: true")
    assert "service_name" not in load_config(write(kept), {}).projects["shop"].queries[1].logql


WRONG = {
    "an unknown key": (GOOD.replace("tenant:", "tennant:"), 8, "projects.shop.tennant", "did you mean 'tenant'"),
    "an unknown key at the top": (GOOD + "publsh: {}\n", 15, "publsh", "did you mean 'publish'"),
    "a metric query without above": (
        GOOD.replace("        above: 5\n", ""),
        13,
        "projects.shop.queries[1].logql",
        "needs `above`",
    ),
    "a log query with above": (
        GOOD.replace('|= "error"\'', '|= "error"\'\n        above: 3'),
        11,
        "projects.shop.queries[0].logql",
        "`above` is for metric queries",
    ),
    "LogQL that is none": (
        GOOD.replace('{env="prod"} |= "error"', '{env="prod" |= "error"'),
        11,
        "queries[0].logql",
        "col",
    ),
    "two queries of one name": (GOOD.replace("name: rate", "name: errors"), 9, "projects.shop.queries", "'errors'"),
    "no queries": (
        GOOD[: GOOD.index("    queries")] + "    queries: []\n",
        9,
        "projects.shop.queries",
        "must not be empty",
    ),
    "a duration that is none": (GOOD + "    interval: often\n", 15, "projects.shop.interval", "5s, 2m, 1h30m or 7d"),
    "too short an interval": (GOOD + "    interval: 10ms\n", 15, "projects.shop.interval", "must be at least 1s"),
    "an interval without a unit": (GOOD + "    interval: 5\n", 15, "projects.shop.interval", "5s, 2m, 1h30m or 7d"),
    "two tenants": (GOOD.replace("tenant: shop", "tenant: a|b"), 8, "projects.shop.tenant", "one Loki tenant"),
    "a wrong mode": (GOOD + "    policy: {mode: shaddow}\n", 15, "policy.mode", "did you mean 'shadow'"),
    "no projects": (GOOD[: GOOD.index("projects")] + "projects: {}\n", 6, "projects", "must not be empty"),
    "no store": (GOOD.replace("store:\n  url: postgresql://localhost/incidentlens\n", ""), 0, "store", "is missing"),
    "two stores": (GOOD.replace("store:\n", "store:\n  embedded: true\n"), 4, "store", "exactly one of"),
    "a key twice": (GOOD + "    tenant: other\n", 15, "projects.shop.tenant", "first on line 8"),
    "no YAML": ("version: 1\nloki: [\n", 3, "", "is not YAML"),
    "an empty file": ("", 0, "", "is empty; it needs store, projects"),
    "a list": ("- a\n- b\n", 1, "", "must be 'key: value' lines"),
    "another version": (GOOD.replace("version: 1", "version: 2"), 1, "version", "1"),
    "a policy file that is not there": (GOOD + "    policy: nowhere.yaml\n", 0, "", "cannot be read"),
    "runbooks that are not there": (GOOD + "    runbooks: [nowhere]\n", 0, "", "name a runbook file"),
    "a short token": (GOOD + "    tokens: [{name: ci, token: short}]\n", 15, "tokens[0]", "at least 16 characters"),
    "a token without a token": (GOOD + "    tokens: [{name: ci}]\n", 15, "tokens[0]", "exactly one of token"),
    "a user without a password": (GOOD.replace("loki:\n", "loki:\n  username: u\n"), 2, "loki", "needs password"),
    "an open server": (GOOD + "server: {listen: '0.0.0.0:1', require_token: false}\n", 1, "", "loopback"),
    "an unset variable": (GOOD.replace("tenant: shop", "tenant: ${TENANT}"), 8, "projects.shop.tenant", "no TENANT"),
    "a secret file that is not there": (
        GOOD.replace("loki:\n", "loki:\n  bearer_token_file: gone\n"),
        3,
        "loki.bearer_token_file",
        "cannot read the secret file",
    ),
    "a bad mask": (GOOD + "    signature_rules: {masks: [{name: a}]}\n", 15, "masks[0].pattern", "is missing"),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_error_names_the_file_the_line_the_key_and_what_is_allowed(write, name):
    text, line, key, said = WRONG[name]
    path = write(text)
    problem = only(path)
    assert said in problem.message
    assert key in problem.key
    if line:
        assert problem.line == line
        assert Path(problem.file).name == path.name
    assert "\n" not in str(problem)


def test_everything_that_is_wrong_is_told_at_once(write):
    text = GOOD.replace("        above: 5\n", "") + "    policy: policies/none.yaml\n    runbooks: [nowhere]\n"
    found = problems(write(text))
    assert len(found) == 3
    assert {Path(problem.file).name for problem in found} >= {"incidentlens.yaml", "none.yaml"}


def test_a_policy_of_its_own_file_is_read_and_its_errors_name_that_file(write):
    write("mode: live\ncooldown_minutes: 3\n", "policies/shop.yaml")
    path = write(GOOD + "    policy: policies/shop.yaml\n")
    assert load_config(path, {}).projects["shop"].policy.mode is Mode.LIVE
    write("mode: live\ncooldown: 3\n", "policies/shop.yaml")
    problem = only(path)
    assert (Path(problem.file).name, problem.line, problem.key) == ("shop.yaml", 2, "cooldown")
    assert "did you mean 'cooldown_minutes'" in problem.message


def test_a_runbook_s_error_names_the_runbook(write):
    write("id: a\nname: A\npatterns: 3\n", "runbooks/a.yaml")
    found = problems(write(GOOD + "    runbooks: [runbooks]\n"))
    assert {Path(problem.file).name for problem in found} == {"a.yaml"}
    assert any(problem.line == 3 and problem.key == "patterns" for problem in found)


def test_variables_of_the_environment_stand_in_values_with_defaults_and_as_literals(write):
    text = GOOD.replace("tenant: shop", "tenant: ${TENANT:-fallback}-$${x}")
    assert load_config(write(text), {}).projects["shop"].loki.tenant == "fallback-${x}"
    assert load_config(write(text), {"TENANT": "blue"}).projects["shop"].loki.tenant == "blue-${x}"
    assert load_config(write(text), {"TENANT": ""}).projects["shop"].loki.tenant == "fallback-${x}"


def test_a_variable_cannot_bring_yaml_of_its_own(write):
    text = GOOD.replace("tenant: shop", "tenant: ${TENANT}")
    hostile = "x\n    queries: []"
    assert load_config(write(text), {"TENANT": hostile}).projects["shop"].loki.tenant == hostile


def test_secrets_come_out_of_files_without_their_line_feed_and_are_never_shown(write):
    write("s3cret-bearer\n", "secrets/bearer")
    write("postgresql://u:hunter2@db/incidentlens\n", "secrets/url")
    write("a-token-of-sixteen\n", "secrets/token")
    text = GOOD.replace("loki:\n", "loki:\n  bearer_token_file: secrets/bearer\n")
    text = text.replace("  url: postgresql://localhost/incidentlens", "  url_file: secrets/url")
    loaded = load_config(write(text + "    tokens: [{name: ci, token_file: secrets/token}]\n"), {})
    project = loaded.projects["shop"]
    assert project.loki.bearer_token == "s3cret-bearer"
    assert loaded.store_url.get_secret_value() == "postgresql://u:hunter2@db/incidentlens"
    (token,) = project.tokens
    assert token.fits("a-token-of-sixteen")
    assert not token.fits("a-token-of-sixteen\n")
    for secret in ("s3cret", "hunter2", "a-token-of"):
        assert secret not in repr(loaded)
    names = {path.name for path in loaded.files}
    assert {"bearer", "url", "token"} <= names  # a changed secret calls for a reload


@pytest.mark.parametrize(("content", "said"), [(b"", "is empty"), (b"\n \n", "is empty"), (b"\xff\xfe", "no UTF-8")])
def test_a_secret_file_without_a_secret_is_an_error(write, tmp_path, content, said):
    (tmp_path / "bearer").write_bytes(content)
    problem = only(write(GOOD.replace("loki:\n", "loki:\n  bearer_token_file: bearer\n")))
    assert said in problem.message
    assert problem.key == "loki.bearer_token_file"


def test_a_wrong_secret_is_not_repeated_in_the_error(write):
    text = GOOD.replace("loki:\n", "loki:\n  bearer_token: [hunter2]\n")
    assert "hunter2" not in "\n".join(map(str, problems(write(text))))


def test_a_project_may_read_a_loki_of_its_own(write):
    text = GOOD + "    loki: {url: 'http://other:3100', username: u, password: p, timeout: 5s, page_limit: 100}\n"
    project = load_config(write(text), {}).projects["shop"]
    assert project.loki.url.startswith("http://other:3100")
    assert (project.loki.username, project.loki.password, project.loki.timeout_s) == ("u", "p", 5.0)
    assert project.page_limit == 100


def test_a_file_that_is_not_there_says_so(tmp_path):
    problem = only(tmp_path / "incidentlens.yaml")
    assert "cannot be read" in problem.message


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace")))
def test_whatever_stands_in_the_file_the_answer_is_problems_or_a_configuration(tmp_path, content):
    path = tmp_path / "any.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_config(path, {})
    assert all(problem.message for problem in caught.value.problems)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_mutilated_configuration_never_raises_anything_but_its_problems(write, data):
    start = data.draw(st.integers(0, len(GOOD)))
    end = data.draw(st.integers(start, min(len(GOOD), start + 40)))
    put = data.draw(st.text(st.sampled_from("\n :-[]{}'\"abc#&*!|>%@`\t0"), max_size=8))
    path = write(GOOD[:start] + put + GOOD[end:])
    with contextlib.suppress(ConfigError):
        load_config(path, {})


@given(st.integers(0, 10**6).map(lambda ms: ms * 1_000_000))
def test_a_duration_is_read_as_it_was_written(ns):
    assert parse_duration(format_duration(ns)) == ns


@pytest.mark.parametrize("text", ["", "5", "5 s", "s", "-5s", "1.5.5s", "5y", "\u0665s", True, None, 1.5])
def test_what_is_no_duration_is_refused_in_words(text):
    with pytest.raises(ValueError, match=re.escape("write one like 5s, 2m, 1h30m or 7d")):
        parse_duration(text)
