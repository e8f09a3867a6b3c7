"""A service of whose records more fail than usual, although none of its signatures is a spike.

Faults that show in many wordings (every customer's error has a text of its own) raise no single count. For each service
the records and the failing ones (level error or fatal) are remembered, and how much the share varies from minute to
minute by itself. Where a signature of the service is a problem already, nothing is said: it is that problem.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
import polars as pl

from incidentlens.model.clock import MINUTE
from incidentlens.model.terms import ProblemKind

from .keys import Span, service_name
from .settings import DetectionSettings
from .statistics import negative_binomial_tail

WEIGHT = 2.5  # severity weight: something fails more, and nothing says what
_MIN_BASE = 300.0  # records of history
_MIN_MINUTES = 20.0  # minutes of it that had records
_MIN_NOW, _MIN_FAILING = 40, 10  # records of the window
_RATIO = 2.0  # times the usual share, and
_APART = 0.05  # so much above it
_P = 1e-6
_OVER = 1.4  # below so many times the usual share it is over
_MAX_BASE = 200_000.0  # records; beyond this the history is halved: it forgets, slowly
_MAX_SERVICES = 5_000
_SIGNATURES = 20  # of the window, the commonest are kept


@dataclass(slots=True)
class Share:
    """One service's records. `spread` is the sum over minutes of (failing - expected)² / expected variance."""

    service: str
    records: float = 0.0
    failing: float = 0.0
    minutes: float = 0.0
    spread: float = 0.0
    minute: list[int] = field(default_factory=lambda: [-1, 0, 0])  # the one being learnt: its number, records, failing
    window: list[list[Any]] = field(default_factory=list)  # [bucket, records, failing, first failing, {signature: n}]
    named: int = 0  # when a signature of the service last was a problem of its own, ns
    signature: str = ""  # the commonest failing one of the span
    template: str = ""
    level: str = "error"
    span: Span | None = None

    @property
    def usual(self) -> float:
        """The usual share, half a failing record ahead of what was seen."""
        return (self.failing + 0.5) / (self.records + 1)

    @property
    def dispersion(self) -> float:
        """How many times more the minutes' counts vary than chance alone would have them, at least 1."""
        return min(50.0, max(1.0, self.spread / self.minutes)) if self.minutes >= 3 else 1.0

    def learn(self, bucket: int, records: int, failing: int) -> None:
        """Take a bucket into the history, minute by minute."""
        number = bucket // MINUTE
        if number != self.minute[0]:
            self._close()
            self.minute = [number, 0, 0]
        self.minute[1] += records
        self.minute[2] += failing

    def _close(self) -> None:
        _, records, failing = self.minute
        if not records:
            return
        if self.records >= _MIN_BASE / 10:
            expected = records * self.usual
            # At most a few times the usual: an outage does not become the norm.
            failing = min(failing, math.ceil(3 * expected + 3 * math.sqrt(expected) + 3))
            self.spread += (failing - expected) ** 2 / max(expected * (1 - self.usual), 1e-9)
            self.minutes += 1
        self.records += records
        self.failing += failing
        if self.records > _MAX_BASE:
            self.records, self.failing = self.records / 2, self.failing / 2
            self.minutes, self.spread = self.minutes / 2, self.spread / 2

    def encode(self) -> bytes:
        return orjson.dumps(
            [
                self.service,
                self.records,
                self.failing,
                self.minutes,
                self.spread,
                self.minute,
                self.window,
                self.named,
                self.signature,
                self.template,
                self.level,
                self.span.encode() if self.span else None,
            ]
        )

    @classmethod
    def decode(cls, data: bytes) -> Share:
        *head, span = orjson.loads(data)
        share = cls(*head)
        share.span = Span.decode(span) if span else None
        return share


