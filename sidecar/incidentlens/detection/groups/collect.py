"""From records to groups: which signatures each group has, how often, in which order.

Only numbers are kept (12 bytes a record and group), so that a file of any length is read once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from incidentlens.intake.files import read_records
from incidentlens.intake.reading import EventReader
from incidentlens.model.signatures import SignatureRules
from incidentlens.signatures import Catalogue

from .words import adverse

MAX_ID = 500  # characters of a group's id that count
_ROWS = {"place": pl.UInt32(), "group": pl.UInt32(), "code": pl.UInt32()}


class GroupError(ValueError):
    """The expression cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Part:
    """The groups of one input. `rows`: a row a (record, group), in order: place (of the record), group, code."""

    names: list[str]  # by group number
    rows: pl.DataFrame
    records: int
    grouped: int  # records that name a group


class Collector:
    """Reads inputs with one catalogue, so that a code means the same signature in all of them.

    `group_by` is a regular expression (Rust's, linear in time); the first capture group is the group's id, or the whole
    match where there is none. A record may name several groups, and belongs to each once. GroupError for one that does
    not compile.
    """

    def __init__(self, group_by: str, rules: SignatureRules | None = None) -> None:
        self._group_by = group_by
        self._catalogue = Catalogue(rules=rules)
        self._codes: dict[str, int] = {}  # signature as first named: code
        try:
            pl.Series([""]).str.extract_all(group_by)
            captured = pl.Series(["x"]).str.extract_groups(group_by)
        except pl.exceptions.PolarsError as error:
            raise GroupError(f"{group_by!r} is no regular expression: {str(error).splitlines()[-1]}") from None
        self._captures = bool(getattr(captured.dtype, "fields", ()))

    def take(self, frames: Iterable[pl.DataFrame]) -> Part:
        """Read LINES frames, in the order given."""
        reader = EventReader()
        names: dict[str, int] = {}
        parts = [pl.DataFrame(schema=_ROWS)]
        place = grouped = 0
        for lines in frames:
            signed = self._catalogue.sign(reader.read(lines)).select("line", "signature")
            found = self._ids(signed["line"])
            rows = (
                signed.select("signature", ids=found)
                .with_columns(place=pl.int_range(place, place + signed.height, dtype=pl.UInt32))
                .explode("ids", empty_as_null=True)
                .drop_nulls("ids")
            )
            place += signed.height
            if rows.height == 0:
                continue
            grouped += rows["place"].n_unique()
            rows = rows.with_columns(
                group=_numbered(rows["ids"], names), code=_numbered(rows["signature"], self._codes)
            )
            parts.append(rows.select(*_ROWS))
        return Part(list(names), pl.concat(parts).rechunk(), place, grouped)

    def final(self, part: Part) -> tuple[Part, list[Signature]]:
        """The part by final signatures: templates that turned out to be one have one code. And what the codes mean."""
        numbers: dict[str, int] = {}
        codes = [numbers.setdefault(self._catalogue.resolve(name), len(numbers)) for name in self._codes]
        meaning = []
        for name in numbers:
            template = self._catalogue.template(name)
            text, level = (template.template, template.level.value) if template else (name, "unknown")
            meaning.append(Signature(name, text, adverse(text, level)))
        rows = part.rows
        if codes:
            rows = rows.with_columns(code=pl.Series(codes, dtype=pl.UInt32).gather(rows["code"]))
        return Part(part.names, rows, part.records, part.grouped), meaning

    def _ids(self, lines: pl.Series) -> pl.Series:
        found = lines.str.extract_all(self._group_by)
        if self._captures:
            found = found.list.eval(pl.element().str.extract(self._group_by, 1))
        return found.list.eval(pl.element().str.head(MAX_ID).filter(pl.element().str.len_bytes() > 0)).list.unique(
            maintain_order=True
        )


@dataclass(frozen=True, slots=True)
class Signature:
    """What a code stands for. `adverse`: its words or its level say that something is not as it should be."""

    name: str
    template: str
    adverse: bool


def read_part(collector: Collector, path: Path) -> Part:
    """The groups of a file, `-` for standard input. FileError where it cannot be read."""
    return collector.take(read_records(path))


def _numbered(values: pl.Series, numbers: dict[str, int]) -> pl.Series:
    """Each value's number; new ones are given the next."""
    distinct = values.unique(maintain_order=True)
    new = [numbers.setdefault(value, len(numbers)) for value in distinct]
    return values.replace_strict(distinct, pl.Series(new, dtype=pl.UInt32), return_dtype=pl.UInt32)


def subset(part: Part, wanted: Collection[str]) -> Part:
    """The part with only the groups named; names that it has not are passed over."""
    numbers = [number for number, name in enumerate(part.names) if name in wanted]
    new = {number: index for index, number in enumerate(numbers)}
    rows = part.rows.filter(pl.col("group").is_in(numbers))
    rows = rows.with_columns(group=pl.col("group").replace_strict(new, return_dtype=pl.UInt32))
    return Part([part.names[number] for number in numbers], rows, part.records, rows["place"].n_unique())
