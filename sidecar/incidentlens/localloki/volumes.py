"""How much there is: `index/stats`, `index/volume`, `index/volume_range`.

As in Loki these count chunks, not lines: a chunk that lies only partly in the span counts in proportion to the time.
Volumes of the last three hours are counted by the byte, older ones in the kilobytes an index keeps, whether or not
the data has been sealed here; `index/stats` knows only what is sealed.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..logql.ast import Matcher
from .heads import StreamState
from .labels import Labels, format_labels, parse_labels
from .limits import HOUR, MINUTE, SECOND
from .store import Store

_RECENT_NS = 3 * HOUR
_FRESH_NS = 10 * MINUTE
_SPLIT_GAP_NS = 1_000_000
_MAX_REMEMBERED = 256
DEFAULT_LIMIT = 100


@dataclass(frozen=True, slots=True)
class Stats:
    """What an index says of a selector."""

    streams: int
    chunks: int
    bytes: int
    entries: int


@dataclass(frozen=True, slots=True)
class VolumeQuery:
    """A question for volumes; times in nanoseconds, `step` 0 for one value a series."""

    text: str
    matchers: tuple[Matcher, ...]
    start: int
    end: int
    step: int
    limit: int
    targets: tuple[str, ...]
    by_series: bool


class TooManySeries(Exception):
    """A volume query met more series than it may."""


@dataclass(frozen=True, slots=True)
class VolumeSeries:
    """A series of volumes: `(moment in ns, bytes)`."""

    labels: Labels
    samples: list[tuple[int, int]]


def share(start: int, end: int, first: int, last: int) -> float:
    """The part of [first, last] that lies in [start, end], evenness taken for granted."""
    if start > last or end < first:
        return 0.0
    if first == last:
        return 1.0
    outside = max(0, start - first) + max(0, last - end)
    return (last - first - outside) / (last - first)


class Volumes:
    """Answers about amounts for all tenants, remembering what it said of older data."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._remembered: OrderedDict[tuple[object, ...], tuple[int, int, dict[str, int]]] = OrderedDict()

    def stats(self, tenant: str, matchers: Sequence[Matcher], start: int, end: int) -> Stats:
        """Streams, chunks, bytes and entries of a selector in a span, so far as they are sealed."""
        streams = chunks = size = entries = 0
        for _, refs, _ in self._store.matching(tenant, matchers, start, end):
            counted = False
            for ref in refs:
                part = share(start, end, ref.min_ts, ref.max_ts)
                if part > 0:
                    counted = True
                    chunks += 1
                    size += int(_kilobytes(ref.size) * part) << 10
                    entries += int(ref.entries * part)
            streams += counted
        return Stats(streams, chunks, size, entries)

    def volumes(self, tenant: str, query: VolumeQuery, now: int) -> list[VolumeSeries]:
        """The volumes of each series, largest first (by the first value), then by name."""
        series: dict[str, tuple[Labels, list[tuple[int, int]]]] = {}
        for start, end in _steps(query.step, query.start, query.end):
            from_, through = start // SECOND * SECOND, end // SECOND * SECOND
            for name, (labels, amount) in self._one(tenant, query, from_, through, now).items():
                series.setdefault(name, (labels, []))[1].append((end, amount))
        rows = sorted(series.items(), key=lambda row: (-row[1][1][0][1], row[0]))
        return [VolumeSeries(labels, samples) for _, (labels, samples) in rows]

    def _one(self, tenant: str, query: VolumeQuery, start: int, end: int, now: int) -> dict[str, tuple[Labels, int]]:
        """One step's volumes, cut to the largest. Old ones may come out of a wider answer given before, as in Loki."""
        key = (tenant, self._store.generation.get(tenant, 0), query.text, query.limit, query.targets, query.by_series)
        with self._lock:
            known = self._remembered.get(key)
        if known is not None and known[0] <= start and end <= known[1]:
            part = share(start, end, known[0], known[1])
            amounts = {name: int(amount * part) for name, amount in known[2].items()}
        else:
            amounts = self._count(tenant, query, start, end, now)
            if end < now - _FRESH_NS:
                with self._lock:
                    self._remembered[key] = (start, end, amounts)
                    while len(self._remembered) > _MAX_REMEMBERED:
                        self._remembered.popitem(last=False)
        largest = sorted(amounts.items(), key=lambda item: (-item[1], item[0]))[: query.limit]
        return {name: (_labels(name, query.by_series), amount) for name, amount in largest}

    def _count(self, tenant: str, query: VolumeQuery, start: int, end: int, now: int) -> dict[str, int]:
        matchers, wanted, everything = _wanted(query)
        amounts: dict[str, int] = {}
        for stream, refs, _ in self._store.matching(tenant, matchers, start, end):
            amount = sum(
                int(_kilobytes(ref.size) * share(start, end, ref.min_ts, ref.max_ts)) << 10 for ref in refs
            ) + _head_amount(stream, start, end, recent=end >= now - _RECENT_NS)
            touched = any(start < ref.max_ts and end > ref.min_ts for ref in refs)
            if not amount and not touched:
                continue
            for name in _names(stream.labels, query, wanted, everything):
                amounts[name] = amounts.get(name, 0) + amount
                if len(amounts) > self._store.limits.volume_max_series:
                    limit = self._store.limits.volume_max_series
                    raise TooManySeries(f"the query hit the max number of series limit (limit: {limit} series)")
        return amounts


def _kilobytes(size: int) -> int:
    return round(size / 1024)


def _head_amount(stream: StreamState, start: int, end: int, *, recent: bool) -> int:
    head = stream.head
    if not head.entries or not (start < head.max_ts and end > head.min_ts):
        return 0
    part = share(start, end, head.min_ts, head.max_ts)
    if recent:
        return int(head.uncompressed * part)
    return int(_kilobytes(head.uncompressed) * part) << 10


def _wanted(query: VolumeQuery) -> tuple[list[Matcher], frozenset[str], bool]:
    """Matchers (a target label must be there), the labels that name a series, and whether all labels do."""
    matchers = list(query.matchers)
    if query.targets:
        matched = {matcher.name for matcher in matchers}
        matchers += [Matcher(name, "=~", ".+") for name in query.targets if name not in matched]
        return matchers, frozenset(query.targets), False
    return matchers, frozenset(matcher.name for matcher in matchers), not matchers


def _names(labels: Labels, query: VolumeQuery, wanted: frozenset[str], everything: bool) -> Iterator[str]:
    if query.by_series:
        yield format_labels({name: value for name, value in labels.items() if everything or name in wanted})
    else:
        yield from (name for name in labels if not query.targets or name in wanted)


def _labels(name: str, by_series: bool) -> Labels:
    return parse_labels(name) if by_series else {name: ""}


def _steps(step: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Steps on whole multiples of `step`, each ending a millisecond before the next begins, the last at `end`."""
    if step <= 0:
        yield start, end
        return
    at = start - start % step
    begin = start
    while at < end:
        following = at + step
        yield begin, end if following >= end else following - _SPLIT_GAP_NS
        at = begin = following
