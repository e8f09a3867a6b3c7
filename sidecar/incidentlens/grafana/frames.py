"""Data frames, the one form in which answers go to Grafana: as an Arrow file, as its JSON form, or as plain rows.

`Frame` is the only builder. It keeps to what every Grafana from 9.4 on decodes: the Arrow file format, timestamps in
nanoseconds, and plain column types; a dictionary, a list or a large string would make Grafana drop the whole answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import orjson

from incidentlens.model.times import iso
from incidentlens.store.text import clean_json, clean_text

INT64 = 2**63


class FieldType(StrEnum):
    """What a column holds."""

    TIME = "time"  # int, ns since the epoch
    STRING = "string"
    FLOAT = "float"
    INT = "int"  # 64 bits
    BOOL = "bool"
    JSON = "json"  # any value that JSON can hold


# Grafana's names: the kind of a field, and the type its Go SDK gives it.
_NAMES: dict[FieldType, tuple[str, str]] = {
    FieldType.TIME: ("time", "time.Time"),
    FieldType.STRING: ("string", "string"),
    FieldType.FLOAT: ("number", "float64"),
    FieldType.INT: ("number", "int64"),
    FieldType.BOOL: ("boolean", "bool"),
    FieldType.JSON: ("other", "json.RawMessage"),
}


@dataclass(frozen=True, slots=True)
class Field:
    """A column. `config` is Grafana's FieldConfig, `labels` name the series of a number.

    None is allowed where `nullable`; unless said otherwise a time may not be null and everything else may. A float
    that is no number counts as None. Raises ValueError for a value that is not of the type.
    """

    name: str
    type: FieldType
    values: Sequence[Any]
    config: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    nullable: bool | None = None

    def __post_init__(self) -> None:
        if self.nullable is None:
            object.__setattr__(self, "nullable", self.type is not FieldType.TIME)
        object.__setattr__(self, "values", _values(self))


@dataclass(frozen=True, slots=True)
class Frame:
    """A table of named columns of one length. `meta` is Grafana's FrameMeta; without fields it says "no data"."""

    name: str
    fields: Sequence[Field] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)
    ref_id: str = ""

    def __post_init__(self) -> None:
        lengths = {len(column.values) for column in self.fields}
        if len(lengths) > 1:
            raise ValueError(f"frame {self.name!r}: its columns have {sorted(lengths)} values; all must have as many")

    def __len__(self) -> int:
        return len(self.fields[0].values) if self.fields else 0

    def column(self, name: str) -> list[Any]:
        """The values of a column. Raises KeyError."""
        for column in self.fields:
            if column.name == name:
                return list(column.values)
        raise KeyError(name)

    def for_query(self, ref_id: str) -> Frame:
        """The same frame as the answer to the query of that refId."""
        return replace(self, ref_id=ref_id)

    def with_notice(self, text: str, severity: str = "info") -> Frame:
        """The same frame with a remark that the panel shows in its corner; severity is info, warning or error."""
        notices = [*self.meta.get("notices", ()), {"severity": severity, "text": text}]
        return replace(self, meta={**self.meta, "notices": notices})


def to_arrow(frame: Frame) -> bytes:
    """The frame as an Arrow file, as a backend plugin gives it to Grafana."""
    import pyarrow as pa  # 40 MB, which a sidecar that no Grafana asks need not hold

    types = {
        FieldType.TIME: pa.timestamp("ns", tz="UTC"),
        FieldType.STRING: pa.utf8(),
        FieldType.FLOAT: pa.float64(),
        FieldType.INT: pa.int64(),
        FieldType.BOOL: pa.bool_(),
        FieldType.JSON: pa.binary(),
    }
    columns, arrays = [], []
    for column in frame.fields:
        metadata = {}
        if column.labels:
            metadata["labels"] = orjson.dumps(_plain(column.labels))
        if column.config:
            metadata["config"] = orjson.dumps(_plain(column.config))
        kind = types[column.type]
        columns.append(pa.field(clean_text(column.name), kind, bool(column.nullable), metadata or None))
        values: Sequence[Any] = column.values
        if column.type is FieldType.JSON:
            values = [None if value is None else orjson.dumps(value) for value in values]
        arrays.append(pa.array(values, kind))
    metadata = {"name": clean_text(frame.name).encode(), "refId": clean_text(frame.ref_id).encode()}
    if frame.meta:
        metadata["meta"] = orjson.dumps(_plain(frame.meta))
    schema = pa.schema(columns, metadata=metadata)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema) as writer:
        if arrays:
            writer.write_batch(pa.record_batch(arrays, schema=schema))
    data: bytes = sink.getvalue().to_pybytes()
    return data


