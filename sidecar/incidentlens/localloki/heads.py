"""Streams: what is known of each, and its lines that are not yet sealed."""

from __future__ import annotations

from typing import NamedTuple

from ..logql.source import Entry
from .chunks import in_order
from .labels import Labels

METADATA_PAIR_BYTES = 8
"""What Loki's head block counts for a pair of structured metadata, its texts being kept once each."""


class ChunkRef(NamedTuple):
    """Where a sealed chunk is and what it spans. `max_ts` is the time of its last entry; `size` is unpacked bytes."""

    row: int
    min_ts: int
    max_ts: int
    entries: int
    size: int


class Head:
    """The unsealed entries of one stream, in the order of arrival until they are read."""

    __slots__ = ("_sorted", "entries", "max_ts", "min_ts", "pairs", "size", "symbols")

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._sorted = True
        self.min_ts = 0
        self.max_ts = 0
        self.size = 0
        self.pairs = 0
        self.symbols: set[str] = set()

    def add(self, entry: Entry) -> None:
        """Take an entry, whatever its time."""
        if not self.entries:
            self.min_ts = self.max_ts = entry.ts
        elif entry.ts > self.max_ts:
            self.max_ts = entry.ts
        else:
            # Not newer than all before it: it may be out of order, or there already.
            self._sorted = False
            self.min_ts = min(self.min_ts, entry.ts)
        self.entries.append(entry)
        self.size += len(entry.line) if entry.line.isascii() else len(entry.line.encode("utf-8", "replace"))
        for pair in entry.metadata.items():
            self.pairs += 1
            self.symbols.update(pair)

    def ordered(self) -> list[Entry]:
        """The entries in order, without doubles. The list is not changed afterwards, only replaced or added to."""
        if not self._sorted:
            self.entries = in_order(self.entries)
            self._sorted = True
        return self.entries

    @property
    def uncompressed(self) -> int:
        """Bytes as Loki counts a chunk in memory: lines, pairs of metadata, each of their texts once."""
        return self.size + self.pairs * METADATA_PAIR_BYTES + sum(len(text.encode()) for text in self.symbols)


class StreamState:
    """One stream of a tenant."""

    __slots__ = ("chunks", "head", "highest_ts", "id", "labels", "last", "pushed_at", "text")

    def __init__(self, id_: int, labels: Labels, text: str) -> None:
        self.id = id_
        self.labels = labels
        self.text = text
        self.head = Head()
        self.chunks: list[ChunkRef] = []
        self.highest_ts: int | None = None
        self.last: Entry | None = None
        self.pushed_at = 0

    def spans(self, start_ns: int, end_ns: int) -> bool:
        """Whether it may hold an entry in [start, end]."""
        if self.head.entries and self.head.min_ts <= end_ns and self.head.max_ts >= start_ns:
            return True
        return any(chunk.min_ts <= end_ns and chunk.max_ts >= start_ns for chunk in self.chunks)


class Tenant:
    """The streams of one tenant, by the text of their labels and by the pair of each label."""

    def __init__(self) -> None:
        self.streams: dict[str, StreamState] = {}
        self.by_label: dict[tuple[str, str], list[StreamState]] = {}

    def add(self, stream: StreamState) -> None:
        self.streams[stream.text] = stream
        for pair in stream.labels.items():
            self.by_label.setdefault(pair, []).append(stream)

    def remove(self, stream: StreamState) -> None:
        del self.streams[stream.text]
        for pair in stream.labels.items():
            self.by_label[pair].remove(stream)
            if not self.by_label[pair]:
                del self.by_label[pair]
