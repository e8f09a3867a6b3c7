"""Range aggregations: samples out of lines, and one number for each series and window (t - range, t]."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

from . import ast
from .arithmetic import divide
from .ast import Grouping
from .errors import LimitError, PipelineError, QueryError
from .labels import EMPTY, ERROR, PRESERVE_ERROR, Builder, LabelSet, text
from .pipeline import compile_filters, compile_pipeline, run
from .source import Source
from .units import UnitError, format_go_duration, parse_bytes, parse_float, parse_go_duration

MAX_WORK = 50_000_000
SAMPLE_ERROR = "SampleExtractionErr"
Aggregate = Callable[[list[int], list[float], int, int], float]
Vector = list[tuple[LabelSet, float]]


class Window:
    """The samples of one series, in order of time."""

    __slots__ = ("failed", "labels", "times", "values")

    def __init__(self, labels: LabelSet) -> None:
        self.labels = labels
        self.times: list[int] = []
        self.values: list[float] = []
        named = dict(labels)
        self.failed = ERROR in named and named.get(PRESERVE_ERROR) != "true"


def compile_range(
    node: ast.RangeAggregation, source: Source, times: Sequence[int], injected: Grouping | None
) -> Callable[[int], Vector]:
    """Read what a range aggregation needs and give a function from a step's index to its vector.

    Args:
        node: the aggregation.
        source: where the lines are.
        times: the steps (ns), ascending.
        injected: the grouping of a `sum` around it, which is made on the way in.

    Raises:
        LogQLError: a stage that cannot be.
    """
    found = node.range
    range_ns, offset = found.range_ns, found.offset_ns
    windows = list(_read(node, source, times[0] - offset - range_ns, times[-1] - offset + 1, injected).values())
    for one in windows:
        _sort(one)
    windows.sort(key=lambda one: one.labels)
    _check_work(node, windows, times)
    aggregate = _aggregate(node)
    absent = _absent_labels(found.logs.matchers) if node.op == "absent_over_time" else None

    def at(index: int) -> Vector:
        end = times[index] - offset
        out: Vector = []
        present = False
        for one in windows:
            first, last = bisect_right(one.times, end - range_ns), bisect_right(one.times, end)
            if first == last:
                continue
            if one.failed:
                raise _pipeline_error(one.labels)
            present = True
            if absent is None:
                out.append((one.labels, aggregate(one.times, one.values, first, last)))
        return out if absent is None or present else [(absent, 1.0)]

    return at


def _check_work(node: ast.RangeAggregation, windows: list[Window], times: Sequence[int]) -> None:
    """Refuse what would take minutes: too many series at too many steps, or each sample read too often."""
    step = times[1] - times[0] if len(times) > 1 else node.range.range_ns or 1
    overlap = min(len(times), node.range.range_ns // step + 1)
    visited = (
        0 if node.op in ("count_over_time", "absent_over_time") else overlap * sum(len(one.times) for one in windows)
    )
    if len(windows) * len(times) > MAX_WORK or visited > MAX_WORK:
        raise LimitError(
            f"the query is too heavy ({len(windows)} series at {len(times)} steps of {format_go_duration(step)})",
            hint="enlarge the step, shorten the range or aggregate first",
        )


def _sort(one: Window) -> None:
    if any(left > right for left, right in zip(one.times, one.times[1:], strict=False)):
        order = sorted(range(len(one.times)), key=one.times.__getitem__)
        one.times = [one.times[index] for index in order]
        one.values = [one.values[index] for index in order]


def _pipeline_error(labels: LabelSet) -> PipelineError:
    kind = dict(labels)[ERROR]
    return PipelineError(
        f"pipeline error: '{kind}' for series: '{text(labels)}'.\n"
        f'Use a label filter to intentionally skip this error. (e.g | __error__!="{kind}").\n'
        'To skip all potential errors you can match empty errors.(e.g __error__="")\n'
        'The label filter can also be specified after unwrap. (e.g | unwrap latency | __error__="" )\n',
        hint='add `| __error__=""` after the parser or the unwrap',
    )


def _read(
    node: ast.RangeAggregation, source: Source, start: int, end: int, injected: Grouping | None
) -> dict[LabelSet, Window]:
    """Make samples of the lines in (start, end) and sort them by series."""
    found, unwrap = node.range, node.range.unwrap
    grouping = injected if injected is not None else node.grouping
    if node.op == "absent_over_time":
        grouping = Grouping(())
    pipeline = compile_pipeline(found.logs.stages, unwrap.filters if unwrap else ())
    after = compile_filters(unwrap.filters) if unwrap else []
    if unwrap is not None and (grouping is None or grouping.without):
        grouping = Grouping((*(grouping.labels if grouping else ()), unwrap.label), without=True)
    builder = Builder(pipeline.hints(grouping, unwrap=unwrap.label if unwrap else ""))
    convert = _conversion(unwrap) if unwrap else None
    in_bytes = node.op in ("bytes_over_time", "bytes_rate")
    out: dict[LabelSet, Window] = {}
    singles = grouping is not None and not grouping.without and not grouping.labels
    tests, stages = pipeline.first, pipeline.stages
    plain: dict[Any, Window] = {}
    for stream_index, stream in enumerate(source.streams(found.logs.matchers, start + 1, end)):
        for entry in stream.entries:
            if not start < entry.ts < end or (tests and not all(test(entry.line) for test in tests)):
                continue
            if not stages and convert is None:
                # Without stages the labels are those of the stream and of the metadata.
                key = (stream_index, *entry.metadata.items()) if not singles else None
                window = plain.get(key)
                if window is None:
                    builder.start(stream.labels, entry.metadata)
                    labels = EMPTY if singles and not builder.error else builder.grouped(grouping)
                    window = out.get(labels) or out.setdefault(labels, Window(labels))
                    plain[key] = window
                window.times.append(entry.ts)
                window.values.append(float(len(entry.line.encode("utf-8", "replace"))) if in_bytes else 1.0)
                continue
            builder.start(stream.labels, entry.metadata)
            line = run(stages, entry.ts, entry.line, builder)
            if line is None:
                continue
            value = 1.0
            if convert is not None and unwrap is not None:
                raw = builder.get(unwrap.label)
                if not raw:
                    continue
                try:
                    value = convert(raw)
                except UnitError as error:
                    value = 0.0
                    builder.error, builder.details = SAMPLE_ERROR, str(error)
                if not all(test(builder) for test in after):
                    continue
            elif in_bytes:
                value = float(len(line.encode("utf-8", "replace")))
            labels = EMPTY if singles and not builder.error else builder.grouped(grouping)
            window = out.get(labels)
            if window is None:
                window = out[labels] = Window(labels)
            window.times.append(entry.ts)
            window.values.append(value)
    return out


def _conversion(unwrap: ast.Unwrap) -> Callable[[str], float]:
    if unwrap.conversion == "bytes":
        return lambda raw: float(parse_bytes(raw))
    if unwrap.conversion:
        return lambda raw: _go_seconds(parse_go_duration(raw))
    return parse_float


def _go_seconds(ns: int) -> float:
    """`Duration.Seconds()`: whole seconds and the rest are joined as floats."""
    sign, ns = (-1, -ns) if ns < 0 else (1, ns)
    return sign * (ns // 1_000_000_000 + (ns % 1_000_000_000) / 1e9)


def _absent_labels(matchers: Sequence[ast.Matcher]) -> LabelSet:
    """Give the labels that an absent series would surely have had."""
    labels: dict[str, str] = {}
    unsure: set[str] = set()
    for matcher in matchers:
        if matcher.op == "=" and matcher.name not in labels and matcher.value:
            labels[matcher.name] = matcher.value
        elif matcher.name != "__name__":
            unsure.add(matcher.name)
    return tuple(sorted((name, value) for name, value in labels.items() if name not in unsure and name != "__name__"))


# Aggregations over values[first:last]


def _aggregate(node: ast.RangeAggregation) -> Aggregate:
    per_second = _go_seconds(node.range.range_ns)
    op = node.op
    if op in ("count_over_time", "absent_over_time"):
        return lambda times, values, first, last: float(last - first)
    if op == "rate" and node.range.unwrap is None:
        return lambda times, values, first, last: divide(float(last - first), per_second)
    if op in ("rate", "bytes_rate"):
        return lambda times, values, first, last: divide(_sum(values, first, last), per_second)
    if op in ("sum_over_time", "bytes_over_time"):
        return lambda times, values, first, last: _sum(values, first, last)
    if op == "rate_counter":
        return lambda times, values, first, last: _counter_rate(
            times[first:last], values[first:last], node.range.range_ns
        )
    if op == "quantile_over_time":
        rank = node.parameter if node.parameter is not None else 0.5
        return lambda times, values, first, last: quantile(rank, values[first:last])
    if op == "first_over_time":
        return lambda times, values, first, last: values[first]
    if op == "last_over_time":
        return lambda times, values, first, last: values[last - 1]
    if op == "max_over_time":
        return lambda times, values, first, last: _extreme(values[first:last], largest=True)
    if op == "min_over_time":
        return lambda times, values, first, last: _extreme(values[first:last], largest=False)
    if op == "avg_over_time":
        return lambda times, values, first, last: _mean(values[first:last])
    if op in ("stddev_over_time", "stdvar_over_time"):
        root = op == "stddev_over_time"

        def spread(times: list[int], values: list[float], first: int, last: int) -> float:
            variance = _variance(values[first:last])
            return math.sqrt(variance) if root and variance >= 0 else variance

        return spread
    raise QueryError(f"unsupported range vector aggregation operation: {op}")


def _sum(values: list[float], first: int, last: int) -> float:
    total = 0.0
    for index in range(first, last):
        total += values[index]
    return total


def _extreme(values: list[float], *, largest: bool) -> float:
    best = values[0]
    for value in values:
        if math.isnan(best) or (value > best if largest else value < best):
            best = value
    return best


def _mean(values: list[float]) -> float:
    """A running mean that stays finite (and infinite where it has become so)."""
    mean = count = 0.0
    for value in values:
        count += 1
        if math.isinf(mean):
            if math.isinf(value) and (mean > 0) == (value > 0):
                continue
            if not math.isinf(value) and not math.isnan(value):
                continue
        mean += value / count - mean / count
    return mean


def _variance(values: list[float]) -> float:
    """Welford's method."""
    squares = count = mean = 0.0
    for value in values:
        count += 1
        delta = value - mean
        mean += delta / count
        squares += delta * (value - mean)
    return squares / count


