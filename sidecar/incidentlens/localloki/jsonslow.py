"""Reads a JSON push the way Loki's reader does, with its leniency and its texts.

Two readers work on a body: the one here walks the document and skips over each stream, and `jsonstream` takes a
skipped stream apart. This one reports where it stood with the bytes around it; it sees the body through a window of
512 bytes, so nothing before the window is shown.
"""

from __future__ import annotations

from .gotext import GoError
from .jsonstream import read_stream
from .records import PushStream

_WINDOW = 512
_SPACE = b" \t\r\n"
_MAX_DEPTH = 200
"""Loki goes to 10,000; Python's own stack ends sooner, and no push is nested so deeply."""


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
        if self.depth > _MAX_DEPTH:
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
                streams.append(read_stream(outer.body[begin : outer.at]))
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
