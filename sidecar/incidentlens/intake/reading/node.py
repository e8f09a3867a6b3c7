"""What one layer of a format gives, and the layers whose header is one regular expression.

A stream's format is a list of nodes, tried in order on the lines the nodes before left over. A node reads a column
of texts to a frame of `PARSED` columns of the same height; rows it does not understand have `head` false.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import polars as pl

from . import levels
from .stamps import Stamp

PARSED: dict[str, pl.DataType] = {
    "head": pl.Boolean(),  # the line begins with this format's header
    "format": pl.String(),
    "message": pl.String(),
    "level": pl.String(),
    "event_ts": pl.Int64(),
    "trace_id": pl.String(),
    "exception": pl.String(),
    "named": pl.String(),  # the service, as the line itself names it
    "writer": pl.String(),  # who wrote it, where one stream carries several: a container, stdout or stderr
    "partial": pl.Boolean(),  # the next line of the same writer carries this one on
}


class Node(Protocol):
    """One layer of a format, ready to read columns. Equal nodes have equal `key`."""

    @property
    def name(self) -> str: ...

    @property
    def key(self) -> str: ...

    @property
    def wrapper(self) -> bool:
        """True where the message is a line of another format, or of none."""
        ...

    def read(self, text: pl.Series, reference: pl.Series) -> dict[str, pl.Series]:
        """Read texts to some of `PARSED`, always with `head` and `message`. `reference` is the source's time (ns)."""
        ...


_FRONT = 300  # characters that hold a line's stamp and level


@dataclass(frozen=True)
class Parts:
    """A header's pattern by what it leads up to, without groups: the stamp, the level, the message."""

    lead: str  # empty where the line begins with its stamp
    to_level: str | None  # None where there is no level
    whole: str


def _none(height: int, dtype: pl.DataType | None = None) -> pl.Series:
    return pl.Series([None], dtype=dtype or pl.String()).new_from_index(0, height)


@dataclass(frozen=True)
class HeaderNode:
    """A header that one anchored regular expression describes; the message is what follows it.

    Groups: `head` the whole header, `ts frac zone year` the stamp's, `level`, `trace`, `service`, `writer`, `text`
    (the message, where it is not simply what follows).
    """

    name: str
    pattern: str
    stamp: Stamp | None = None
    level: Callable[[pl.Series], pl.Series] = field(default=levels.read_names, compare=False)
    strict_level: bool = False  # a word that is no level means that it is not this header
    default_level: str | None = None
    wrapper: bool = False  # what follows is a line of another format
    finish: Callable[[dict[str, pl.Series], pl.DataFrame], None] | None = field(default=None, compare=False)

    parts: Parts | None = None

    @property
    def key(self) -> str:
        return f"{self.name}\x00{self.pattern}"

    def read(self, text: pl.Series, reference: pl.Series) -> dict[str, pl.Series]:
        return (
            self._read_groups(text, reference) if self.parts is None else self._read_parts(text, reference, self.parts)
        )

    def _read_parts(self, text: pl.Series, reference: pl.Series, parts: Parts) -> dict[str, pl.Series]:
        """Read by cutting off prefixes, each by a pattern without groups.

        A search that must tell where groups begin costs five times one that only tells where the match ends; the
        pieces, too, are read by several threads at once.
        """
        assert self.stamp is not None
        line = pl.col("line")
        front = line.str.slice(0, _FRONT)  # a view: what is cut off below is then copied short
        stamped = front if not parts.lead else line.str.replace("^" + parts.lead, "")
        columns = [
            line.str.replace("^" + parts.whole, "").alias("message"),
            stamped.str.extract_groups("^(?:" + self.stamp.pattern + ")").alias("stamp"),
        ]
        if parts.to_level is not None:
            level = front.str.replace("^" + parts.to_level, "").str.slice(0, 14).str.extract(r"^([A-Za-z]+[0-9]?)", 1)
            columns.append(level.alias("level"))
        found = text.alias("line").to_frame().with_columns(columns)
        head = found.select(pl.col("message").str.len_bytes() < line.str.len_bytes()).to_series().fill_null(False)
        every = bool(head.all())
        result = {"head": head, "message": found["message"]}
        if parts.to_level is not None:
            known = self.level(found["level"] if every else found["level"].zip_with(head, _none(len(head))))
            result["level"] = known
            if self.strict_level and known.null_count():
                result["head"] = head & known.is_not_null()
        at = self.stamp.nanoseconds(found["stamp"].struct.unnest(), reference)
        result["event_ts"] = at if every else at.zip_with(head, _none(len(head), pl.Int64()))
        return result

    def _read_groups(self, text: pl.Series, reference: pl.Series) -> dict[str, pl.Series]:
        found = text.alias("line").to_frame().select(pl.col("line").str.extract_groups(self.pattern)).unnest("line")
        head = found["head"].is_not_null()
        result = {"head": head}
        columns = found.columns
        if "text" in columns:
            result["message"] = found["text"]
        else:
            pair = pl.DataFrame({"line": text, "head": found["head"]})
            result["message"] = pair.select(pl.col("line").str.strip_prefix(pl.col("head"))).to_series()
        if "level" in columns:
            level = self.level(found["level"])
            if self.strict_level:
                result["head"] = head & level.is_not_null()
            result["level"] = level
        if self.default_level is not None:
            known = result.get("level", pl.Series([None], dtype=pl.String).new_from_index(0, len(text)))
            result["level"] = known.fill_null(self.default_level)
        if self.stamp is not None:
            result["event_ts"] = self.stamp.nanoseconds(found, reference)
        for group, column in (("trace", "trace_id"), ("service", "named"), ("writer", "writer")):
            if group in columns:
                result[column] = found[group]
        if self.finish is not None:
            self.finish(result, found)
        return result
