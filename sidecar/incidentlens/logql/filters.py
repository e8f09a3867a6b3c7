"""Line filters and label filters as functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import ast
from .arithmetic import compare
from .errors import LogQLError
from .ip import compile_ip
from .labels import Builder
from .patterns import compile_line_pattern, fits
from .regex import compile_re2, simplified
from .units import UnitError, parse_bytes, parse_float, parse_go_duration

LineTest = Callable[[str], bool]
LabelTest = Callable[[Builder], bool]
FILTER_ERROR = "LabelFilterErr"


def line_test(stage: ast.LineFilter) -> LineTest | None:
    """Compile a line filter; None where it lets every line through.

    Raises:
        LogQLError: an expression, pattern or address that is none.
    """
    negated = stage.op[0] == "!"
    # In a chain of alternatives Loki looks for an address's text.
    chained = len(stage.patterns) > 1
    tests = [_one_line_test(stage.op[1], pattern, chained=chained) for pattern in stage.patterns]
    if any(test is None for test in tests):
        return (lambda line: False) if negated else None
    known = [test for test in tests if test is not None]
    if len(known) == 1:
        only = known[0]
        return (lambda line: not only(line)) if negated else only
    return lambda line: any(test(line) for test in known)


def _one_line_test(kind: str, pattern: ast.LinePattern, *, chained: bool) -> LineTest | None:
    text = pattern.text
    if pattern.ip and not chained:
        if kind != "=":
            raise LogQLError("ip: invalid operation", hint='write |= ip("...") or != ip("...")')
        return compile_ip(text)
    if kind == "=":
        return (lambda line: text in line) if text else None
    if kind == "~":
        if text in ("", ".*"):
            return None
        search = compile_re2(text).search
        return lambda line: search(line) is not None
    nodes = compile_line_pattern(text)
    return lambda line: fits(nodes, line)


def label_test(found: ast.AnyLabelFilter) -> LabelTest | None:
    """Compile a label filter; None where it lets every line through.

    Raises:
        LogQLError: an address that is none.
    """
    if isinstance(found, ast.StringFilter):
        return _string_test(found.matcher)
    if isinstance(found, ast.IpFilter):
        return _ip_test(found)
    if isinstance(found, ast.BothFilter):
        left, right = _tests(found)
        # Both sides run, as either may note an error.
        return lambda builder: bool(left(builder) & right(builder))
    if isinstance(found, ast.EitherFilter):
        left, right = _tests(found)
        return lambda builder: left(builder) or right(builder)
    if isinstance(found, ast.NumberFilter):
        return _value_test(found, parse_float)
    if isinstance(found, ast.DurationFilter):
        return _value_test(found, parse_go_duration)
    return _value_test(found, parse_bytes)


def _tests(found: ast.BothFilter | ast.EitherFilter) -> tuple[LabelTest, LabelTest]:
    def yes(builder: Builder) -> bool:
        return True

    return label_test(found.left) or yes, label_test(found.right) or yes


def _string_test(matcher: ast.Matcher) -> LabelTest | None:
    name, value = matcher.name, matcher.value
    if matcher.op == "=":
        return lambda builder: builder.value(name) == value
    if matcher.op == "!=":
        return lambda builder: builder.value(name) != value
    short = simplified(value)
    wanted = matcher.op == "=~"
    if short is not None:
        if short.anything and wanted:
            return None
        test = short.test
        return lambda builder: test(builder.value(name)) == wanted
    search = compile_re2(f"^(?:{value})$").search
    return lambda builder: (search(builder.value(name)) is not None) == wanted


def _ip_test(found: ast.IpFilter) -> LabelTest:
    name, fitting = found.name, compile_ip(found.pattern)
    wanted = found.op == "="

    def test(builder: Builder) -> bool:
        if builder.error:
            return True
        value = builder.get(name)
        return value is not None and fitting(value) == wanted

    return test


def _value_test(found: Any, read: Callable[[str], float]) -> LabelTest:
    name, op, wanted = found.name, found.op, found.value

    def test(builder: Builder) -> bool:
        text = builder.get(name)
        if text is None:
            return False
        try:
            value = read(text)
        except UnitError as error:
            if not builder.error:
                builder.error = FILTER_ERROR
                builder.details = str(error)
            return True
        return compare(op, value, wanted)

    return test


def names(found: ast.AnyLabelFilter) -> tuple[str, ...]:
    """Give the labels a filter looks at, each once."""
    if isinstance(found, ast.StringFilter):
        short = simplified(found.matcher.value) if found.matcher.op == "=~" else None
        return () if short is not None and short.anything else (found.matcher.name,)
    if isinstance(found, (ast.BothFilter, ast.EitherFilter)):
        return tuple(dict.fromkeys(names(found.left) + names(found.right)))
    return (found.name,)
