"""Rules out of a configuration: what they ask, that text stays data, and that a ruler's limits hold."""

from __future__ import annotations

import fnmatch
import re

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentlens import logql
from incidentlens.config.loader import Project, Query
from incidentlens.config.model import RulerConfig
from incidentlens.localloki.alert_template import expand
from incidentlens.localloki.rules import parse_group
from incidentlens.model.clock import HOUR, MINUTE, SECOND
from incidentlens.ruler import RulerError, build_groups, lint_groups
from incidentlens.ruler.model import Rule, group_yaml
from incidentlens.ruler.queries import glob_regex
from incidentlens.runbooks.model import ObserveThreshold, Runbook
from logql_memory import MemorySource
from running import make_project

T0 = 1_763_000_000 * SECOND
LOGS = Query("logs", '{env="shop"}', False, None)


def runbook(runbook_id: str = "db-deadlock", patterns: tuple[str, ...] = ("deadlock detected",), **changes) -> Runbook:
    values = {
        "name": "Deadlock",
        "default_severity": "medium",
        "disposition": "NEEDS_DEV",
        "steps": ("look",),
        "observe_threshold": ObserveThreshold(count=3, window_minutes=10, escalate_to="NEEDS_ONCALL"),
    }
    return Runbook(id=runbook_id, patterns=patterns, **{**values, **changes})


def project(*runbooks: Runbook, queries: tuple[Query, ...] = (LOGS,), **ruler) -> Project:
    from dataclasses import replace

    made = make_project(queries, ruler=RulerConfig(**ruler))
    return replace(made, runbooks=runbooks)


def rules(built: Project) -> dict[str, Rule]:
    return {rule.alert or rule.record: rule for group in build_groups(built) for rule in group.rules}


Records = dict[tuple[str, str], list[tuple[float, str]]]
"""By (service, level): (seconds before T0, line)."""


def fires(expr: str, records: Records, at: int = T0) -> dict[str, float]:
    """The services for which an expression holds at `at` (ns), with their values."""
    source = MemorySource(
        (
            {"env": "shop", "app": service},
            [(T0 - round(ago * SECOND), line, {"detected_level": level}) for ago, line in entries],
        )
        for (service, level), entries in records.items()
    )
    rows = logql.response(logql.evaluate_instant(expr, source, at))["data"]["result"]
    return {row["metric"].get("app", ""): float(row["value"][1]) for row in rows}


def test_an_observe_threshold_counts_the_lines_of_its_patterns_over_its_window() -> None:
    rule = rules(project(runbook()))["IncidentLensThreshold:db-deadlock"]
    enough = [(60 * n, f"ERROR DeadLock Detected {n}") for n in range(1, 4)]
    assert fires(rule.expr, {("db", "error"): enough, ("web", "error"): enough[:2]}) == {"db": 3.0}
    old = [(601 + n, "deadlock detected") for n in range(9)]
    assert fires(rule.expr, {("db", "error"): old}) == {}
    assert rule.labels["runbook"] == "db-deadlock"
    assert rule.labels["project"] == "shop"
    assert rule.labels["managed_by"] == "incidentlens"
    assert rule.annotations["escalate_to"] == "NEEDS_ONCALL"


@settings(deadline=None, max_examples=60)
@given(st.text(min_size=1, max_size=30).filter(lambda text: text.strip()))
def test_whatever_a_pattern_says_it_stays_one_string_of_the_query(text: str) -> None:
    text = text.encode("utf-8", "replace").decode().replace("\0", "")
    if not text.strip():
        return
    pattern = re2.escape(text)
    try:
        rule = rules(project(runbook(patterns=(pattern,))))["IncidentLensThreshold:db-deadlock"]
    except RulerError:
        return  # refused with a reason
    (matchers,) = logql.matchers_of(rule.expr)
    assert matchers == logql.matchers_of(LOGS.logql)[0]
    assert logql.to_text(logql.parse(rule.expr)) == rule.expr


