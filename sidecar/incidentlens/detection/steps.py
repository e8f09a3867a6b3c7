"""A SIGNED frame as steps of one bucket: what is counted together is looked at once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

import polars as pl

from incidentlens.model.clock import MINUTE
from incidentlens.model.signatures import SignatureCount
from incidentlens.model.terms import Level

from .unread import share_out

_MAX_TEXT = 2_000


class Row(NamedTuple):
    """One (service, signature) of one bucket."""

    bucket: int  # its start, ns
    service: str
    signature: str
    records: int
    first: int  # earliest record, ns
    last: int
    level: str
    template: str
    message: str  # one of them, cut
    exception: str | None


def steps(signed: pl.DataFrame, width: int, unread: pl.DataFrame | None = None) -> Iterator[tuple[int, list[Row]]]:
    """(bucket start in ns, its rows) in order of time, for buckets of `width` ns; `unread`: see `unread`."""
    if signed.height == 0:
        return
    grouped = (
        signed.lazy()
        .with_columns(bucket=(pl.col("ts") // width) * width)
        .group_by("bucket", "service", "signature")
        .agg(
            pl.len().cast(pl.Int64).alias("records"),
            pl.col("ts").min().alias("first"),
            pl.col("ts").max().alias("last"),
            pl.col("level").first(),
            pl.col("template").last(),
            pl.col("message").first().str.slice(0, _MAX_TEXT),
            pl.col("exception").drop_nulls().first().str.slice(0, _MAX_TEXT),
        )
        .sort("bucket", "first", "service", "signature")
        .collect()
    )
    if unread is not None:
        grouped = share_out(grouped, unread, width)
    for bucket, rows in groupby(map(Row._make, grouped.iter_rows()), key=lambda row: row.bucket):
        yield bucket, list(rows)


def minute_counts(signed: pl.DataFrame) -> list[SignatureCount]:
    """Records a (service, signature, level) and minute."""
    if signed.height == 0:
        return []
    grouped = (
        signed.lazy()
        .with_columns(minute=(pl.col("ts") // MINUTE) * MINUTE)
        .group_by("service", "signature", "level", "minute")
        .len()
        .sort("minute", "service", "signature")
        .collect()
    )
    return [
        SignatureCount(service=service, signature=signature, level=Level(level), bucket=minute, count=count)
        for service, signature, level, minute, count in grouped.iter_rows()
    ]
