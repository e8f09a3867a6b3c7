"""Numbers, durations, sizes and quoted strings as Go reads and writes them, for Loki's texts are Go's."""

from __future__ import annotations

import math
import re
from decimal import Decimal

from .errors import QueryError

MAX_INT64 = (1 << 63) - 1
MAX_UINT64 = (1 << 64) - 1


class UnitError(QueryError):
    """A text that is no number, duration or size; `str()` is Go's message."""


# Floats

_FLOAT = re.compile(r"[+-]?(?:[0-9]++(?:_[0-9]++)*+(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?\Z")
_HEX_FLOAT = re.compile(r"[+-]?0[xX][0-9a-fA-F_]*+(?:\.[0-9a-fA-F_]*+)?(?:[pP][+-]?[0-9_]++)?\Z")
_SPECIAL = {"inf": math.inf, "infinity": math.inf, "nan": math.nan}


def parse_float(text: str) -> float:
    """Read a float as `strconv.ParseFloat` does.

    Raises:
        UnitError: not a number, or out of range.
    """
    if _FLOAT.match(text):
        value = float(text)
        if math.isinf(value):
            raise UnitError(f"strconv.ParseFloat: parsing {quote(text)}: value out of range")
        return value
    lowered = text.lower()
    sign = -1.0 if lowered.startswith("-") else 1.0
    bare = lowered[1:] if lowered[:1] in ("+", "-") else lowered
    if bare in _SPECIAL:
        return sign * _SPECIAL[bare]
    if "_" not in text and ("p" in lowered) and _HEX_FLOAT.match(text):
        try:
            return float.fromhex(text)
        except (ValueError, OverflowError):
            pass
    raise UnitError(f"strconv.ParseFloat: parsing {quote(text)}: invalid syntax")


def format_float(value: float) -> str:
    """Write a float in the shortest way without an exponent: `strconv.FormatFloat(v, 'f', -1, 64)`."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == int(value) and abs(value) < 1e15:
        return "-0" if value == 0 and math.copysign(1, value) < 0 else str(int(value))
    text = repr(value)
    if "e" not in text:
        return text[:-2] if text.endswith(".0") else text
    return format(Decimal(text), "f")


def format_general(value: float) -> str:
    """Write a float as `fmt.Sprint` does: shortest, with an exponent below 1e-4 and from 1e21 on."""
    if math.isnan(value) or math.isinf(value):
        return format_float(value)
    if value == 0 or 1e-4 <= abs(value) < 1e21:
        return format_float(value)
    digits, exponent = f"{Decimal(repr(value)):e}".lower().split("e")
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    sign = exponent[0] if exponent[0] in "+-" else "+"
    return f"{digits}e{sign}{exponent.lstrip('+-'):0>2}"


# Durations (ns)

_PROMETHEUS_PART = re.compile(r"(\d++)([^\d]++)", re.ASCII)
_PROMETHEUS_UNITS = {
    "ms": (7, 1_000_000),
    "s": (6, 1_000_000_000),
    "m": (5, 60_000_000_000),
    "h": (4, 3_600_000_000_000),
    "d": (3, 86_400_000_000_000),
    "w": (2, 604_800_000_000_000),
    "y": (1, 31_536_000_000_000_000),
}
_GO_PART = re.compile(r"(\d*+)(?:(\.)(\d*+))?([^\d.]*+)", re.ASCII)
_GO_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}


def parse_prometheus_duration(text: str) -> int:
    """Read `1d12h`, `5m`, `500ms` into nanoseconds.

    Raises:
        UnitError: not a duration, or too long.
    """
    if text == "0":
        return 0
    if text == "":
        raise UnitError("empty duration string")
    bad = UnitError(f"not a valid duration string: {quote(text[:1000])}")
    total = last = position = 0
    while position < len(text):
        found = _PROMETHEUS_PART.match(text, position)
        if found is None or len(found[1]) > 19:
            raise bad
        unit = _PROMETHEUS_UNITS.get(found[2])
        if unit is None:
            raise UnitError(f"unknown unit {quote(found[2][:100])} in duration {quote(text[:1000])}")
        if unit[0] <= last:
            raise bad
        last, size = unit
        total += int(found[1]) * size
        if total > MAX_INT64:
            raise UnitError("duration out of range")
        position = found.end()
    return total


def format_prometheus_duration(ns: int) -> str:
    """Write nanoseconds as `1h30m`; what is below a millisecond is lost."""
    ms = int(ns / 1_000_000)
    if ms == 0:
        return "0s"
    sign, ms = ("-", -ms) if ms < 0 else ("", ms)
    out = ""
    for unit, size, exact in (
        ("y", 31_536_000_000, True),
        ("w", 604_800_000, True),
        ("d", 86_400_000, False),
        ("h", 3_600_000, False),
        ("m", 60_000, False),
        ("s", 1_000, False),
        ("ms", 1, False),
    ):
        if exact and ms % size:
            continue
        if count := ms // size:
            out += f"{count}{unit}"
            ms -= count * size
    return sign + out


def parse_go_duration(text: str) -> int:
    """Read `1h30m`, `1.5s`, `-20µs` into nanoseconds, as `time.ParseDuration` does.

    Raises:
        UnitError: not a duration, a unit that is not known, or too long.
    """
    bad = UnitError(f"time: invalid duration {quote(text[:1000])}")
    rest = text
    negative = rest[:1] == "-"
    if rest[:1] in ("-", "+"):
        rest = rest[1:]
    if rest == "0":
        return 0
    if not rest or len(rest) > 1000:
        raise bad
    total, position = 0, 0
    while position < len(rest):
        part = _GO_PART.match(rest, position)
        if part is None or not (part[1] or part[3]):
            raise bad
        if not part[4]:
            raise UnitError(f"time: missing unit in duration {quote(text)}")
        unit = _GO_UNITS.get(part[4])
        if unit is None:
            raise UnitError(f"time: unknown unit {quote(part[4])} in duration {quote(text)}")
        total += int(part[1] or "0") * unit
        if part[3]:
            total += int(part[3]) * unit // 10 ** len(part[3])
        if total > MAX_INT64 + 1:
            raise bad
        position = part.end()
    if negative:
        return -total
    if total > MAX_INT64:
        raise bad
    return total


def parse_any_duration(text: str) -> int:
    """Read a duration in either way, Prometheus's first (it knows days, weeks and years)."""
    try:
        return parse_prometheus_duration(text)
    except UnitError:
        return parse_go_duration(text)