def to_json(frame: Frame) -> dict[str, Any]:
    """The frame in Grafana's JSON form, as Live streams carry it: times in ms, their rest in ns under `nanos`."""
    fields, values, nanos = [], [], []
    for column in frame.fields:
        kind, go = _NAMES[column.type]
        info: dict[str, Any] = {"frame": go, **({"nullable": True} if column.nullable else {})}
        entry: dict[str, Any] = {"name": clean_text(column.name), "type": kind, "typeInfo": info}
        if column.labels:
            entry["labels"] = _plain(column.labels)
        if column.config:
            entry["config"] = _plain(column.config)
        fields.append(entry)
        if column.type is FieldType.TIME:
            values.append([None if value is None else value // 1_000_000 for value in column.values])
            nanos.append([0 if value is None else value % 1_000_000 for value in column.values])
        else:
            values.append(list(column.values))
            nanos.append([])
    schema: dict[str, Any] = {"name": clean_text(frame.name), "fields": fields}
    if frame.ref_id:
        schema["refId"] = clean_text(frame.ref_id)
    if frame.meta:
        schema["meta"] = _plain(frame.meta)
    data: dict[str, Any] = {"values": values}
    if any(any(rest) for rest in nanos):
        data["nanos"] = [rest if any(rest) else None for rest in nanos]
    return {"schema": schema, "data": data}


def to_rows(frame: Frame) -> list[dict[str, Any]]:
    """One object a row: times as RFC 3339 in UTC, a number's labels as columns of their own beside it."""
    labels: dict[str, Any] = {}
    for column in frame.fields:
        labels.update(_plain(column.labels))
    names = [clean_text(column.name) for column in frame.fields]
    columns = [
        [None if value is None else iso(value) for value in column.values]
        if column.type is FieldType.TIME
        else column.values
        for column in frame.fields
    ]
    return [{**labels, **dict(zip(names, row, strict=True))} for row in zip(*columns, strict=True)]


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[Field]) -> list[Field]:
    """The columns filled from rows by their names; a key that a row lacks is None."""
    found = list(rows)
    return [replace(column, values=[row.get(column.name) for row in found]) for column in columns]


def _values(column: Field) -> list[Any]:
    """All values as the column holds them; a thousand good ones are looked at together. Raises ValueError."""
    values, kinds = list(column.values), set(map(type, column.values))
    if column.type is FieldType.STRING and all(issubclass(kind, str) for kind in kinds):
        values = list(map(str, values))  # a term of a vocabulary as its text
        joined = "".join(values)
        return values if clean_text(joined) is joined else list(map(clean_text, values))
    if column.type is FieldType.FLOAT and kinds == {float} and all(map(math.isfinite, values)):
        return values
    whole = column.type in (FieldType.INT, FieldType.TIME)
    if whole and kinds == {int} and min(values) >= -INT64 and max(values) < INT64:
        return values
    return [_value(column, value) for value in values]


def _value(column: Field, value: Any) -> Any:
    """The value as its column holds it. Raises ValueError."""
    kind = column.type
    if value is None:
        if not column.nullable:
            raise ValueError(f"column {column.name!r} holds a {kind} that may not be missing")
        return None
    if kind is FieldType.STRING:
        if isinstance(value, str):
            return clean_text(str(value))  # a term of a vocabulary as its text
    elif kind is FieldType.FLOAT:
        if isinstance(value, int | float) and not isinstance(value, bool):
            number = float(value)
            if math.isfinite(number):
                return number
            if column.nullable:
                return None
    elif kind is FieldType.BOOL:
        if isinstance(value, bool):
            return value
    elif kind is FieldType.JSON:
        return clean_json(value)
    elif isinstance(value, int) and not isinstance(value, bool) and -INT64 <= value < INT64:
        return value
    raise ValueError(f"column {column.name!r} holds {kind} values; {value!r:.60} is none")


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    cleaned: dict[str, Any] = clean_json(dict(value))
    return cleaned
