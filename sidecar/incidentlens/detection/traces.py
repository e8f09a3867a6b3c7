"""What follows what within traces: the next step of the same span, and the first step of what it calls.

A trace's records are kept apart by span (by service where there are no span ids), because spans of one trace
interleave. For each step is told which step came next in its span, or that none came, and which steps of other
services began before that. Only sets are told, once a trace: what repeats within one trace proves nothing more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import orjson
import polars as pl
import xxhash

from incidentlens.model.clock import SECOND

from .keys import key_name
from .own_clock import own_time

END = "end"  # nothing followed in the span
CALL = ">"  # prefix of a follower that is the first step of a called service
_OPEN = "g:traces"
_SETTLE = 10 * SECOND  # a span silent for this long is over


@dataclass(slots=True)
class Followed:
    """One step in one bucket: in how many traces it came, and in how many of them each follower followed."""

    traces: int = 0
    first: int = 0  # ns
    last: int = 0
    followers: dict[str, int] = field(default_factory=dict)
    came: dict[str, int] = field(default_factory=dict)  # follower: when it last came (the time of the step before it)


@dataclass(slots=True)
class _Span:
    trace: str
    step: str
    at: int
    calls: list[str]


class OpenTraces:
    """The spans that are not over, at most `limit`; `dropped` counts those that found no room."""

    def __init__(self, state: dict[str, bytes], limit: int) -> None:
        self._limit = limit
        self._spans: dict[str, _Span] = {}
        self._latest: dict[str, str] = {}  # trace: the span that wrote last
        self.changed = False
        self.dropped = 0
        for name, trace, step, at, calls in orjson.loads(state.get(_OPEN) or b"[]"):
            self._spans[name] = _Span(trace, step, at, calls)
            self._latest[trace] = name

    def state(self) -> dict[str, bytes]:
        """The open spans, where they changed since the last call."""
        if not self.changed:
            return {}
        self.changed = False
        rows = [[name, span.trace, span.step, span.at, span.calls] for name, span in self._spans.items()]
        return {_OPEN: orjson.dumps(rows)}

    def take(self, signed: pl.DataFrame, width: int) -> dict[int, dict[str, Followed]]:
        """{bucket: {step: what followed it}} of steps whose followers are known by now; `width`: of a bucket, ns."""
        if signed.height == 0:
            return {}
        seen: dict[tuple[str, str], list[tuple[int, set[str]]]] = {}  # (trace, step): (time, followers)
        end = signed["ts"].max()
        traced = signed.filter(pl.col("trace_id").is_not_null())
        if traced.height:
            self.changed = True
            self._walk(traced, seen)
        assert isinstance(end, int)
        for name in [name for name, span in self._spans.items() if end - span.at > _SETTLE]:
            self._close(name, seen)
        return _counted(seen, width)

    def _walk(self, traced: pl.DataFrame, seen: dict[tuple[str, str], list[tuple[int, set[str]]]]) -> None:
        span_id = pl.col("metadata").str.json_path_match("$.span_id")
        rows = (
            traced.with_columns(own_time())
            .select("ts", "trace_id", "service", "signature", span_id.alias("span"), "own")
            .sort("own", "ts", maintain_order=True)
            .drop("own")
        )
        names: dict[tuple[str, str], str] = {}
        for ts, trace_id, service, signature, span_name in rows.iter_rows():
            step = names.get((service, signature))
            if step is None:
                step = names[(service, signature)] = step_name(service, signature)
            trace = _short(trace_id)
            name = _short(f"{trace}\x00{service}\x00{span_name or ''}")
            span = self._spans.get(name)
            if span is not None and ts - span.at > _SETTLE:
                self._close(name, seen)
                span = None
            if span is not None:
                seen.setdefault((trace, span.step), []).append((span.at, {step, *span.calls}))
                span.step, span.at, span.calls = step, ts, []
            else:
                caller = self._spans.get(self._latest.get(trace, ""))
                if caller is not None and len(caller.calls) < 5:
                    caller.calls.append(f"{CALL}{step}")
                self._spans[name] = _Span(trace, step, ts, [])
                self._make_room()
            self._latest[trace] = name

    def _close(self, name: str, seen: dict[tuple[str, str], list[tuple[int, set[str]]]]) -> None:
        span = self._spans.pop(name)
        self.changed = True
        seen.setdefault((span.trace, span.step), []).append((span.at, {END, *span.calls}))
        if self._latest.get(span.trace) == name:
            del self._latest[span.trace]

    def _make_room(self) -> None:
        if len(self._spans) > self._limit:
            oldest = next(iter(self._spans))
            span = self._spans.pop(oldest)
            if self._latest.get(span.trace) == oldest:
                del self._latest[span.trace]
            self.dropped += 1


def step_name(service: str, signature: str) -> str:
    """The name of a step in the state."""
    return f"q:{key_name(service, signature)[2:18]}"


def _counted(seen: dict[tuple[str, str], list[tuple[int, set[str]]]], width: int) -> dict[int, dict[str, Followed]]:
    buckets: dict[int, dict[str, Followed]] = {}
    for (_, step), times in seen.items():
        at = min(time for time, _ in times)
        entry = buckets.setdefault(at - at % width, {}).setdefault(step, Followed(first=at, last=at))
        entry.traces += 1
        entry.first, entry.last = min(entry.first, at), max(entry.last, at)
        for follower in _union(followers for _, followers in times):
            entry.followers[follower] = entry.followers.get(follower, 0) + 1
            entry.came[follower] = max(entry.came.get(follower, 0), at)
    return buckets


def _union(sets: Iterable[set[str]]) -> list[str]:
    return sorted(set().union(*sets))


def _short(text: str) -> str:
    return xxhash.xxh3_64(text.encode("utf-8", "surrogatepass")).hexdigest()
