"""What the logs hold besides their labels' names: `detected_labels`, `detected_fields` and a field's values."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
import re2

from ..logql import ast
from ..logql.labels import DUPLICATE, ERROR, ERROR_DETAILS, PRESERVE_ERROR, Builder, Hints
from ..logql.parsers import json_stage, logfmt_stage, sanitized
from ..logql.source import Entry
from .heads import StreamState
from .labels import Labels

_STATIC = frozenset({"cluster", "namespace", "instance", "pod"})
_MAX_VALUES = 100_000
_MAX_DEPTH = 32
_ERRORS = frozenset({ERROR, ERROR_DETAILS, PRESERVE_ERROR})
_INT = re2.compile(r"^[+-]?\d{1,19}$")
_FLOAT = re2.compile(r"(?i)^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$|^[+-]?(inf|infinity|nan)$")
_BOOL = frozenset({"1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"})
_DURATION = re2.compile(r"^[+-]?((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+$")
_BYTES = re2.compile(r"(?i)^[\d.,]+ ?(|b|[kmgtpe]i?b?)$")


def is_id(value: str) -> bool:
    """Whether a value is a number or a UUID: a label that holds nothing else tells people nothing."""
    if _FLOAT.match(value) is not None:
        return True
    try:
        uuid.UUID(value)
    except ValueError:
        return False
    return True


def detected_labels(streams: Iterable[StreamState]) -> list[dict[str, Any]]:
    """Names of labels with the number of their values, without those whose values are all ids."""
    values: dict[str, set[str]] = {}
    for stream in streams:
        for name, value in stream.labels.items():
            values.setdefault(name, set()).add(value)
    return [
        {"label": name, "cardinality": len(found)}
        for name, found in sorted(values.items())
        if name in _STATIC or found <= {"0", "1"} or not all(map(is_id, found))
    ]


def type_of(value: str) -> str:
    """What a value looks like: int, float, boolean, duration, bytes or string."""
    for pattern, name in ((_INT, "int"), (_FLOAT, "float")):
        if pattern.match(value) is not None:
            return name
    if value in _BOOL:
        return "boolean"
    if _DURATION.match(value) is not None or value == "0":
        return "duration"
    return "bytes" if _BYTES.match(value) is not None and value[:1].isdigit() else "string"


@dataclass(slots=True)
class DetectedField:
    """A field of lines or structured metadata."""

    label: str
    parsers: list[str] = field(default_factory=list)
    path: list[str] | None = None
    type: str = "string"
    values: set[str] = field(default_factory=set)

    def take(self, value: str) -> None:
        """Count a value; its type is that of the newest one."""
        self.type = type_of(value)
        if len(self.values) < _MAX_VALUES:
            self.values.add(value)

    def as_json(self) -> dict[str, Any]:
        """The field as the API gives it."""
        out: dict[str, Any] = {
            "label": self.label,
            "type": self.type,
            "cardinality": len(self.values),
            "parsers": self.parsers or None,
        }
        if self.path:
            out["jsonPath"] = self.path
        return out


class FieldFinder:
    """Collects the fields of entries; each line is read as JSON and, when it is none, as logfmt."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._builder = Builder(Hints())
        self._json = json_stage()
        self._logfmt = logfmt_stage(ast.Logfmt())
        self.fields: dict[str, DetectedField] = {}

    def take(self, labels: Mapping[str, str], entry: Entry, parsed: Mapping[str, str]) -> None:
        """Count the fields of an entry. `labels` are its stream's; `parsed` is what the query's own parsers found."""
        for name, value in entry.metadata.items():
            self._count(name, value, None, None)
        base = {name: value for name, value in labels.items() if name not in parsed}
        found, parser = self._parse(base, entry)
        # Only a line that a parser can read says where in it a field stands.
        paths = json_paths(entry.line, base) if parser == "json" else {}
        for name, value in {**parsed, **found}.items():
            if name not in _ERRORS:
                self._count(name, value, parser, paths.get(name))

    def _parse(self, base: Mapping[str, str], entry: Entry) -> tuple[Labels, str | None]:
        builder = self._builder
        for stage, name in ((self._json, "json"), (self._logfmt, "logfmt")):
            builder.start(base, {})
            stage(entry.ts, entry.line, builder)
            if not builder.error:
                return dict(builder.parsed), name
        return {}, None

    def _count(self, name: str, value: str, parser: str | None, path: list[str] | None) -> None:
        found = self.fields.get(name)
        if found is None:
            if len(self.fields) >= self._limit:
                return
            found = self.fields[name] = DetectedField(name)
        if parser is not None:
            if parser not in found.parsers:
                found.parsers.append(parser)
            if parser == "json":
                found.path = path
        found.take(value)


def json_paths(line: str, labels: Mapping[str, str]) -> dict[str, list[str]]:
    """Where in a JSON line each parsed label came from."""
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    paths: dict[str, list[str]] = {}

    def walk(value: Any, path: list[str]) -> Iterator[list[str]]:
        for key, inner in value.items():
            if isinstance(inner, dict):
                if len(path) < _MAX_DEPTH:
                    yield from walk(inner, [*path, key])
            elif not isinstance(inner, list) and inner is not None:
                yield [*path, key]

    if isinstance(document, dict):
        for path in walk(document, []):
            name = sanitized("_".join(part.strip() for part in path))
            paths[name + DUPLICATE if name in labels else name] = path
    return paths
