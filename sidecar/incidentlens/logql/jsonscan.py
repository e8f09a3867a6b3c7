"""Reads JSON lines as Loki's parser does: leniently, in one pass, and with its error texts.

It stops at the first fault and what came before it counts, so a line that is cut off still gives its first fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from .units import quote

MALFORMED = "Malformed JSON error"
NO_STRING_END = "Value is string, but can't find closing '\"' symbol"
NO_ARRAY_END = "Value is array, but can't find closing ']' symbol"
NO_OBJECT_END = "Value looks like object, but can't find closing '}' symbol"
UNKNOWN_TYPE = "Unknown value type"
BAD_ESCAPE = "Encountered an invalid escape sequence in a string"

_SPACE = re.compile(r"[ \n\r\t]*+")
_STRING = re.compile(r'[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_TOKEN = re.compile(r"[^ \n\r\t,}\]]*+")
_QUICK = re.compile(
    r'"([^"\\]*+)"[ \n\r\t]*+:[ \n\r\t]*+'
    r'(?:"([^"\\]*+)"|(-?[0-9][^ \n\r\t,}\]]*+)|(true|false))[ \n\r\t]*+,[ \n\r\t]*+(?=")'
)
_ESCAPE = re.compile(r'\\(?:(["\\/bfnrt])|u([0-9a-fA-F]{4}))')
_SIMPLE = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_BLOCK = {"{": re.compile(r'["{}]'), "[": re.compile(r'["\[\]]')}
_CLOSING = {"{": "}", "[": "]"}
_MARK = re.compile(r'["{}\[\]]')
_BAD = re.compile("\ufffd")


class JsonError(Exception):
    """A line that is not JSON (any more): `str()` is Loki's text."""


class Field(NamedTuple):
    """A value: `kind` is string, number, boolean, null, object or array; `raw` is its text without quotes."""

    key: str
    kind: str
    raw: str


def unescape(raw: str) -> str:
    """Take the escapes out of a JSON string.

    Raises:
        JsonError: an escape that is none.
    """
    if "\\" not in raw:
        return raw
    out: list[str] = []
    position = 0
    while (at := raw.find("\\", position)) >= 0:
        out.append(raw[position:at])
        found = _ESCAPE.match(raw, at)
        if found is None:
            raise JsonError(BAD_ESCAPE)
        position = found.end()
        if found[1]:
            out.append(_SIMPLE[found[1]])
            continue
        code = int(found[2], 16)
        if 0xD800 <= code <= 0xDFFF:
            low = _ESCAPE.match(raw, position)
            if low is None or not low[2] or int(low[2], 16) < 0xDC00:
                raise JsonError(BAD_ESCAPE)
            code = 0x10000 + ((code - 0xD800) << 10) + (int(low[2], 16) - 0xDC00)
            position = low.end()
        out.append(chr(code) if code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF else "\ufffd")
    out.append(raw[position:])
    return "".join(out)


def label_value(raw: str) -> str:
    """Give a JSON string's text as a label: a broken escape gives "", a character that is none a space."""
    try:
        value = unescape(raw)
    except JsonError:
        return ""
    return _BAD.sub(" ", value) if "\ufffd" in value else value


def fields(text: str, position: int = 0) -> Iterator[Field]:
    """Give the fields of the object that begins at `position`, in their order.

    Raises:
        JsonError: at the point where the text is no JSON object.
    """
    position = _space(text, position)
    if position >= len(text) or text[position] != "{":
        raise JsonError(NO_OBJECT_END)
    position = _space(text, position + 1)
    if position >= len(text):
        raise JsonError(MALFORMED)
    while position < len(text):
        quick = _QUICK.match(text, position)
        if quick is not None:
            key, string, number, boolean = quick.groups()
            position = quick.end()
            if string is not None:
                yield Field(key, "string", string)
            elif number is not None:
                yield Field(key, "number", number)
            else:
                yield Field(key, "boolean", boolean)
            continue
        if text[position] == "}":
            return
        if text[position] != '"':
            raise JsonError(NO_OBJECT_END)
        key, position = _key(text, position + 1)
        kind, raw, _, position = value_at(text, position)
        yield Field(key, kind, raw)
        position = _space(text, position)
        if position >= len(text):
            raise JsonError(NO_ARRAY_END)
        if text[position] == "}":
            return
        if text[position] != ",":
            raise JsonError(NO_OBJECT_END)
        position = _space(text, position + 1)
        if position >= len(text):
            raise JsonError(NO_ARRAY_END)
    raise JsonError(NO_OBJECT_END)


