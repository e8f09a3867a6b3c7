"""Push-down: Loki counts every line of a query, and only failing ones and the context of what stands out are fetched.

What was counted and not fetched is given on as numbers (`UNREAD`), so that rates stay right. Failing lines are fetched
whole up to a bound; past it each service has its share of the bound, spread evenly over the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import polars as pl

from incidentlens.model.clock import MINUTE, SECOND
from incidentlens.model.records import LINES, empty

from . import asking
from .asking import Group
from .errors import LokiTooHeavy
from .loki import LokiClient
from .paging import Fetched, Window, service_of

# Lines that Loki counted and that were not fetched: of a service, in the bucket that begins at `ts` (ns).
UNREAD: dict[str, pl.DataType] = {
    "service": pl.String(),
    "kind": pl.String(),  # "failing", "warn" or "other"
    "ts": pl.Int64(),
    "count": pl.Int64(),
}
BUCKET = 10 * SECOND
_INSTANT = 30 * SECOND  # a span up to this is counted in one piece
_SLICES = 30
_SEPARATE = 10  # services over their share that are sampled each by itself; the rest together
_FAILING = frozenset(asking.FAILING.split("|"))
_WARN = frozenset(["warn", "warning"])


@dataclass(frozen=True, slots=True)
class Cell:
    """Lines of one group and level, as Loki counted them in [ts, ts + length) (ns)."""

    group: Group
    service: str
    kind: str
    ts: int
    count: int


@dataclass(slots=True)
class Read:
    """What came of one span: LINES frames, what was only counted (`UNREAD`), and what a bound kept out."""

    frames: list[pl.DataFrame] = field(default_factory=list)
    unread: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=UNREAD))
    counted: int = 0
    sampled: dict[str, int] = field(default_factory=dict)  # service: failing lines past the bound

    @property
    def rows(self) -> int:
        return sum(frame.height for frame in self.frames)


@dataclass(frozen=True, slots=True)
class History:
    """Warnings of a service before it stood out: `lines` is a sample, worth `minutes` of its whole log."""

    service: str
    minutes: float
    lines: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that is fetched: failing lines a minute of log time, and context lines of a service a minute."""

    failing: int
    context: int


