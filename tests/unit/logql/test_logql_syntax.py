"""Reading and printing queries."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentlens.logql import LogQLError, ast, parse, pretty, to_text
from incidentlens.logql.lexer import FUNCTIONS, KEYWORDS, SYMBOLS
from incidentlens.logql.parse import parse_unvalidated
from incidentlens.logql.printer import writable

MINUTE = 60_000_000_000


def test_a_whole_pipeline_becomes_typed_stages() -> None:
    query = '{a="b", c!~"d"} |= "x" or "y" !~ "z" | json f="g[0]", h | i>5 | line_format `{{.j}}` | drop k, l="m"'
    assert parse(query) == ast.Logs(
        (ast.Matcher("a", "=", "b"), ast.Matcher("c", "!~", "d")),
        (
            ast.LineFilter("|=", (ast.LinePattern("x"), ast.LinePattern("y"))),
            ast.LineFilter("!~", (ast.LinePattern("z"),)),
            ast.Json((ast.Extraction("f", "g[0]"), ast.Extraction("h", "h"))),
            ast.LabelFilter(ast.NumberFilter("i", ">", 5.0)),
            ast.LineFormat("{{.j}}"),
            ast.Drop(("k", ast.Matcher("l", "=", "m"))),
        ),
    )


def test_units_are_read_into_nanoseconds_and_bytes() -> None:
    expr = parse('{a="b"} | wait >= 1.5s | size < 2KiB | age = 1w')
    assert isinstance(expr, ast.Logs)
    assert [stage.filter for stage in expr.stages if isinstance(stage, ast.LabelFilter)] == [
        ast.DurationFilter("wait", ">=", 1_500_000_000),
        ast.BytesFilter("size", "<", 2048),
        ast.DurationFilter("age", "==", 7 * 24 * 60 * MINUTE),
    ]


@pytest.mark.parametrize(
    ("query", "ordered"),
    [
        ("vector(1) + vector(2) * vector(3)", "(vector(1.000000) + (vector(2.000000) * vector(3.000000)))"),
        ("vector(1) - vector(2) - vector(3)", "((vector(1.000000) - vector(2.000000)) - vector(3.000000))"),
        ("vector(1) ^ vector(2) ^ vector(3)", "(vector(1.000000) ^ (vector(2.000000) ^ vector(3.000000)))"),
        ("vector(1) or vector(2) and vector(3)", "(vector(1.000000) or (vector(2.000000) and vector(3.000000)))"),
        ("(vector(1) or vector(2)) > 3", "((vector(1.000000) or vector(2.000000)) > 3)"),
        ("1 + 2 * 3 ^ 2", "19"),
        ("1 > 2", "0"),
        ("7 % 0", "NaN"),
    ],
)
def test_operators_bind_as_in_loki(query: str, ordered: str) -> None:
    assert to_text(parse(query)) == ordered


@pytest.mark.parametrize(
    ("query", "ordered"),
    [
        ('a="1" or b="2" and c="3"', '( a="1" or ( b="2" , c="3" ) )'),
        ('a="1" and b="2" or c="3"', '( ( a="1" , b="2" ) or c="3" )'),
        ('a="1", b="2" or c="3"', '( a="1" , ( b="2" or c="3" ) )'),
        ('a="1" or b="2" c="3"', '( a="1" or ( b="2" , c="3" ) )'),
        ('(a="1" or b="2") and c="3"', '( ( a="1" or b="2" ) , c="3" )'),
    ],
)
def test_label_filters_bind_as_in_loki(query: str, ordered: str) -> None:
    assert to_text(parse('{x="y"} | ' + query)) == '{x="y"} | ' + ordered


@pytest.mark.parametrize("word", ["sum", "count", "rate", "duration", "bytes", "vector", "max"])
def test_a_function_name_is_a_label_where_no_call_follows(word: str) -> None:
    assert parse(f'{{{word}="x"}} | {word}="y"')


def test_comments_and_line_breaks_are_passed_over() -> None:
    assert parse('# first\n{a="b"} # second\n  |= "#no comment"\n') == parse('{a="b"} |= "#no comment"')


def test_escapes_and_backquotes_give_the_text_they_stand_for() -> None:
    expr = parse('{a="b"} |= "tab\\t quote\\" é\\u00e9 \\x41" |= `raw\\t"`')
    assert isinstance(expr, ast.Logs)
    texts = [stage.patterns[0].text for stage in expr.stages if isinstance(stage, ast.LineFilter)]
    assert texts == ['tab\t quote" éé A', 'raw\\t"']


def test_an_error_names_line_and_column_and_what_could_stand_there() -> None:
    with pytest.raises(LogQLError) as caught:
        parse('{a="b"}\n  | json\n  | line_format 5')
    assert (caught.value.line, caught.value.column) == (3, 17)
    assert str(caught.value) == "parse error at line 3, col 17: syntax error: unexpected NUMBER, expecting STRING"


def test_a_query_that_is_too_long_or_too_deep_is_refused() -> None:
    for query in ("{" + "x" * 140_000, "+".join(["vector(1)"] * 500), "(" * 5000 + "1" + ")" * 5000):
        try:
            parse(query)
        except LogQLError:
            continue
        assert query.startswith("(")  # parentheses alone leave nothing behind


def test_a_broken_character_is_an_error_and_no_crash() -> None:
    with pytest.raises(LogQLError, match="invalid UTF-8"):
        parse('{a="\ud800"}')


def test_a_line_filter_after_a_dropped_label_is_written_before_it() -> None:
    stages = (ast.Drop(("x",)), ast.LineFilter("!=", (ast.LinePattern("y"),)))
    assert to_text(ast.Logs((ast.Matcher("a", "=", "b"),), stages)) == '{a="b"} != "y" | drop x'


_names = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True).filter(lambda name: name not in KEYWORDS)
_texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\ufffd"), max_size=20)
_patterns = st.sampled_from(["a.*", "(x|y)+", "[0-9]+", "", ".+", "foo|bar", "`", "\\d"])
_ops = st.sampled_from(["==", "!=", ">", ">=", "<", "<="])
_matchers = st.one_of(
    st.builds(ast.Matcher, _names, st.sampled_from(["=", "!="]), _texts),
    st.builds(ast.Matcher, _names, st.sampled_from(["=~", "!~"]), _patterns),
)
_leaves = st.one_of(
    st.builds(ast.StringFilter, _matchers),
    st.builds(ast.NumberFilter, _names, _ops, st.floats(allow_nan=False, allow_infinity=False)),
    st.builds(ast.DurationFilter, _names, _ops, st.integers(1, 10**17)),
    st.builds(ast.BytesFilter, _names, _ops, st.integers(0, 2**50)),
    st.builds(ast.IpFilter, _names, st.sampled_from(["=", "!="]), _texts),
)
_filters = st.recursive(
    _leaves,
    lambda inner: st.one_of(st.builds(ast.BothFilter, inner, inner), st.builds(ast.EitherFilter, inner, inner)),
    max_leaves=4,
)
_line_patterns = st.builds(ast.LinePattern, _texts)
_stages = st.one_of(
    st.builds(
        ast.LineFilter, st.sampled_from(["|=", "|~", "|>"]), st.lists(_line_patterns, min_size=1, max_size=3).map(tuple)
    ),
    st.builds(ast.LineFilter, st.sampled_from(["!=", "!~", "!>"]), st.tuples(_line_patterns)),
    st.builds(
        ast.LineFilter, st.sampled_from(["|=", "!="]), st.tuples(st.builds(ast.LinePattern, _texts, st.just(True)))
    ),
    st.builds(ast.Json, st.lists(st.builds(ast.Extraction, _names, _texts), max_size=3).map(tuple)),
    st.builds(
        ast.Logfmt,
        st.lists(st.builds(ast.Extraction, _names, _texts), max_size=3).map(tuple),
        st.booleans(),
        st.booleans(),
    ),
    st.builds(ast.LineFormat, _texts),
    st.builds(
        ast.LabelFormat,
        st.lists(
            st.one_of(
                st.builds(ast.LabelAssignment, _names, _names, st.just(True)),
                st.builds(ast.LabelAssignment, _names, _texts, st.just(False)),
            ),
            min_size=1,
            max_size=3,
        ).map(tuple),
    ),
    st.builds(ast.Drop, st.lists(st.one_of(_names, _matchers), min_size=1, max_size=3).map(tuple)),
    st.builds(ast.Keep, st.lists(st.one_of(_names, _matchers), min_size=1, max_size=3).map(tuple)),
    st.builds(ast.LabelFilter, _filters),
    st.sampled_from([ast.Decolorize(), ast.Unpack(), ast.Pattern("<a> <_>"), ast.Regexp("(?P<x>y)")]),
)
_logs = st.builds(
    ast.Logs,
    st.lists(_matchers, max_size=3).map(lambda found: (ast.Matcher("a", "=", "b"), *found)),
    st.lists(_stages, max_size=4).map(tuple).map(writable),
)
_milliseconds = st.integers(1, 10**10).map(lambda value: value * 1_000_000)
_groupings = st.builds(ast.Grouping, st.lists(_names, max_size=3).map(tuple), st.booleans())
_unwraps = st.builds(
    ast.Unwrap,
    _names,
    st.sampled_from(["", "bytes", "duration", "duration_seconds"]),
    st.lists(_leaves, max_size=2).map(tuple),
)
_offsets = st.one_of(st.just(0), st.integers(-(10**15), 10**15))
_ranges = st.one_of(
    st.builds(
        ast.RangeAggregation,
        st.sampled_from(["rate", "count_over_time", "bytes_rate"]),
        st.builds(ast.LogRange, _logs, _milliseconds, _offsets),
    ),
    st.builds(
        ast.RangeAggregation,
        st.just("quantile_over_time"),
        st.builds(ast.LogRange, _logs, _milliseconds, _offsets, _unwraps),
        st.floats(0, 1),
        st.one_of(st.none(), _groupings),
    ),
)
_matchings = st.one_of(
    st.just(ast.Matching()),
    st.builds(
        lambda on, labels, group, include: ast.Matching(on, labels, True, group, include if group else ()),
        st.booleans(),
        st.lists(_names, min_size=1, max_size=2).map(tuple),
        st.sampled_from(["", "left", "right"]),
        st.lists(_names, max_size=2).map(tuple),
    ),
)
_metrics = st.recursive(
    st.one_of(_ranges, st.builds(ast.VectorLiteral, st.floats(0, 1e9))),
    lambda inner: st.one_of(
        st.builds(ast.VectorAggregation, st.sampled_from(["sum", "max"]), inner, st.just(0), _groupings),
        st.builds(ast.VectorAggregation, st.sampled_from(["topk", "bottomk"]), inner, st.integers(1, 99), _groupings),
        st.builds(
            ast.BinaryOperation,
            st.sampled_from(["+", "-", "*", "/", "%", "^", "==", "!=", ">", "<=", "and", "or", "unless"]),
            inner,
            inner,
            st.booleans(),
            _matchings,
        ),
        st.builds(ast.LabelReplace, inner, _texts, _texts, _texts, _patterns),
    ),
    max_leaves=4,
)


@settings(deadline=None, max_examples=80)
@given(st.one_of(_logs, _metrics))
def test_what_is_printed_reads_back_as_the_same_query(expr: ast.Expr) -> None:
    assert parse_unvalidated(to_text(expr)) == expr
    assert parse_unvalidated(pretty(expr)) == expr


_words = st.sampled_from(
    [
        *SYMBOLS,
        *KEYWORDS,
        *FUNCTIONS,
        '"x"',
        "`y`",
        "'",
        '"',
        "[5m]",
        "[",
        "5",
        "5m",
        "5KB",
        "--strict",
        "#",
        "\n",
        "a",
        "\\",
    ]
)


@settings(deadline=None, max_examples=200)
@given(
    st.one_of(
        st.text(max_size=60), st.lists(_words, max_size=25).map(" ".join), st.lists(_words, max_size=25).map("".join)
    )
)
def test_any_text_is_a_query_or_one_error(text: str) -> None:
    with contextlib.suppress(LogQLError):
        expr = parse(text)
        assert parse_unvalidated(to_text(expr)) == expr
