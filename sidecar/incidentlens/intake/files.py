"""Records out of files: recorded ones (`.jsonl`), and plain log files, compressed or not, or standard input."""

from __future__ import annotations

import gzip
import logging
import re
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson
import polars as pl

from incidentlens.model.records import LINES, stream_key

from .reading import EventReader
from .reading.multiline import PLAIN, kinds

BATCH = 50_000  # lines in a frame
MAX_LINE = 8 * 1024 * 1024  # bytes of a line that are kept
_CHUNK = 4 * 1024 * 1024
_TAIL = 1000  # lines at a batch's end among which an event may be unfinished
_MILLISECOND = 1_000_000
SERVICE_LABELS = ("service", "service_name", "app", "job", "container", "pod")

Warn = Callable[[str], None]
_log = logging.getLogger(__name__)


class FileError(Exception):
    """The file cannot be read; the message names it and says why."""


def read_records(
    path: str | Path, service_label: str = "service", batch: int = BATCH, warn: Warn = _log.warning
) -> Iterator[pl.DataFrame]:
    """The records of a file, `-` for standard input, as frames of `LINES` with about `batch` rows.

    Of recorded lines (`{"ts": ns, "labels": {...}, "line": "...", "metadata": {...}}`, one a line) the service is the
    value of `service_label`, else of the first of `SERVICE_LABELS` that is there. Of any other file a line is a record,
    its time the one it states, or that of the line before; where no line states any, they are a millisecond apart from
    the file's time on. The service is the file's name. A frame ends where no event does go on, so each can be read by
    itself. Broken records are left out, and told of once through `warn`, as are lines cut at `MAX_LINE`.

    Raises FileError where the file cannot be opened or is damaged.
    """
    for frame, _ in _batches(path, service_label, batch, warn):
        yield frame


def parse_file(path: str | Path, service_label: str = "service", warn: Warn = _log.warning) -> Iterator[dict[str, Any]]:
    """The events of a file, in order, as `incidentlens parse --json` prints them.

    `{"ts", "level", "service", "format", "message", "lines": [first, last]}`: `ts` ISO 8601 in UTC with nanoseconds,
    null where neither line nor record states a time; `lines` counted from 1, without blank lines at the end.
    Raises FileError as `read_records` does.
    """
    reader = EventReader()
    for frame, numbers in _batches(path, service_label, BATCH, warn):
        events = reader.read(frame)
        stated = pl.col("event_ts") if numbers.plain else pl.coalesce("event_ts", "ts")
        rows = events.with_columns(stated.alias("at")).filter(pl.col("line").str.contains(r"\S"))
        last = pl.col("first") + pl.col("line").str.count_matches("\n", literal=True)
        rows = rows.with_columns(pl.min_horizontal("last", pl.max_horizontal(last, "first")).alias("end"))
        for at, level, service, form, message, first, end, stop in rows.select(
            "at", "level", "service", "format", "message", "first", "end", "last"
        ).iter_rows():
            # Where streams alternate, an event's lines are not next to each other and its last one is its last one.
            final = end if numbers.plain else stop
            yield {
                "ts": iso(at),
                "level": level,
                "service": service,
                "format": form,
                "message": message,
                "lines": [numbers.line[first], numbers.line[final]],
            }


def iso(ns: int | None) -> str | None:
    """A time (ns) as ISO 8601 in UTC with nanoseconds; None for None."""
    if ns is None:
        return None
    seconds, rest = divmod(ns, 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:09d}Z"


@dataclass
class _Numbers:
    """The line numbers (from 1) of a frame's rows, and whether the file is a plain one."""

    line: list[int]
    plain: bool


def _batches(path: str | Path, service_label: str, batch: int, warn: Warn) -> Iterator[tuple[pl.DataFrame, _Numbers]]:
    source = _Source(path, warn)
    held: pl.DataFrame | None = None
    make: _Records | _Plain | None = None
    waiting = source.lines(batch)
    following = next(waiting, None)
    while following is not None:
        lines, first = following
        following = next(waiting, None)
        if make is None:
            make = _Records(source.name, service_label, warn) if _are_records(lines) else _Plain(source)
        frame = make.frame(lines, first)
        if held is not None:
            frame = pl.concat([held, frame])
        if following is not None:
            frame, held = _split(frame)
        if len(frame):
            yield frame.drop("number"), _Numbers(frame["number"].to_list(), isinstance(make, _Plain))
    if isinstance(make, _Records):
        make.report()