class PushDown:
    """Reads one log query by counts. `fetched` adds up what its reads did."""

    def __init__(self, client: LokiClient, query: str, service_label: str, page_limit: int, bounds: Bounds) -> None:
        self._client = client
        self._query = query
        self._label = service_label
        self._names = tuple(dict.fromkeys((service_label, "service_name")))
        self._limit = page_limit
        self._bounds = bounds
        self.fetched = Fetched()
        self.groups: dict[str, set[Group]] = {}  # by service, of the last count

    async def read(self, start: int, after: int, end: int) -> tuple[Read, list[Cell]]:
        """The failing lines of [start, end) ns, of which [start, after) is the overlap; and what Loki counted.

        Raises LokiError.
        """
        cells = await self._count(after, end)
        self.groups = {}
        for cell in cells:
            self.groups.setdefault(cell.service, set()).add(cell.group)
        read = Read(counted=sum(cell.count for cell in cells))
        await self._failing(read, cells, start, after, end)
        bound = _share(self._bounds.failing, end - after)
        for query in asking.said(self._query):
            frames, whole = await self._bounded(query, start, end, bound)
            read.frames += frames
            if not whole:
                counted = await self._total(query, after, end)
                read.sampled["(by their words)"] = max(0, counted - sum(frame.height for frame in frames))
        return read, cells

    async def context(self, services: Sequence[str], start: int, end: int) -> list[pl.DataFrame]:
        """The warnings of `services` in [start, end) ns, up to the bound of each."""
        frames = []
        for service in services:
            for group in sorted(self.groups.get(service, ())):
                query = asking.of(asking.warnings(self._query), group)
                found, _ = await self._bounded(query, start, end, _share(self._bounds.context, end - start))
                frames += found
        return frames

    async def traces(self, ids: Sequence[str], start: int, end: int) -> list[pl.DataFrame]:
        """The lines of these traces in [start, end) ns, of any service and level, up to the bound."""
        frames = []
        for query in asking.traces(self._query, ids):
            found, _ = await self._bounded(query, start, end, _share(self._bounds.context, end - start))
            frames += found
        return frames

    async def history(self, service: str, end: int, length: int, limit: int) -> History:
        """The warnings of a service in the `length` (ns) before `end`, at most about `limit` of them.

        A sample of a share of the lines tells of their rates what that share of the time would have told.
        """
        frames, counted = [], 0
        for group in sorted(self.groups.get(service, ())):
            query = asking.of(asking.warnings(self._query), group)
            total = await self._total(query, end - length, end)
            counted += total
            if total > limit:
                frames += await self._sampled(query, end - length, end, limit)
            elif total:
                frames += (await self._bounded(query, end - length, end, limit))[0]
        rows = sum(frame.height for frame in frames)
        share = min(1.0, rows / counted) if counted else 1.0
        lines = pl.concat(frames).sort("ts", maintain_order=True) if frames else empty(LINES)
        return History(service, share * length / MINUTE, lines)

    # -- counting ---------------------------------------------------------------------------------------------------

    async def _count(self, start: int, end: int) -> list[Cell]:
        """Lines a group and level in [start, end) ns, in buckets."""
        by = (*self._names, asking.LEVEL)
        try:
            return await self._cells(self._query, by, start, end)
        except LokiTooHeavy:
            # More series than Loki gives at once: the levels are left out.
            failing = await self._cells(asking.failing(self._query), self._names, start, end, "failing")
            every = await self._cells(self._query, self._names, start, end, "other")
        taken = {(cell.group, cell.ts): cell.count for cell in failing}
        rest = [
            Cell(cell.group, cell.service, "other", cell.ts, cell.count - taken.get((cell.group, cell.ts), 0))
            for cell in every
        ]
        return failing + rest

    async def _cells(self, query: str, by: Sequence[str], start: int, end: int, kind: str | None = None) -> list[Cell]:
        cells: list[Cell] = []
        first, last = -(-start // BUCKET) * BUCKET, end // BUCKET * BUCKET
        if end - start <= _INSTANT or first >= last:
            return await self._piece(query, by, start, end, kind)
        # Loki steps over whole multiples of a step: the ragged ends are asked for by themselves.
        if start < first:
            cells += await self._piece(query, by, start, first, kind)
        series = await self._client.query_matrix(asking.counted(query, BUCKET, by), first + BUCKET, last, BUCKET)
        for one in series:
            cells += [
                self._cell(one["metric"], kind, round(float(at) * SECOND) - BUCKET, value)
                for at, value in one["values"]
            ]
        if last < end:
            cells += await self._piece(query, by, last, end, kind)
        return cells

    async def _piece(self, query: str, by: Sequence[str], start: int, end: int, kind: str | None) -> list[Cell]:
        series = await self._client.query_vector(asking.counted(query, end - start, by), end - 1)
        return [self._cell(one["metric"], kind, start, one["value"][1]) for one in series]

    def _cell(self, labels: dict[str, str], kind: str | None, ts: int, value: str) -> Cell:
        service = service_of(labels, {}, self._label)
        group = asking.group_of(labels, self._names)
        return Cell(group, service, kind or kind_of(labels.get(asking.LEVEL, "")), ts, int(float(value)))

    async def _total(self, query: str, start: int, end: int) -> int:
        series = await self._client.query_vector(asking.counted(query, end - start, ()), end - 1)
        return int(sum(float(one["value"][1]) for one in series))

    # -- fetching ---------------------------------------------------------------------------------------------------

    async def _failing(self, read: Read, cells: Iterable[Cell], start: int, after: int, end: int) -> None:
        """All failing lines, or of the services that have too many a sample."""
        query = asking.failing(self._query)
        counts: dict[Group, int] = {}
        names: dict[Group, str] = {}
        for cell in cells:
            if cell.kind == "failing":
                counts[cell.group] = counts.get(cell.group, 0) + cell.count
                names[cell.group] = cell.service
        bound = _share(self._bounds.failing, end - after)
        if sum(counts.values()) <= bound:
            read.frames += [frame async for frame in self._window(query).read(start, end)]
            return
        big, share = _over(counts, bound)
        alone = big[:_SEPARATE]
        small = asking.without(query, alone)
        together = sum(count for group, count in counts.items() if group not in alone)
        if len(big) > len(alone):
            read.frames += await self._sampled(small, after, end, share * (len(big) - len(alone)))
            read.sampled["(others)"] = together
        else:
            read.frames += [frame async for frame in self._window(small).read(start, end)]
        for group in alone:
            frames = await self._sampled(asking.of(query, group), after, end, share)
            read.frames += frames
            out = max(0, counts[group] - sum(frame.height for frame in frames))
            read.sampled[names[group]] = read.sampled.get(names[group], 0) + out

    async def _bounded(self, query: str, start: int, end: int, bound: int) -> tuple[list[pl.DataFrame], bool]:
        """(frames, True) of all lines, or of about `bound` of them and False where there are more."""
        frames, rows = [], 0
        async for frame in self._window(query, min(self._limit, bound + 1)).read(start, end):
            frames.append(frame)
            rows += frame.height
            if rows > bound:
                return await self._sampled(query, start, end, bound), False
        return frames, True

    async def _sampled(self, query: str, start: int, end: int, bound: int) -> list[pl.DataFrame]:
        """About `bound` lines at most, the first ones of each of up to 30 equal parts of [start, end)."""
        slices = max(1, min(_SLICES, bound // 5, (end - start) // (SECOND // 10)))
        limit = min(self._limit, max(1, bound // slices))
        frames = []
        for number in range(slices):
            first, last = (start + (end - start) * at // slices for at in (number, number + 1))
            async for frame in self._window(query, limit).read(first, last):
                frames.append(frame.head(limit))
                break
        return frames

    def _window(self, query: str, limit: int | None = None) -> Window:
        window = Window(self._client, query, self._label, limit or self._limit)
        window.fetched = self.fetched
        return window


def kind_of(level: str) -> str:
    """What a level of Loki's counts as."""
    level = level.lower()
    return "failing" if level in _FAILING else "warn" if level in _WARN else "other"


def unread(cells: Iterable[Cell], frames: Sequence[pl.DataFrame], sampled: bool, after: int, end: int) -> pl.DataFrame:
    """What was counted in [after, end) and is not in `frames`, as UNREAD.

    Unless a bound cut them, all failing lines were read, whatever the count at a span's edge says.
    """
    counted = pl.DataFrame(
        [(cell.service, cell.kind, cell.ts, cell.count) for cell in cells], schema=UNREAD, orient="row"
    )
    counted = counted.group_by("service", "kind", "ts").agg(pl.col("count").sum())
    if not sampled:
        counted = counted.filter(pl.col("kind") != "failing")
    if counted.is_empty() or not frames:
        return counted.filter(pl.col("count") > 0).sort("ts", "service", "kind")
    starts = counted["ts"].unique().sort()
    level = pl.col("metadata").str.extract(r'"detected_level":"([^"\\]{1,20})"', 1).fill_null("")
    have = (
        pl.concat(frames)
        .filter(pl.col("ts").is_between(after, end, closed="left"))
        .unique(["ts", "stream", "line"])
        .with_columns(
            level.replace_strict({name: kind_of(name) for name in _FAILING | _WARN}, default="other").alias("kind")
        )
        .sort("ts")
        .join_asof(pl.DataFrame({"bucket": starts}), left_on="ts", right_on="bucket", strategy="backward")
        .group_by("service", "kind", pl.col("bucket").alias("ts"))
        .agg(pl.len().cast(pl.Int64).alias("read"))
    )
    return (
        counted.join(have, on=["service", "kind", "ts"], how="left")
        .with_columns((pl.col("count") - pl.col("read").fill_null(0)).alias("count"))
        .filter(pl.col("count") > 0)
        .select(list(UNREAD))
        .sort("ts", "service", "kind")
    )


def _share(per_minute: int, length: int) -> int:
    """A bound a minute as that of `length` (ns): at least a few lines."""
    return max(50, round(per_minute * length / MINUTE))


def _over(counts: dict[Group, int], bound: int) -> tuple[list[Group], int]:
    """The groups that have more lines than their equal share of what the smaller ones leave, largest first; the share.

    Max-min fairness ("water-filling"): whoever needs less than an equal share gets all it needs.
    """
    left, waiting = bound, sorted(counts, key=lambda group: counts[group])
    while waiting and counts[waiting[0]] <= left // len(waiting):
        left -= counts[waiting.pop(0)]
    return waiting[::-1], max(10, left // max(1, len(waiting)))
