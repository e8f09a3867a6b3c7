"""Changing queries through their tree, so that text which is data can never become syntax."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import orjson

from . import ast
from .errors import LogQLError
from .parse import parse
from .printer import selector_text, to_text


def check(query: str) -> LogQLError | None:
    """What is wrong with a query, or None."""
    try:
        parse(query)
    except LogQLError as error:
        return error
    return None


def is_metric(query: str) -> bool:
    """Whether a query gives numbers, not lines. Raises LogQLError."""
    return not isinstance(parse(query), ast.Logs)


def quote(text: str) -> str:
    """Any text as a LogQL string: nothing in it can end the string or begin anything else."""
    # JSON's strings are Go's strings but for \/, which is not escaped here; lone surrogates cannot be sent at all.
    return orjson.dumps(text.encode("utf-8", "replace").decode()).decode().replace("\x7f", "\\u007f")


def selector_of(query: str) -> str:
    """The stream selector of a log query. Raises LogQLError."""
    logs = parse(query)
    if not isinstance(logs, ast.Logs):
        raise LogQLError("a log query is needed here, this one gives numbers")
    return selector_text(logs.matchers)


def with_matchers(query: str, labels: Mapping[str, str]) -> str:
    """The query narrowed to streams with exactly these labels. Raises LogQLError."""
    added = tuple(ast.Matcher(name, "=", value) for name, value in labels.items())
    return _each_selector(query, lambda logs: replace(logs, matchers=logs.matchers + added))


def without_services(query: str, names: str, label: str = "service_name") -> str:
    """The query without the streams whose `label` matches the expression `names` (RE2, anchored).

    A selector that already asks for this label by name is left as it is: whoever names a service wants it.
    Raises LogQLError.
    """
    apart = ast.Matcher(label, "!~", names)

    def leave_out(logs: ast.Logs) -> ast.Logs:
        if any(matcher.name == label and matcher.op == "=" for matcher in logs.matchers):
            return logs
        return replace(logs, matchers=(*logs.matchers, apart))

    return _each_selector(query, leave_out)


def count_over(query: str, span_ns: int) -> str:
    """A metric query that counts a log query's lines in the last `span_ns`; lines in error are not counted.

    Raises LogQLError.
    """
    logs = parse(query)
    if not isinstance(logs, ast.Logs):
        raise LogQLError("only a log query's lines can be counted")
    if any(not isinstance(stage, ast.LineFilter) for stage in logs.stages):
        # In a metric query one line that a parser cannot read fails the whole of it.
        no_error = ast.LabelFilter(ast.StringFilter(ast.Matcher("__error__", "=", "")))
        logs = replace(logs, stages=(*logs.stages, no_error))
    return f"sum(count_over_time({to_text(logs)} [{max(1, span_ns // 1_000_000)}ms]))"


def _each_selector(query: str, change: Callable[[ast.Logs], ast.Logs]) -> str:
    return to_text(_changed(parse(query), change))


def _changed(node: Any, change: Callable[[ast.Logs], ast.Logs]) -> Any:
    """The tree with `change` applied to every selector and its pipeline in it."""
    if isinstance(node, ast.Logs):
        return change(node)
    if isinstance(node, tuple):
        return tuple(_changed(item, change) for item in node)
    if not is_dataclass(node) or isinstance(node, type):
        return node
    update = {}
    for field in fields(node):
        before = getattr(node, field.name)
        after = _changed(before, change)
        if after is not before and after != before:
            update[field.name] = after
    return replace(node, **update) if update else node
