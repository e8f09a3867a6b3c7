"""How Loki takes a metric query apart before it runs it, as far as this shows in the answer.

Loki's front end hands parts of a query to its queriers, and each part has the limit on series of its own: so
`topk(1, count_over_time(...))` fails where it has more than 500 series although one is asked for. It also makes
`avg` a sum divided by a count.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from . import ast
from .tree import ranges

_SHARDABLE = frozenset(
    "sum avg count max min approx_topk avg_over_time count_over_time first_over_time last_over_time rate "  # noqa: SIM905
    "bytes_over_time bytes_rate sum_over_time max_over_time min_over_time quantile_over_time + *".split()
)
_SUMMED = frozenset({"count_over_time", "rate", "bytes_over_time", "bytes_rate", "sum_over_time"})


SPLIT_NS = 3_600_000_000_000


@dataclass(frozen=True, slots=True)
class Part:
    """A part that runs by itself and may give no more than the limit of series."""

    inner: Any


@dataclass(frozen=True, slots=True)
class Quotient:
    """A sum divided by a count, series by series."""

    left: Any
    right: Any


def planned(expr: Any) -> Any:
    """Take a metric query apart."""
    return _map(expr, top=True)


def split(expr: Any, start: int, end: int, step: int) -> int:
    """Count the requests that Loki makes of a range query (ns, aligned to the step): one an hour.

    Several are joined in the order of their series' text, a single one is in the order of labels.
    """
    interval = max([SPLIT_NS, *(found.range_ns for found in ranges(expr))])
    if step >= interval:
        return max(1, -(-(end - start) // step))
    count, at = 0, start
    while at < end and count < 2:
        count += 1
        boundary = (at // interval + 1) * interval
        last = boundary - (boundary - at) % step
        at = (last - step if last == boundary else last) + step
        if at >= end:
            break
    return max(1, count)


def shardable(expr: Any, *, top: bool) -> bool:
    """Say whether Loki may run an expression on shards."""
    if isinstance(expr, (ast.Number,)):
        return True
    if isinstance(expr, ast.RangeAggregation):
        return expr.op in _SHARDABLE and (top or expr.op != "quantile_over_time")
    if isinstance(expr, ast.BinaryOperation):
        if expr.matching.on or expr.matching.labels or expr.op not in _SHARDABLE:
            return False
        return shardable(expr.left, top=top) and shardable(expr.right, top=top)
    if isinstance(expr, ast.VectorAggregation):
        if expr.op not in _SHARDABLE or not shardable(expr.inner, top=top):
            return False
        if expr.op in ("count", "avg"):
            return not reduces_labels(expr.inner)
        if expr.op in ("max", "min"):
            return isinstance(expr.inner, ast.RangeAggregation) and shardable(expr.inner, top=False)
        return not (isinstance(expr.inner, ast.VectorAggregation) and expr.inner.op in ("min", "max"))
    return False


def reduces_labels(expr: Any) -> bool:
    """Say whether two series may become one inside an expression."""
    if isinstance(expr, ast.RangeAggregation):
        return bool(expr.grouping and expr.grouping.labels) or any(map(_stage_reduces, expr.range.logs.stages))
    if isinstance(expr, ast.VectorAggregation):
        return bool(expr.grouping.labels) or reduces_labels(expr.inner)
    if isinstance(expr, ast.LabelReplace):
        return reduces_labels(expr.inner)
    if isinstance(expr, ast.BinaryOperation):
        return reduces_labels(expr.left) or reduces_labels(expr.right)
    return False


def _stage_reduces(stage: ast.Stage) -> bool:
    if isinstance(stage, ast.LabelFormat):
        return any(one.rename for one in stage.assignments)
    return isinstance(stage, (ast.Keep, ast.Drop))


def _map(expr: Any, *, top: bool) -> Any:
    if isinstance(expr, ast.BinaryOperation):
        return replace(expr, left=_leg(expr.left, top=top), right=_leg(expr.right, top=top))
    if isinstance(expr, ast.LabelReplace):
        return replace(expr, inner=_map(expr.inner, top=top))
    if isinstance(expr, ast.VectorAggregation):
        return _map_vector(expr, top=top)
    if isinstance(expr, ast.RangeAggregation):
        return _map_range(expr, top=top)
    return expr


def _leg(expr: Any, *, top: bool) -> Any:
    mapped = _map(expr, top=top)
    if isinstance(expr, (ast.Number, ast.VectorLiteral)) or mapped != expr:
        return mapped
    return Part(expr)


def _map_vector(expr: ast.VectorAggregation, *, top: bool) -> Any:
    if shardable(expr, top=top):
        if expr.op == "sum":
            return Part(expr)
        if expr.op in ("min", "max", "count") and not reduces_labels(expr.inner):
            return Part(expr)
        if expr.op == "avg":
            return Quotient(
                _leg(replace(expr, op="sum"), top=top),
                _leg(replace(expr, op="count"), top=top),
            )
    return replace(expr, inner=_map(expr.inner, top=False))


def _map_range(expr: ast.RangeAggregation, *, top: bool) -> Any:
    if not shardable(expr, top=top):
        return expr
    if expr.op in _SUMMED or expr.op in ("max_over_time", "min_over_time"):
        return Part(expr)
    if expr.op == "avg_over_time":
        plain = expr.grouping is None or (expr.grouping.without and not expr.grouping.labels)
        if plain and not reduces_labels(expr):
            return Part(expr)
        grouping = expr.grouping or ast.Grouping((), without=True)
        counted = grouping
        if grouping.without and expr.range.unwrap is not None:
            counted = ast.Grouping((*grouping.labels, expr.range.unwrap.label), without=True)
        total = ast.RangeAggregation("sum_over_time", expr.range)
        count = ast.RangeAggregation("count_over_time", replace(expr.range, unwrap=None))
        return Quotient(
            Part(ast.VectorAggregation("sum", total, grouping=grouping)),
            Part(ast.VectorAggregation("sum", count, grouping=counted)),
        )
    return expr
