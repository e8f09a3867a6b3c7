"""Asks the evaluator what an HTTP request would ask, and compares answers; for tests of LogQL."""

from __future__ import annotations

import json
import math
from datetime import datetime
from typing import Any

from incidentlens.logql import (
    LogQLError,
    Source,
    evaluate_instant,
    evaluate_logs,
    evaluate_range,
    is_metric,
    parse,
    pretty,
    response,
)
from incidentlens.logql.units import parse_any_duration

SECOND = 1_000_000_000


def time_ns(text: str | None, default: int = 0) -> int:
    if text is None:
        return default
    if text.isdecimal():
        return int(text) if len(text) > 10 else int(text) * SECOND
    return round(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000) * 1_000_000


def ask(source: Source, path: str, params: dict[str, Any]) -> tuple[int, Any]:
    """Give status and body of an answer to a query, query_range or format_query."""
    query = params["query"]
    try:
        if path.endswith("/format_query"):
            return 200, {"status": "success", "data": pretty(parse(query))}
        if path.endswith("/query"):
            return 200, _plain(response(evaluate_instant(query, source, time_ns(params.get("time")))))
        end = time_ns(params.get("end"))
        start = time_ns(params["start"]) if "start" in params else end - parse_any_duration(params["since"])
        if is_metric(query):
            step = (
                parse_any_duration(params["step"])
                if "step" in params
                else max(1, (end - start) // SECOND // 250) * SECOND
            )
            return 200, _plain(response(evaluate_range(query, source, start, end, step)))
        direction = params.get("direction", "backward")
        return 200, _plain(response(evaluate_logs(query, source, start, end, int(params.get("limit", 100)), direction)))
    except LogQLError as error:
        if path.endswith("/format_query"):
            return error.status, {"status": "invalid-query", "error": str(error)}
        return error.status, str(error)


def _plain(body: dict[str, Any]) -> Any:
    return json.loads(json.dumps(body))


def same(left: Any, right: Any) -> bool:
    """Compare two answers; numbers written as text may differ in the last digits, as Loki adds them in any order."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if left == right:
        return True
    try:
        return math.isclose(float(left), float(right), rel_tol=1e-9)
    except (TypeError, ValueError):
        return False
