"""Columns that hold nothing but a time: the time fields of JSON and logfmt."""

from __future__ import annotations

import polars as pl

from .stamps import Stamp, find


def read_times(texts: pl.Series, reference: pl.Series) -> pl.Series:
    """Time fields as ns: any shape of stamp, or an epoch in s, ms, µs or ns, whole or with a fraction."""
    result = pl.Series("event_ts", [None] * len(texts), dtype=pl.Int64)
    left = texts
    for _ in range(3):
        sample = left.drop_nulls().head(1)
        if not len(sample):
            break
        shape = _shape(sample[0])
        if shape is None:
            left = left.set(left == sample[0], None)
            continue
        found = (
            left.alias("x")
            .to_frame()
            .select(pl.col("x").str.extract_groups(rf"^[ \t]*(?:{shape.pattern})"))
            .unnest("x")
        )
        got = shape.nanoseconds(found, reference)
        result = result.zip_with(result.is_not_null(), got) if result.null_count() < len(result) else got
        if got.null_count() == texts.null_count():
            break
        left = left.zip_with(found["ts"].is_null(), pl.Series([None], dtype=pl.String).new_from_index(0, len(left)))
    return result.alias("event_ts")


def _shape(text: str) -> Stamp | None:
    head = text.strip()[:64]
    if head[:9].isdigit() and head.replace(".", "", 1).isdigit():
        digits = len(head.split(".")[0])
        unit = "s" if digits <= 11 else "ms" if digits <= 14 else "us" if digits <= 17 else "ns"
        pattern = rf"(?P<ts>[0-9]{{{digits}}})" + (
            r"(?:[.](?P<frac>[0-9]{1,9})[0-9]*)?$" if unit == "s" else r"(?:[.][0-9]*)?$"
        )
        return Stamp("number", pattern, unit, "epoch")
    found = find(head)
    return found[0] if found and found[1] == 0 else None
