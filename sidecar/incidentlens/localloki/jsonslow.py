"""Reads a JSON push the way Loki's reader does, with its leniency and its texts.

Two readers work on a body: an outer one that walks the document and skips over each stream, and an inner one that
takes a skipped stream apart. The outer one reports where it stood with the bytes around it; it sees the body through
a window of 512 bytes, so nothing before the window is shown. The inner one has one text for each kind of fault.
"""

from __future__ import annotations

from collections.abc import Iterator

from .gotext import GoError, decode_utf8
from .records import ZERO_TIME, PushEntry, PushStream

_WINDOW = 512
_SPACE = b" \t\r\n"
_MAX_DEPTH = 10_000
_MAX_INT64 = 2**63 - 1

BAD_VALUE = "Value looks like Number/Boolean/None, but can't find its end: ',' or '}' symbol"
BAD_STRING = "Value is string, but can't find closing '\"' symbol"
BAD_OBJECT = "Value looks like object, but can't find closing '}' symbol"
BAD_ARRAY = "Value is array, but can't find closing ']' symbol"
BAD_JSON = "Malformed JSON error"
BAD_ESCAPE = "Encountered an invalid escape sequence in a string"


class _Stop(Exception):
    """The outer reader's first fault."""


def _as_is(raw: bytes) -> str:
    """Bytes in an error text: they go out as they came in."""
    return raw.decode("utf-8", "surrogateescape")


def _char(byte: int) -> str:
    return _as_is(bytes([byte]))


