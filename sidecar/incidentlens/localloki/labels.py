"""Label sets: their text form, and the names Loki's normalisation gives."""

from __future__ import annotations

from collections.abc import Mapping

from .gotext import GoError, quote, quote_char

Labels = dict[str, str]

_IDENT_START = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_IDENT = _IDENT_START | frozenset("0123456789")
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}


def is_label_name(name: str) -> bool:
    """Whether `name` may name a label: letters, digits and underscores, no digit first."""
    return bool(name) and name[0] in _IDENT_START and all(char in _IDENT for char in name)


def format_labels(labels: Mapping[str, str]) -> str:
    """`{app="x", env="y"}`, sorted by name."""
    return "{" + ", ".join(f"{name}={quote(labels[name])}" for name in sorted(labels)) + "}"


def check_names(labels: Mapping[str, str]) -> None:
    """Raise GoError, with the text of Loki's label parser, when a name is none."""
    for name in labels:
        if not is_label_name(name):
            parse_labels(format_labels(labels))


def without_empty(labels: Mapping[str, str]) -> Labels:
    """The labels without those that are empty: an empty label is no label."""
    return {name: labels[name] for name in sorted(labels) if labels[name]}


def normalise_name(name: str) -> str:
    """A name for structured metadata and OpenTelemetry attributes: runs of other characters become one underscore.

    Raises GoError when nothing but underscores would be left.
    """
    if not name:
        raise GoError("label name is empty")
    reserved = len(name) >= 4 and name.startswith("__") and name.endswith("__")
    core = name[2:-2] if reserved else name
    out: list[str] = []
    for char in core:
        if char.isascii() and char.isalnum():
            out.append(char)
        elif not out or out[-1] != "_":
            out.append("_")
    text = "".join(out)
    if reserved:
        text = f"__{text}__"
    if text[0].isdigit():
        text = "key_" + text
    if not text.strip("_"):
        raise GoError(f"normalization for label name {quote(name)} resulted in invalid name {quote(text)}")
    return text


class _Reader:
    """Reads `{a="b", c='d'}`; its errors carry line and column as Prometheus' parser counts them."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def error(self, at: int, message: str) -> GoError:
        line = self.text.count("\n", 0, at) + 1
        column = at - (self.text.rfind("\n", 0, at) + 1) + 1
        return GoError(f"{line}:{column}: parse error: {message}")

    def space(self) -> None:
        while self.at < len(self.text) and self.text[self.at] in " \t\r\n":
            self.at += 1

    def peek(self) -> str:
        return self.text[self.at] if self.at < len(self.text) else ""

    def token_text(self) -> str:
        """What stands here, as the parser's messages call it."""
        char = self.peek()
        if char in "=,{}":
            return quote(char)
        if char in "\"'`":
            return f"string {quote(self.string())}"
        return f"identifier {quote(self.identifier())}"

    def identifier(self) -> str:
        begin = self.at
        if self.peek() not in _IDENT_START or not self.peek():
            raise self.error(self.at, f"unexpected character inside braces: {quote_char(self.peek())}")
        while self.at < len(self.text) and self.text[self.at] in _IDENT:
            self.at += 1
        return self.text[begin : self.at]

    def string(self) -> str:
        mark = self.peek()
        begin = self.at
        self.at += 1
        out: list[str] = []
        while True:
            char = self.peek()
            if not char or (char == "\n" and mark != "`"):
                raise self.error(begin, "unterminated quoted string" if mark != "`" else "unterminated raw string")
            self.at += 1
            if char == mark:
                return "".join(out)
            out.append(self._escape(mark) if char == "\\" and mark != "`" else char)

    def _escape(self, mark: str) -> str:
        char = self.peek()
        self.at += 1
        if char == mark:
            return mark
        if char in _ESCAPES:
            return _ESCAPES[char]
        length, base = {"x": (2, 16), "u": (4, 16), "U": (8, 16)}.get(char, (3, 8))
        if length == 3:
            self.at -= 1
        digits = self.text[self.at : self.at + length]
        try:
            code = int(digits, base)
            result = chr(code)
        except ValueError:
            raise self.error(self.at, f"unknown escape sequence {quote_char(char)}") from None
        self.at += length
        return result


def parse_labels(text: str) -> Labels:
    """Read `{name="value", …}` as a protobuf push carries it. Empty labels are left out; raises GoError."""
    reader = _Reader(text)
    reader.space()
    if not reader.peek():
        raise GoError("1:1: parse error: unexpected end of input")
    if reader.peek() != "{":
        raise reader.error(reader.at, f"unexpected character: {quote_char(reader.peek())}")
    reader.at += 1
    labels: Labels = {}
    while True:
        reader.space()
        if reader.peek() == "}":
            reader.at += 1
            break
        at = reader.at
        if not reader.peek():
            raise reader.error(at, "unexpected end of input inside braces")
        if reader.peek() in "=,":
            raise reader.error(at, f'unexpected {reader.token_text()} in label set, expected identifier or "}}"')
        name = reader.identifier()
        reader.space()
        at = reader.at
        if reader.peek() != "=":
            if not reader.peek():
                raise reader.error(at, "unexpected end of input inside braces")
            raise reader.error(at, f'unexpected {reader.token_text()} in label set, expected "="')
        reader.at += 1
        reader.space()
        at = reader.at
        if reader.peek() not in "\"'`" or not reader.peek():
            if not reader.peek():
                raise reader.error(at, "unexpected end of input inside braces")
            raise reader.error(at, f"unexpected {reader.token_text()} in label set, expected string")
        labels[name] = reader.string()
        reader.space()
        if reader.peek() == ",":
            reader.at += 1
        elif reader.peek() != "}":
            if not reader.peek():
                raise reader.error(reader.at, "unexpected end of input inside braces")
            raise reader.error(reader.at, f'unexpected {reader.token_text()} in label set, expected "," or "}}"')
    reader.space()
    if reader.peek():
        raise reader.error(reader.at, f"unexpected character: {quote_char(reader.peek())}")
    return without_empty(labels)
