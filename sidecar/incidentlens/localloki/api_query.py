"""`query`, `query_range` and `format_query`."""

from __future__ import annotations

import threading
import time
from typing import Any

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from ..logql import ast
from ..logql.errors import LogQLError
from ..logql.evaluate import Limits as QueryLimits
from ..logql.evaluate import evaluate_instant, evaluate_logs, evaluate_range
from ..logql.parse import children, parse
from ..logql.printer import pretty
from ..logql.results import Result, Scalar, Streams, Vector, response
from .httpio import JSON_LOWER, ApiError, Form, json_response, raw_json, read_form
from .labels import Labels
from .params import RangeQuery, check_entries, check_length, instant_query, range_query
from .queries import wants_categories
from .reading import QueryTimeout, TenantSource
from .service import Service

_MS = 1_000_000
_TIMED_OUT = (
    "request timed out, decrease the duration of the request or add more label matchers (prefer exact match over "
    "regex match) to reduce the amount of data processed"
)
_CONCURRENT = threading.BoundedSemaphore(4)
"""Queries share one interpreter: more of them at once would only make each one slower and memory larger."""


def _parsed(text: str) -> ast.Expr:
    try:
        return parse(text)
    except LogQLError as error:
        raise ApiError(error.status, str(error)) from None


def _limits(service: Service) -> QueryLimits:
    return QueryLimits(service.limits.max_series, service.limits.max_entries)


def _source(service: Service, tenant: str) -> TenantSource:
    return TenantSource(service.store, tenant, deadline=time.monotonic() + service.limits.query_timeout_s)


def _answer(result: Result, took_s: float) -> Response:
    body: dict[str, Any] = response(result, stats=_stats(result, took_s))
    # Only what writes lines puts a line feed at the end.
    return raw_json(orjson.dumps(body), line_feed=isinstance(result, Streams))


def _stats(result: Result, took_s: float) -> dict[str, Any]:
    if isinstance(result, Streams):
        count = sum(len(stream.entries) for stream in result.streams)
    elif isinstance(result, Scalar):
        count = 1
    else:
        count = len(result.samples) if isinstance(result, Vector) else len(result.series)
    summary = {
        "bytesProcessedPerSecond": 0,
        "linesProcessedPerSecond": 0,
        "totalBytesProcessed": 0,
        "totalLinesProcessed": 0,
        "execTime": round(took_s, 6),
        "queueTime": 0,
        "subqueries": 0,
        "totalEntriesReturned": count,
        "splits": 0,
        "shards": 0,
        "totalPostFilterLines": 0,
        "totalStructuredMetadataBytesProcessed": 0,
    }
    return {"summary": summary, "querier": {}, "ingester": {}, "cache": {}, "index": {}}


def _guarded(run: Any) -> Any:
    """Run an evaluation; its faults become answers."""
    with _CONCURRENT:
        try:
            return run()
        except LogQLError as error:
            raise ApiError(error.status, str(error)) from None
        except QueryTimeout:
            raise ApiError(504, _TIMED_OUT) from None


async def instant(service: Service, request: Request) -> Response:
    """A metric query at one moment; a log query is refused, as in Loki."""
    tenant = service.tenant(request)
    form = await read_form(request)

    def work() -> Response:
        query = instant_query(form, service.clock.now())
        expr = _parsed(query.query)
        began = time.perf_counter()
        result = _guarded(lambda: evaluate_instant(expr, _source(service, tenant), query.time, limits=_limits(service)))
        return _answer(result, time.perf_counter() - began)

    return await run_in_threadpool(work)


async def over_range(service: Service, request: Request) -> Response:
    """A log or metric query over a span."""
    tenant = service.tenant(request)
    form = await read_form(request)
    categorize = wants_categories(request)

    def work() -> Response:
        query = range_query(form, service.clock.now())
        expr = _parsed(query.query)
        began = time.perf_counter()
        result: Result
        if isinstance(expr, ast.Logs):
            check_entries(query.limit, service.limits)
            check_length(query.end // _MS * _MS - query.start // _MS * _MS, service.limits)
            result = _guarded(
                lambda: evaluate_logs(
                    expr,
                    _source(service, tenant),
                    query.start,
                    query.end,
                    query.limit,
                    query.direction,
                    categorize=categorize,
                    interval=query.interval,
                    limits=_limits(service),
                )
            )
        else:
            check_length(_span(expr, query), service.limits)
            result = _guarded(
                lambda: evaluate_range(
                    expr, _source(service, tenant), query.start, query.end, query.step, limits=_limits(service)
                )
            )
        return _answer(result, time.perf_counter() - began)

    return await run_in_threadpool(work)


def _span(expr: Any, query: RangeQuery) -> int:
    """The time a metric query reads: its span, out to whole steps, and its longest range before it."""
    start = query.start - query.start % query.step
    end = query.end + -query.end % query.step
    return end - start + _longest_range(expr)


def _longest_range(expr: Any) -> int:
    if isinstance(expr, ast.RangeAggregation):
        return expr.range.range_ns + max(expr.range.offset_ns, 0)
    return max(map(_longest_range, children(expr)), default=0)


def vector(service: Service, tenant: str, expr: str, now: int) -> list[tuple[Labels, float]]:
    """A rule's expression at a moment. Raises LogQLError."""
    try:
        result = evaluate_instant(expr, _source(service, tenant), now, limits=_limits(service))
    except QueryTimeout:
        raise LogQLError(_TIMED_OUT) from None
    if isinstance(result, Scalar):
        return [({}, result.value)]
    return [(dict(sample.labels), sample.value) for sample in result.samples]


def format_query(service: Service, tenant: str, form: Form) -> Response:
    """A query laid out, or what is wrong with it."""
    try:
        text = pretty(parse(form.first("query")))
    except LogQLError as error:
        body = {"status": "invalid-query", "error": str(error)}
        return json_response(body, media_type=JSON_LOWER, status=400)
    return json_response({"status": "success", "data": text}, media_type=JSON_LOWER)
