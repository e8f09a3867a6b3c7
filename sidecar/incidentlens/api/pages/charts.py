"""Small drawings as inline SVG. Sizes are attributes, colours are classes of the style sheet: no inline style."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from incidentlens.model.clock import MINUTE
from incidentlens.model.decisions import Verification
from incidentlens.model.terms import Severity
from incidentlens.model.times import utc
from incidentlens.store.queries import Bucket, Point

_SVG = Markup('<svg class="{}" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>')
_RECT = Markup('<rect class="{}" x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}"/>')
_TITLED = Markup("<g><title>{}</title>{}</g>")


def spark(values: Sequence[int], label: str) -> Markup:
    """Bars of equal width, the highest as high as the drawing; the last one is marked."""
    height, step = 24.0, 4.0
    most = max(values, default=0)
    bars = [
        _RECT.format(
            "bar last" if index == len(values) - 1 else "bar",
            index * step, height - _high(value, most, height), step - 1, _high(value, most, height),
        )
        for index, value in enumerate(values)
        if value
    ]  # fmt: skip
    base = _RECT.format("base", 0, height - 0.5, len(values) * step, 0.5)
    return _SVG.format("spark", round(len(values) * step), round(height), label, Markup("").join([base, *bars]))


def opened(series: Sequence[Bucket], label: str) -> Markup:
    """Incidents opened a bucket, stacked by severity, the worst at the bottom."""
    height, step = 44.0, 8.0
    most = max((bucket.opened for bucket in series), default=0)
    groups = [_RECT.format("base", 0, height - 0.5, len(series) * step, 0.5)]
    for index, bucket in enumerate(series):
        foot = height
        rects = []
        for severity in Severity:
            count = bucket.by_severity.get(severity, 0)
            if not count:
                continue
            tall = (height - 2) * count / most
            foot -= tall
            rects.append(_RECT.format(f"fill-{severity.value}", index * step, foot, step - 1.5, tall))
        # An invisible bar over the whole height gives the pointer something to hit.
        rects.append(_RECT.format("hit", index * step, 0, step, height))
        groups.append(_TITLED.format(f"{utc(bucket.at)}: {bucket.opened}", Markup("").join(rects)))
    return _SVG.format("opened", round(len(series) * step), round(height), label, Markup("").join(groups))


def series(points: Sequence[Point], since: int, until: int, bucket: int, label: str) -> Markup:
    """Counts over time; buckets without records are empty."""
    width, height = 720.0, 90.0
    most = max((point.count for point in points), default=0)
    span = max(until - since, 1)
    wide = max(width * bucket / span - 1, 1)
    bars = [
        _TITLED.format(
            f"{utc(point.at)}: {point.count:,}",
            _RECT.format(
                "bar", width * (point.at - since) / span, height - _high(point.count, most, height), wide,
                _high(point.count, most, height),
            ),
        )
        for point in points
        if point.at + bucket > since
    ]  # fmt: skip
    base = _RECT.format("base", 0, height - 0.5, width, 0.5)
    return _SVG.format("series", round(width), round(height), label, Markup("").join([base, *bars]))


def watch(verification: Verification, now: int) -> Markup:
    """A watch: what each look counted (root scale, so that few are seen beside many), and the quiet time at its end."""
    width, height = 720.0, 72.0
    begin = verification.started_at
    needed = (verification.quiet_since or verification.ended_at or now) + verification.quiet_ns
    end = verification.ended_at or max(now, needed)
    span = max(end - begin, MINUTE)

    def x(at: int) -> float:
        return min(max(width * (at - begin) / span, 0.0), width)

    most = max((check.count for check in verification.checks), default=0)
    parts: list[Markup] = []
    if verification.quiet_since is not None:
        until = verification.ended_at or now
        text = "quiet" if verification.ended_at else "quiet so far"
        left, right = x(verification.quiet_since), x(until)
        parts.append(_TITLED.format(text, _RECT.format("quiet", left, 0, max(right - left, 1), height)))
        if verification.outcome is None:
            target = x(verification.quiet_since + verification.quiet_ns)
            parts.append(_RECT.format("target", target - 1.5, 0, 1.5, height))
    last = begin
    for check in verification.checks:
        left, right = x(last), x(check.at)
        wide = max(min(right - left, 24.0) - 1, 2.0)
        tall = max((height - 4) * math.sqrt(check.count / most), 3.0) if check.count and most else 2.0
        kind = "bar firing" if check.count else "bar silent"
        title = f"{utc(check.at)}: {check.note}"
        parts.append(_TITLED.format(title, _RECT.format(kind, max(right - wide, 0), height - tall, wide, tall)))
        last = check.at
    parts.append(_RECT.format("base", 0, height - 0.5, width, 0.5))
    label = f"{len(verification.checks)} looks since {utc(begin)}, at most {most:,} records in one"
    return _SVG.format("watch", round(width), round(height), label, Markup("").join(parts))


def _high(value: int, most: int, height: float) -> float:
    return max((height - 1) * value / most, 1.5) if value and most else 0.0
