"""Every record of a window, once: paging past Loki's limit, splitting what is too heavy.

Loki pages by time alone: a page begins at a time, and records of one time may fill it to the brim. So a page's last
nanosecond is asked for again, what was seen is dropped, and where one nanosecond holds more than a page it is read
from both ends and then stream by stream. What even that cannot reach is counted in `Fetched.cut`, never hidden.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from incidentlens import logql
from incidentlens.model.clock import SECOND
from incidentlens.model.records import LINES, stream_key

from .errors import LokiTooHeavy
from .loki import LokiClient

# Below this a window is not split again: Loki's own resolution of work is about this.
_SMALLEST_WINDOW = SECOND // 10

# Where the service is, when the project's own label is not on a stream.
SERVICE_LABELS = ("service_name", "service", "app", "app_kubernetes_io_name", "job", "container", "pod")


def service_of(labels: Mapping[str, str], metadata: Mapping[str, str], service_label: str) -> str:
    """The service a record belongs to: the project's label, else the usual ones, else `unknown`."""
    for name in (service_label, *SERVICE_LABELS):
        found = labels.get(name) or metadata.get(name)
        if found and found != "unknown_service":
            return found
    return "unknown"


@dataclass(slots=True)
class Fetched:
    """What a fetch did. Rows and bytes as they came from Loki; `cut` is what could not be read."""

    rows: int = 0
    pages: int = 0
    splits: int = 0
    cut: int = 0


@dataclass(slots=True)
class _Rows:
    """Columns of LINES being filled."""

    ts: list[int] = field(default_factory=list)
    service: list[str] = field(default_factory=list)
    stream: list[str] = field(default_factory=list)
    metadata: list[str | None] = field(default_factory=list)
    line: list[str] = field(default_factory=list)

    def frame(self) -> pl.DataFrame:
        """The rows, by time; equal times keep Loki's order."""
        columns = {name: getattr(self, name) for name in LINES}
        return pl.DataFrame(columns, schema=LINES).sort("ts", maintain_order=True)


class Window:
    """Reads one log query over [start, end) ns, a frame a page."""

    def __init__(self, client: LokiClient, query: str, service_label: str, page_limit: int = 5000) -> None:
        self._client = client
        self._query = query
        self._service_label = service_label
        self._limit = page_limit
        self.fetched = Fetched()

    async def read(self, start: int, end: int) -> AsyncIterator[pl.DataFrame]:
        """LINES frames in order of time; together every record of [start, end) exactly once.

        Raises LokiError. LokiTooHeavy comes only when the smallest window is still too heavy.
        """
        if start >= end:
            return
        position = start
        seen: set[tuple[str, str]] = set()  # records at `position` that were given out already
        try:
            while position < end:
                page = await self._page(position, end)
                newest = max((int(value[0]) for stream in page for value in stream["values"]), default=0)
                full = sum(len(stream["values"]) for stream in page) >= self._limit
                if full and newest == position:
                    page = await self._one_moment(position)
                rows, at_newest = self._rows(page, position, seen)
                if rows.ts:
                    self.fetched.rows += len(rows.ts)
                    yield rows.frame()
                if not full:
                    return
                if newest == position:
                    position, seen = newest + 1, set()
                else:
                    position, seen = newest, at_newest
        except LokiTooHeavy:
            # What came before `position` is given out already, so only the rest is split.
            rest = end - position
            if rest <= _SMALLEST_WINDOW:
                raise
            self.fetched.splits += 1
            middle = position + rest // 2
            skip = frozenset(seen)
            async for frame in self.read(position, middle):
                yield _without(frame, position, skip)
            async for frame in self.read(middle, end):
                yield frame

    async def _page(self, start: int, end: int) -> list[dict[str, Any]]:
        self.fetched.pages += 1
        return await self._client.query_range(self._query, start, end, limit=self._limit)

    async def _one_moment(self, ts: int) -> list[dict[str, Any]]:
        """All records of one nanosecond that holds a page or more."""
        both = await self._both_ends(self._query, ts)
        if both is not None:
            return both
        streams: list[dict[str, Any]] = []
        for labels in await self._client.series(logql.selector_of(self._query), ts, ts + 1):
            narrowed = self._query
            for name, value in labels.items():
                narrowed = logql.with_matcher(narrowed, name, "=", value)
            found = await self._both_ends(narrowed, ts)
            if found is None:
                page = await self._client.query_range(narrowed, ts, ts + 1, limit=self._limit)
                self.fetched.cut += 1  # at least one: Loki does not say how many more
                streams.extend(page)
            else:
                streams.extend(found)
        return streams

    async def _both_ends(self, query: str, ts: int) -> list[dict[str, Any]] | None:
        """A nanosecond read forward and backward; None where the two do not meet."""
        self.fetched.pages += 2
        forward = await self._client.query_range(query, ts, ts + 1, limit=self._limit)
        if _count(forward) < self._limit:
            return forward
        backward = await self._client.query_range(query, ts, ts + 1, limit=self._limit, direction="backward")
        known = _keys(forward)
        return forward + backward if known & _keys(backward) else None

    def _rows(
        self, page: list[dict[str, Any]], position: int, seen: set[tuple[str, str]]
    ) -> tuple[_Rows, set[tuple[str, str]]]:
        """The page's new rows, and the (stream, line) pairs at its newest time."""
        rows = _Rows()
        newest, at_newest = position, set(seen)
        given = set(seen)
        for stream in page:
            labels: dict[str, str] = stream.get("stream") or {}
            key = stream_key(labels)
            for value in stream["values"]:
                ts, line = int(value[0]), str(value[1])
                parts: dict[str, dict[str, str]] = value[2] if len(value) > 2 and isinstance(value[2], dict) else {}
                metadata = {**parts.get("structuredMetadata", {}), **parts.get("parsed", {})}
                if ts == position:
                    if (key, line) in given:
                        continue
                    given.add((key, line))
                if ts > newest:
                    newest, at_newest = ts, set()
                if ts == newest:
                    at_newest.add((key, line))
                rows.ts.append(ts)
                rows.service.append(service_of(labels, metadata, self._service_label))
                rows.stream.append(key)
                rows.metadata.append(stream_key(metadata) if metadata else None)
                rows.line.append(line)
        return rows, at_newest


def _count(page: list[dict[str, Any]]) -> int:
    return sum(len(stream["values"]) for stream in page)


def _keys(page: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(stream_key(stream.get("stream") or {}), str(value[1])) for stream in page for value in stream["values"]}


def _without(frame: pl.DataFrame, ts: int, seen: frozenset[tuple[str, str]]) -> pl.DataFrame:
    if not seen:
        return frame
    known = pl.DataFrame(
        {"stream": [key for key, _ in seen], "line": [line for _, line in seen], "ts": [ts] * len(seen)},
        schema_overrides={"ts": pl.Int64},
    )
    return frame.join(known, on=["ts", "stream", "line"], how="anti", maintain_order="left")
