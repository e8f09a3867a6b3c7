"""When an event happened, as its writer says: for order within a trace, where milliseconds decide.

A source's stamp says when a line was read or received, which may be later, by another amount for each line. A line
that states its own time to a part of a second says more about what came first. Its zone may be unknown: the whole
quarters of an hour between the two clocks of a stream are taken out.
"""

from __future__ import annotations

import polars as pl

from incidentlens.model.clock import MINUTE, SECOND

_QUARTER = 15 * MINUTE  # zones differ by whole ones
_LATE = 2 * MINUTE  # a line that is read so much later (or states a time so much later) states something else


def own_time() -> pl.Expr:
    """For a SIGNED frame: the time (ns) by which events of a trace are put in order."""
    apart = pl.col("ts") - pl.col("event_ts")
    zone = ((apart.median().over("stream") / _QUARTER).round() * _QUARTER).cast(pl.Int64)
    fine = (pl.col("event_ts") % SECOND != 0).any().over("stream")
    told = fine & ((apart - zone).abs() <= _LATE)
    return pl.when(told).then(pl.col("event_ts") + zone).otherwise("ts").alias("own")