def quantile(rank: float, values: Sequence[float]) -> float:
    """Give a quantile between two samples by their distance; out of [0, 1] it is infinite."""
    if not values:
        return math.nan
    if rank < 0:
        return -math.inf
    if rank > 1:
        return math.inf
    ordered = sorted(values, key=lambda value: (not math.isnan(value), value))
    position = rank * (len(ordered) - 1)
    lower = max(0, math.floor(position))
    upper = min(len(ordered) - 1, lower + 1)
    weight = position - math.floor(position)
    return ordered[lower] * (1 - weight) + ordered[upper] * weight


def _counter_rate(times: list[int], values: list[float], range_ns: int) -> float:
    """Prometheus's `rate` of a counter that may reset, extrapolated; Loki counts its times in ns as if they were ms."""
    if len(values) < 2:
        return 0.0
    start = times[0] - range_ns // 1_000_000
    result = values[-1] - values[0]
    last = 0.0
    for value in values:
        if value < last:
            result += last
        last = value
    to_start = (times[0] - start) / 1000
    sampled = (times[-1] - times[0]) / 1000
    average = sampled / (len(values) - 1)
    if result > 0 and values[0] >= 0:
        to_zero = sampled * (values[0] / result)
        to_start = min(to_start, to_zero)
    threshold = average * 1.1
    extended = sampled + (to_start if to_start < threshold else average / 2)
    extended += 0.0 if threshold > 0 else average / 2
    result = result * divide(extended, sampled)
    return divide(result, _go_seconds(range_ns))
