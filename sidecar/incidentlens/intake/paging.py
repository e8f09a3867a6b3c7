"""Every record of a window, once: paging past Loki's limit, splitting what is too heavy.

Loki pages by time alone: a page begins at a time, and records of one time may fill it to the brim. So a page's last
nanosecond is asked for again, what was seen is dropped, and where one nanosecond holds more than a page it is read
part by part (`moment`). What even that cannot reach is counted in `Fetched.cut`, never hidden.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from incidentlens.model.clock import SECOND
from incidentlens.model.records import LINES, stream_key

from .errors import LokiTooHeavy
from .loki import LokiClient
from .moment import Moment, entries

# Below this a window is not split again, but asked for in smaller pages: Loki's own resolution of work is about this.
_SMALLEST_WINDOW = SECOND // 10
_SMALLEST_PAGE = 10

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
                full = entries(page) >= self._limit
                if full and newest == position:
                    page = await self._one_moment(position, page)
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
        except LokiTooHeavy as error:
            # What came before `position` is given out already, so only the rest is split.
            skip = frozenset(seen)
            middle = self._lighten(position, end, error)
            async for frame in self.read(position, middle):
                yield _without(frame, position, skip)
            async for frame in self.read(middle, end):
                yield frame

    def _lighten(self, start: int, end: int, error: LokiTooHeavy) -> int:
        """Where to split [start, end); where splitting does not help, `end` and smaller pages."""
        if end - start > _SMALLEST_WINDOW and not error.page:
            self.fetched.splits += 1
            return start + (end - start) // 2
        if self._limit <= _SMALLEST_PAGE:
            raise error
        self._limit = max(_SMALLEST_PAGE, self._limit // 2)
        return end

    async def _page(self, start: int, end: int) -> list[dict[str, Any]]:
        self.fetched.pages += 1
        return await self._client.query_range(self._query, start, end, limit=self._limit)

    async def _one_moment(self, ts: int, page: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """All records of one nanosecond that holds a page or more, `page` first."""
        moment = Moment(self._client, self._query, ts, self._limit)
        streams = await moment.read(page)
        self.fetched.pages += moment.pages
        self.fetched.cut += moment.cut
        return streams

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


def _without(frame: pl.DataFrame, ts: int, seen: frozenset[tuple[str, str]]) -> pl.DataFrame:
    if not seen:
        return frame
    known = pl.DataFrame(
        {"stream": [key for key, _ in seen], "line": [line for _, line in seen], "ts": [ts] * len(seen)},
        schema_overrides={"ts": pl.Int64},
    )
    return frame.join(known, on=["ts", "stream", "line"], how="anti", maintain_order="left")