class _Outer:
    """Walks the document. `at` is the next byte to read."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.at = 0
        self.depth = 0
        self.ended = False

    def fail(self, operation: str, message: str) -> _Stop:
        """A fault here, with the bytes around it that the window holds."""
        begin = max(self.at - 1, 0) // _WINDOW * _WINDOW
        end = min(begin + _WINDOW, len(self.body))
        near_from = max(begin, self.at - 10)
        near = self.body[near_from : min(end, self.at + 10)]
        wide = self.body[max(begin, self.at - 50) : min(end, self.at + 50)]
        return _Stop(
            f"{operation}: {message}, error found in #{self.at - near_from} byte of "
            f"...|{_as_is(near)}|..., bigger context ...|{_as_is(wide)}|..."
        )

    def token(self) -> int:
        """The next byte that is no space; at the end 0, and space before it is not passed over."""
        body = self.body
        for index in range(self.at, len(body)):
            if body[index] not in _SPACE:
                self.at = index + 1
                return body[index]
        self.ended = True
        return 0

    def back(self) -> None:
        """Give the last byte back; at the end there is none to give."""
        if not self.ended:
            self.at -= 1

    def byte(self) -> int:
        if self.at >= len(self.body):
            return 0
        self.at += 1
        return self.body[self.at - 1]

    def literal(self, rest: bytes) -> None:
        operation = "skipThreeBytes" if len(rest) == 3 else "skipFourBytes"
        for char in rest:
            if self.byte() != char:
                raise self.fail(operation, f"expect {rest.decode()}")

    def skip(self) -> None:
        """Pass over one value."""
        char = self.token()
        if char == 0x22:
            self.string()
        elif char == 0x7B:
            self.object()
        elif char == 0x5B:
            self.array()
        elif char == 0x6E:
            self.literal(b"ull")
        elif char == 0x74:
            self.literal(b"rue")
        elif char == 0x66:
            self.literal(b"alse")
        elif char in b"-0123456789" and char:
            self.back()
            self.number()
        else:
            raise self.fail("Skip", f"do not know how to skip: {char}")

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > _MAX_DEPTH // 20:  # Python's own stack ends sooner than Go's
            raise self.fail("incrementDepth", "exceeded max depth")

    def number(self) -> None:
        begin = self.at
        while self.at < len(self.body) and self.body[self.at] in b"+-0123456789.eE":
            self.at += 1
        text = self.body[begin : self.at].decode()
        digits = text.lstrip("-")
        if "." in digits and not digits.partition(".")[2][:1].isdigit():
            self.at = begin
            raise self.fail("validateNumber", "missing digit after dot")
        try:
            float(text)
        except ValueError:
            raise self.fail("readFloat64SlowPath", f'strconv.ParseFloat: parsing "{text}": invalid syntax') from None

    def string(self, operation: str = "trySkipString") -> None:
        """Pass over the rest of a string whose opening quote was read."""
        body = self.body
        # Control characters are looked for only so far as the window goes, and not after an escape.
        for index in range(self.at, min(len(body), (self.at // _WINDOW + 1) * _WINDOW)):
            char = body[index]
            if char == 0x22:
                self.at = index + 1
                return
            if char == 0x5C:
                break
            if char < 0x20:
                raise self.fail(operation, f"invalid control character found: {char}")
        while self.at < len(body):
            char = self.byte()
            if char == 0x22:
                return
            if char == 0x5C:
                self.escape(self.byte())
        raise self.fail("readStringSlowPath", "unexpected end of input")

    def escape(self, char: int) -> None:
        if char == 0x75:
            for _ in range(4):
                digit = self.byte()
                if digit not in b"0123456789abcdefABCDEF" or not digit:
                    raise self.fail("readU4", f"expects 0~9 or a~f, but found {_char(digit)}")
        elif char not in b'"\\/bfnrt' or not char:
            raise self.fail("readEscapedChar", "invalid escape char after \\")

    def key(self) -> None:
        char = self.token()
        if char == 0x22:
            self.string("ReadString")
        elif char == 0x6E:
            self.literal(b"ull")
        else:
            raise self.fail("ReadString", f'expects " or n, but found {_char(char)}')
        char = self.token()
        if char != 0x3A:
            raise self.fail("ReadObject", f"expect : after object field, but found {_char(char)}")

    def object(self) -> None:
        self.deeper()
        char = self.token()
        if char == 0x22:
            self.back()
            self.key()
            self.skip()
            char = self.token()
            while char == 0x2C:
                self.key()
                self.skip()
                char = self.token()
            if char != 0x7D:
                raise self.fail("ReadObjectCB", "object not ended with }")
        elif char != 0x7D:
            raise self.fail("ReadObjectCB", f'expect " after {{, but found {_char(char)}')
        self.depth -= 1

    def array(self) -> None:
        self.deeper()
        char = self.token()
        if char != 0x5D:
            self.back()
            self.skip()
            char = self.token()
            while char == 0x2C:
                self.skip()
                char = self.token()
            if char != 0x5D:
                raise self.fail("ReadArrayCB", f"expect ] in the end, but found {_char(char)}")
        self.depth -= 1

    def field(self) -> bytes:
        """The name of a field of the document."""
        char = self.token()
        if char != 0x22:
            raise self.fail("readFieldHash", f'expect ", but found {_char(char)}')
        begin = self.at
        while self.at < len(self.body) and self.body[self.at] not in b'"\\':
            self.at += 1
        if self.at >= len(self.body):
            self.at = begin
            raise self.fail("readFieldHash", "incomplete field name")
        if self.body[self.at] == 0x5C:
            self.string()
        else:
            self.at += 1
        name = self.body[begin : self.at - 1]
        char = self.token()
        if char != 0x3A:
            raise self.fail("readFieldHash", f"expect :, but found {_char(char)}")
        return name.lower()


def read_push(body: bytes) -> list[PushStream]:
    """The streams of a push body, or GoError with Loki's text."""
    if not body:
        raise GoError("EOF")
    outer = _Outer(body)
    streams: list[PushStream] = []
    try:
        char = outer.token()
        if char == 0x6E:
            outer.literal(b"ull")
            return streams
        if char != 0x7B:
            raise outer.fail("readObjectStart", f"expect {{ or n, but found {_char(char)}")
        if outer.token() == 0x7D:
            return streams
        outer.back()
    except _Stop as stop:
        raise GoError(str(stop)) from None
    try:
        while True:
            if outer.field() == b"streams":
                streams = _streams(outer)
            else:
                outer.skip()
            char = outer.token()
            if char == 0x2C:
                continue
            if char == 0x7D:
                return streams
            raise outer.fail("isObjectEnd", f"object ended prematurely, unexpected char {_char(char)}")
    except _Stop as stop:
        raise GoError(f"loghttp.PushRequest.{stop}") from None


def _streams(outer: _Outer) -> list[PushStream]:
    streams: list[PushStream] = []
    try:
        char = outer.token()
        if char == 0x6E:
            outer.literal(b"ull")
            return streams
        if char != 0x5B:
            raise outer.fail("decode slice", f"expect [ or n, but found {_char(char)}")
        if outer.token() == 0x5D:
            return streams
        outer.back()
        while True:
            while outer.at < len(outer.body) and outer.body[outer.at] in _SPACE:
                outer.at += 1
            begin = outer.at
            outer.skip()
            try:
                streams.append(_stream(outer.body[begin : outer.at]))
            except GoError as error:
                raise outer.fail("unmarshalerDecoder", str(error)) from None
            char = outer.token()
            if char == 0x2C:
                continue
            if char == 0x5D:
                return streams
            raise outer.fail("decode slice", f"expect ], but found {_char(char)}")
    except _Stop as stop:
        raise _Stop(f"Streams: []loghttp.LogProtoStream: {stop}") from None


# The inner reader: works on the bytes of one stream, which are sound JSON by now.


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


def _stream(data: bytes) -> PushStream:
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
