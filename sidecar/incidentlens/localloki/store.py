"""What the local Loki keeps: a write-ahead log, unsealed lines in memory, sealed chunks in SQLite.

A push is appended to the log, then to the heads of its streams. When the heads have grown, or are old, everything in
them is sealed: chunks are written in one transaction that also says from which file of the log on nothing is sealed
yet. A kill at any moment leaves either the files or the transaction, never both or neither.

All methods may be called from any thread.
"""

from __future__ import annotations

import fcntl
import sqlite3
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import orjson

from ..logql.ast import Matcher
from ..logql.source import Entry
from ..model.clock import Clock
from .chunks import encode_chunk, entry_ts, split
from .gotext import format_go_time, format_rfc3339
from .heads import ChunkRef, StreamState, Tenant
from .labels import Labels, format_labels
from .limits import HOUR, Limits
from .wal import WriteAheadLog

_IDLE_NS = HOUR // 2
"""A stream that got nothing for so long forgets its newest time: old lines may be pushed again, as in Loki."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS streams (id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, labels TEXT NOT NULL,
    UNIQUE (tenant, labels)) STRICT;
CREATE TABLE IF NOT EXISTS chunks (id INTEGER PRIMARY KEY AUTOINCREMENT, stream INTEGER NOT NULL REFERENCES streams,
    min_ts INTEGER NOT NULL, max_ts INTEGER NOT NULL, entries INTEGER NOT NULL, size INTEGER NOT NULL,
    packed INTEGER NOT NULL, data BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
"""

Pushed = list[tuple[Labels, list[Entry]]]
Listener = Callable[[Pushed], None]


@dataclass(slots=True)
class Counters:
    """What happened since the start."""

    lines: int = 0
    bytes: int = 0
    replayed_lines: int = 0
    duplicates: int = 0
    too_far_behind: int = 0
    sealed_chunks: int = 0
    dropped_chunks: int = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Entries of one stream that were not taken, in Loki's words."""

    status: int
    text: str


