"""What a write would do: the same is left alone, a hand's edit is seen and kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentlens.intake.errors import LokiError
from incidentlens.intake.loki import LokiClient, LokiSettings
from incidentlens.ruler import Group, Rule, RulerClient, RulerError, State, plan, plan_removal
from incidentlens.ruler.files import read_rule_file, rule_file, write_rule_file
from incidentlens.ruler.model import RuleYamlError, group_yaml, groups_yaml, read_file, read_namespaces


def group(name: str = "g", expr: str = "vector(1)") -> Group:
    return Group(name, (Rule(expr, alert="A", labels={"a": "b"}), Rule("vector(2)", record="r")), 60 * 10**9).sealed()


def states(wanted: list[Group], present: list[Group]) -> dict[str, State]:
    return {change.name: change.state for change in plan(wanted, present)}


def test_what_is_as_wanted_is_left_alone() -> None:
    (change,) = plan([group()], [group()])
    assert (change.state, change.diff(), change.writes(force=True)) == (State.SAME, "", False)


def test_new_changed_and_unwanted_groups_are_told_apart() -> None:
    wanted = [group("new"), group("changed", "vector(3)")]
    assert states(wanted, [group("changed"), group("gone")]) == {
        "new": State.CREATE,
        "changed": State.UPDATE,
        "gone": State.DELETE,
    }
    (change,) = plan([group(expr="vector(3)")], [group()])
    assert "-    expr: vector(1)" in change.diff()
    assert "+    expr: vector(3)" in change.diff()


def edits(written: Group) -> dict[str, Group]:
    """Every way in which a hand may change a group."""
    first, *rest = written.rules
    return {
        "expression": replace(written, rules=(replace(first, expr="vector(9)"), *rest)),
        "recording": replace(written, rules=(first, replace(rest[0], expr="vector(9)"))),
        "label": replace(written, rules=(replace(first, labels={"a": "c"}), *rest)),
        "for": replace(written, rules=(replace(first, hold_ns=10**9), *rest)),
        "a rule more": replace(written, rules=(*written.rules, Rule("vector(1)", alert="B"))),
        "a rule less": replace(written, rules=written.rules[:1]),
        "interval": replace(written, interval_ns=10**9),
        "limit": replace(written, other={"limit": "5"}),
        "keep_firing_for": replace(written, rules=(replace(first, other={"keep_firing_for": "5m"}), *rest)),
    }


@pytest.mark.parametrize("what", list(edits(group())))
def test_a_hands_edit_is_seen_and_kept_unless_told(what: str) -> None:
    edited = edits(group())[what]
    for change in (*plan([group()], [edited]), *plan([group(expr="vector(3)")], [edited]), *plan_removal([edited])):
        assert change.state is State.EDITED
        assert change.kept_back
        assert not change.writes(force=False)
        assert change.writes(force=True)
        assert change.diff()


def test_a_group_without_our_seal_is_somebody_elses() -> None:
    (change,) = plan_removal([group().without_seal()])
    assert change.state is State.FOREIGN
    # But where it says just what we want, nothing of theirs is lost.
    assert states([group()], [group().without_seal()]) == {"g": State.UPDATE}


TEXT = st.text(max_size=20).map(lambda text: text.encode("utf-8", "replace").decode())
NAME = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
YAML_TEXT = st.one_of(
    TEXT,
    st.sampled_from(["", "yes", "null", "~", "1e3", "- a", "{{ $labels.x }}", "a: b", "a\x85", "\u2028", "\ufeff"]),
)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(
        st.builds(
            Rule,
            expr=YAML_TEXT,
            alert=NAME,
            labels=st.dictionaries(NAME, YAML_TEXT, max_size=3),
            annotations=st.dictionaries(NAME, YAML_TEXT, max_size=3),
            hold_ns=st.integers(0, 10**6).map(lambda ms: ms * 10**6),
        ),
        min_size=1,
        max_size=4,
    ),
    NAME,
)
def test_a_group_comes_back_from_yaml_as_it_was_and_its_seal_fits(rules: list[Rule], name: str) -> None:
    written = Group(name, tuple(rules), 60 * 10**9).sealed()
    (read,) = read_file(groups_yaml([written]).encode())
    assert read == written
    assert read.untouched


def test_durations_as_loki_writes_them_are_the_same_durations() -> None:
    text = b"shop:\n- name: g\n  interval: 1m0s\n  rules:\n  - alert: A\n    expr: vector(1)\n    for: 90s\n"
    (read,) = read_namespaces(text)["shop"]
    assert (read.interval_ns, read.rules[0].hold_ns) == (60 * 10**9, 90 * 10**9)
    (odd,) = read_namespaces(b"shop:\n- name: g\n  interval: 1y\n  rules: []\n")["shop"]
    assert odd.other == {"interval": "1y"}


@pytest.mark.parametrize(
    "body", [b"[1]", b"a: [1]", b"a: b: c", b"\xff", b"a:\n- name: [x]\n", b"a: &x [*x]\n", b"<html>", b"a: {rules: 1}"]
)
def test_what_is_no_list_of_rules_is_refused(body: bytes) -> None:
    with pytest.raises(RuleYamlError):
        read_namespaces(body)


def client(answer: httpx.Response, asked: list[httpx.Request] | None = None) -> RulerClient:
    def handle(request: httpx.Request) -> httpx.Response:
        if asked is not None:
            asked.append(request)
        return answer

    settings = LokiSettings("http://loki", tenant="t", max_attempts=1)
    return RulerClient(LokiClient(settings, httpx.MockTransport(handle)))


async def test_no_rules_are_no_error_and_an_api_that_is_not_there_is_one() -> None:
    assert await client(httpx.Response(404, text="no rule groups found\n")).groups("n") == []
    with pytest.raises(RulerError, match=r"ruler\.enable_api"):
        await client(httpx.Response(404, text="404 page not found\n")).groups("n")


@pytest.mark.parametrize(
    ("status", "said", "advice"),
    [
        (500, "SetRuleGroup unsupported in rule local store\n", "rules export"),
        (400, "per-user rules per rule group limit (limit: 5 actual: 20) exceeded", r"ruler\.rules_per_group"),
        (400, "per-user rule groups limit (limit: 1 actual: 2) exceeded", "ruler_max_rule_groups_per_tenant"),
    ],
)
async def test_a_refusal_says_what_to_do(status: int, said: str, advice: str) -> None:
    with pytest.raises(RulerError, match=advice):
        await client(httpx.Response(status, text=said)).put("n", group())


async def test_another_refusal_is_lokis_own_words() -> None:
    with pytest.raises(LokiError, match="could not parse expression"):
        await client(httpx.Response(400, text="could not parse expression for alert 'A'")).put("n", group())


async def test_what_is_no_loki_is_said_so() -> None:
    with pytest.raises(LokiError, match=r"is loki\.url right"):
        await client(httpx.Response(200, text="<html>")).groups("n")


async def test_only_due_changes_are_written_and_writes_come_before_removals() -> None:
    asked: list[httpx.Request] = []
    ruler = client(httpx.Response(202, json={"status": "success"}), asked)
    present = [group("gone x"), group("same"), edits(group("edited"))["label"]]
    changes = plan([group("same"), group("new"), group("edited")], present)
    await ruler.apply("incidentlens-shop", changes)
    assert [(request.method, request.url.raw_path.decode()) for request in asked] == [
        ("POST", "/loki/api/v1/rules/incidentlens-shop"),
        ("DELETE", "/loki/api/v1/rules/incidentlens-shop/gone%20x"),
    ]
    assert asked[0].headers["Content-Type"] == "application/yaml"
    assert asked[0].headers["X-Scope-OrgID"] == "t"
    assert asked[0].content.decode() == group_yaml(group("new"))


async def test_a_group_that_lokis_api_cannot_name_is_said_so() -> None:
    with pytest.raises(RulerError, match="because of its slash"):
        await client(httpx.Response(404, text="404 page not found\n")).delete("n", "a/b")


def test_a_rule_file_is_where_a_ruler_looks_for_it(tmp_path: Path) -> None:
    path = rule_file(tmp_path, "shop", None)
    assert path == tmp_path / "fake" / "incidentlens-shop.yaml"
    assert read_rule_file(path) == []
    write_rule_file(path, [group()])
    assert read_rule_file(path) == [group()]
    assert [file.name for file in path.parent.iterdir()] == ["incidentlens-shop.yaml"]
    path.write_text("groups: 1\n")
    with pytest.raises(RulerError, match="move it away"):
        read_rule_file(path)


@pytest.mark.parametrize("tenant", ["../../etc", "a/b", "..", "."])
def test_a_tenant_that_is_a_path_names_no_folder(tenant: str, tmp_path: Path) -> None:
    with pytest.raises(RulerError, match="can name no folder"):
        rule_file(tmp_path, "shop", tenant)
