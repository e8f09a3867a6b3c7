"""Frames built by hand: what reading and signing would have made of simple lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import polars as pl
import pytest

from incidentlens.model.clock import SECOND
from incidentlens.model.records import SIGNED, stream_key

START = 1_700_000_000 * SECOND


def signed_frame(rows: Iterable[dict[str, Any]]) -> pl.DataFrame:
    """Rows of `at` (s after START), `service`, `signature`, `level`, `message` and whatever else SIGNED has."""
    whole = []
    for index, row in enumerate(rows):
        service = row.get("service", "orders")
        message = row.get("message", row.get("signature", "hello"))
        ts = START + int(row.get("at", 0) * SECOND)
        whole.append(
            {
                "ts": ts,
                "service": service,
                "stream": stream_key({"service": service}),
                "metadata": row.get("metadata"),
                "line": row.get("line", message),
                "level": row.get("level", "info"),
                "format": "plain",
                "message": message,
                "exception": row.get("exception"),
                "trace_id": row.get("trace_id"),
                "event_ts": row.get("event_ts"),
                "first": index,
                "last": index,
                "signature": row.get("signature", message),
                "template": row.get("template", message),
            }
        )
    return pl.DataFrame(whole, schema=SIGNED)


@pytest.fixture
def make_signed() -> Callable[[Iterable[dict[str, Any]]], pl.DataFrame]:
    return signed_frame
