"""Checks of queries and changes to them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentlens.logql import (
    LogQLError,
    QueryError,
    add_line_filter,
    ast,
    check,
    count_over,
    evaluate_instant,
    evaluate_logs,
    is_metric,
    matchers_of,
    parse,
    quote,
    selector,
    with_matcher,
)
from logql_memory import NOON, MemorySource

MINUTE = 60_000_000_000


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ('{a="b"} |~ "("', "parse error : stage '|~ \"(\"' : error parsing regexp: missing closing ): `(`"),
        (
            '{a="b"} |~ "(?=x)"',
            "parse error : stage '|~ \"(?=x)\"' : error parsing regexp: invalid or unsupported Perl syntax: `(?=`",
        ),
        ('{a="b"} | x = ip("y")', 'parse error : stage \'| x=ip("y")\' : ip: invalid pattern: "y"'),
        ('sum_over_time({a="b"}[1m])', "parse error : invalid aggregation sum_over_time without unwrap"),
        ('rate({a="b"})', "parse error at line 1, col 13: syntax error: unexpected )"),
    ],
)
def test_a_fault_is_named_as_loki_names_it(query: str, message: str) -> None:
    error = check(query)
    assert error is not None
    assert str(error) == message


def test_most_faults_come_with_a_hint() -> None:
    for query in (
        '{a="b"} |~ "(?=x)"',
        'rate({a="b"})',
        'sum_over_time({a="b"}[1m])',
        "{}",
        '{a="b"',
        'topk(rate({a="b"}[1m]))',
    ):
        error = check(query)
        assert error is not None
        assert error.hint


def test_a_good_query_has_no_fault() -> None:
    assert check('sum by (service) (rate({env="prod"} | json | level=~"error|fatal" [2m])) > 0.5') is None


def test_log_and_metric_queries_are_told_apart() -> None:
    assert not is_metric('{a="b"} |= "x"')
    assert is_metric('sum(rate({a="b"}[5m]))')
    with pytest.raises(LogQLError):
        is_metric("{")


def test_every_selector_of_a_query_is_found() -> None:
    query = 'sum(rate({a="b"}[1m])) / sum(rate({c=~"d"}[1m])) > 2'
    assert matchers_of(query) == [(ast.Matcher("a", "=", "b"),), (ast.Matcher("c", "=~", "d"),)]


def test_a_matcher_is_added_to_every_selector_once() -> None:
    query = '(sum(rate({a="b"} |= "}" [1m])) or vector(0)) + label_replace(rate({c="d"}[1m]), "x", "y", "z", "w")'
    once = with_matcher(query, "service_name", "!~", "loki|incidentlens")
    assert [matchers[-1] for matchers in matchers_of(once)] == [
        ast.Matcher("service_name", "!~", "loki|incidentlens")
    ] * 2
    assert with_matcher(once, "service_name", "!~", "loki|incidentlens") == once


def test_a_matcher_that_is_no_expression_is_refused() -> None:
    with pytest.raises(LogQLError, match="error parsing regexp"):
        with_matcher('{a="b"}', "c", "=~", "(")


def test_a_log_query_becomes_the_query_that_counts_it() -> None:
    assert (
        count_over('{a="b"} |= "x" | json', 2 * MINUTE)
        == 'sum(count_over_time({a="b"} |= "x" | json | __error__=""[2m]))'
    )
    assert count_over('{a="b"}', MINUTE, by=("service",)) == 'sum by (service)(count_over_time({a="b"}[1m]))'
    with pytest.raises(QueryError, match="only a log query can be counted"):
        count_over('rate({a="b"}[1m])', MINUTE)


def test_a_name_that_is_no_label_is_refused() -> None:
    for name in ('a"}', "by", "", "a-b", "5x"):
        with pytest.raises(QueryError):
            selector({name: "x", "a": "b"})


_hostile = st.one_of(
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=40),
    st.sampled_from(['"} or vector(1) #', "`", '\\"', "\n", '"} |= `x', "\\", "{{.x}}", '") or ({a="b"}']),
)


@settings(deadline=None, max_examples=100)
@given(_hostile)
def test_hostile_text_stays_one_string(text: str) -> None:
    logs = parse(add_line_filter('{a="b"} | json', "|=", text))
    assert logs == ast.Logs((ast.Matcher("a", "=", "b"),), (ast.LineFilter("|=", (ast.LinePattern(text),)), ast.Json()))
    assert parse(f'{{a={quote(text)}, b=~".+"}}') == ast.Logs(
        (ast.Matcher("a", "=", text), ast.Matcher("b", "=~", ".+"))
    )
    if text:
        assert parse(selector({"a": text})) == ast.Logs((ast.Matcher("a", "=", text),))


@settings(deadline=None, max_examples=50)
@given(_hostile)
def test_a_line_is_found_by_its_own_text(text: str) -> None:
    source = MemorySource([({"a": "b"}, [(NOON, f"<{text}>"), (NOON + 1, "other")])])
    found = evaluate_logs(add_line_filter('{a="b"}', "|=", f"<{text}>"), source, NOON, NOON + 2)
    assert [entry.line for stream in found.streams for entry in stream.entries] == [f"<{text}>"]
    counted = evaluate_instant(count_over(add_line_filter('{a="b"}', "|=", f"<{text}>"), MINUTE), source, NOON + 2)
    assert counted.samples[0].value == 1  # type: ignore[union-attr]
