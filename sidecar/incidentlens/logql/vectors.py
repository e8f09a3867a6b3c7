"""Vector aggregations, binary operations and label_replace, one step at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from . import ast
from .arithmetic import COMPARISONS, binary
from .errors import LimitError, QueryError
from .expand import expand
from .labels import EMPTY, LabelSet
from .plan import Part, Quotient
from .ranges import Vector, compile_range
from .regex import compile_re2
from .source import Source

Step = Callable[[int], Vector]
_INJECTED = frozenset({"bytes_over_time", "bytes_rate", "sum_over_time", "rate", "count_over_time"})


class MatchError(QueryError):
    """Two sides of a binary operation that do not fit each other; Loki answers 500."""

    status = 500


def too_many_series(limit: int) -> LimitError:
    """Word the error of a query with more series than allowed."""
    return LimitError(
        f"maximum number of series ({limit}) reached for a single query; consider reducing query cardinality by adding "
        "more specific stream selectors, reducing the time range, or aggregating results with functions like sum(), "
        "count() or topk()",
        hint="aggregate first: sum by (service) (...)",
    )


class Compiler:
    """Compiles a planned metric query over some steps (ns).

    Args:
        source: where the lines are.
        times: the steps, ascending.
        max_series: the most series that a part may give.
    """

    def __init__(self, source: Source, times: Sequence[int], max_series: int) -> None:
        self.source = source
        self.times = times
        self.max_series = max_series

    def compile(self, node: Any) -> Step:
        """Give a function from a step's index to its vector.

        Raises:
            LogQLError: a stage that cannot be.
        """
        if isinstance(node, Part):
            return self._part(self.compile(node.inner))
        if isinstance(node, ast.RangeAggregation):
            return compile_range(node, self.source, self.times, None)
        if isinstance(node, ast.VectorAggregation):
            return self._aggregation(node)
        if isinstance(node, ast.BinaryOperation):
            return self._operation(node)
        if isinstance(node, Quotient):
            left, right = self.compile(node.left), self.compile(node.right)
            return lambda index: _quotient(left(index), right(index))
        if isinstance(node, (ast.VectorLiteral, ast.Number)):
            constant: Vector = [(EMPTY, node.value)]
            return lambda index: constant
        if isinstance(node, ast.LabelReplace):
            return self._label_replace(node)
        raise QueryError("multi variant queries are disabled for this instance")

    def _part(self, inner: Step) -> Step:
        seen: set[LabelSet] = set()

        def at(index: int) -> Vector:
            vector = inner(index)
            seen.update(labels for labels, _ in vector)
            if len(seen) > self.max_series or len(vector) > self.max_series:
                raise too_many_series(self.max_series)
            return vector

        return at

    def _aggregation(self, node: ast.VectorAggregation) -> Step:
        inner = node.inner
        if (
            node.op == "sum"
            and isinstance(inner, ast.RangeAggregation)
            and inner.op in _INJECTED
            and inner.grouping is None
        ):
            step = compile_range(inner, self.source, self.times, node.grouping)
        else:
            step = self.compile(inner)
        return lambda index: aggregate(node, step(index))

    def _operation(self, node: ast.BinaryOperation) -> Step:
        op, returns_bool = node.op, node.returns_bool
        if isinstance(node.left, ast.Number) or isinstance(node.right, ast.Number):
            on_left = isinstance(node.left, ast.Number)
            number = node.left if on_left else node.right
            step = self.compile(node.right if on_left else node.left)
            assert isinstance(number, ast.Number)
            literal = number.value
            return lambda index: _with_literal(op, literal, step(index), on_left=on_left, returns_bool=returns_bool)
        left, right = self.compile(node.left), self.compile(node.right)
        if op in ("and", "or", "unless"):
            return lambda index: _set_operation(node, left(index), right(index))

        def at(index: int) -> Vector:
            found = right(index)  # Loki asks the right side first: its error is the one that shows
            return _matched(node, left(index), found)

        return at

    def _label_replace(self, node: ast.LabelReplace) -> Step:
        step = self.compile(node.inner)
        expression = compile_re2(f"^(?:{node.pattern})$")
        known: dict[LabelSet, LabelSet] = {}

        def replaced(labels: LabelSet) -> LabelSet:
            found = expression.search(dict(labels).get(node.source, ""))
            if found is None:
                return labels
            value = expand(node.replacement, found, expression.groupindex)
            rest = [pair for pair in labels if pair[0] != node.target and pair[1]]
            return tuple(sorted([*rest, (node.target, value)] if value else rest))

        def at(index: int) -> Vector:
            out: Vector = []
            for labels, value in step(index):
                if labels not in known:
                    known[labels] = replaced(labels)
                out.append((known[labels], value))
            return out

        return at


def _group_key(grouping: ast.Grouping, labels: LabelSet) -> LabelSet:
    if grouping.without:
        return tuple(pair for pair in labels if pair[0] not in grouping.labels and pair[1])
    return tuple(pair for pair in labels if pair[0] in grouping.labels)


def aggregate(node: ast.VectorAggregation, vector: Vector) -> Vector:
    """Aggregate one step's vector."""
    groups: dict[LabelSet, Vector] = {}
    for labels, value in vector:
        groups.setdefault(_group_key(node.grouping, labels), []).append((labels, value))
    out: Vector = []
    for key, members in groups.items():
        if node.op in ("topk", "bottomk", "sort", "sort_desc"):
            largest = node.op in ("topk", "sort_desc")
            ordered = sorted(members, key=lambda one: _rank(one[1], largest=largest))
            out.extend(ordered[: node.parameter] if node.op in ("topk", "bottomk") else ordered)
        else:
            out.append((key, _fold(node.op, [value for _, value in members])))
    return out


