"""Times as people read them."""

from __future__ import annotations

from datetime import UTC, datetime

from incidentlens.model.clock import SECOND


def utc(ns: int) -> str:
    """A time (ns) to the second, `2026-03-01 10:20:05 UTC`; one outside the calendar as its number."""
    try:
        return datetime.fromtimestamp(ns // SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, OSError, ValueError):
        return f"{ns} ns"


def duration(ns: int) -> str:
    """A length of time (ns) in its two largest units: `4.1 s`, `2 min 5 s`, `3 h 20 min`, `2 d 1 h`. Below a
    millisecond it is `0 s`: nobody's log tells more."""
    seconds = max(ns, 0) / SECOND
    if seconds < 0.001:
        return "0 s"
    if seconds < 60:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    for size, name, smaller, small_name in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {name} {rest} {small_name}" if rest else f"{whole // size} {name}"
    return f"{whole} s"


def iso(ns: int) -> str:
    """A time (ns) as RFC 3339 in UTC with all nine digits; one outside the calendar as its number."""
    seconds, rest = divmod(ns, SECOND)
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
    except (OverflowError, OSError, ValueError):
        return str(ns)
