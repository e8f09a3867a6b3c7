"""Reads logfmt lines as Loki's decoder does, with its error texts."""

from __future__ import annotations

import re
from collections.abc import Iterator

# The common case: a key, alone or with a bare or quoted value, and white space or the end after it.
_QUICK = re.compile(r'([^\x00-\x20="]++)(?:=(?:"([^"\\]*+)"|([^\x00-\x20="]*+)))?(?=[\x00-\x20]|\Z)')
_GARBAGE = re.compile(r"[\x00-\x20]*+")
_KEY = re.compile(r'[^\x00-\x20="]*+')
_WORD = re.compile(r"[^\x00-\x20]*+")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_ESCAPE = re.compile(r"\\(?:([\"\\/'bfnrt])|u([0-9a-fA-F]{4}))")
_SIMPLE = {'"': '"', "\\": "\\", "/": "/", "'": "'", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class LogfmtError(Exception):
    """A part of a line that is no logfmt; `str()` is Loki's text."""


def pairs(line: str, *, strict: bool) -> Iterator[tuple[str, str]]:
    """Give the pairs of a line; a key without a value has the value "".

    Faulty parts are passed over; with `strict` the first one ends the reading.

    Raises:
        LogfmtError: with `strict`, at the first faulty part.
    """
    position = _GARBAGE.match(line).end()  # type: ignore[union-attr]
    end = len(line)
    while position < end:
        quick = _QUICK.match(line, position)
        if quick is not None and "\ufffd" not in quick[1]:
            yield quick[1], quick[2] or quick[3] or ""
            position = quick.end()
        else:
            try:
                pair, position = _slow(line, position)
            except _Fault as fault:
                if strict:
                    at = len(line[: fault.at].encode("utf-8", "surrogatepass")) + 1
                    raise LogfmtError(f"logfmt syntax error at pos {at} : {fault.reason}") from None
                position = fault.resume
            else:
                yield pair
        position = _GARBAGE.match(line, position).end()  # type: ignore[union-attr]


class _Fault(Exception):
    def __init__(self, reason: str, at: int, resume: int) -> None:
        self.reason = reason
        self.at = at
        self.resume = resume


def _skip(line: str, position: int) -> int:
    found = _WORD.match(line, position)
    return found.end() if found else position


def _slow(line: str, start: int) -> tuple[tuple[str, str], int]:
    position = _KEY.match(line, start).end()  # type: ignore[union-attr]
    key = line[start:position]
    char = line[position : position + 1]
    if char == '"' or (char == "=" and not key):
        shown = "'\"'" if char == '"' else "'='"
        raise _Fault(f"unexpected {shown}", position, _skip(line, position))
    if "\ufffd" in key:
        raise _Fault("invalid key", position, _skip(line, position) if char == "=" else position)
    if char != "=":
        return (key, ""), position
    position += 1
    if line[position : position + 1] == '"':
        return _quoted(line, key, position)
    value_start = position
    position = _KEY.match(line, position).end()  # type: ignore[union-attr]
    char = line[position : position + 1]
    if char in ("=", '"') and char:
        shown = "'\"'" if char == '"' else "'='"
        raise _Fault(f"unexpected {shown}", position, _skip(line, position))
    return (key, line[value_start:position]), position


def _quoted(line: str, key: str, position: int) -> tuple[tuple[str, str], int]:
    found = _QUOTED.match(line, position)
    if found is None:
        raise _Fault("unterminated quoted value", len(line), len(line))
    body = found[1]
    if "\\" in body:
        value = _unquote(body)
        if value is None:
            raise _Fault("invalid quoted value", found.end(), found.end())
        body = value
    return (key, body), found.end()


def _unquote(body: str) -> str | None:
    out: list[str] = []
    position = 0
    while (at := body.find("\\", position)) >= 0:
        out.append(body[position:at])
        found = _ESCAPE.match(body, at)
        if found is None:
            return None
        position = found.end()
        if found[1]:
            out.append(_SIMPLE[found[1]])
            continue
        code = int(found[2], 16)
        if 0xD800 <= code <= 0xDFFF:
            low = _ESCAPE.match(body, position)
            pair = int(low[2], 16) if low is not None and low[2] else 0
            if code < 0xDC00 and 0xDC00 <= pair <= 0xDFFF and low is not None:
                code = 0x10000 + ((code - 0xD800) << 10) + (pair - 0xDC00)
                position = low.end()
            else:
                code = 0xFFFD
        out.append(chr(code))
    out.append(body[position:])
    return "".join(out)