class Store:
    """The logs of all tenants in a folder. One process at a time: the folder is locked."""

    def __init__(self, folder: Path, clock: Clock, limits: Limits | None = None) -> None:
        """Open `folder`, made when missing, and read what a stop or a kill left in it.

        Raises OSError when it cannot be used, RuntimeError when another process uses it.
        """
        self.limits = limits or Limits()
        self.counters = Counters()
        self._clock = clock
        self._lock = threading.RLock()
        self._tenants: dict[str, Tenant] = {}
        self._listeners: dict[str, list[Listener]] = {}
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._head_bytes = 0
        self._oldest_head = 0
        self._packed_bytes = 0
        self.generation: dict[str, int] = {}
        """Counts up with every push of a tenant: tells whether an answer may have changed."""
        folder.mkdir(parents=True, exist_ok=True)
        self._lock_file = _lock_folder(folder)
        self._path = folder / "chunks.sqlite"
        self._db = self._connect()
        self._db.executescript(_SCHEMA)
        self._next_stream = 1 + (self._db.execute("SELECT max(id) FROM streams").fetchone()[0] or 0)
        self._load()
        self._wal = WriteAheadLog(folder / "wal")
        self._replay()

    # Opening

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None, timeout=30)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        return db

    def _load(self) -> None:
        by_id: dict[int, StreamState] = {}
        for id_, tenant, labels in self._db.execute("SELECT id, tenant, labels FROM streams"):
            stream = StreamState(id_, orjson.loads(labels), "")
            stream.text = format_labels(stream.labels)
            by_id[id_] = stream
            self._tenants.setdefault(tenant, Tenant()).add(stream)
        query = "SELECT id, min_ts, max_ts, entries, size, stream, packed FROM chunks ORDER BY min_ts, id"
        for row, min_ts, max_ts, entries, size, stream_id, packed in self._db.execute(query):
            by_id[stream_id].chunks.append(ChunkRef(row, min_ts, max_ts, entries, size))
            self._packed_bytes += packed

    def _replay(self) -> None:
        row = self._db.execute("SELECT value FROM state WHERE key = 'wal_from'").fetchone()
        for frame in self._wal.replay(row[0] if row else 0):
            tenant, streams = orjson.loads(frame)
            for labels, *columns in streams:
                stream = self._stream(tenant, labels)
                for entry in map(Entry, *columns):
                    self._take(stream, entry)
                self.counters.replayed_lines += len(columns[0])

    def close(self) -> None:
        """Seal what is open and close the files."""
        with self._lock:
            self.seal()
            self._wal.close()
            for reader in self._readers:
                reader.close()
            self._db.close()
            self._lock_file.close()

    # Writing

    def push(self, tenant: str, streams: Pushed) -> list[Refusal]:
        """Append entries. When this returns they are kept, but for those refused, which the answer names.

        Entries of a stream may be out of order up to the limit; an entry that is there already is dropped and counted.
        """
        now = self._clock.now()
        refusals: list[Refusal] = []
        with self._lock:
            accepted: Pushed = []
            states: list[StreamState] = []
            for labels, entries in streams:
                known = self._tenants.get(tenant)
                if known is not None and len(known.streams) >= self.limits.max_streams:
                    text = format_labels(labels)
                    if text not in known.streams:
                        refusals.append(Refusal(429, _stream_limit(text, tenant)))
                        continue
                stream = self._stream(tenant, labels)
                kept = self._within_order(tenant, stream, entries, now, refusals)
                if kept:
                    accepted.append((labels, kept))
                    states.append(stream)
            if accepted:
                self._wal.append(_frame(tenant, accepted))
                for stream, (_, entries) in zip(states, accepted, strict=True):
                    for entry in entries:
                        self._take(stream, entry)
                    self.counters.lines += len(entries)
                self.generation[tenant] = self.generation.get(tenant, 0) + 1
                if not self._oldest_head:
                    self._oldest_head = now
                if self._head_bytes > self.limits.head_bytes:
                    self.seal()
                listeners = list(self._listeners.get(tenant, ()))
        if accepted:
            for listener in listeners:
                listener(accepted)
        return refusals

    def _stream(self, tenant: str, labels: Labels) -> StreamState:
        tenants = self._tenants.setdefault(tenant, Tenant())
        text = format_labels(labels)
        stream = tenants.streams.get(text)
        if stream is None:
            stream = StreamState(self._next_stream, labels, text)
            self._next_stream += 1
            tenants.add(stream)
        return stream

    def _take(self, stream: StreamState, entry: Entry) -> None:
        stream.head.add(entry)
        stream.last = entry
        if stream.highest_ts is None or entry.ts > stream.highest_ts:
            stream.highest_ts = entry.ts
        size = len(entry.line) + 64
        self._head_bytes += size
        self.counters.bytes += len(entry.line)

    def _within_order(
        self, tenant: str, stream: StreamState, entries: Sequence[Entry], now: int, refusals: list[Refusal]
    ) -> list[Entry]:
        """The entries that are not too far behind the stream's newest, nor the same as the one just before."""
        if stream.pushed_at and now - stream.pushed_at > _IDLE_NS:
            stream.highest_ts = None
        stream.pushed_at = now
        highest, last = stream.highest_ts, stream.last
        kept: list[Entry] = []
        late: list[tuple[Entry, int]] = []
        for entry in entries:
            if last is not None and entry == last:
                self.counters.duplicates += 1
                continue
            if highest is not None and entry.ts < highest - self.limits.out_of_order_ns:
                late.append((entry, highest - self.limits.out_of_order_ns))
                continue
            kept.append(entry)
            last = entry
            highest = entry.ts if highest is None else max(highest, entry.ts)
        if late:
            self.counters.too_far_behind += len(late)
            lines = [
                f"entry with timestamp {format_go_time(entry.ts)} ignored, reason: 'entry too far behind, "
                f"entry timestamp is: {format_rfc3339(entry.ts)}, "
                f"oldest acceptable timestamp is: {format_rfc3339(cutoff)}',\n"
                for entry, cutoff in late[: self.limits.max_returned_errors]
            ]
            total = f"user '{tenant}', total ignored: {len(late)} out of {len(entries)} for stream: {stream.text}"
            refusals.append(Refusal(400, "".join(lines) + total))
        return kept

    def sync(self) -> None:
        """Put the log on the disk, for a power cut."""
        with self._lock:
            self._wal.sync()

    def maintain(self) -> None:
        """To be called every second or so: syncs the log, and seals what has been open for long."""
        with self._lock:
            self._wal.sync()
            if self._oldest_head and self._clock.now() - self._oldest_head >= self.limits.seal_after_ns:
                self.seal()

    def seal(self) -> None:
        """Write all unsealed entries as chunks and start the log afresh."""
        with self._lock:
            open_streams = [
                (tenant, stream)
                for tenant, tenants in self._tenants.items()
                for stream in tenants.streams.values()
                if stream.head.entries
            ]
            if not open_streams:
                return
            wal_from = self._wal.rotate()
            added: list[tuple[StreamState, ChunkRef, int]] = []
            self._db.execute("BEGIN IMMEDIATE")
            try:
                for tenant, stream in open_streams:
                    added += self._write_chunks(tenant, stream)
                self._db.execute("INSERT OR REPLACE INTO state VALUES ('wal_from', ?)", (wal_from,))
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._wal.remove_before(wal_from)
            for stream, chunk, packed in added:
                stream.chunks.append(chunk)
                self._packed_bytes += packed
            for _, stream in open_streams:
                stream.chunks.sort(key=lambda chunk: (chunk.min_ts, chunk.row))
                stream.head = type(stream.head)()
            self.counters.sealed_chunks += len(added)
            self._head_bytes = 0
            self._oldest_head = 0
            self._drop_beyond_limit()

    def _write_chunks(self, tenant: str, stream: StreamState) -> list[tuple[StreamState, ChunkRef, int]]:
        self._db.execute(
            "INSERT OR IGNORE INTO streams VALUES (?, ?, ?)",
            (stream.id, tenant, orjson.dumps(stream.labels, option=orjson.OPT_SORT_KEYS).decode()),
        )
        entries = stream.head.ordered()
        scale = stream.head.uncompressed / max(len(entries), 1)
        out = []
        for run in split(entries):
            data = encode_chunk(run)
            # The size of the whole head is shared out: that of one run alone is not worth counting again.
            size = round(scale * len(run))
            row = self._db.execute(
                "INSERT INTO chunks (stream, min_ts, max_ts, entries, size, packed, data) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (stream.id, run[0].ts, run[-1].ts, len(run), size, len(data), data),
            ).lastrowid
            assert row is not None
            out.append((stream, ChunkRef(row, run[0].ts, run[-1].ts, len(run), size), len(data)))
        return out

    def _drop_beyond_limit(self) -> None:
        """Drop the chunks that were written first until the disk holds no more than it may."""
        excess = self._packed_bytes - self.limits.max_disk_bytes
        if excess <= 0:
            return
        doomed: set[int] = set()
        for row, packed in self._db.execute("SELECT id, packed FROM chunks ORDER BY id"):
            if excess <= 0:
                break
            doomed.add(row)
            excess -= packed
            self._packed_bytes -= packed
        self._db.execute("DELETE FROM chunks WHERE id <= ?", (max(doomed),))
        self.counters.dropped_chunks += len(doomed)
        for tenant in self._tenants.values():
            for stream in list(tenant.streams.values()):
                stream.chunks = [chunk for chunk in stream.chunks if chunk.row not in doomed]
                if not stream.chunks and not stream.head.entries:
                    tenant.remove(stream)
                    self._db.execute("DELETE FROM streams WHERE id = ?", (stream.id,))

    # Reading

    def tenants(self) -> list[str]:
        """Every tenant that has streams."""
        with self._lock:
            return sorted(name for name, tenant in self._tenants.items() if tenant.streams)

    def matching(
        self, tenant: str, matchers: Sequence[Matcher], start_ns: int, end_ns: int
    ) -> list[tuple[StreamState, list[ChunkRef], Sequence[Entry]]]:
        """Streams that satisfy every matcher and may hold entries in [start, end], with what they hold there.

        The chunks are those that touch the span; the entries are the unsealed ones in it, in order.
        """
        with self._lock:
            known = self._tenants.get(tenant)
            if known is None:
                return []
            out = []
            for stream in self._candidates(known, matchers):
                if not stream.spans(start_ns, end_ns) or not all(m.matches(stream.labels) for m in matchers):
                    continue
                chunks = [chunk for chunk in stream.chunks if chunk.min_ts <= end_ns and chunk.max_ts >= start_ns]
                head: Sequence[Entry] = ()
                if stream.head.entries and stream.head.min_ts <= end_ns and stream.head.max_ts >= start_ns:
                    # A copy: pushes go on while a query reads.
                    entries = stream.head.ordered()
                    head = entries[
                        bisect_left(entries, start_ns, key=entry_ts) : bisect_right(entries, end_ns, key=entry_ts)
                    ]
                out.append((stream, chunks, head))
            return out

    @staticmethod
    def _candidates(tenant: Tenant, matchers: Sequence[Matcher]) -> Iterable[StreamState]:
        best: Iterable[StreamState] = tenant.streams.values()
        size = len(tenant.streams)
        for matcher in matchers:
            if matcher.op == "=" and matcher.value:
                found = tenant.by_label.get((matcher.name, matcher.value), [])
                if len(found) < size:
                    best, size = found, len(found)
        return list(best)

    def read_chunks(self, rows: Sequence[int]) -> dict[int, bytes]:
        """The packed bytes of chunks by row. One dropped in the meantime is left out."""
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            db = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=30, check_same_thread=False)
            self._local.db = db
            with self._lock:
                self._readers.append(db)
        marks = ",".join("?" * len(rows))
        return dict(db.execute(f"SELECT id, data FROM chunks WHERE id IN ({marks})", tuple(rows)))  # noqa: S608

    def listen(self, tenant: str, listener: Listener) -> Callable[[], None]:
        """Call `listener` with what is pushed from now on; the answer ends it."""
        with self._lock:
            self._listeners.setdefault(tenant, []).append(listener)

        def end() -> None:
            with self._lock:
                self._listeners[tenant].remove(listener)

        return end

    @property
    def torn_bytes(self) -> int:
        """Bytes cut off the log at the start because a kill left them half written."""
        return self._wal.torn_bytes


def _frame(tenant: str, streams: Pushed) -> bytes:
    """A push as the log keeps it: of each stream its labels and columns of times, lines and metadata."""
    return orjson.dumps(
        [
            tenant,
            [
                (
                    labels,
                    [entry.ts for entry in entries],
                    [entry.line for entry in entries],
                    [e.metadata for e in entries],
                )
                for labels, entries in streams
            ],
        ]
    )


def _stream_limit(text: str, tenant: str) -> str:
    return (
        f"maximum active stream limit exceeded when trying to create stream {text}, reduce the number of active "
        "streams (reduce labels or reduce label values), or contact your Loki administrator to see if the limit can "
        f"be increased, user: '{tenant}'"
    )


def _lock_folder(folder: Path) -> TextIO:
    file = (folder / "lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise RuntimeError(f"{folder} is in use by another local Loki: stop it, or give another folder") from None
    return file
