"""Runs queries over a source of logs, with Loki's semantics.

Times are nanoseconds since the epoch. A log query's range is [start, end); a metric query's window is (t - range, t].
"""

from __future__ import annotations

from dataclasses import dataclass

from . import ast
from .errors import LogQLError, QueryError
from .labels import EMPTY, LabelSet, text
from .logs import Direction, select
from .parse import children, parse
from .plan import planned, split
from .results import Matrix, Sample, Scalar, Series, Streams, Vector
from .source import Source
from .tree import ranges
from .units import format_go_duration, format_prometheus_duration
from .vectors import Compiler, too_many_series

MAX_POINTS = 11_000
_LOG_QUERY = "log queries are not supported as an instant query type, please change your query to a range query type"
_VARIANTS = "multi variant queries are disabled for this instance"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a query may ask for at most."""

    max_series: int = 500
    max_entries: int = 5_000
    max_length_ns: int = 721 * 3_600_000_000_000  # 30 days and an hour, the range of a window included


DEFAULT_LIMITS = Limits()


def evaluate_logs(
    query: str | ast.Expr,
    source: Source,
    start: int,
    end: int,
    limit: int = 100,
    direction: Direction = "backward",
    *,
    categorize: bool = False,
    interval: int = 0,
    limits: Limits = DEFAULT_LIMITS,
) -> Streams:
    """Run a log query over [start, end) (ns).

    Args:
        query: text or tree.
        source: where the lines are.
        start: first nanosecond.
        end: nanosecond after the last.
        limit: the most lines.
        direction: newest first (backward) or oldest first.
        categorize: keep the labels of the stream, its metadata and what was parsed apart.
        interval: give a line only if it is at least so many ns from the one before.
        limits: what may be asked for.

    Raises:
        LogQLError: no log query, or one that cannot be run; `.status` is Loki's.
    """
    expr = parse(query) if isinstance(query, str) else query
    if not isinstance(expr, ast.Logs):
        raise QueryError("only log selector is supported")
    if limit > limits.max_entries:
        asked = f"({limit} > {limits.max_entries})"
        message = f"max entries limit per query exceeded, limit > max_entries_limit_per_query {asked}"
        raise QueryError(message, hint=f"ask for at most {limits.max_entries} lines and page by time")
    _check_length(expr, start, end, limits)
    return select(expr, source, start, end, limit, direction, categorize=categorize, interval=interval)


def evaluate_range(
    query: str | ast.Expr,
    source: Source,
    start: int,
    end: int,
    step: int,
    *,
    limits: Limits = DEFAULT_LIMITS,
) -> Matrix:
    """Run a metric query at every `step` ns from `start` to `end`, both brought to whole multiples of the step.

    Raises:
        LogQLError: no metric query, too many points or series, or a line that its pipeline could not read.
    """
    expr = _metric(query)
    if step <= 0:
        message = "zero or negative query resolution step widths are not accepted. Try a positive integer"
        raise QueryError(message)
    if (end - start) // step > MAX_POINTS:
        message = (
            "exceeded maximum resolution of 11,000 points per time series. "
            "Try increasing the value of the step parameter"
        )
        raise QueryError(message, hint="enlarge the step")
    _check_length(expr, start, end, limits)
    first = start - start % step
    last = end + (-end) % step
    times = range(first, last + 1, step)
    if isinstance(expr, (ast.Number, ast.VectorLiteral)):
        return Matrix([Series(EMPTY, [(at, expr.value) for at in times])])
    vector_at = Compiler(source, times, limits.max_series).compile(planned(expr))
    series: dict[LabelSet, list[tuple[int, float]]] = {}
    for index, at in enumerate(times):
        for labels, value in vector_at(index):
            points = series.get(labels)
            if points is None:
                points = series[labels] = []
            points.append((at, value))
        if len(series) > limits.max_series:
            raise too_many_series(limits.max_series)
    ordered = sorted(series, key=text) if split(expr, first, last, step) > 1 else sorted(series)
    return Matrix([Series(labels, series[labels]) for labels in ordered])


def evaluate_instant(
    query: str | ast.Expr, source: Source, at: int, *, limits: Limits = DEFAULT_LIMITS
) -> Vector | Scalar:
    """Run a metric query at one time (ns).

    Raises:
        LogQLError: a log query, too many series, or a line that its pipeline could not read.
    """
    expr = _metric(query)
    if isinstance(expr, ast.Number):
        return Scalar(at, expr.value)
    if isinstance(expr, ast.VectorLiteral):
        return Vector(at, [Sample(EMPTY, expr.value)])
    _check_length(expr, at, at, limits)
    found = Compiler(source, (at,), limits.max_series).compile(planned(expr))(0)
    if len(found) > limits.max_series:
        raise too_many_series(limits.max_series)
    if not _sorts(expr):
        found = sorted(found, key=lambda one: one[0])
    return Vector(at, [Sample(labels, value) for labels, value in found])


def _check_length(expr: ast.Expr, start: int, end: int, limits: Limits) -> None:
    longest = max((found.range_ns for found in ranges(expr)), default=0)
    for length in (end - start, end - start + longest):
        if length > limits.max_length_ns:
            shown, most = format_go_duration(length), format_prometheus_duration(limits.max_length_ns)
            message = f"the query time range exceeds the limit (query length: {shown}, limit: {most})"
            raise QueryError(message, hint="ask for less time at once")


def _metric(query: str | ast.Expr) -> ast.Metric:
    expr = parse(query) if isinstance(query, str) else query
    if isinstance(expr, ast.Logs):
        raise QueryError(_LOG_QUERY, hint="ask the range endpoint, or count the lines: count_over_time(... [5m])")
    refuse(expr)
    assert not isinstance(expr, ast.Variants)
    return expr


def refuse(expr: object) -> None:
    """Raise where a query uses what Loki knows but has switched off.

    Raises:
        QueryError: `variants`, or `approx_topk` (its status is 500, as Loki's).
    """
    level: list[object] = [expr]
    while level:
        for one in level:
            if isinstance(one, ast.Variants):
                raise QueryError(_VARIANTS)
            if isinstance(one, ast.VectorAggregation) and one.op == "approx_topk":
                error = QueryError("approx_topk is not enabled. See -limits.shard_aggregations", hint="use topk")
                error.status = 500
                raise error
        level = [child for one in level for child in children(one)]


def _sorts(expr: object) -> bool:
    if isinstance(expr, ast.VectorAggregation):
        return expr.op in ("sort", "sort_desc") or _sorts(expr.inner)
    if isinstance(expr, ast.LabelReplace):
        return _sorts(expr.inner)
    if isinstance(expr, ast.BinaryOperation):
        return _sorts(expr.left) or _sorts(expr.right)
    return False


__all__ = ["Limits", "LogQLError", "evaluate_instant", "evaluate_logs", "evaluate_range"]
