"""Splits a query into tokens as Loki's own scanner does, down to the positions that its errors name.

A column counts characters from 1. A token that the scanner reads on after its first part (`!=`, `5m`, `[1m]`) loses its
line: Loki then says "line 0", and so does this.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from .errors import LogQLError
from .units import UnitError, parse_any_duration, parse_bytes, parse_prometheus_duration, unquote

SYMBOLS = {
    ",": "COMMA",
    ".": "DOT",
    "{": "OPEN_BRACE",
    "}": "CLOSE_BRACE",
    "=": "EQ",
    "!=": "NEQ",
    "=~": "RE",
    "!~": "NRE",
    "!>": "NPA",
    "|=": "PIPE_EXACT",
    "|~": "PIPE_MATCH",
    "|>": "PIPE_PATTERN",
    "|": "PIPE",
    "(": "OPEN_PARENTHESIS",
    ")": "CLOSE_PARENTHESIS",
    "[": "OPEN_BRACKET",
    "]": "CLOSE_BRACKET",
    "+": "ADD",
    "-": "SUB",
    "*": "MUL",
    "/": "DIV",
    "%": "MOD",
    "^": "POW",
    "==": "CMP_EQ",
    ">": "GT",
    ">=": "GTE",
    "<": "LT",
    "<=": "LTE",
}
KEYWORDS = {
    "unwrap": "UNWRAP",
    "by": "BY",
    "without": "WITHOUT",
    "bool": "BOOL",
    "label_replace": "LABEL_REPLACE",
    "offset": "OFFSET",
    "on": "ON",
    "ignoring": "IGNORING",
    "group_left": "GROUP_LEFT",
    "group_right": "GROUP_RIGHT",
    "or": "OR",
    "and": "AND",
    "unless": "UNLESS",
    "json": "JSON",
    "regexp": "REGEXP",
    "logfmt": "LOGFMT",
    "unpack": "UNPACK",
    "pattern": "PATTERN",
    "label_format": "LABEL_FMT",
    "line_format": "LINE_FMT",
    "ip": "IP",
    "decolorize": "DECOLORIZE",
    "drop": "DROP",
    "keep": "KEEP",
    "variants": "VARIANTS",
    "of": "OF",
}
# Names that are functions only where a parenthesis or a grouping follows, and labels everywhere else.
FUNCTIONS = {
    "rate": "RATE",
    "rate_counter": "RATE_COUNTER",
    "count_over_time": "COUNT_OVER_TIME",
    "bytes_rate": "BYTES_RATE",
    "bytes_over_time": "BYTES_OVER_TIME",
    "avg_over_time": "AVG_OVER_TIME",
    "sum_over_time": "SUM_OVER_TIME",
    "min_over_time": "MIN_OVER_TIME",
    "max_over_time": "MAX_OVER_TIME",
    "stdvar_over_time": "STDVAR_OVER_TIME",
    "stddev_over_time": "STDDEV_OVER_TIME",
    "quantile_over_time": "QUANTILE_OVER_TIME",
    "first_over_time": "FIRST_OVER_TIME",
    "last_over_time": "LAST_OVER_TIME",
    "absent_over_time": "ABSENT_OVER_TIME",
    "vector": "VECTOR",
    "sum": "SUM",
    "avg": "AVG",
    "max": "MAX",
    "min": "MIN",
    "count": "COUNT",
    "stddev": "STDDEV",
    "stdvar": "STDVAR",
    "bottomk": "BOTTOMK",
    "topk": "TOPK",
    "sort": "SORT",
    "sort_desc": "SORT_DESC",
    "label_replace": "LABEL_REPLACE",
    "approx_topk": "APPROX_TOPK",
    "bytes": "BYTES_CONV",
    "duration": "DURATION_CONV",
    "duration_seconds": "DURATION_SECONDS_CONV",
    "ip": "IP",
}
FLAGS = ("--strict", "--keep-empty")
_CALL = re.compile(r"\s*+(?:by\s*+|without\s*+)?\(", re.IGNORECASE)
_DURATION_CHARS = "nuµmshdwy"
_BYTES_CHARS = "BikKMGTP"


class Token(NamedTuple):
    """One token: `kind` is the grammar's name, `value` its meaning (ns, bytes, unquoted text)."""

    kind: str
    value: str | int
    line: int
    column: int


