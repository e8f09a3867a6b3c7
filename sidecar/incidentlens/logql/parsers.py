"""The stages that make labels out of a line."""

from __future__ import annotations

import re
from collections.abc import Callable

from . import ast, jsonscan, logfmt, patterns
from .errors import LogQLError
from .labels import DUPLICATE, Builder

# A stage takes the time (ns), the line and the labels, and gives the line on; None drops it.
Run = Callable[[int, str, Builder], "str | None"]
JSON_ERROR = "JSONParserErr"
LOGFMT_ERROR = "LogfmtParserErr"
ERROR_LABEL = "__error__"
_NOT_LABEL = re.compile(r"[^A-Za-z0-9_]")
_MAX_KEYS = 4096
MAX_DEPTH = 128


class _Stop(Exception):
    """All that is needed has been found (`keep`), or a filter has dropped the line."""

    def __init__(self, *, keep: bool) -> None:
        self.keep = keep


def sanitized(key: str) -> str:
    """Make a label's name of any key; "" where nothing is left of it."""
    key = key.strip()
    if not key:
        return ""
    name = _NOT_LABEL.sub("_", key)
    return f"_{name}" if key[0] in "0123456789" else name


def _known_names() -> Callable[[str], str]:
    known: dict[str, str] = {}

    def name_of(key: str) -> str:
        name = known.get(key)
        if name is None:
            name = sanitized(key)
            if len(known) < _MAX_KEYS:
                known[key] = name
        return name

    return name_of


def json_stage() -> Run:
    """`| json`: every string, number and boolean, nested ones joined by `_`."""
    name_of = _known_names()
    values: dict[str, Callable[[str], str]] = {"string": jsonscan.label_value, "number": str, "boolean": str}

    def take(builder: Builder, text: str, prefix: list[str], depth: int) -> None:
        hints = builder.hints
        for field in jsonscan.fields(text):
            read = values.get(field.kind)
            if read is not None:
                if prefix:
                    path = [part for part in (*prefix, field.key) if part.strip()]
                    name = _joined(path)
                    if builder.taken(name):
                        name = _joined([part for part in (*prefix, field.key + DUPLICATE) if part.strip()])
                else:
                    name = name_of(field.key)
                    if name and builder.taken(name):
                        name += DUPLICATE
                if (name or prefix) and hints.wants(name):
                    builder.set(name, read(field.raw))
                    if hints.filters and not builder.keeps_line(name):
                        raise _Stop(keep=False)
            elif field.kind == "object" and depth < MAX_DEPTH:
                inner = [*prefix, field.key]
                if hints.wants_prefix(_joined([part for part in inner if part.strip()])):
                    take(builder, field.raw, inner, depth + 1)
                continue
            if hints.required and hints.all_found():
                raise _Stop(keep=True)

    def run(ts: int, line: str, builder: Builder) -> str | None:
        if builder.hints.skip_parsing():
            return line
        try:
            take(builder, line, [], 0)
        except jsonscan.JsonError as error:
            builder.fail(JSON_ERROR, str(error))
        except _Stop as stop:
            return line if stop.keep else None
        return line

    return run


def _joined(parts: list[str]) -> str:
    name = "_".join(_NOT_LABEL.sub("_", part.strip()) for part in parts)
    return f"_{name}" if name[:1] in tuple("0123456789") else name


def json_fields_stage(stage: ast.Json) -> Run:
    """`| json name="path", ...`: the values at some paths.

    Raises:
        LogQLError: a path that is none.
    """
    paths = []
    for field in stage.fields:
        try:
            paths.append((field.name, jsonscan.parse_path(field.expression)))
        except jsonscan.PathError as error:
            raise LogQLError(f"cannot parse expression [{field.expression}]: {error}") from None

    def run(ts: int, line: str, builder: Builder) -> str | None:
        if not line or builder.hints.skip_parsing():
            return line
        if line[0] not in '"{[':
            builder.fail(JSON_ERROR, None)
            return line
        for name, path in paths:
            try:
                found = jsonscan.find(line, path)
            except jsonscan.JsonError as error:
                builder.fail(JSON_ERROR, str(error))
                continue
            if found is None:
                continue
            kind, raw = found
            key = name + DUPLICATE if builder.taken(name) else name
            builder.set(key, "" if kind == "null" else raw if kind == "object" else jsonscan.label_value(raw))
        for name, _ in paths:
            if builder.get(name) is None:
                builder.set(name, "")
        return line

    return run


def logfmt_stage(stage: ast.Logfmt) -> Run:
    """`| logfmt`, with its flags."""
    name_of = _known_names()
    strict, keep_empty = stage.strict, stage.keep_empty

    def run(ts: int, line: str, builder: Builder) -> str | None:
        hints = builder.hints
        if hints.skip_parsing():
            return line
        try:
            for key, value in logfmt.pairs(line, strict=strict):
                name = name_of(key)
                if not name:
                    continue
                if builder.taken(name):
                    name += DUPLICATE
                if not hints.wants(name) or not (value or keep_empty):
                    continue
                builder.set(name, value.replace("\ufffd", " ") if "\ufffd" in value else value)
                if hints.filters and not builder.keeps_line(name):
                    return None
                if hints.required and hints.all_found():
                    return line
        except logfmt.LogfmtError as error:
            builder.fail(LOGFMT_ERROR, str(error))
            if not builder.keeps_line(ERROR_LABEL):
                return None
        return line

    return run