def _space(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position


def _key(text: str, position: int) -> tuple[str, int]:
    found = _STRING.match(text, position)
    if found is None:
        raise JsonError(MALFORMED)
    key = unescape(text[position : found.end() - 1])
    position = _space(text, found.end())
    if position >= len(text) or text[position] != ":":
        raise JsonError(MALFORMED)
    return key, position + 1


def value_at(text: str, position: int) -> tuple[str, str, int, int]:
    """Read the value at a position: its kind, its text without quotes, where it starts and where it ends.

    Raises:
        JsonError: there is no value, or it does not end.
    """
    start = _space(text, position)
    if start >= len(text):
        raise JsonError(MALFORMED)
    char = text[start]
    if char == '"':
        found = _STRING.match(text, start + 1)
        if found is None:
            raise JsonError(NO_STRING_END)
        return "string", text[start + 1 : found.end() - 1], start, found.end()
    if char in "{[":
        end = block_end(text, start, char)
        if end < 0:
            raise JsonError(NO_OBJECT_END if char == "{" else NO_ARRAY_END)
        return ("object" if char == "{" else "array"), text[start:end], start, end
    token = _TOKEN.match(text, start)
    end = token.end() if token else start
    raw = text[start:end]
    if raw in ("true", "false"):
        return "boolean", raw, start, end
    if raw == "null":
        return "null", raw, start, end
    if char in "0123456789-":
        return "number", raw, start, end
    raise JsonError(UNKNOWN_TYPE)


def block_end(text: str, position: int, opening: str) -> int:
    """Find the end of the object or array that begins at `position`; -1 where it has none."""
    level = 0
    marks, closing = _BLOCK[opening], _CLOSING[opening]
    while (found := marks.search(text, position)) is not None:
        char = found[0]
        position = found.end()
        if char == '"':
            string = _STRING.match(text, position)
            if string is None:
                return -1
            position = string.end()
        elif char == closing:
            level -= 1
            if level == 0:
                return position
        else:
            level += 1
    return -1


# Paths of `| json name="a.b[0].c"`

Path = tuple[str | int, ...]


class PathError(Exception):
    """A path that is none; `str()` is Loki's text."""


def parse_path(expression: str) -> Path:
    """Read a path such as `request.headers["User-Agent"]` or `servers[0].name`.

    Raises:
        PathError: not a path.
    """
    out: list[str | int] = []
    kinds = _path_kinds(expression)
    state = "start"
    index = 0
    while index < len(kinds):
        kind, value = kinds[index]
        if kind == "LSB" and state in ("start", "value"):
            if index + 1 >= len(kinds) or kinds[index + 1][0] not in ("STRING", "INDEX"):
                raise PathError(_unexpected(kinds, index + 1, "STRING or INDEX"))
            if index + 2 >= len(kinds) or kinds[index + 2][0] != "RSB":
                raise PathError(_unexpected(kinds, index + 2, "RSB"))
            inner = kinds[index + 1]
            out.append(int(inner[1]) if inner[0] == "INDEX" else inner[1])
            index += 3
            state = "value"
        elif kind == "FIELD" and state in ("start", "dot"):
            out.append(value)
            index += 1
            state = "value"
        elif kind == "DOT" and state == "value":
            index += 1
            state = "dot"
        else:
            wanted = {"start": "LSB or FIELD", "dot": "FIELD", "value": ""}[state]
            raise PathError(_unexpected(kinds, index, wanted))
    if state != "value":
        raise PathError(_unexpected(kinds, index, "FIELD" if state == "dot" else "LSB or FIELD"))
    return tuple(out)


def _unexpected(kinds: list[tuple[str, str]], index: int, wanted: str) -> str:
    kind = kinds[index][0] if index < len(kinds) else "$end"
    return f"syntax error: unexpected {kind}" + (f", expecting {wanted}" if wanted else "")


def _path_kinds(text: str) -> list[tuple[str, str]]:
    out: list[tuple[str, str]] = []
    position = 0
    while position < len(text):
        char = text[position]
        if char in " \t\n":
            position += 1
        elif char in "[].":
            out.append(({"[": "LSB", "]": "RSB", ".": "DOT"}[char], char))
            position += 1
        elif char.isascii() and char.isdecimal():
            end = position
            while end < len(text) and text[end] not in " \t\n.]":
                if not text[end].isdecimal():
                    raise PathError(f"non-integer value: {text[end]}")
                end += 1
            if text[end : end + 1] == ".":
                raise PathError("cannot use float as array index")
            out.append(("INDEX", text[position:end][:9]))
            position = end
        elif char.isascii() and (char.isalpha() or char == "_"):
            end = position
            while end < len(text) and text[end].isascii() and (text[end].isalnum() or text[end] == "_"):
                end += 1
            out.append(("FIELD", text[position:end]))
            position = end
        elif char == '"':
            end = position + 1
            while end < len(text) and text[end] not in '"]':
                end += 1
            out.append(("STRING", text[position + 1 : end]))
            position = end + 1
        else:
            raise PathError(f"unexpected char {char}" if char.isprintable() else f"unexpected char {quote(char)}")
    return out


def find(text: str, path: Path) -> tuple[str, str] | None:
    """Give kind and text of the value at a path; None where there is none (or the text ends before it).

    The first of several equal keys counts.

    Raises:
        JsonError: the value is there but has no end.
    """
    position = 0
    for depth, step in enumerate(path):
        found = _field_start(text, position, step) if isinstance(step, str) else _item_start(text, position, step)
        if found is None:
            return None
        position = found
        if depth == len(path) - 1:
            kind, raw, _, _ = value_at(text, position)
            return kind, raw
    return None


def _field_start(text: str, position: int, key: str) -> int | None:
    """Find where the value of a key begins, in the object that begins at `position`."""
    position = _space(text, position)
    if text[position : position + 1] != "{":
        return None
    position = _space(text, position + 1)
    try:
        while text[position : position + 1] == '"':
            name, position = _key(text, position + 1)
            if name == key:
                return position
            position = value_at(text, position)[3]
            # What stands between a value and the next key is not looked at.
            while (mark := _MARK.search(text, position)) is not None and mark[0] in "{[":
                position = block_end(text, mark.start(), mark[0])
                if position < 0:
                    return None
            if mark is None:
                return None
            position = mark.start()
    except JsonError:
        pass
    return None


def _item_start(text: str, position: int, index: int) -> int | None:
    """Find where an item begins, in the array that begins at `position`."""
    position = _space(text, position)
    if text[position : position + 1] != "[":
        return None
    position += 1
    try:
        for _ in range(index):
            position = _space(text, value_at(text, position)[3])
            if text[position : position + 1] != ",":
                return None
            position += 1
    except JsonError:
        return None
    position = _space(text, position)
    return position if position < len(text) and text[position] != "]" else None
