"""Chunks: entries of one stream, packed. Columns of one block compress far better than lines one by one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise

import cramjam
import orjson

from ..logql.source import Entry
from .gotext import GoError

MAX_CHUNK_ENTRIES = 8192
MAX_CHUNK_BYTES = 1 << 20
_LEVEL = 3


def encode_chunk(entries: Sequence[Entry]) -> bytes:
    """Pack entries that are in order of time."""
    shapes: dict[bytes, int] = {}
    metadata: list[int] = []
    for entry in entries:
        key = orjson.dumps(entry.metadata)
        metadata.append(shapes.setdefault(key, len(shapes)))
    first = entries[0].ts
    steps = [entry.ts - before.ts for before, entry in pairwise(entries)]
    document = [
        first,
        steps,
        [entry.line for entry in entries],
        [orjson.Fragment(key) for key in shapes],
        metadata if len(shapes) > 1 else [],
    ]
    return bytes(cramjam.zstd.compress(orjson.dumps(document), level=_LEVEL))


def decode_chunk(data: bytes) -> list[Entry]:
    """Unpack what `encode_chunk` made; raises GoError when it is damaged."""
    try:
        first, steps, lines, shapes, metadata = orjson.loads(bytes(cramjam.zstd.decompress(data)))
    except (cramjam.DecompressionError, orjson.JSONDecodeError, ValueError) as error:
        raise GoError(f"chunk is damaged: {error}") from None
    stamps = accumulate(steps, initial=first)
    if metadata:
        return list(map(Entry, stamps, lines, map(shapes.__getitem__, metadata)))
    shape = shapes[0]
    return [Entry(ts, line, shape) for ts, line in zip(stamps, lines, strict=True)]


def split(entries: Sequence[Entry]) -> Iterable[Sequence[Entry]]:
    """Cut entries into runs that are each one chunk."""
    begin = size = 0
    for index, entry in enumerate(entries):
        size += len(entry.line)
        if index - begin + 1 >= MAX_CHUNK_ENTRIES or size >= MAX_CHUNK_BYTES:
            yield entries[begin : index + 1]
            begin, size = index + 1, 0
    if begin < len(entries):
        yield entries[begin:]


def in_order(entries: list[Entry]) -> list[Entry]:
    """Sort by time, equal times as they came, and drop what is there twice (same time, line and metadata)."""
    entries = sorted(entries, key=entry_ts)
    out: list[Entry] = []
    run_ts = -1
    run: list[Entry] = []
    seen: set[tuple[str, bytes]] | None = None
    for entry in entries:
        if entry.ts != run_ts:
            run_ts, run, seen = entry.ts, [entry], None
            out.append(entry)
            continue
        # Most runs have two or three entries: a set of keys is made only for a longer one.
        if seen is None and len(run) >= 8:
            seen = {_key(other) for other in run}
        if seen is None:
            if any(other.line == entry.line and other.metadata == entry.metadata for other in run):
                continue
        else:
            key = _key(entry)
            if key in seen:
                continue
            seen.add(key)
        run.append(entry)
        out.append(entry)
    return out


def entry_ts(entry: Entry) -> int:
    """The time of an entry: the key by which entries are sorted and searched."""
    return entry.ts


def _key(entry: Entry) -> tuple[str, bytes]:
    return entry.line, orjson.dumps(entry.metadata, option=orjson.OPT_SORT_KEYS)
