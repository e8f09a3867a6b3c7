"""Binary operations on two floats, with Go's results at the edges."""

from __future__ import annotations

import math

COMPARISONS = frozenset({"==", "!=", ">", ">=", "<", "<="})


def binary(op: str, left: float, right: float, *, keep_false: bool) -> float | None:
    """Apply an arithmetic or comparison operator.

    A comparison gives 1.0, and where it does not hold 0.0 if `keep_false`, else None. Division by zero gives NaN.
    """
    if op in COMPARISONS:
        if compare(op, left, right):
            return 1.0
        return 0.0 if keep_false else None
    if op == "+":
        return left + right
    if op == "-":
        return left - right
    if op == "*":
        return left * right
    if op == "/":
        return math.nan if right == 0 else left / right
    if op == "%":
        if right == 0 or math.isinf(left) or math.isnan(left) or math.isnan(right):
            return math.nan
        return math.fmod(left, right)
    return power(left, right)


def compare(op: str, left: float, right: float) -> bool:
    """Apply a comparison."""
    if op == "==":
        return left == right
    if op == "!=":
        return left != right
    if op == ">":
        return left > right
    if op == ">=":
        return left >= right
    if op == "<":
        return left < right
    return left <= right


def power(base: float, exponent: float) -> float:
    """`base ** exponent` as Go's `math.Pow` gives it: infinities and NaN instead of errors."""
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return -math.inf if base < 0 and exponent % 2 == 1 else math.inf
    except ValueError:
        if base == 0:  # a negative power of zero
            odd = exponent % 2 == 1
            return math.copysign(math.inf, base) if odd else math.inf
        return math.nan


def divide(left: float, right: float) -> float:
    """Go's float division, which has no error."""
    if right != 0:
        return left / right
    if left == 0 or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)