class Shares:
    """Failing shares by service; the state is a value a service."""

    def __init__(self, state: dict[str, bytes], settings: DetectionSettings) -> None:
        self._settings = settings
        self._shares = {
            share.service: share
            for share in (Share.decode(value) for name, value in state.items() if name.startswith("e:") and value)
        }
        self._dirty: set[str] = set()
        self.dropped = 0

    def learn(self, signed: pl.DataFrame) -> None:
        """Take a SIGNED frame as usual."""
        for row in self._buckets(signed):
            if share := self._share(row["service"]):
                share.learn(row["bucket"], row["records"], row["failing"])

    def observe(self, signed: pl.DataFrame, named: Collection[str]) -> list[Share]:
        """Services whose failing share is unusual; their `span` says since when.

        `named`: services of which a signature is a problem of its own in this call.
        """
        found: dict[str, Share] = {}
        for row in self._buckets(signed):
            share = self._share(row["service"])
            if share is None:
                continue
            if row["service"] in named:
                share.named = max(share.named, row["last"])
            self._slide(share, row["bucket"])
            signatures = dict(zip(row["signatures"], row["counts"], strict=True))
            share.window.append([row["bucket"], row["records"], row["failing"], row["first"], signatures])
            if self._judge(share, row):
                found[share.service] = replace(share)  # as it is now: a later bucket of the same call may end the span
        return list(found.values())

    def records_of(self, signed: pl.DataFrame, share: Share) -> pl.DataFrame:
        """The failing records of `signed` in the span, of many signatures."""
        assert share.span is not None
        inside = (pl.col("ts") >= share.span.onset) & (pl.col("ts") <= share.span.last)
        here = (pl.col("service") == share.service) & pl.col("level").is_in(["fatal", "error"])
        return signed.filter(here & inside).sort("ts")

    def changed(self) -> dict[str, bytes]:
        """State that changed since the last call of this."""
        out = {f"e:{service_name(name)[2:]}": self._shares[name].encode() for name in self._dirty}
        self._dirty.clear()
        return out

    def _buckets(self, signed: pl.DataFrame) -> list[dict[str, Any]]:
        if signed.height == 0:
            return []
        width = self._settings.bucket
        fails = pl.col("level").is_in(["fatal", "error"])
        common = pl.col("signature").filter(fails).value_counts(sort=True).head(_SIGNATURES)
        return (
            signed.lazy()
            .with_columns(bucket=(pl.col("ts") // width) * width)
            .group_by("bucket", "service")
            .agg(
                pl.len().cast(pl.Int64).alias("records"),
                fails.sum().cast(pl.Int64).alias("failing"),
                pl.col("ts").filter(fails).min().alias("first"),
                pl.col("ts").max().alias("last"),
                common.struct.field("signature").alias("signatures"),
                common.struct.field("count").alias("counts"),
                pl.struct("signature", "template", "level").filter(fails).unique().alias("said"),
            )
            .sort("bucket", "service")
            .collect()
            .to_dicts()
        )

    def _share(self, service: str) -> Share | None:
        share = self._shares.get(service)
        if share is None:
            if len(self._shares) >= _MAX_SERVICES:
                self.dropped += 1
                return None
            share = self._shares[service] = Share(service)
        self._dirty.add(service)
        return share

    def _slide(self, share: Share, bucket: int) -> None:
        """What left the window is history; while more fails than usual only what was usual is learnt."""
        edge = bucket - self._settings.window
        while share.window and share.window[0][0] <= edge:
            start, records, failing, _, _ = share.window.pop(0)
            if share.span is None:
                share.learn(start, records, failing)

    def _judge(self, share: Share, row: dict[str, Any]) -> bool:
        span = share.span
        if span and row["bucket"] - span.last > self._settings.quiet:
            span = share.span = None
        records = sum(entry[1] for entry in share.window)
        failing = sum(entry[2] for entry in share.window)
        now = failing / records
        if span:
            if now < _OVER * share.usual:
                share.span = None
                return False
            if not row["failing"]:
                return False
            span.count += row["failing"]
            span.last = row["last"]
            span.ratio = max(span.ratio, now / share.usual)
            return True
        if not row["failing"] or records < _MIN_NOW or failing < _MIN_FAILING or share.records < _MIN_BASE:
            return False
        if share.minutes < _MIN_MINUTES or now < max(_RATIO * share.usual, share.usual + _APART):
            return False
        if row["last"] - share.named <= self._settings.quiet:
            return False
        mean = records * share.usual
        p = negative_binomial_tail(failing, mean, mean * share.dispersion + mean * mean / (share.failing + 0.5))
        if p > _P:
            return False
        self._begin(share, row, p, records, failing)
        return True

    def _begin(self, share: Share, row: dict[str, Any], p: float, records: int, failing: int) -> None:
        counts: dict[str, int] = {}
        for entry in share.window:
            for signature, count in entry[4].items():
                counts[signature] = counts.get(signature, 0) + count
        said = {one["signature"]: one for one in row["said"]}
        commonest = max(said, key=lambda name: (counts.get(name, 0), name))
        share.signature, share.template, share.level = commonest, said[commonest]["template"], said[commonest]["level"]
        usual, now = share.usual, failing / records
        above = (usual + now) / 2
        start = len(share.window) - 1
        while start > 0 and share.window[start - 1][2] > above * share.window[start - 1][1]:
            start -= 1
        rises = share.window[start:]
        share.span = Span(
            kind=ProblemKind.ERROR_SHARE.value,
            onset=rises[0][3] or row["first"],
            last=row["last"],
            count=sum(entry[2] for entry in rises),
            expected=usual,
            ratio=now / usual,
            p=p,
            why=(
                f"{failing} of {records} records fail ({now:.0%}) where {usual:.1%} is usual, in "
                f"{len(counts)} wordings of which none is a spike; this is the commonest"
            ),
            baseline=f"usual share over {share.records:,.0f} records: {usual:.2%}",
        )
