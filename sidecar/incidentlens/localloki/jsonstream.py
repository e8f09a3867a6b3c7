"""Takes one stream of a JSON push apart, as leniently as Loki does, with its one text for each kind of fault.

It works on bytes that `jsonslow` has passed over, so they are sound JSON; what may be wrong is what they mean.
"""

from __future__ import annotations

from collections.abc import Iterator

from .gotext import GoError, decode_utf8
from .records import ZERO_TIME, PushEntry, PushStream

_SPACE = b" \t\r\n"
_MAX_INT64 = 2**63 - 1

BAD_VALUE = "Value looks like Number/Boolean/None, but can't find its end: ',' or '}' symbol"
BAD_STRING = "Value is string, but can't find closing '\"' symbol"
BAD_OBJECT = "Value looks like object, but can't find closing '}' symbol"
BAD_ARRAY = "Value is array, but can't find closing ']' symbol"
BAD_JSON = "Malformed JSON error"
BAD_ESCAPE = "Encountered an invalid escape sequence in a string"


def _token_at(data: bytes, at: int) -> int:
    while at < len(data):
        if data[at] not in _SPACE:
            return at
        at += 1
    return -1


def _string_end(data: bytes, at: int) -> int:
    """The offset after the closing quote of a string whose contents begin at `at`."""
    while True:
        end = data.find(b'"', at)
        if end < 0:
            raise GoError(BAD_STRING)
        slashes = 0
        while data[end - 1 - slashes] == 0x5C and end - 1 - slashes >= 0:
            slashes += 1
        if slashes % 2 == 0:
            return end + 1
        at = end + 1


def _block_end(data: bytes, at: int) -> int:
    """The offset after the bracket that closes the one at `at`."""
    depth = 0
    while at < len(data):
        char = data[at]
        if char == 0x22:
            at = _string_end(data, at + 1)
            continue
        if char in b"{[":
            depth += 1
        elif char in b"}]":
            depth -= 1
            if depth == 0:
                return at + 1
        at += 1
    raise GoError(BAD_OBJECT)


def _value(data: bytes, at: int) -> tuple[bytes, str, int]:
    """The raw value at `at`, what it is, and the offset after it. A string comes without its quotes."""
    at = _token_at(data, at)
    if at < 0:
        raise GoError(BAD_JSON)
    char = data[at]
    if char == 0x22:
        end = _string_end(data, at + 1)
        return data[at + 1 : end - 1], "string", end
    if char in b"{[":
        end = _block_end(data, at)
        return data[at:end], "object" if char == 0x7B else "array", end
    end = at
    while end < len(data) and data[end] not in b" \t\r\n,]}":
        end += 1
    raw = data[at:end]
    if end == len(data) or not (raw in (b"true", b"false", b"null") or char in b"-0123456789"):
        raise GoError(BAD_VALUE if end == len(data) else "Unknown value type")
    return raw, "null" if raw == b"null" else "plain", end


def _fields(data: bytes) -> Iterator[tuple[bytes, bytes, str]]:
    """The fields of an object: name, raw value, what the value is."""
    at = _token_at(data, 0)
    if at < 0 or data[at] != 0x7B:
        raise GoError(BAD_OBJECT)
    at = _token_at(data, at + 1)
    if at < 0:
        raise GoError(BAD_JSON)
    while data[at] != 0x7D:
        if data[at] != 0x22:
            raise GoError(BAD_OBJECT)
        end = _string_end(data, at + 1)
        name = data[at + 1 : end - 1]
        if b"\\" in name:
            try:
                name = _unescape(name)
            except GoError:
                raise GoError(BAD_ESCAPE) from None
        at = _token_at(data, end)
        if at < 0 or data[at] != 0x3A:
            raise GoError(BAD_JSON)
        raw, kind, at = _value(data, at + 1)
        yield name, raw, kind
        at = _token_at(data, at)
        if at < 0:
            raise GoError(BAD_ARRAY)
        if data[at] == 0x2C:
            at = _token_at(data, at + 1)
            if at < 0:
                raise GoError(BAD_ARRAY)
        elif data[at] != 0x7D:
            raise GoError(BAD_OBJECT)


