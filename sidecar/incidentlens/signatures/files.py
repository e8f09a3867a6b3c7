"""A file's signatures, one a physical line: `incidentlens signatures FILE`."""

from __future__ import annotations

import gzip
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, TypedDict, cast

import polars as pl

from incidentlens.intake.reading import EventReader
from incidentlens.model.records import EVENTS, LINES, empty
from incidentlens.model.signatures import SignatureRules

from .catalogue import Catalogue

CHUNK = 32_768  # lines; fewer than MAX_NEW_A_BATCH, so that no chunk can overflow by itself
MAX_LINE = 1_000_000  # bytes of a line that are read; what is longer is cut

Read = Callable[[pl.DataFrame], pl.DataFrame]


class LineSignature(TypedDict):
    """One line of output. `line` counts from 1."""

    line: int
    signature: str
    template: str


def sign_file(
    path: str | Path,
    rules: SignatureRules | None = None,
    *,
    read: Read | None = None,
    catalogue: Catalogue | None = None,
) -> Iterator[LineSignature]:
    """Every line of a file (or `.gz`) with its signature, in the file's order.

    Lines are events of their own here: nothing is joined. `read` makes EVENTS of LINES, one row a row; by default
    `each_line()`, which strips headers; `as_messages` takes the line itself for the message. The whole file
    is read before the first line is given, because later lines may prove that two templates are one: 4 bytes a line and
    the catalogue are kept, never the lines.
    OSError where the file cannot be read.
    """
    catalogue = catalogue or Catalogue(rules=rules)
    read = read or each_line()
    names: dict[str, int] = {}
    codes = array("I")
    for chunk in _chunks(Path(path)):
        events = read(chunk)
        if len(events) != len(chunk):
            raise ValueError(
                f"the reader gave {len(events)} events for {len(chunk)} lines; it must not join lines here"
            )
        signed = catalogue.sign(events)["signature"]
        codes.extend(names.setdefault(name, len(names)) for name in signed)
    final: list[tuple[str, str]] = []
    for name in names:
        resolved = catalogue.resolve(name)
        template = catalogue.template(resolved)
        final.append((resolved, template.template if template else ""))
    for number, code in enumerate(codes, start=1):
        signature, template_text = final[code]
        yield {"line": number, "signature": signature, "template": template_text}


def each_line(reader: EventReader | None = None) -> Read:
    """A `read` for `sign_file`: headers are stripped by format, and every line is an event of its own.

    Where the reader joined lines, the first keeps what was read from its header and the others are their own text.
    """
    reader = reader or EventReader()

    def read(lines: pl.DataFrame) -> pl.DataFrame:
        events = reader.read(lines).sort("first")
        rest = events.select("first", several=pl.col("last") > pl.col("first"), **{k: pl.col(k) for k in _READ})
        own = as_messages(lines).join(rest, on="first", how="left", suffix="_read", maintain_order="left")
        found = pl.col("several").is_not_null()
        text = pl.when(found).then(pl.col("message_read")).otherwise(pl.col("message"))
        level = pl.when(found).then(pl.col("level_read")).otherwise(pl.col("level"))
        one = pl.when(found & ~pl.col("several")).then(pl.col("exception_read"))
        return own.with_columns(message=text, level=level, exception=one).select(list(EVENTS))

    return read


_READ = ("message", "level", "exception")


def as_messages(lines: pl.DataFrame) -> pl.DataFrame:
    """LINES as EVENTS whose message is the line itself: for text that has no header."""
    index = pl.int_range(pl.len(), dtype=pl.Int64)
    return lines.with_columns(
        level=pl.lit("unknown"),
        format=pl.lit("plain"),
        message=pl.col("line"),
        exception=pl.lit(None, dtype=pl.String),
        trace_id=pl.lit(None, dtype=pl.String),
        event_ts=pl.lit(None, dtype=pl.Int64),
        first=index,
        last=index,
    )


def _chunks(path: Path) -> Iterator[pl.DataFrame]:
    with _open(path) as file:
        number = 0
        while True:
            lines: list[str] = []
            while len(lines) < CHUNK:
                raw = file.readline(MAX_LINE)
                if not raw:
                    break
                if not raw.endswith(b"\n") and len(raw) == MAX_LINE:
                    while (rest := file.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                        pass
                lines.append(raw.rstrip(b"\r\n").decode("utf-8", "replace"))
            if not lines:
                return
            yield _frame(lines, number)
            number += len(lines)


def _frame(lines: list[str], number: int) -> pl.DataFrame:
    frame = pl.DataFrame({"line": lines}, schema={"line": pl.String})
    filled = frame.select(
        ts=pl.int_range(number, number + len(lines), dtype=pl.Int64),  # no time known: the line's place, so order stays
        service=pl.lit("unknown"),
        stream=pl.lit("{}"),
        metadata=pl.lit(None, dtype=pl.String),
        line=pl.col("line"),
    )
    return pl.concat([empty(LINES), filled])


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")