def test_a_pattern_that_closes_a_string_opens_no_query_of_its_own() -> None:
    hostile = 'x" [1m])) or vector(1) # `'
    rule = rules(project(runbook(patterns=(re2.escape(hostile),))))["IncidentLensThreshold:db-deadlock"]
    assert fires(rule.expr, {("db", "error"): [(n, f"said {hostile}") for n in range(1, 5)]}) == {"db": 4.0}
    assert fires(rule.expr, {("db", "error"): [(n, "x") for n in range(1, 5)]}) == {}


def test_a_runbooks_name_is_no_template() -> None:
    rule = rules(project(runbook(name='{{ $labels.secret }} {{ query "x" }} {{{ a }}')))[
        "IncidentLensThreshold:db-deadlock"
    ]
    said = expand(rule.annotations["summary"], "a", {"app": "db", "secret": "s3cret"}, 3.0)
    assert '{{ $labels.secret }} {{ query "x" }} {{{ a }}' in said
    assert said.startswith("db: 3 lines in 10m")
    assert expand(rule.labels["service"], "a", {"app": "db"}, 3.0) == "db"


def test_services_and_labels_of_a_runbook_are_globs_without_regard_to_case() -> None:
    found = rules(project(runbook(services=("pay*", "[a-c]art"), labels={"env": "SH?P"})))
    expr = found["IncidentLensThreshold:db-deadlock"].expr
    lines = [(n, "deadlock detected") for n in range(1, 5)]
    records = {(name, "error"): lines for name in ("Payment", "cart", "dart", "db")}
    assert fires(expr, records) == {"Payment": 4.0, "cart": 4.0}


GLOBS = st.text(alphabet="ab*?[]!.-^$(+\\|", max_size=8)


@settings(deadline=None, max_examples=300)
@given(GLOBS, st.text(alphabet="ab.-[]!^$(+\\|", max_size=6))
def test_a_glob_as_an_expression_matches_what_the_glob_matches(glob: str, text: str) -> None:
    try:
        python = re.compile(fnmatch.translate(glob))
        ours = re2.compile(f"(?s){glob_regex(glob)}")
    except (re.error, re2.error):
        return  # an empty range, which no glob means
    assert (ours.fullmatch(text) is not None) == (python.match(text) is not None)


def test_an_error_spike_is_many_failing_lines_and_more_than_usual() -> None:
    expr = rules(project(spike_count=10, spike_ratio=5))["IncidentLensErrorSpike"].expr
    now = [(n, "failed") for n in range(1, 21)]
    usual = [(360 + 60 * n, "failed") for n in range(5)]  # 5 an hour
    always = [(300 + 15 * n, "failed") for n in range(1, 240)]  # 20 in five minutes
    records = {
        ("new", "error"): now,
        ("rising", "error"): now + usual,
        ("always", "error"): now + always,
        ("few", "error"): now[:5],
        ("talks", "info"): now * 3,
    }
    assert fires(expr, records) == {"new": 20.0, "rising": 20.0}


def test_who_wrote_and_writes_no_more_is_silent_while_others_write() -> None:
    expr = rules(project(silence_count=100, silence_window=10 * MINUTE))["IncidentLensSilence"].expr
    before = [(601 + 10 * n, "ok") for n in range(300)]
    records = {
        ("gone", "info"): before,
        ("small", "info"): before[:50],
        ("well", "info"): [*before, (5.0, "ok")],
    }
    assert fires(expr, records) == {"gone": 300.0}
    assert fires(expr, {("gone", "info"): before}) == {}  # then it is the whole project that is silent
    altogether = rules(project(silence_count=100))["IncidentLensProjectSilence"]
    assert fires(altogether.expr, {("gone", "info"): before}) == {"": 300.0}
    assert fires(altogether.expr, records) == {}
    assert altogether.labels["service"] == "shop"
    assert fires(expr, records, T0 + 2 * HOUR) == {}


def test_the_series_that_baselines_need_are_recorded() -> None:
    found = rules(project())
    records = {("db", "error"): [(5.0, "x"), (6.0, "y")], ("db", "info"): [(7.0, "z")]}
    assert fires(found["incidentlens:lines:count1m"].expr, records) == {"db": 3.0}
    assert fires(found["incidentlens:failing:count1m"].expr, records) == {"db": 2.0}
    assert found["incidentlens:failing:count1m"].labels == {"managed_by": "incidentlens", "project": "shop"}


