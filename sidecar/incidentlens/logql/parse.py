"""From the text of a query to its tree."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from . import ast
from .chains import MAX_NESTING, Broken
from .errors import LogQLError
from .grammar import parse_tokens

MAX_QUERY = 131_072
_NO_SELECTOR = (
    "queries require at least one regexp or equality matcher that does not have an empty-compatible value. "
    'For instance, app=~".*" does not meet this requirement, but app=~".+" will'
)


@lru_cache(maxsize=512)
def parse(query: str) -> ast.Expr:
    """Parse a query.

    Raises:
        LogQLError: with Loki's message, line and column.
    """
    expr = parse_unvalidated(query)
    _validate(expr)
    return expr  # type: ignore[no-any-return]


def parse_unvalidated(query: str) -> Any:
    """Parse a query and leave out the checks Loki makes last (that it selects streams, for instance).

    Raises:
        LogQLError: the text is no LogQL, too long or nested too deeply.
    """
    size = len(query.encode("utf-8", "surrogatepass"))
    if size >= MAX_QUERY:
        raise LogQLError(f"input size too long ({size} > {MAX_QUERY})", hint="shorten the query")
    if not query.isascii() and any("\ud800" <= char <= "\udfff" for char in query):
        raise LogQLError("invalid UTF-8 encoding", 1, 1, "take the broken characters out of the query")
    expr = parse_tokens(query)
    depth = sum(1 for _ in _levels(expr))
    if depth > MAX_NESTING:
        raise LogQLError(f"the query is nested too deeply (more than {MAX_NESTING})", hint="split the query")
    return expr


def parse_logs(query: str) -> ast.Logs:
    """Parse what must be a log query.

    Raises:
        LogQLError: not LogQL, or a metric query.
    """
    expr = parse(query)
    if not isinstance(expr, ast.Logs):
        raise LogQLError("only log selector is supported", hint="a log query is a selector and a pipeline")
    return expr


def children(expr: Any) -> tuple[Any, ...]:
    """Give the expressions directly inside one."""
    if isinstance(expr, ast.BinaryOperation):
        return expr.left, expr.right
    if isinstance(expr, (ast.VectorAggregation, ast.LabelReplace)):
        return (expr.inner,)
    if isinstance(expr, ast.Variants):
        return expr.metrics
    return ()


def _levels(expr: Any) -> Iterator[list[Any]]:
    level = [expr]
    while level:
        yield level
        level = [child for one in level for child in children(one)]


def _validate(expr: Any) -> None:
    """Raise the first error, in Loki's order: an expression's own before those inside it, left before right."""
    if isinstance(expr, Broken):
        raise expr.error
    if isinstance(expr, ast.Logs):
        _validate_selector(expr)
    elif isinstance(expr, (ast.RangeAggregation, ast.Variants)):
        _validate_selector(expr.range.logs)
    elif isinstance(expr, ast.VectorAggregation) and expr.op in ("sort", "sort_desc") and expr.grouping.labels:
        raise LogQLError("sort and sort_desc doesn't allow grouping by ")
    for child in children(expr):
        _validate(child)


def _validate_selector(logs: ast.Logs) -> None:
    if all(matcher.test("") for matcher in logs.matchers):
        raise LogQLError(_NO_SELECTOR, hint='select streams by a label: {service="payments"}')
