"""sprig's arithmetic: what is no number counts as 0, whole numbers wrap at 64 bits."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, InvalidOperation, localcontext
from typing import Any

from ..units import UnitError, parse_float

MAX_TEXT = 1 << 20


class FunctionError(Exception):
    """A call that cannot be made; `str()` says why."""


def bounded(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise FunctionError(f"result is longer than {MAX_TEXT} characters")
    return text


def to_int(value: Any) -> int:
    """sprig's cast: what is no number is 0."""
    if isinstance(value, (bool, int)):
        return int(value)
    if isinstance(value, float):
        return int(value) if math.isfinite(value) else 0
    if isinstance(value, str):
        try:
            return int(value.lstrip("0") or "0") if value.isascii() and value.lstrip("+-").isdecimal() else 0
        except ValueError:
            return int(value)
    return 0


def to_float(value: Any) -> float:
    if isinstance(value, (bool, int, float)):
        return float(value)
    if isinstance(value, str):
        try:
            return parse_float(value)
        except UnitError:
            return 0.0
    return 0.0


def wrap(value: int) -> int:
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


def divide(left: Any, right: Any) -> int:
    divisor = to_int(right)
    if divisor == 0:
        raise FunctionError("runtime error: integer divide by zero")
    quotient = abs(to_int(left)) // abs(divisor)
    return quotient if (to_int(left) < 0) == (divisor < 0) else -quotient


def remainder(left: Any, right: Any) -> int:
    return to_int(left) - to_int(right) * divide(left, right)


def product(values: tuple[Any, ...]) -> int:
    result = 1
    for value in values:
        result = wrap(result * to_int(value))
    return result


def float_fold(operation: Callable[[float, float], float], values: tuple[Any, ...]) -> float:
    with localcontext() as context:
        context.prec = 40
        try:
            numbers = [Decimal(repr(to_float(value))) for value in values]
            result = numbers[0]
            for number in numbers[1:]:
                result = operation(result, number)  # type: ignore[arg-type, assignment]
            return float(result)
        except (InvalidOperation, ZeroDivisionError, ArithmeticError):
            raise FunctionError("decimal division by 0") from None


def rounded(value: Any, places: int, *limit: float) -> float:
    number = to_float(value)
    edge = limit[0] if limit else 0.5
    if not -300 <= places <= 300:
        raise FunctionError("round: too many places")
    scale = math.pow(10, places)
    digit = scale * number
    whole = math.trunc(digit)
    nearest = math.ceil(digit) if digit - whole >= edge else math.floor(digit)
    return nearest / scale
