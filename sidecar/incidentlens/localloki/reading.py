"""Reads a tenant's streams for LogQL, chunk by chunk: memory stays small however much a query passes over."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import overload

from ..logql.ast import Matcher
from ..logql.source import Entry, Stream
from .chunks import decode_chunk, entry_ts, in_order
from .heads import ChunkRef
from .store import Store

_AHEAD = 8
_HEAD_ROW = 1 << 62
"""Where unsealed entries stand among chunks: after all of them, for they came last."""


class QueryTimeout(Exception):
    """Reading went on past the deadline."""


class TenantSource:
    """The logs of one tenant, as LogQL's evaluation wants them."""

    def __init__(self, store: Store, tenant: str, deadline: float | None = None) -> None:
        """`deadline`: the `time.monotonic()` after which reading raises QueryTimeout."""
        self._store = store
        self._tenant = tenant
        self._deadline = deadline

    def streams(self, matchers: Sequence[Matcher], start_ns: int, end_ns: int) -> Iterator[Stream]:
        """The streams that match, with their entries in [start, end), unpacked while they are read."""
        if end_ns <= start_ns:
            return
        for stream, chunks, head in self._store.matching(self._tenant, matchers, start_ns, end_ns - 1):
            yield Stream(stream.labels, LazyEntries(self._store, chunks, head, start_ns, end_ns, self._deadline))


class LazyEntries(Sequence[Entry]):
    """Entries in [start, end) in ascending order of time.

    Going through them, forwards or backwards, unpacks only chunks that overlap at the place reached. Their number and
    an entry by its index are to be had too, at the price of unpacking everything.
    """

    def __init__(
        self,
        store: Store,
        chunks: Sequence[ChunkRef],
        head: Sequence[Entry],
        start_ns: int,
        end_ns: int,
        deadline: float | None = None,
    ) -> None:
        self._store = store
        self._chunks = chunks
        self._head = head
        self._start = start_ns
        self._end = end_ns
        self._deadline = deadline
        self._all: list[Entry] | None = None

    def __iter__(self) -> Iterator[Entry]:
        if self._all is not None:
            yield from self._all
            return
        chunks = sorted(self._chunks, key=lambda chunk: (chunk.min_ts, chunk.row))
        pieces: dict[int, list[Entry]] = {_HEAD_ROW: self._cut(list(self._head))} if self._head else {}
        for chunk, entries in self._unpacked(chunks):
            # What is older than this chunk's first entry can no longer be preceded by anything.
            yield from _take_before(pieces, chunk.min_ts)
            pieces[chunk.row] = entries
        yield from _take_before(pieces, self._end)

    def __reversed__(self) -> Iterator[Entry]:
        if self._all is not None:
            yield from reversed(self._all)
            return
        chunks = sorted(self._chunks, key=lambda chunk: (-chunk.max_ts, -chunk.row))
        pieces: dict[int, list[Entry]] = {_HEAD_ROW: self._cut(list(self._head))} if self._head else {}
        for chunk, entries in self._unpacked(chunks):
            yield from reversed(_take_from(pieces, chunk.max_ts + 1))
            pieces[chunk.row] = entries
        yield from reversed(_take_from(pieces, self._start))

    def _unpacked(self, chunks: Sequence[ChunkRef]) -> Iterator[tuple[ChunkRef, list[Entry]]]:
        for begin in range(0, len(chunks), _AHEAD):
            some = chunks[begin : begin + _AHEAD]
            packed = self._store.read_chunks([chunk.row for chunk in some])
            for chunk in some:
                if self._deadline is not None and time.monotonic() > self._deadline:
                    raise QueryTimeout
                data = packed.pop(chunk.row, None)
                if data is not None:  # else: dropped to make room while this query ran
                    yield chunk, self._cut(decode_chunk(data))

    def _cut(self, entries: list[Entry]) -> list[Entry]:
        if entries and entries[0].ts >= self._start and entries[-1].ts < self._end:
            return entries
        begin = bisect_left(entries, self._start, key=entry_ts)
        return entries[begin : bisect_left(entries, self._end, key=entry_ts)]

    def _load(self) -> list[Entry]:
        if self._all is None:
            self._all = list(iter(self))
        return self._all

    def __len__(self) -> int:
        return len(self._load())

    @overload
    def __getitem__(self, index: int) -> Entry: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Entry]: ...

    def __getitem__(self, index: int | slice) -> Entry | Sequence[Entry]:
        return self._load()[index]


def _take_before(pieces: dict[int, list[Entry]], ts: int) -> list[Entry]:
    """Take the entries before `ts` out of the pieces, in order and once each."""
    taken: list[list[Entry]] = []
    for row in sorted(pieces):
        entries = pieces[row]
        at = bisect_left(entries, ts, key=entry_ts)
        if at == len(entries):
            taken.append(pieces.pop(row))
        elif at:
            taken.append(entries[:at])
            pieces[row] = entries[at:]
    return _merged(taken)


def _take_from(pieces: dict[int, list[Entry]], ts: int) -> list[Entry]:
    """Take the entries at or after `ts` out of the pieces, in order and once each."""
    taken: list[list[Entry]] = []
    for row in sorted(pieces):
        entries = pieces[row]
        at = bisect_left(entries, ts, key=entry_ts)
        if at == 0:
            taken.append(pieces.pop(row))
        elif at < len(entries):
            taken.append(entries[at:])
            pieces[row] = entries[:at]
    return _merged(taken)


def _merged(pieces: list[list[Entry]]) -> list[Entry]:
    if not pieces:
        return []
    if len(pieces) == 1:
        return pieces[0]
    return in_order([entry for piece in pieces for entry in piece])
