"""Questions about a query and changes to it, always by way of its tree: no text is ever pasted into a query."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from . import ast
from .errors import LogQLError, QueryError
from .evaluate import refuse
from .parse import parse, parse_logs
from .pipeline import compile_filters, compile_pipeline
from .printer import to_text
from .tree import ranges, selections
from .units import quote


def check(query: str) -> LogQLError | None:
    """Say what is wrong with a query, as Loki would say it when asked to run it; None where nothing is.

    The error has `line` and `column` (0 where Loki names none) and, where there is one, a `hint`.
    """
    try:
        expr = parse(query)
        for logs in selections(expr):
            compile_pipeline(logs.stages)
        for found in ranges(expr):
            if found.unwrap is not None:
                compile_filters(found.unwrap.filters)
        refuse(expr)
    except LogQLError as error:
        return error
    return None


def is_metric(query: str | ast.Expr) -> bool:
    """Say whether a query gives numbers rather than lines.

    Raises:
        LogQLError: the text is no LogQL.
    """
    return not isinstance(_tree(query), ast.Logs)


def matchers_of(query: str | ast.Expr) -> list[tuple[ast.Matcher, ...]]:
    """Give the matchers of every selector of a query, in their order.

    Raises:
        LogQLError: the text is no LogQL.
    """
    return [logs.matchers for logs in selections(_tree(query))]


def change_selections(expr: Any, change: Callable[[ast.Logs], ast.Logs]) -> Any:
    """Give a query with every selector (and its pipeline) changed."""
    if isinstance(expr, ast.Logs):
        return change(expr)
    if isinstance(expr, (ast.RangeAggregation,)):
        return replace(expr, range=replace(expr.range, logs=change(expr.range.logs)))
    if isinstance(expr, (ast.VectorAggregation, ast.LabelReplace)):
        return replace(expr, inner=change_selections(expr.inner, change))
    if isinstance(expr, ast.BinaryOperation):
        left, right = change_selections(expr.left, change), change_selections(expr.right, change)
        return replace(expr, left=left, right=right)
    if isinstance(expr, ast.Variants):
        metrics = tuple(change_selections(metric, change) for metric in expr.metrics)
        return replace(expr, metrics=metrics, range=replace(expr.range, logs=change(expr.range.logs)))
    return expr


def with_matcher(query: str | ast.Expr, name: str, op: ast.MatchOp, value: str) -> str:
    """Give a query with one more matcher in each of its selectors, as to leave out streams.

    `with_matcher('{env="prod"} |= "x"', "service_name", "!~", "loki|incidentlens")` gives
    `{env="prod", service_name!~"loki|incidentlens"} |= "x"`.

    Raises:
        LogQLError: the text is no LogQL, or the value no expression where it should be one.
    """
    matcher = ast.Matcher(name, op, value)
    matcher.test("")

    def add(logs: ast.Logs) -> ast.Logs:
        return logs if matcher in logs.matchers else replace(logs, matchers=(*logs.matchers, matcher))

    return to_text(change_selections(_tree(query), add))


def add_line_filter(query: str | ast.Expr, op: ast.LineOp, text: str) -> str:
    """Give a query with one more line filter on each of its selectors, before every other stage.

    The text is data: whatever it holds, it stays one string literal.

    Raises:
        LogQLError: the text of the query is no LogQL, or `text` no expression or pattern where it should be one.
    """
    stage = ast.LineFilter(op, (ast.LinePattern(text),))
    compile_pipeline((stage,))
    return to_text(change_selections(_tree(query), lambda logs: replace(logs, stages=(stage, *logs.stages))))


def count_over(query: str | ast.Expr, range_ns: int, by: Sequence[str] = ()) -> str:
    """Give the metric query that counts a log query's lines over a range (ns), in all or by some labels.

    Lines that a parser could not read are not counted: in a metric query one of them would fail the whole of it.

    Raises:
        LogQLError: no log query, or a range that is not positive.
    """
    expr = _tree(query)
    if not isinstance(expr, ast.Logs):
        raise QueryError("only a log query can be counted", hint="give the query without its aggregation")
    if range_ns < 1_000_000:
        raise QueryError("a range must be at least 1ms long")
    if any(not isinstance(stage, ast.LineFilter) for stage in expr.stages):
        no_error = ast.LabelFilter(ast.StringFilter(ast.Matcher("__error__", "=", "")))
        expr = replace(expr, stages=(*expr.stages, no_error))
    counted = ast.RangeAggregation("count_over_time", ast.LogRange(expr, range_ns - range_ns % 1_000_000))
    return to_text(ast.VectorAggregation("sum", counted, grouping=ast.Grouping(tuple(by))))


def selector_of(query: str) -> str:
    """Give the selector of a log query, without its pipeline.

    Raises:
        LogQLError: not LogQL, or a metric query.
    """
    return to_text(ast.Logs(parse_logs(query).matchers))


def selector(labels: dict[str, str]) -> str:
    """Give the selector that finds exactly the streams with these labels; the values are data.

    Raises:
        QueryError: no label, or a name that is none.
    """
    if not any(labels.values()):
        raise QueryError("a selector needs at least one label with a value")
    for name in labels:
        if not _is_name(name):
            raise QueryError(f"{quote(name)} is no label name", hint="letters, digits and _, not a keyword of LogQL")
    return to_text(ast.Logs(tuple(ast.Matcher(name, "=", value) for name, value in labels.items())))


def _is_name(name: str) -> bool:
    try:
        expr = parse("{" + name + '="x"}') if name.replace("_", "a").isalnum() else None
    except LogQLError:
        return False
    return isinstance(expr, ast.Logs) and expr.matchers == (ast.Matcher(name, "=", "x"),)


def _tree(query: str | ast.Expr) -> Any:
    return parse(query) if isinstance(query, str) else query
