"""One nanosecond that holds more records than Loki gives at once.

Shippers that stamp by the second do that. Loki pages by time only, and at equal times gives the same first records
whatever the direction, so the nanosecond is read in parts that exclude each other: by a character that some of its
lines have at some place, and where all lines look alike, stream by stream.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from incidentlens import logql
from incidentlens.model.clock import SECOND
from incidentlens.model.records import stream_key

from .errors import LokiError
from .loki import LokiClient

_MAX_PAGES = 400  # asked for one nanosecond; what is beyond them is counted as cut
_PLACES = 80  # characters from a line's end, then from its beginning, that are looked at
_MILLISECOND = SECOND // 1000
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")

Streams = list[dict[str, Any]]


class Moment:
    """Reads what `query` finds at `ts` (ns). `pages` and `cut` tell what it took and what stayed out of reach."""

    def __init__(self, client: LokiClient, query: str, ts: int, limit: int) -> None:
        self._client = client
        self._query = query
        self._ts = ts
        self._limit = limit
        self._series: list[dict[str, str]] | None = None
        self.pages = 0
        self.cut = 0

    async def read(self, page: Streams) -> Streams:
        """Every record, some of them perhaps twice; `page` is what was got already. Raises LokiError."""
        found = list(page)
        whole = True
        waiting: list[tuple[str, bool]] = [(self._query, True)]
        while waiting and self.pages < _MAX_PAGES:
            query, by_stream = waiting.pop()
            part = await self._ask(query, self._ts, self._ts + 1)
            found += part
            if entries(part) < self._limit:
                continue
            if (places := _split(part)) is not None:
                waiting += [(logql.add_line_filter(query, "!~", places), by_stream)]
                waiting += [(logql.add_line_filter(query, "|~", places), by_stream)]
            elif by_stream and (streams := await self._streams(query)):
                waiting += [(stream, False) for stream in streams]
            else:
                whole = False
        if waiting or not whole:
            self.cut = await self._missing(found)
        return found

    async def _ask(self, query: str, start: int, end: int) -> Streams:
        self.pages += 1
        return await self._client.query_range(query, start, end, limit=self._limit)

    async def _streams(self, query: str) -> list[str]:
        """The query once a stream; each excludes the others. Empty where there is but one."""
        if self._series is None:
            selector = logql.selector_of(self._query)
            self._series = await self._client.series(selector, self._ts, self._ts + 1)
        if len(self._series) < 2:
            return []
        names = sorted({name for labels in self._series for name in labels})
        narrowed = []
        for labels in self._series:
            text = query
            for name in names:
                text = logql.with_matcher(text, name, "=", labels.get(name, ""))
            narrowed.append(text)
        return narrowed

    async def _missing(self, found: Streams) -> int:
        """How many records were not reached: Loki's own count less what was got; at least one.

        Loki counts by the millisecond, so what else is in the one that ends here is taken off.
        """
        got = {
            (stream_key(stream.get("stream") or {}), str(value[1])) for stream in found for value in stream["values"]
        }
        try:
            counted = await self._client.query_vector(logql.count_over(self._query, _MILLISECOND), self._ts)
            before = await self._ask(self._query, self._ts - _MILLISECOND + 1, self._ts)
        except (LokiError, logql.LogQLError):
            return 1
        total = int(sum(float(series["value"][1]) for series in counted))
        if entries(before) >= self._limit:
            return 1
        return max(1, total - entries(before) - len(got))


def entries(page: Streams) -> int:
    """How many records a page has."""
    return sum(len(stream["values"]) for stream in page)


def _split(page: Streams) -> str | None:
    """An expression that about half of the page's lines match, or None where they all look alike."""
    lines = [str(value[1]) for stream in page for value in stream["values"]]
    best: tuple[int, str] | None = None
    for place in range(_PLACES):
        for from_end in (True, False):
            cut = -1 - place if from_end else place
            seen = Counter(line[cut] for line in lines if len(line) > place and line[cut] in _PLAIN)
            half, chosen = 0, ""
            for character, count in seen.most_common():
                if half and half + count > len(lines) // 2:
                    continue
                half, chosen = half + count, chosen + character
            if not 0 < half < len(lines):
                continue
            off = abs(2 * half - len(lines))
            if best is None or off < best[0]:
                klass = "[" + "".join(sorted(chosen)) + "]"
                skip = f".{{{place}}}" if place else ""
                best = (off, f"(?s){klass}{skip}$" if from_end else f"(?s)^{skip}{klass}")
        if best is not None and best[0] <= len(lines) // 4:
            break
    return best[1] if best else None