def test_a_parser_in_the_projects_query_does_not_fail_a_rule() -> None:
    query = Query("json", '{env="shop"} | json | level="error"', False, None)
    built = project(runbook(), queries=(query,))
    expr = rules(built)["IncidentLensThreshold:db-deadlock"].expr
    good = '{"level": "error", "msg": "deadlock detected"}'
    lines = [(1.0, good), (2.0, good), (3.0, good), (4.0, "deadlock detected, no json")]
    assert fires(expr, {("db", "error"): lines}) == {"db": 3.0}


def test_rules_over_two_queries_can_be_told_apart() -> None:
    other = Query("other", '{env="other"}', False, None)
    metric = Query("slow", 'sum(count_over_time({env="x"}[1m]))', True, 1.0)
    built = project(runbook(), queries=(LOGS, other, metric))
    labels = [rule.labels for group in build_groups(built) for rule in group.rules if "Threshold" in rule.alert]
    assert [found["query"] for found in labels] == ["logs", "other"]
    assert lint_groups(build_groups(built), 20) == []


def test_a_group_has_no_more_rules_than_the_ruler_takes() -> None:
    many = [runbook(f"r{number:02}") for number in range(7)]
    groups = build_groups(project(*many, rules_per_group=3))
    assert {group.name: len(group.rules) for group in groups} == {
        "thresholds": 3,
        "thresholds-2": 3,
        "thresholds-3": 1,
        "signals": 3,
        "series": 3,
    }
    assert all(group.untouched for group in groups)
    with pytest.raises(RulerError, match=r"needs 5 rule groups, ruler\.groups allows 4"):
        build_groups(project(*many, rules_per_group=3, groups=4))


def test_a_project_says_whose_thresholds_it_wants() -> None:
    many = [runbook("db-deadlock"), runbook("db-lock"), runbook("dns")]
    found = rules(project(*many, runbooks=("db-*",)))
    assert [name for name in found if "Threshold" in name] == [
        "IncidentLensThreshold:db-deadlock",
        "IncidentLensThreshold:db-lock",
    ]


def test_kinds_of_rules_can_be_switched_off() -> None:
    off = {"thresholds": False, "spikes": False, "silence": False, "recording": False}
    assert build_groups(project(runbook(), **off)) == []
    assert [group.name for group in build_groups(project(runbook(), **{**off, "recording": True}))] == ["series"]


def test_what_cannot_be_a_rule_is_said_in_one_line() -> None:
    with pytest.raises(RulerError, match="service_label 'my-app'"):
        build_groups(make_project((LOGS,), service_label="my-app"))
    metric = Query("slow", 'sum(count_over_time({env="x"}[1m]))', True, 1.0)
    with pytest.raises(RulerError, match="no log query"):
        build_groups(make_project((metric,)))


def test_the_built_in_runbooks_give_rules_that_lint_and_that_a_ruler_takes() -> None:
    built = make_project((LOGS,))
    groups = build_groups(built)
    assert lint_groups(groups, 20) == []
    thresholds = [rule for group in groups for rule in group.rules if "Threshold" in rule.alert]
    assert len(thresholds) == sum(one.observe_threshold is not None for one in built.runbooks) > 20
    for group in groups:
        taken = parse_group(group_yaml(group).encode())
        assert [rule.expr for rule in taken.rules] == [rule.expr for rule in group.rules]


def test_lint_names_what_is_wrong() -> None:
    from incidentlens.ruler import Group

    bad = Group(
        "g",
        (
            Rule("{a=", alert="a"),
            Rule('{a="b"}', alert="b"),
            Rule("vector(1)", alert="c", record="d"),
            Rule("vector(1)", record="e", annotations={"x": "y"}),
            Rule("vector(1)", alert="f", labels={"no-name": "x"}),
            Rule("vector(1)", alert="f", labels={"no-name": "x"}),
        ),
    )
    said = "\n".join(map(str, lint_groups([bad, bad], 5)))
    for part in (
        "parse error",
        "needs a metric query",
        "exactly one of alert and record",
        "neither annotations nor for",
        "'no-name' is no name",
        "stands twice",
        "2 groups have this name",
        "6 rules",
    ):
        assert part in said
