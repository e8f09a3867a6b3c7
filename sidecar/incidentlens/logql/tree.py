"""Ways through a query's tree."""

from __future__ import annotations

from typing import Any

from . import ast


def selections(expr: Any) -> list[ast.Logs]:
    """Give every selector of a query with its pipeline, from left to right."""
    if isinstance(expr, ast.Logs):
        return [expr]
    return [found.logs for found in ranges(expr)]


def ranges(expr: Any) -> list[ast.LogRange]:
    """Give every range of a metric query, from left to right."""
    if isinstance(expr, ast.RangeAggregation):
        return [expr.range]
    if isinstance(expr, (ast.VectorAggregation, ast.LabelReplace)):
        return ranges(expr.inner)
    if isinstance(expr, ast.BinaryOperation):
        return ranges(expr.left) + ranges(expr.right)
    if isinstance(expr, ast.Variants):
        return [expr.range, *(found for metric in expr.metrics for found in ranges(metric))]
    return []
