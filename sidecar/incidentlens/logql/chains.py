"""Chains of operators, put into order by precedence, and Loki's checks of what an operator may join."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import ast
from .arithmetic import binary
from .errors import LogQLError
from .units import format_float

MAX_NESTING = 200
SET_OPS = frozenset({"and", "or", "unless"})
PRECEDENCE = {
    **dict.fromkeys(("or",), 1),
    **dict.fromkeys(("and", "unless"), 2),
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), 3),
    **dict.fromkeys(("+", "-"), 4),
    **dict.fromkeys(("*", "/", "%"), 5),
    "^": 6,
}


@dataclass(frozen=True, slots=True)
class Broken:
    """An expression with an error that is raised only when the rest of the query has been read, as Loki does."""

    error: LogQLError


@dataclass(frozen=True, slots=True)
class Chain:
    """Operands and the operators between them, not yet put into order."""

    operands: tuple[Any, ...]
    operators: tuple[Any, ...]


def join(left: Any, operator: Any, right: Any) -> Chain:
    left_chain = left if isinstance(left, Chain) else Chain((left,), ())
    right_chain = right if isinstance(right, Chain) else Chain((right,), ())
    if len(left_chain.operands) + len(right_chain.operands) > 4 * MAX_NESTING:
        raise LogQLError(f"the query joins too many operands (more than {4 * MAX_NESTING})", hint="split the query")
    operands = left_chain.operands + right_chain.operands
    return Chain(operands, (*left_chain.operators, operator, *right_chain.operators))


def ordered_filter(found: Any) -> ast.AnyLabelFilter:
    """Put label filters in order: `and` before `or`; a comma or no operator at all takes in all that follows it."""
    if not isinstance(found, Chain):
        return found  # type: ignore[no-any-return]
    rank = {"or": 1, "and": 2}
    operands: list[Any] = [found.operands[0]]
    pending: list[str] = []

    def reduce() -> None:
        right, left = operands.pop(), operands.pop()
        operands.append((ast.EitherFilter if pending.pop() == "or" else ast.BothFilter)(left, right))

    for operator, operand in zip(found.operators, found.operands[1:], strict=True):
        while pending and operator in rank and pending[-1] in rank and rank[pending[-1]] >= rank[operator]:
            reduce()
        pending.append(operator)
        operands.append(operand)
    while pending:
        reduce()
    _check_depth(operands[0], ("left", "right"))
    return operands[0]  # type: ignore[no-any-return]


def ordered(found: Any) -> Any:
    """Put a chain of binary operations in order, by precedence and from the left (`^` from the right)."""
    if not isinstance(found, Chain):
        return found
    operands: list[Any] = [found.operands[0]]
    pending: list[Any] = []

    def reduce() -> None:
        right, left = operands.pop(), operands.pop()
        op, returns_bool, matching = pending.pop()
        operands.append(_operation(op, returns_bool, matching, left, right))

    for operator, operand in zip(found.operators, found.operands[1:], strict=True):
        rank = PRECEDENCE[operator[0]]
        while pending and (PRECEDENCE[pending[-1][0]] > rank or (PRECEDENCE[pending[-1][0]] == rank and rank < 6)):
            reduce()
        pending.append(operator)
        operands.append(operand)
    while pending:
        reduce()
    return operands[0]


def _operation(op: str, returns_bool: bool, matching: ast.Matching, left: Any, right: Any) -> Any:
    for side, value in (("left", left), ("right", right)):
        if isinstance(value, ast.Logs):
            kind = "*syntax.PipelineExpr" if value.stages else "*syntax.MatchersExpr"
            hint = "operators join metric queries; a log query needs count_over_time or the like around it"
            return Broken(LogQLError(f"unexpected type for {side} leg of binary operation ({op}): {kind}", hint=hint))
        if isinstance(value, ast.Variants):
            message = f"unexpected type for {side} leg of binary operation ({op}): *syntax.MultiVariantExpr"
            return Broken(LogQLError(message))
    if op in SET_OPS:
        for side, value in (("left", left), ("right", right)):
            if isinstance(value, ast.Number):
                message = f"unexpected literal for {side} leg of logical/set binary operation ({op}): {value.value:f}"
                return Broken(LogQLError(message, hint=f"write vector({format_float(value.value)})"))
    if isinstance(left, ast.Number) and isinstance(right, ast.Number):
        return ast.Number(binary(op, left.value, right.value, keep_false=True) or 0.0)
    return ast.BinaryOperation(op, left, right, returns_bool, matching)


def _check_depth(node: Any, names: tuple[str, ...]) -> None:
    depth, level = 0, [node]
    while level:
        depth += 1
        if depth > MAX_NESTING:
            raise LogQLError(f"the query is nested too deeply (more than {MAX_NESTING})", hint="split the query")
        level = [getattr(one, name) for one in level for name in names if hasattr(one, name)]
