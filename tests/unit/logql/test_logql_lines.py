"""What parsers, filters and templates make of a line."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentlens.logql import LogQLError, check, evaluate_logs
from incidentlens.logql.jsonscan import JsonError, fields, unescape
from incidentlens.logql.logfmt import LogfmtError, pairs
from incidentlens.logql.regex import simplified
from incidentlens.logql.template import TemplateError, compile_template
from incidentlens.logql.units import (
    UnitError,
    format_go_duration,
    format_prometheus_duration,
    parse_any_duration,
    parse_bytes,
    parse_float,
    parse_go_duration,
    quote,
    unquote,
)
from logql_memory import NOON, MemorySource


def run(query: str, line: str, **metadata: str) -> tuple[str, dict[str, str]] | None:
    """Give line and labels after `{a="b"} QUERY`; None where the line is dropped."""
    source = MemorySource([({"a": "b"}, [(NOON, line, metadata)])])
    found = evaluate_logs('{a="b"} ' + query, source, NOON, NOON + 1)
    if not found.streams:
        return None
    return found.streams[0].entries[0].line, {k: v for k, v in found.streams[0].labels if k != "a"}


@pytest.mark.parametrize(
    ("query", "line", "labels"),
    [
        ("| json", '{"x":{"y":1.50,"z":[1]},"n":null,"t":true}', {"x_y": "1.50", "t": "true"}),
        ("| json", '{"x":1,"x":2}', {"x": "1"}),
        ("| json", '{"a":"clash"}', {"a_extracted": "clash"}),
        ("| json", '{"we ird-k":"v","9":"n"}', {"we_ird_k": "v", "_9": "n"}),
        ('| json p=`x.y[1]`, q=`x["k"]`', '{"x":{"y":[1,"two"],"k":{"d":1}}}', {"p": "two", "q": '{"d":1}'}),
        ("| json p=`nope`", '{"x":1}', {"p": ""}),
        ("| logfmt", 'x=1 y="a \\"b\\"" z= w', {"x": "1", "y": 'a "b"'}),
        ("| logfmt --keep-empty", "x=1 z= w", {"x": "1", "z": "", "w": ""}),
        ("| logfmt p=`x`", "x=1 y=2", {"p": "1"}),
        ("| pattern `<m> <p> <_>`", "GET /x 1.1", {"m": "GET", "p": "/x"}),
        ("| regexp `(?P<m>\\w+) (?P<n>x)?`", "GET /x", {"m": "GET", "n": ""}),
        ("| json | label_format p=x, q=`{{.x}}!`", '{"x":"1"}', {"p": "1", "q": "!"}),
        ("| json | drop x", '{"x":"1","y":"2"}', {"y": "2"}),
        ("| json | drop x=`2`, y=`2`", '{"x":"1","y":"2"}', {"x": "1"}),
        ("| json | keep a, y", '{"x":"1","y":"2"}', {"y": "2"}),
        ("| json | logfmt", '{"x":"1"} x=2', {"x": "1"}),
    ],
)
def test_a_parser_gives_these_labels(query: str, line: str, labels: dict[str, str]) -> None:
    found = run(query, line)
    assert found is not None
    assert found[1] == labels


@pytest.mark.parametrize(
    ("query", "line", "kept"),
    [
        ("| logfmt | d > 1s", "d=1500ms", True),
        ("| logfmt | d > 1s", "d=1s", False),
        ("| logfmt | s >= 1KiB", "s=1024", True),
        ("| logfmt | n != 5", "n=5.0", False),
        ("| logfmt | n > 5", "m=6", False),
        ("| logfmt | n > 5", "n=abc", True),  # with an error label, as Loki
        ("| logfmt | n > 5 | __error__=``", "n=abc", False),
        ("| logfmt | ip=ip(`10.0.0.0/8`)", "ip=10.2.3.4", True),
        ("| logfmt | ip!=ip(`10.0.0.0/8`)", "ip=10.2.3.4", False),
        ("|= ip(`::1`)", "from ::1 port", True),
        ("|= ip(`1.1.1.1-1.1.1.9`)", "x1.1.1.5", True),
        ("|> `<_> took <_>ms`", "a took 5ms", True),
        ("|> `took <_>`", "a took 5ms", True),  # as Loki: the start is not held
        ("|> `a <_> took`", "a took 5ms", False),
        ("!> `<_> took <_>`", "a took 5ms", False),
        ("|= `a` or `b`", "xbx", True),
        ("!= `a` or `b`", "xbx", False),
        ("|~ `(?i)ERR`", "an error", True),
        ("| logfmt | m=~`er.*`", "m=error", True),
        ("| logfmt | m=~`rro`", "m=error", False),
        ("| logfmt | m=~`[a-z]{3}`", "m=error", False),
        ("| pod=`p`", "x", True),
        ("| decolorize |= `ok`", "\x1b[32mok\x1b[0m", True),
    ],
)
def test_a_filter_keeps_or_drops_the_line(query: str, line: str, kept: bool) -> None:
    assert (run(query, line, pod="p") is not None) == kept


def test_a_literal_filter_with_a_tail_of_anything_forgets_its_start_as_loki_does() -> None:
    assert simplified("rro.*") is not None
    assert run("| logfmt | m=~`rro.*`", "m=error") is not None
    assert simplified("rro.+x") is None


def test_unpack_gives_the_packed_line_back() -> None:
    assert run("| unpack", '{"_entry":"the \\"line\\"","pod":"p","n":1}') == ('the "line"', {"pod": "p"})
    assert run("| unpack", '{"pod":"p"}') == ('{"pod":"p"}', {})


def test_decolorize_takes_the_colours_out() -> None:
    assert run("| decolorize", "\x1b[1;31mred\x1b[0m!") == ("red!", {})


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{.x}}-{{.nope}}", "v-"),
        ("{{ .x | upper | repeat 2 }}", "VV"),
        ('{{ if eq .x "v" }}yes{{ else }}no{{ end }}', "yes"),
        ('{{ if eq .x "q" }}1{{ else if .x }}2{{ else }}3{{ end }}', "2"),
        ("{{ with .nope }}a{{ else }}b{{ end }}", "b"),
        ('{{ range $i, $e := fromJson "[1,2]" }}{{ $i }}{{ $e }};{{ end }}', "01;12;"),
        ('{{ range fromJson "[1,2,3]" }}{{ if eq . 2.0 }}{{ continue }}{{ end }}{{ . }}{{ end }}', "13"),
        ("{{ $y := .x }}{{ $y }}{{- `  ` -}}  z", "v  z"),
        ('{{ printf "%05.1f|%-3s|%q" 3.14159 .x .x }}', '003.1|v  |"v"'),
        ("{{ add 1 2 3 }} {{ div 7 2 }} {{ divf 1 4 }} {{ round 2.345 2 }}", "6 3 0.25 2.35"),
        ('{{ __timestamp__ | date "2006-01-02T15:04:05Z07:00" }}', "2026-11-20T12:00:00Z"),
        ("{{ __line__ | trunc 3 }}", "the"),
        ("{{ .x | default `d` }}{{ .nope | default `d` }}", "vd"),
        ('{{ regexReplaceAll "(.)" .x "<${1}$1>" }}', "<vv>"),
        ("{{/* nothing */}}{{ and .x 5 }}{{ or .nope .x }}{{ not .x }}", "5vfalse"),
    ],
)
def test_a_template_gives_this_text(template: str, text: str) -> None:
    assert compile_template(template, "line").run({"x": "v"}, "the line", NOON) == text


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{", "template: line:1: unclosed action"),
        ("{{ foo }}", 'template: line:1: function "foo" not defined'),
        ("{{ if .x }}", "template: line:1: unexpected EOF"),
        ("{{ end }}", "template: line:1: unexpected {{end}}"),
        ("{{ $y }}", 'template: line:1: undefined variable "$y"'),
        ("a\n{{ .x | 5 }}", "template: line:2: non executable command in pipeline stage 2"),
    ],
)
def test_a_faulty_template_is_named(template: str, message: str) -> None:
    with pytest.raises(LogQLError) as caught:
        compile_template(template, "line")
    assert caught.value.message == message
    assert check("{a=`b`} | line_format " + quote(template)) is not None


@pytest.mark.parametrize(
    "template",
    [
        '{{ repeat 99999999 "x" }}',
        "{{ range 99999999 }}x{{ end }}",
        '{{ printf "%999999999d" 1 }}{{ div 1 0 }}',
        "{{ .x.y }}",
        '{{ range fromJson "[1,2,3]" }}{{ repeat 900000 "x" }}{{ end }}',
    ],
)
def test_a_template_that_fails_or_runs_away_is_stopped(template: str) -> None:
    with pytest.raises(TemplateError):
        compile_template(template, "line").run({"x": "v"}, "", 0)
    found = run("| line_format " + quote(template), "line")
    assert found is not None
    assert found[1]["__error__"] == "TemplateFormatErr"


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=80))
def test_no_template_crashes(text: str) -> None:
    for template in (text, "{{" + text + "}}", '{{ printf "' + text):
        with contextlib.suppress(LogQLError, TemplateError):
            compile_template(template, "line").run({"x": "v"}, "line", NOON)


_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=12,
)


@settings(deadline=None, max_examples=150)
@given(st.one_of(_json.map(json.dumps), st.text(max_size=60)), st.integers(0, 60))
def test_no_line_crashes_a_parser(line: str, cut: int) -> None:
    for text in (line, line[:cut], line[cut:]):
        for read in (lambda text: list(fields(text)), lambda text: list(pairs(text, strict=True))):
            with contextlib.suppress(JsonError, LogfmtError):
                read(text)
        for stage in ("json", "logfmt", "unpack", "json x=`a.b[0]`", "logfmt x=`a`", "pattern `<x> <_>`", "decolorize"):
            assert run("| " + stage, text) is not None


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(st.from_regex(r"[a-z]{1,6}", fullmatch=True), st.text(max_size=10), max_size=4))
def test_json_fields_come_out_as_they_went_in(values: dict[str, str]) -> None:
    for ascii_only in (True, False):
        text = json.dumps(values, ensure_ascii=ascii_only)
        assert {field.key: unescape(field.raw) for field in fields(text)} == values


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=30))
def test_a_quoted_string_reads_back(text: str) -> None:
    assert unquote(quote(text)) == text
    assert "\n" not in quote(text)


@given(st.integers(-(2**62), 2**62))
def test_a_duration_reads_back(ns: int) -> None:
    assert parse_go_duration(format_go_duration(ns)) == ns
    if ns > 1_000_000:
        assert parse_any_duration(format_prometheus_duration(ns)) == ns - ns % 1_000_000


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (parse_go_duration, "5", 'time: missing unit in duration "5"'),
        (parse_go_duration, "5x", 'time: unknown unit "x" in duration "5x"'),
        (parse_go_duration, "", 'time: invalid duration ""'),
        (parse_float, "1,5", 'strconv.ParseFloat: parsing "1,5": invalid syntax'),
        (parse_bytes, "5xb", "unhandled size name: xb"),
    ],
)
def test_a_text_that_is_no_value_is_named_as_go_names_it(read: Any, text: str, message: str) -> None:
    with pytest.raises(UnitError) as caught:
        read(text)
    assert str(caught.value) == message