def _items(data: bytes) -> Iterator[tuple[bytes, str]]:
    """The items of an array. As in Loki's reader its first bracket is taken on trust."""
    if not data:
        raise GoError(BAD_OBJECT)
    at = _token_at(data, 0)
    at = -1 if at < 0 else _token_at(data, at + 1)
    if at < 0:
        raise GoError(BAD_JSON)
    while data[at] != 0x5D:
        raw, kind, at = _value(data, at)
        yield raw, kind
        at = _token_at(data, at)
        if at < 0 or data[at] not in b",]":
            raise GoError(BAD_ARRAY)
        if data[at] == 0x2C:
            at += 1


def _unescape(raw: bytes) -> bytes:
    if b"\\" not in raw:
        return raw
    out = bytearray()
    at = 0
    simple = {0x22: 0x22, 0x5C: 0x5C, 0x2F: 0x2F, 0x62: 8, 0x66: 12, 0x6E: 10, 0x72: 13, 0x74: 9}
    while at < len(raw):
        if raw[at] != 0x5C:
            following = raw.find(b"\\", at)
            following = len(raw) if following < 0 else following
            out += raw[at:following]
            at = following
            continue
        code = raw[at + 1] if at + 1 < len(raw) else 0
        if code in simple:
            out.append(simple[code])
            at += 2
        elif code == 0x75:
            rune, at = _unicode(raw, at)
            out += chr(rune).encode("utf-8", "replace")
        else:
            raise GoError(BAD_VALUE)
    return bytes(out)


def _unicode(raw: bytes, at: int) -> tuple[int, int]:
    first = _hex(raw, at)
    if not 0xD800 <= first <= 0xDFFF:
        return first, at + 6
    second = _hex(raw, at + 6)
    if second < 0xDC00:
        raise GoError(BAD_VALUE)
    rune = ((first - 0xD800) << 10) + (second - 0xDC00) + 0x10000
    return rune if rune <= 0x10FFFF else 0xFFFD, at + 12


def _hex(raw: bytes, at: int) -> int:
    digits = raw[at + 2 : at + 6]
    if len(digits) < 4 or any(char not in b"0123456789abcdefABCDEF" for char in digits):
        raise GoError(BAD_VALUE)
    return int(digits, 16)


def _text(raw: bytes) -> str:
    return decode_utf8(_unescape(raw))


def read_stream(data: bytes) -> PushStream:
    """One stream of a push; raises GoError with Loki's text for the kind of fault."""
    labels: dict[str, str] = {}
    entries: list[PushEntry] = []
    for name, raw, kind in _fields(data):
        if name == b"stream":
            # A label's value may be of any kind: it is taken as it is written.
            labels = {decode_utf8(key): _text(value) for key, value, _ in _fields(raw)}
        elif name == b"values" and kind != "null":
            entries = [_entry(item) for item, what in _items(raw) if what != "null"]
    return PushStream(labels, entries)


def _entry(data: bytes) -> PushEntry:
    entry = PushEntry(ZERO_TIME, "", {})
    fault: GoError | None = None
    index = 0
    try:
        for raw, kind in _items(data):
            try:
                entry = _with_item(entry, index, raw, kind)
            except GoError as error:
                fault = error
            else:
                index += 1
    except GoError as error:
        # What is wrong with an item is told rather than what is wrong with the list.
        raise fault or error from None
    if fault is not None:
        raise fault
    return entry


def _with_item(entry: PushEntry, index: int, raw: bytes, kind: str) -> PushEntry:
    """The entry with its time, its line or its structured metadata; further items are passed over."""
    if index < 2 and kind != "string":
        raise GoError(BAD_STRING)
    if index == 0:
        return entry._replace(ts=_integer(raw))
    if index == 1:
        return entry._replace(line=_text(raw))
    if index == 2:
        if kind != "object":
            raise GoError(BAD_OBJECT)
        return entry._replace(metadata=_metadata(raw))
    return entry


def _integer(raw: bytes) -> int:
    digits = raw[1:] if raw[:1] == b"-" else raw
    if not digits.isdigit() or int(digits) > _MAX_INT64 + (raw[:1] == b"-"):
        raise GoError(BAD_VALUE)
    return int(raw)


def _metadata(raw: bytes) -> dict[str, str]:
    metadata: dict[str, str] = {}
    for name, value, kind in _fields(raw):
        if kind != "string":
            raise GoError(BAD_STRING)
        metadata[decode_utf8(name)] = _text(value)
    return metadata