def format_go_duration(ns: int) -> str:
    """Write nanoseconds as Go's `Duration.String`: `1h0m0s`, `1.5s`, `20µs`."""
    if ns == 0:
        return "0s"
    sign, value = ("-", -ns) if ns < 0 else ("", ns)
    if value < 1_000_000_000:
        for size, unit in ((1_000_000, "ms"), (1_000, "µs"), (1, "ns")):
            if value >= size:
                return f"{sign}{_fraction(value, size)}{unit}"
    minutes, rest = divmod(value, 60_000_000_000)
    out = f"{_fraction(rest, 1_000_000_000)}s"
    if minutes:
        hours, minutes = divmod(minutes, 60)
        out = f"{minutes}m{out}"
        if hours:
            out = f"{hours}h{out}"
    return sign + out


def _fraction(value: int, size: int) -> str:
    whole, rest = divmod(value, size)
    if not rest:
        return str(whole)
    return f"{whole}.{str(rest).rjust(len(str(size)) - 1, '0').rstrip('0')}"


# Sizes (bytes)

_SIZES = {"": 1, "b": 1}
for _power, _letter in enumerate("kmgtpe", start=1):
    for _suffix in (_letter, f"{_letter}b"):
        _SIZES[_suffix] = 1000**_power
    for _suffix in (f"{_letter}i", f"{_letter}ib"):
        _SIZES[_suffix] = 1024**_power


def parse_bytes(text: str) -> int:
    """Read `5KB`, `1.5 MiB`, `42` into bytes.

    Raises:
        UnitError: not a size.
    """
    end = 0
    while end < len(text) and (text[end].isdecimal() or text[end] in ".,"):
        end += 1
    number = text[:end].replace(",", "")
    value = parse_float(number)
    unit = text[end:].strip().lower()
    size = _SIZES.get(unit)
    if size is None:
        raise UnitError(f"unhandled size name: {unit}")
    total = value * size
    if total >= MAX_UINT64:
        raise UnitError(f"too large: {text}")
    return int(total)


def format_bytes(value: int) -> str:
    """Write bytes as Loki does, with two digits at most (`1.2MB`): not exact."""
    if value < 10:
        return f"{value}B"
    power = min(int(math.log(value) / math.log(1000)), 6)
    shown = math.floor(value / 1000**power * 10 + 0.5) / 10
    text = f"{shown:.1f}" if shown < 10 else f"{shown:.0f}"
    return text + ("B", "kB", "MB", "GB", "TB", "PB", "EB")[power]


# Strings

_ESCAPES = {7: "\\a", 8: "\\b", 12: "\\f", 10: "\\n", 13: "\\r", 9: "\\t", 11: "\\v", 92: "\\\\", 34: '\\"'}
_PLAIN = re.compile(r"[ !#-\[\]-~]*+\Z")


def quote(text: str) -> str:
    """Write a string as `strconv.Quote` does: always one line of a valid, closed literal."""
    if _PLAIN.match(text):
        return f'"{text}"'
    out = []
    for char in text:
        code = ord(char)
        if code in _ESCAPES:
            out.append(_ESCAPES[code])
        elif code < 0x20 or code == 0x7F:
            out.append(f"\\x{code:02x}")
        elif code < 0x7F or (char.isprintable() and code != 0xFFFD) or code == 0xFFFD:
            out.append(char)
        elif 0xD800 <= code <= 0xDFFF:
            out.append("\ufffd")
        elif code < 0x10000:
            out.append(f"\\u{code:04x}")
        else:
            out.append(f"\\U{code:08x}")
    return f'"{"".join(out)}"'


_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}
_ESCAPE = re.compile(r"\\(?:([abfnrtv\\'\"])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3}))")


def unquote(literal: str) -> str:
    """Read a literal with its quotes: backquoted, or double-quoted with Go's escapes.

    Raises:
        UnitError: an escape that is not one.
    """
    body = literal[1:-1]
    if literal[:1] == "`" or "\\" not in body:
        return body
    out: list[str] = []
    raw = bytearray()  # \x and octal escapes give bytes, which join to UTF-8
    position = 0
    while position < len(body):
        if body[position] != "\\":
            end = body.find("\\", position)
            end = len(body) if end < 0 else end
            raw += body[position:end].encode("utf-8", "surrogatepass")
            position = end
            continue
        found = _ESCAPE.match(body, position)
        if found is None or (found[1] == "'" and literal[:1] == '"'):
            raise UnitError("invalid syntax")
        if found[1]:
            raw += _SIMPLE.get(found[1], found[1]).encode()
        elif found[2] or found[5]:
            code = int(found[2], 16) if found[2] else int(found[5], 8)
            if code > 255:
                raise UnitError("invalid syntax")
            raw.append(code)
        else:
            code = int(found[3] or found[4], 16)
            if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
                raise UnitError("invalid syntax")
            raw += chr(code).encode()
        position = found.end()
    out.append(raw.decode("utf-8", "replace"))
    return "".join(out)