def logfmt_fields_stage(stage: ast.Logfmt) -> Run:
    """`| logfmt name="key", ...`: some keys under other names.

    Raises:
        LogQLError: an expression that is no key.
    """
    name_of = _known_names()
    wanted: dict[str, str] = {}
    for field in stage.fields:
        wanted[field.name] = _logfmt_key(field.expression)

    def run(ts: int, line: str, builder: Builder) -> str | None:
        hints = builder.hints
        if hints.skip_parsing():
            return line
        for name in wanted:
            if not builder.taken(name):
                builder.set(name, "")
        try:
            for key, value in logfmt.pairs(line, strict=stage.strict):
                name = name_of(key)
                if not name or (name not in wanted and not hints.wants(name)):
                    continue
                name = next((new for new, source in wanted.items() if source == name), name)
                if name not in wanted:
                    continue
                if builder.taken(name):
                    name += DUPLICATE
                    if not hints.wants(name):
                        break
                builder.set(name, "" if "\ufffd" in value else value)
                if hints.required and hints.all_found():
                    break
        except logfmt.LogfmtError as error:
            builder.fail(LOGFMT_ERROR, str(error))
        return line

    return run


def _logfmt_key(expression: str) -> str:
    bare = expression.strip(" \t\n")
    if bare.startswith('"'):
        inner = bare[1:]
        end = min((at for at in (inner.find('"'), inner.find("]")) if at >= 0), default=len(inner))
        key, rest = inner[:end], inner[end + 1 :].strip(" \t\n")
    else:
        size = 0
        while size < len(bare) and bare[size].isascii() and (bare[size].isalnum() or bare[size] == "_"):
            size += 1
        key, rest = bare[:size], bare[size:].strip(" \t\n")
        if not key or key[0].isdecimal():
            reason = f"unexpected char {bare[:1]}" if bare else "syntax error: unexpected $end, expecting STRING or KEY"
            raise LogQLError(f"cannot parse expression [{expression}]: {reason}")
    if rest:
        if rest[0] == '"':
            reason = "syntax error: unexpected STRING"
        elif rest[0].isascii() and (rest[0].isalpha() or rest[0] == "_"):
            reason = "syntax error: unexpected KEY"
        else:
            reason = f"unexpected char {rest[0]}"
        raise LogQLError(f"cannot parse expression [{expression}]: {reason}")
    return key


def pattern_stage(stage: ast.Pattern) -> Run:
    """`| pattern "<name> <_>"`."""
    nodes = patterns.compile_parser_pattern(stage.expression)

    def run(ts: int, line: str, builder: Builder) -> str | None:
        hints = builder.hints
        if hints.skip_parsing():
            return line
        for name, value in patterns.capture(nodes, line):
            key = name + DUPLICATE if builder.taken(name) else name
            if hints.wants(key):
                builder.set(key, value)
                if hints.filters and not builder.keeps_line(key):
                    return None
        return line

    return run


def regexp_stage(stage: ast.Regexp) -> Run:
    """`| regexp "(?P<name>...)"`: the named groups; a group that took no part is empty."""
    expression, names = patterns.compile_parser_regexp(stage.expression)
    keys = [sanitized(name) for name in names]

    def run(ts: int, line: str, builder: Builder) -> str | None:
        found = expression.search(line)
        if found is None:
            return line
        hints = builder.hints
        for name, value in zip(keys, found.groups(), strict=True):
            if not name:
                continue
            key = name + DUPLICATE if builder.taken(name) else name
            if hints.wants(key):
                builder.set(key, value or "")
                if hints.filters and not builder.keeps_line(key):
                    return None
        return line

    return run


def unpack_stage() -> Run:
    """`| unpack`: a packed line's own text and labels."""

    def run(ts: int, line: str, builder: Builder) -> str | None:
        hints = builder.hints
        if not line or hints.skip_parsing():
            return line
        if line[0] != "{":
            builder.fail(JSON_ERROR, "expecting json object(6), but it is not")
            return line
        found: list[tuple[str, str]] = []
        entry: str | None = None
        try:
            for field in jsonscan.fields(line):
                if field.kind != "string":
                    continue
                if field.key == "_entry":
                    entry = jsonscan.unescape(field.raw)
                    continue
                key = field.key + DUPLICATE if builder.taken(field.key) else field.key
                if hints.wants(key):
                    found.append((sanitized(key), jsonscan.label_value(field.raw)))
        except jsonscan.JsonError as error:
            builder.fail(JSON_ERROR, str(error))
            return line
        if entry is None:
            return line
        for name, value in found:
            builder.set(name, value)
            if hints.filters and not builder.keeps_line(name):
                return None
        return entry

    return run
