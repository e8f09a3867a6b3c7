"""Which service calls which, learnt from traces: a called service writes inside the time in which its caller writes."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
import polars as pl

from .own_clock import own_time

_STATE = "g:calls"
_MAX_TRACES = 2_000  # looked at in one call
_MAX_SERVICES = 40  # of one trace: more is a batch, not a request
_MAX_PAIRS = 5_000
_LEAST = 3  # traces
_MAX_COUNT = 10_000  # beyond this all are halved: it forgets, slowly


class Calls:
    """Counts of (caller, called) over traces. The state is one value."""

    def __init__(self, state: Mapping[str, bytes]) -> None:
        self._counts: dict[tuple[str, str], int] = {
            (caller, called): count for caller, called, count in orjson.loads(state.get(_STATE) or b"[]")
        }
        self._changed = False
        self._known: dict[str, tuple[str, ...]] | None = None

    def take(self, signed: pl.DataFrame) -> None:
        """Count the calls of a SIGNED frame's traces."""
        rows = _nested(signed)
        if not rows:
            return
        for caller, called, count in rows:
            pair = (caller, called)
            if pair in self._counts or len(self._counts) < _MAX_PAIRS:
                self._counts[pair] = self._counts.get(pair, 0) + count
        if max(self._counts.values()) > _MAX_COUNT:
            self._counts = {pair: count // 2 for pair, count in self._counts.items() if count > 1}
        self._changed, self._known = True, None

    def known(self) -> Mapping[str, tuple[str, ...]]:
        """{caller: the services it calls}. Where two seem to call each other, the more frequent direction holds."""
        if self._known is None:
            found: dict[str, list[str]] = {}
            for (caller, called), count in self._counts.items():
                if count >= _LEAST and count > 2 * self._counts.get((called, caller), 0):
                    found.setdefault(caller, []).append(called)
            self._known = {caller: tuple(sorted(called)) for caller, called in found.items()}
        return self._known

    def changed(self) -> dict[str, bytes]:
        """State that changed since the last call of this."""
        if not self._changed:
            return {}
        self._changed = False
        return {_STATE: orjson.dumps([[*pair, count] for pair, count in self._counts.items()])}


def _nested(signed: pl.DataFrame) -> list[tuple[str, str, int]]:
    """(caller, called, traces): the caller is the innermost service that wrote both before and after the called one."""
    if signed.height == 0:
        return []
    spans = (
        signed.lazy()
        .filter(pl.col("trace_id").is_not_null())
        .with_columns(own_time())
        .group_by("trace_id", "service")
        .agg(pl.col("own").min().alias("first"), pl.col("own").max().alias("last"))
        .filter(pl.len().over("trace_id").is_between(2, _MAX_SERVICES))
        .sort("trace_id", "first")
        .collect()
    )
    if spans.height == 0:
        return []
    traces = spans["trace_id"].unique(maintain_order=True).head(_MAX_TRACES)
    spans = spans.filter(pl.col("trace_id").is_in(traces.to_list()))
    return list(
        spans.join(spans, on="trace_id", suffix="_called")
        .filter(
            (pl.col("service") != pl.col("service_called"))
            & (pl.col("first") < pl.col("first_called"))
            & (pl.col("last") > pl.col("last_called"))
        )
        .sort("first")
        .group_by("trace_id", "service_called")
        .agg(pl.col("service").last())
        .group_by("service", "service_called")
        .agg(pl.len())
        .sort("service", "service_called")
        .iter_rows()
    )