def _rank(value: float, *, largest: bool) -> tuple[bool, float]:
    """Order of values with NaN last."""
    return (math.isnan(value), 0.0 if math.isnan(value) else -value if largest else value)


def _fold(op: str, values: list[float]) -> float:
    if op == "sum":
        total = values[0]
        for value in values[1:]:
            total += value
        return total
    if op == "count":
        return float(len(values))
    if op in ("max", "min"):
        best = values[0]
        for value in values[1:]:
            if math.isnan(best) or (best < value if op == "max" else best > value):
                best = value
        return best
    mean, squares = values[0], 0.0
    for count, value in enumerate(values[1:], start=2):
        delta = value - mean
        mean += delta / count
        squares += delta * (value - mean)
    if op == "avg":
        return mean
    variance = squares / len(values)
    return math.sqrt(variance) if op == "stddev" and variance >= 0 else variance


def _with_literal(op: str, literal: float, vector: Vector, *, on_left: bool, returns_bool: bool) -> Vector:
    out: Vector = []
    for labels, value in vector:
        left, right = (literal, value) if on_left else (value, literal)
        result = binary(op, left, right, keep_false=returns_bool)
        if result is not None:
            out.append((labels, value if op in COMPARISONS and not returns_bool else result))
    return out


def _signature(matching: ast.Matching, labels: LabelSet) -> LabelSet:
    if matching.on:
        return tuple(pair for pair in labels if pair[0] in matching.labels and pair[1])
    return tuple(pair for pair in labels if pair[0] not in matching.labels and pair[1])


def _set_operation(node: ast.BinaryOperation, left: Vector, right: Vector) -> Vector:
    matching = node.matching
    if node.op == "or":
        if not left or not right:
            return left or right
        known = {_signature(matching, labels) for labels, _ in left}
        return left + [one for one in right if _signature(matching, one[0]) not in known]
    if not left or not right:
        return left if node.op == "unless" else []
    known = {_signature(matching, labels) for labels, _ in right}
    return [one for one in left if (_signature(matching, one[0]) in known) == (node.op == "and")]


def _matched(node: ast.BinaryOperation, left: Vector, right: Vector) -> Vector:
    matching = node.matching
    swapped = matching.group == "right"
    many, one = (right, left) if swapped else (left, right)
    partners: dict[LabelSet, tuple[LabelSet, float]] = {}
    for sample in one:
        key = _signature(matching, sample[0])
        if key in partners:
            side = "left" if swapped else "right"
            raise MatchError(
                f"found duplicate series on the {side} hand-side;many-to-many matching not allowed: "
                "matching labels must be unique on one side"
            )
        partners[key] = sample
    taken: set[Any] = set()
    out: Vector = []
    for labels, value in many:
        key = _signature(matching, labels)
        partner = partners.get(key)
        if partner is None:
            continue
        metric = _result_labels(matching, labels, partner[0])
        mark: Any = (key, metric) if matching.group else key
        if mark in taken:
            if matching.group:
                raise MatchError("multiple matches for labels: grouping labels must ensure unique matches")
            raise MatchError(
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
            )
        taken.add(mark)
        first, second = (partner[1], value) if swapped else (value, partner[1])
        result = binary(node.op, first, second, keep_false=node.returns_bool)
        if result is not None:
            out.append((metric, first if node.op in COMPARISONS and not node.returns_bool else result))
    return out


def _result_labels(matching: ast.Matching, many: LabelSet, one: LabelSet) -> LabelSet:
    labels = {name: value for name, value in many if value}
    if not matching.group:
        labels = {name: value for name, value in labels.items() if (name in matching.labels) == matching.on}
    given = dict(one)
    for name in matching.include:
        if given.get(name):
            labels[name] = given[name]
        else:
            labels.pop(name, None)
    return tuple(sorted(labels.items()))


def _quotient(left: Vector, right: Vector) -> Vector:
    counts = {tuple(pair for pair in labels if pair[1]): value for labels, value in right}
    out: Vector = []
    for labels, value in left:
        key = tuple(pair for pair in labels if pair[1])
        count = counts.get(key)
        if count is not None:
            out.append((key, math.nan if count == 0 else value / count))
    return out