def _split(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A frame's rows that are complete events, and those at the end of each stream that may be carried on."""
    rows = frame.with_row_index("_row")
    tail = rows.tail(_TAIL)
    begins = (kinds(tail["line"]) == PLAIN).alias("_begins")
    from_ = pl.coalesce(pl.col("_row").filter("_begins").max(), pl.col("_row").min())
    last = tail.with_columns(begins).group_by("stream").agg(from_.alias("_from"))
    marked = rows.join(last, on="stream", how="left", maintain_order="left")
    kept = marked["_row"] >= marked["_from"]
    kept = kept.fill_null(False)
    return frame.filter(~kept), frame.filter(kept)


def _are_records(lines: list[str]) -> bool:
    """True where the first lines are recorded ones. The name of the file says nothing: applications log JSON too."""
    seen = [line for line in lines[:200] if line.strip()][:20]
    return any(isinstance(_record(line), dict) for line in seen)


def _record(line: str) -> dict[str, Any] | str:
    """A recorded line's object, or what is wrong with it."""
    try:
        found = orjson.loads(line)
    except (orjson.JSONDecodeError, RecursionError):
        return "is no JSON"
    if not isinstance(found, dict):
        return "is no JSON object"
    if not isinstance(found.get("line"), str):
        return 'has no "line" with a text'
    at = found.get("ts")
    if isinstance(at, str) and at.isascii() and at.isdigit():
        found["ts"] = at = int(at)
    if not isinstance(at, int) or isinstance(at, bool) or not 0 <= at < 1 << 63:
        return 'has no "ts" with nanoseconds since 1970'
    if not isinstance(found.get("labels", {}), dict):
        return '"labels" is no object'
    return found


class _Records:
    """Recorded lines to frames."""

    def __init__(self, name: str, service_label: str, warn: Warn) -> None:
        self._name, self._label, self._warn = name, service_label, warn
        self._total = self._broken = 0
        self._first_fault = ""
        self._streams: dict[bytes, tuple[str, str]] = {}

    def frame(self, lines: list[str], first: int) -> pl.DataFrame:
        rows: dict[str, list[Any]] = {name: [] for name in (*LINES, "number")}
        for number, line in enumerate(lines, first):
            if not line.strip():
                continue
            self._total += 1
            found = _record(line)
            if isinstance(found, str):
                self._broken += 1
                self._first_fault = self._first_fault or f"line {number} {found}"
                continue
            service, stream = self._stream(found.get("labels") or {})
            metadata = found.get("metadata")
            rows["ts"].append(found["ts"])
            rows["service"].append(service)
            rows["stream"].append(stream)
            rows["metadata"].append(orjson.dumps(metadata).decode() if metadata else None)
            rows["line"].append(found["line"])
            rows["number"].append(number)
        return pl.DataFrame(rows, schema={**LINES, "number": pl.Int64()})

    def _stream(self, labels: dict[str, Any]) -> tuple[str, str]:
        """The service and the canonical labels of a stream; each set of labels is worked out once."""
        key = orjson.dumps(labels)
        known = self._streams.get(key)
        if known is None:
            texts = {
                name: value if isinstance(value, str) else orjson.dumps(value).decode()
                for name, value in labels.items()
            }
            service = next((texts[name] for name in (self._label, *SERVICE_LABELS) if texts.get(name)), "unknown")
            known = (service, stream_key(texts))
            if len(self._streams) < 100_000:
                self._streams[key] = known
        return known

    def report(self) -> None:
        if self._broken:
            self._warn(
                f"{self._name}: {self._broken} of {self._total} lines are no records and were left out "
                f"({self._first_fault}); a record is "
                '{"ts": nanoseconds, "labels": {...}, "line": "..."}'
            )


class _Plain:
    """Lines of a plain log file to frames, with the times that the lines state."""

    def __init__(self, source: _Source) -> None:
        self._stream = stream_key({"filename": source.name, "service": source.service})
        self._service = source.service
        self._reader = EventReader()
        self._reference = source.modified
        self._seen: int | None = None  # the latest time stated
        self._next = source.modified if source.named else 0  # for lines where none is stated

    def frame(self, lines: list[str], first: int) -> pl.DataFrame:
        frame = pl.DataFrame(
            {
                "ts": pl.Series([self._reference], dtype=pl.Int64).new_from_index(0, len(lines)),
                "service": pl.Series([self._service], dtype=pl.String).new_from_index(0, len(lines)),
                "stream": pl.Series([self._stream], dtype=pl.String).new_from_index(0, len(lines)),
                "metadata": pl.Series([None], dtype=pl.String).new_from_index(0, len(lines)),
                "line": pl.Series(lines, dtype=pl.String),
                "number": pl.int_range(first, first + len(lines), dtype=pl.Int64, eager=True),
            }
        )
        stated = self._reader.times(frame).fill_null(strategy="forward")
        if self._seen is not None:
            stated = stated.fill_null(self._seen)
        else:
            stated = stated.fill_null(strategy="backward")  # what stands before the first stamp belongs to it
        if stated.null_count():
            steps = pl.int_range(len(lines), dtype=pl.Int64, eager=True) * _MILLISECOND + self._next
            self._next += len(lines) * _MILLISECOND
            stated = stated.fill_null(steps)
        else:
            self._seen = stated[-1] if len(stated) else self._seen
        return frame.with_columns(stated.alias("ts"))


class _Source:
    """A file's physical lines. Compression is told by content, bytes that are no UTF-8 become U+FFFD."""

    def __init__(self, path: str | Path, warn: Warn) -> None:
        self.named = str(path) != "-"
        self._path = Path(path)
        self._warn = warn
        self.name = self._path.name if self.named else "stdin"
        self.service = _stem(self.name) if self.named else "unknown"
        self.modified = time.time_ns()
        self._long = 0

    def lines(self, batch: int) -> Iterator[tuple[list[str], int]]:
        """Lists of up to `batch` lines without their line ends, each with the number of its first line (from 1)."""
        number = 1
        waiting: list[str] = []
        try:
            with self._open() as stream:
                for lines in self._chunks(stream):
                    waiting += lines
                    while len(waiting) >= batch:
                        yield waiting[:batch], number
                        waiting, number = waiting[batch:], number + batch
        except (OSError, EOFError, zlib.error) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise FileError(f"cannot read {self._path}: {reason}") from error
        if waiting:
            yield waiting, number
        if self._long:
            self._warn(f"{self.name}: {self._long} lines were cut at {MAX_LINE >> 20} MiB")

    @contextmanager
    def _open(self) -> Iterator[IO[bytes]]:
        with ExitStack() as stack:
            raw: Any = sys.stdin.buffer if not self.named else stack.enter_context(self._path.open("rb"))
            if self.named:
                self.modified = self._path.stat().st_mtime_ns
            packed = raw.peek(2)[:2] == b"\x1f\x8b"
            yield gzip.GzipFile(fileobj=raw) if packed else raw  # type: ignore[misc]

    def _chunks(self, stream: IO[bytes]) -> Iterator[list[str]]:
        rest = b""
        dropping = False  # inside a line that is too long
        begin = True
        while chunk := stream.read(_CHUNK):
            if begin:
                chunk, begin = chunk.removeprefix(b"\xef\xbb\xbf"), False
            if dropping:
                end = chunk.find(b"\n")
                if end < 0:
                    continue
                chunk, dropping = chunk[end:], False
            body, feed, tail = (rest + chunk).rpartition(b"\n")
            rest = tail
            if len(rest) > MAX_LINE:
                rest, dropping = rest[:MAX_LINE], True
                self._long += 1
            if feed:
                yield _decode(body)
        if rest:
            yield _decode(rest)


def _decode(body: bytes) -> list[str]:
    lines = body.decode("utf-8", "replace").split("\n")
    return [line[:-1] if line.endswith("\r") else line for line in lines] if b"\r" in body else lines


def _stem(name: str) -> str:
    """A log file's service: its name without what says that it is a log, compressed or rotated."""
    stem = re.sub(r"(?:[.](?:gz|log|txt|jsonl?|out|err|[0-9]{1,4}|[0-9]{4}-?[0-9]{2}-?[0-9]{2}))+$", "", name)
    return stem or name