def tokens(text: str) -> Iterator[Token]:
    """Give the tokens of a query and at its end one of kind `$END`.

    Raises:
        LogQLError: a string that does not end, a range that is no duration, a number that is none.
    """
    return _Scanner(text).run()


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 1 if text.startswith("\ufeff") else 0
        self.line = 1
        self.line_start = 0

    def run(self) -> Iterator[Token]:
        text = self.text
        while True:
            self._skip()
            line, column = self.line, self.position - self.line_start + 1
            if self.position >= len(text):
                yield Token("$END", "", 0, 0) if not text else Token("$END", "", line, column)
                return
            yield self._token(line, column)

    def _skip(self) -> None:
        """Go past white space and comments (`#`, and Go's `//` and `/* */`)."""
        text = self.text
        while self.position < len(text):
            char = text[self.position]
            if char == "\n":
                self.line += 1
                self.line_start = self.position + 1
            elif char == "#" or text.startswith("//", self.position):
                end = text.find("\n", self.position)
                self.position = len(text) if end < 0 else end
                continue
            elif text.startswith("/*", self.position):
                end = text.find("*/", self.position + 2)
                if end < 0:
                    self._fail("comment not terminated", self.line, self.position - self.line_start + 1)
                for found in range(self.position, end):
                    if text[found] == "\n":
                        self.line += 1
                        self.line_start = found + 1
                self.position = end + 2
                continue
            elif char not in " \t\r":
                return
            self.position += 1

    def _fail(self, message: str, line: int, column: int, hint: str = "") -> None:
        raise LogQLError(message, line, column, hint)

    def _token(self, line: int, column: int) -> Token:
        text, start = self.text, self.position
        char = text[start]
        if char == "_" or char.isalpha():
            return self._word(line, column)
        if (char.isdecimal() and char.isascii()) or (char == "." and text[start + 1 : start + 2].isdecimal()):
            return self._number(line, column)
        if char in "\"`'":
            return self._string(line, column)
        if char == "[":
            return self._range(line, column)
        if char == "-":
            if text.startswith("--", start):
                end = start
                while end < len(text) and (text[end].isalpha() or text[end] == "-"):
                    end += 1
                if text[start:end] in FLAGS:
                    self.position = end
                    return Token("FUNCTION_FLAG", text[start:end], 0, column)
            end = self._span(start + 1, _DURATION_CHARS)
            if end > start + 1:
                try:
                    value = parse_any_duration(text[start:end])
                except UnitError:
                    pass
                else:
                    self.position = end
                    return Token("DURATION", value, 0, column)
        if char == "\0":
            self._fail("invalid character NUL", line, column, "take the NUL byte out of the query")
        if (kind := SYMBOLS.get(text[start : start + 2])) is not None and len(text) > start + 1:
            self.position += 2
            return Token(kind, text[start : start + 2], 0, column)
        self.position += 1
        return Token(SYMBOLS.get(char, "IDENTIFIER"), char, line, column)

    def _word(self, line: int, column: int) -> Token:
        text, end = self.text, self.position + 1
        while end < len(text) and (text[end] == "_" or text[end].isalpha() or text[end].isdecimal()):
            end += 1
        word, self.position = text[self.position : end], end
        lowered = word.lower()
        if lowered in FUNCTIONS:
            return Token(FUNCTIONS[lowered] if self._calls(end) else "IDENTIFIER", word, line, column)
        return Token(KEYWORDS.get(lowered, "IDENTIFIER"), word, line, column)

    def _calls(self, position: int) -> bool:
        """Say whether `(`, or a grouping and `(`, follows."""
        return _CALL.match(self.text, position) is not None

    def _span(self, position: int, letters: str) -> int:
        text = self.text
        while position < len(text) and (
            text[position].isnumeric() or text[position] in letters or text[position] == "."
        ):
            position += 1
        return position

    def _number(self, line: int, column: int) -> Token:
        text, start = self.text, self.position
        end = self._digits(start, line, column)
        for kind, letters in (("DURATION", _DURATION_CHARS), ("BYTES", _BYTES_CHARS)):
            longer = self._span(end, letters)
            if longer > end:
                try:
                    value = (
                        parse_any_duration(text[start:longer])
                        if kind == "DURATION"
                        else parse_bytes(text[start:longer])
                    )
                except UnitError:
                    continue
                self.position = longer
                return Token(kind, value, 0, column)
        self.position = end
        return Token("NUMBER", text[start:end], line, column)

    def _digits(self, start: int, line: int, column: int) -> int:
        """Find the end of Go's number literal that starts here."""
        text, end = self.text, start
        digits = "0123456789_"
        prefix = text[start : start + 2].lower()
        if prefix in ("0x", "0o", "0b"):
            end += 2
            digits = "0123456789abcdefABCDEF_" if prefix == "0x" else digits
            if text[end : end + 1] not in digits or end >= len(text):
                name = {"0x": "hexadecimal", "0o": "octal", "0b": "binary"}[prefix]
                if prefix == "0b":
                    return start + 1  # 0b is a size, not a binary number without digits
                self._fail(f"{name} literal has no digits", line, column)
        while end < len(text) and text[end] in digits:
            end += 1
        if end < len(text) and text[end] == "." and prefix not in ("0o", "0b"):
            end += 1
            while end < len(text) and text[end] in digits:
                end += 1
        if end < len(text) and text[end] in ("pP" if prefix == "0x" else "eE"):
            mark = end + 1
            if text[mark : mark + 1] in ("+", "-"):
                mark += 1
            if not text[mark : mark + 1].isdecimal():
                self._fail("exponent has no digits", line, column)
            end = mark
            while end < len(text) and text[end] in "0123456789_":
                end += 1
        literal = text[start:end]
        if len(literal) > 1 and literal[0] == "0" and literal.isdecimal():
            bad = next((digit for digit in literal if digit in "89"), None)
            if bad is not None:
                self._fail(f"invalid digit '{bad}' in octal literal", line, column)
        return end

    def _string(self, line: int, column: int) -> Token:
        text, start = self.text, self.position
        mark = text[start]
        end = start + 1
        while True:
            if end >= len(text) or (text[end] == "\n" and mark != "`"):
                self._fail("literal not terminated", line, column, f"close the string with {mark}")
            char = text[end]
            if char == "\0":
                self._fail("invalid character NUL", line, column, "take the NUL byte out of the query")
            if char == "\n":
                self.line += 1
                self.line_start = end + 1
            if char == mark:
                break
            if char == "\\" and mark != "`":
                if not self._escape_is_good(end, mark):
                    hint = "write a backslash as \\\\, or put the string in backquotes"
                    self._fail("invalid char escape", line, column, hint)
                end += 1
            end += 1
        self.position = end + 1
        literal = text[start : end + 1]
        if mark == "'":
            if len(literal) != 3 and not (literal[1:2] == "\\" and len(literal) == 4):
                self._fail("invalid char literal", line, column, "strings stand in double quotes or backquotes")
            return Token("IDENTIFIER", literal, line, column)
        try:
            return Token("STRING", unquote(literal), line, column)
        except UnitError as error:
            self._fail(str(error), line, column)
            raise

    def _escape_is_good(self, position: int, mark: str) -> bool:
        text = self.text
        kind = text[position + 1 : position + 2]
        if kind and kind in "abfnrtv\\" + mark:
            return True
        sizes = {"x": 2, "u": 4, "U": 8}
        if kind in sizes:
            digits = text[position + 2 : position + 2 + sizes[kind]]
            return len(digits) == sizes[kind] and all(digit in "0123456789abcdefABCDEF" for digit in digits)
        digits = text[position + 1 : position + 4]
        return len(digits) == 3 and all(digit in "01234567" for digit in digits)

    def _range(self, line: int, column: int) -> Token:
        end = self.text.find("]", self.position)
        if end < 0:
            self._fail("missing closing ']' in duration", 0, column)
        inside = self.text[self.position + 1 : end]
        for found in range(self.position, end):
            if self.text[found] == "\n":
                self.line += 1
                self.line_start = found + 1
        self.position = end + 1
        try:
            return Token("RANGE", parse_prometheus_duration(inside), 0, column)
        except UnitError as error:
            self._fail(str(error), 0, column, "a range is written [5m], [1h30m], [1d]")
            raise
