"""Real EVENTS frames for the tests of signatures."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from incidentlens.model.records import EVENTS


def make_events(
    messages: Sequence[str | None],
    *,
    level: str | Sequence[str] = "error",
    service: str | Sequence[str] = "shop",
    exceptions: Sequence[str | None] | None = None,
    traces: Sequence[str | None] | None = None,
    start: int = 0,
    step: int = 1_000_000_000,
) -> pl.DataFrame:
    """One event a message, a second apart."""
    n = len(messages)
    return pl.DataFrame(
        {
            "ts": [start + i * step for i in range(n)],
            "service": [service] * n if isinstance(service, str) else list(service),
            "stream": ["{}"] * n,
            "metadata": [None] * n,
            "line": [message or "" for message in messages],
            "level": [level] * n if isinstance(level, str) else list(level),
            "format": ["plain"] * n,
            "message": list(messages),
            "exception": list(exceptions) if exceptions else [None] * n,
            "trace_id": list(traces) if traces else [None] * n,
            "event_ts": [None] * n,
            "first": list(range(n)),
            "last": list(range(n)),
        },
        schema=EVENTS,
    )
