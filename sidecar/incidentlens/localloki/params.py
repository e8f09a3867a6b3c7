"""The parameters of queries: times, limits and steps as Loki reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .gotext import (
    GoError,
    format_go_duration,
    format_prometheus_duration,
    parse_int,
    parse_prometheus_duration,
    parse_seconds_or_duration,
    parse_timestamp,
)
from .httpio import ApiError, Form
from .limits import HOUR, SECOND, Limits

Direction = Literal["forward", "backward"]

DEFAULT_LIMIT = 100
_MAX_POINTS = 11_000
_END_BEFORE_START = "end timestamp must not be before or equal to start time"
_BAD_STEP = "zero or negative query resolution step widths are not accepted. Try a positive integer"
_STEP_TOO_SMALL = (
    "exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step parameter"
)


@dataclass(frozen=True, slots=True)
class RangeQuery:
    """A query over a span of time; all times are nanoseconds."""

    query: str
    start: int
    end: int
    step: int
    interval: int
    limit: int
    direction: Direction


@dataclass(frozen=True, slots=True)
class InstantQuery:
    """A query at a moment (nanoseconds)."""

    query: str
    time: int
    limit: int
    direction: Direction


def bounds(form: Form, now: int) -> tuple[int, int]:
    """Start and end. Without them: the last hour, or the last `since`."""
    try:
        since = parse_prometheus_duration(form.first("since")) if form.first("since") else HOUR
    except GoError as error:
        raise ApiError(400, f"could not parse 'since' parameter: {error}") from None
    end = _time(form, "end", now)
    return _time(form, "start", min(end, now) - since), end


def _time(form: Form, name: str, default: int) -> int:
    text = form.first(name)
    if not text:
        return default
    try:
        return parse_timestamp(text)
    except GoError as error:
        raise ApiError(400, f"could not parse '{name}' parameter: {error}") from None


def positive(form: Form, default: int, *names: str) -> int:
    """A limit: the first of the named parameters that is there."""
    text = next((form.first(name) for name in names if form.first(name)), "")
    if not text:
        return default
    try:
        value = parse_int(text)
    except GoError as error:
        raise ApiError(400, str(error)) from None
    if value <= 0:
        raise ApiError(400, "limit must be a positive value")
    return value


def _direction(form: Form) -> Direction:
    text = form.first("direction")
    if not text or text.upper() == "BACKWARD":
        return "backward"
    if text.upper() == "FORWARD":
        return "forward"
    raise ApiError(400, f"invalid direction '{text}'")


def step_of(form: Form, start: int, end: int) -> int:
    """The step; without one a 250th of the span, in whole seconds. Raises ApiError when it gives too many points."""
    text = form.first("step")
    try:
        step = parse_seconds_or_duration(text) if text else max((end - start) // SECOND // 250, 1) * SECOND
    except GoError as error:
        raise ApiError(400, str(error)) from None
    if step <= 0:
        raise ApiError(400, _BAD_STEP)
    if (end - start) // step > _MAX_POINTS:
        raise ApiError(400, _STEP_TOO_SMALL)
    return step


def ordered_bounds(form: Form, now: int) -> tuple[int, int]:
    """Start and end, refused when they are the wrong way round."""
    start, end = bounds(form, now)
    if end < start:
        raise ApiError(400, _END_BEFORE_START)
    return start, end


def range_query(form: Form, now: int) -> RangeQuery:
    """Read a range query; raises ApiError with Loki's text for the first thing wrong, in Loki's order."""
    start, end = ordered_bounds(form, now)
    limit = positive(form, DEFAULT_LIMIT, "limit")
    direction = _direction(form)
    step = step_of(form, start, end)
    try:
        interval = parse_seconds_or_duration(form.first("interval")) if form.first("interval") else 0
    except GoError as error:
        raise ApiError(400, str(error)) from None
    if interval < 0:
        raise ApiError(400, "interval must be >= 0")
    return RangeQuery(form.first("query"), start, end, step, interval, limit, direction)


def instant_query(form: Form, now: int) -> InstantQuery:
    """Read an instant query; raises ApiError with Loki's text."""
    limit = positive(form, DEFAULT_LIMIT, "limit")
    text = form.first("time")
    try:
        time = parse_timestamp(text) if text else now
    except GoError as error:
        raise ApiError(400, str(error)) from None
    return InstantQuery(form.first("query"), time, limit, _direction(form))


def check_length(length_ns: int, limits: Limits) -> None:
    """Refuse a span that is longer than queries may be."""
    if length_ns > limits.max_query_length_ns:
        raise ApiError(
            400,
            f"the query time range exceeds the limit (query length: {format_go_duration(length_ns)}, "
            f"limit: {format_prometheus_duration(limits.max_query_length_ns)})",
        )


def check_metadata_span(start: int, end: int, limits: Limits) -> None:
    """Refuse the span of a question about labels or series as Loki's front end does."""
    if end < start:
        raise ApiError(400, "this data is no longer available, it is past now - max_query_lookback (0s)")
    check_length(end // 1_000_000 * 1_000_000 - start // 1_000_000 * 1_000_000, limits)


def check_entries(limit: int, limits: Limits) -> None:
    """Refuse a log query that asks for more lines than one answer may hold."""
    if limit > limits.max_entries:
        raise ApiError(
            400,
            "max entries limit per query exceeded, limit > max_entries_limit_per_query "
            f"({limit} > {limits.max_entries})",
        )
