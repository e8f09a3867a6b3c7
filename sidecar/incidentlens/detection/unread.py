"""Lines that were counted and not read: they keep the rates right where only a part of the log is fetched.

Failing ones are shared out among the signatures that were read of the same service and bucket, in proportion to what
was read of each beyond its first record: one record of a sample is one record, so that a rare signature is not made
more than it is known to be. Others count as the service's healthy lines, or as its warnings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson
import polars as pl

from incidentlens.model.terms import Level

from .keys import Key

_FAILING = (Level.ERROR.value, Level.FATAL.value)
_STATE = "g:thin"


def share_out(grouped: pl.DataFrame, unread: pl.DataFrame, width: int) -> pl.DataFrame:
    """`grouped` (columns bucket, service, level, records) with the failing lines of `unread` added to `records`.

    `unread` has the columns service, kind ("failing", "warn", "other"), ts (ns) and count; `width` is a bucket's (ns).
    """
    failing = (
        unread.filter(pl.col("kind") == "failing")
        .group_by("service", bucket=(pl.col("ts") // width) * width)
        .agg(pl.col("count").sum())
    )
    if failing.is_empty():
        return grouped
    beyond = pl.when(pl.col("level").is_in(_FAILING)).then(pl.col("records") - 1).otherwise(0)
    total = pl.col("beyond").sum().over("bucket", "service")
    extra = (pl.col("count") * pl.col("beyond") / total).round().cast(pl.Int64, strict=False)
    return (
        grouped.join(failing, on=["bucket", "service"], how="left", maintain_order="left")
        .with_columns(beyond.alias("beyond"))
        .with_columns(pl.when((total > 0) & pl.col("count").is_not_null()).then(extra).otherwise(0).alias("extra"))
        .with_columns((pl.col("records") + pl.col("extra").fill_null(0)).alias("records"))
        .drop("count", "beyond", "extra")
    )


def others(unread: pl.DataFrame | None, width: int) -> dict[int, list[tuple[str, int, int]]]:
    """By bucket: (service, healthy lines, warnings) that were only counted."""
    if unread is None or unread.is_empty():
        return {}
    count = pl.col("count")
    rows = (
        unread.filter(pl.col("kind") != "failing")
        .group_by("service", bucket=(pl.col("ts") // width) * width)
        .agg(
            count.filter(pl.col("kind") == "other").sum().alias("harmless"),
            count.filter(pl.col("kind") == "warn").sum().alias("warn"),
        )
        .sort("bucket", "service")
        .select("bucket", "service", "harmless", "warn")
    )
    found: dict[int, list[tuple[str, int, int]]] = {}
    for bucket, *row in rows.iter_rows():
        found.setdefault(bucket, []).append((row[0], row[1], row[2]))
    return found


@dataclass(slots=True)
class Thin:
    """Services whose warnings are read only while they stand out, and what a sample told of the time before.

    A sample of one line in ten over an hour tells of rates what six whole minutes tell (thinning of a Poisson process
    leaves one), so the history of such a warning is that much shorter, and nothing is scaled up.
    """

    since: dict[str, tuple[float, float]] = field(default_factory=dict)  # service: (history begins, known at), minutes
    changed: bool = False

    @classmethod
    def decode(cls, state: Mapping[str, bytes]) -> Thin:
        raw = orjson.loads(state.get(_STATE) or b"{}")
        return cls({service: (float(begin), float(at)) for service, (begin, at) in raw.items()})

    def put(self, service: str, begins: float, at: float) -> None:
        self.since[service] = (begins, at)
        self.changed = True

    def restrict(self, key: Key) -> None:
        """A warning whose history is older than what the sample told: it was not read since, so it counts no more."""
        known = self.since.get(key.service)
        if known is None or key.level != Level.WARN or key.since >= known[0] or key.span is not None:
            return
        key.since, key.decayed_at = known
        key.events = key.squares = 0.0

    def state(self) -> dict[str, bytes]:
        if not self.changed:
            return {}
        self.changed = False
        return {_STATE: orjson.dumps(self.since)}
