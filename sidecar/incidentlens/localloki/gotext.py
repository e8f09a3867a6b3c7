"""Texts and times as Go writes and reads them: Loki's answers and errors are made of these."""

from __future__ import annotations

import codecs
import math
from datetime import UTC, datetime, timedelta

import re2

from .limits import HOUR, MINUTE, SECOND

MAX_INT64 = 2**63 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re2.compile(r"^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:([Zz])|([+-])(\d\d):(\d\d))$")
_PROM_DURATION = re2.compile(r"^(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$")
_PROM_UNITS = (365 * 24 * HOUR, 7 * 24 * HOUR, 24 * HOUR, HOUR, MINUTE, SECOND, 1_000_000)
_FLOAT = re2.compile(r"^[+-]?(\d[\d_]*\.?[\d_]*([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?)$")
_INT = re2.compile(r"^[+-]?\d+$")


class GoError(ValueError):
    """A refusal whose text is the one Go's standard library (or Loki's parser) gives."""


def _replace_each_byte(error: UnicodeError) -> tuple[str, int]:
    if isinstance(error, UnicodeDecodeError):
        return "\ufffd" * (error.end - error.start), error.end
    raise error


codecs.register_error("go-replace", _replace_each_byte)


def decode_utf8(raw: bytes) -> str:
    """Text of bytes; each byte that is not UTF-8 becomes one U+FFFD, as Go's JSON writer does it."""
    return raw.decode("utf-8", "go-replace")


_SIMPLE_ESCAPES = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
    '"': '\\"',
}


def quote(text: str) -> str:
    """A double-quoted Go string literal (`strconv.Quote`)."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    out = ['"']
    for char in text:
        simple = _SIMPLE_ESCAPES.get(char)
        if simple is not None:
            out.append(simple)
        elif char.isprintable():
            out.append(char)
        else:
            code = ord(char)
            if code < 0x20 or code == 0x7F:
                out.append(f"\\x{code:02x}")
            elif code < 0x10000:
                out.append(f"\\u{code:04x}")
            else:
                out.append(f"\\U{code:08x}")
    out.append('"')
    return "".join(out)


def quote_char(char: str) -> str:
    """A single-quoted Go rune literal (`%q` of a rune)."""
    if char == "'":
        return "'\\''"
    if char == '"':
        return "'\"'"
    return "'" + quote(char)[1:-1] + "'"


def parse_prometheus_duration(text: str) -> int:
    """Nanoseconds of `1h30m`, `5d`, `0`; raises GoError with Prometheus' text."""
    if text == "0":
        return 0
    if not text:
        raise GoError("empty duration string")
    found = _PROM_DURATION.match(text)
    if found is None:
        raise GoError(f"not a valid duration string: {quote(text)}")
    total = sum(int(part) * unit for part, unit in zip(found.groups(), _PROM_UNITS, strict=True) if part)
    if total > MAX_INT64:
        raise GoError("duration out of range")
    return total


def parse_seconds_or_duration(text: str) -> int:
    """Nanoseconds of a step or interval: a number of seconds or a Prometheus duration."""
    if _FLOAT.match(text) is not None:
        seconds = float(text.replace("_", ""))
        if abs(seconds * SECOND) > MAX_INT64:
            raise GoError(f"cannot parse {quote(text)} to a valid duration. It overflows int64")
        return int(seconds * SECOND)
    try:
        return parse_prometheus_duration(text)
    except GoError:
        raise GoError(f"cannot parse {quote(text)} to a valid duration") from None


def parse_int(text: str) -> int:
    """`strconv.Atoi`."""
    if _INT.match(text) is None:
        raise GoError(f"strconv.Atoi: parsing {quote(text)}: invalid syntax")
    value = int(text)
    if abs(value) > MAX_INT64:
        raise GoError(f"strconv.Atoi: parsing {quote(text)}: value out of range")
    return value


def parse_timestamp(text: str) -> int:
    """Nanoseconds since the epoch of what Loki takes as a time.

    A number of up to ten digits is seconds, a longer one nanoseconds, one with a point float seconds (to the
    millisecond); anything else must be RFC 3339.
    """
    if "." in text and _FLOAT.match(text) is not None:
        fraction, whole = math.modf(float(text.replace("_", "")))
        # Go rounds half away from zero; Python's round() would go to the even neighbour.
        millis = math.floor(abs(fraction) * 1000 + 0.5) / 1000
        return int(whole) * SECOND + int(math.copysign(millis, fraction) * SECOND)
    if _INT.match(text) is not None:
        value = int(text)
        if -MAX_INT64 - 1 <= value <= MAX_INT64:
            return value * SECOND if len(text) <= 10 else value
        raise GoError(f"strconv.ParseInt: parsing {quote(text)}: value out of range")
    parsed = parse_rfc3339(text)
    if parsed is None:
        raise GoError(f"strconv.ParseInt: parsing {quote(text)}: invalid syntax")
    return parsed


def parse_rfc3339(text: str) -> int | None:
    """Nanoseconds since the epoch, or None when it is no RFC 3339 time."""
    found = _RFC3339.match(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, _zulu, sign, off_h, off_m = found.groups()
    try:
        moment = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), tzinfo=UTC)
    except ValueError:
        return None
    ns = int((moment - _EPOCH) / timedelta(seconds=1)) * SECOND
    if fraction:
        ns += int(fraction[:9].ljust(9, "0"))
    if sign:
        offset = (int(off_h) * 60 + int(off_m)) * MINUTE
        ns -= offset if sign == "+" else -offset
    return ns


def _civil(ns: int) -> tuple[datetime, int]:
    seconds, rest = divmod(ns, SECOND)
    return _EPOCH + timedelta(seconds=seconds), rest


def _date(moment: datetime, between: str) -> str:
    # strftime's %Y does not pad a year before 1000, and one entry without a time gives the year 1.
    return f"{moment.year:04d}" + moment.strftime(f"-%m-%d{between}%H:%M:%S")


def format_rfc3339(ns: int, *, nano: bool = False) -> str:
    """`2026-11-20T12:00:00Z`; with `nano` also the fraction of a second without its trailing zeros."""
    moment, rest = _civil(ns)
    text = _date(moment, "T")
    if nano and rest:
        text += f".{rest:09d}".rstrip("0")
    return text + "Z"


def format_rfc3339_millis(ns: int) -> str:
    """Always three digits of a second's fraction, as alerts are posted."""
    moment, rest = _civil(ns)
    return _date(moment, "T") + f".{rest // 1_000_000:03d}Z"


def format_go_time(ns: int) -> str:
    """`time.Time.String()` in UTC: `2026-11-20 12:00:00.5 +0000 UTC`."""
    moment, rest = _civil(ns)
    text = _date(moment, " ")
    if rest:
        text += f".{rest:09d}".rstrip("0")
    return text + " +0000 UTC"


def format_go_duration(ns: int) -> str:
    """`time.Duration.String()`: `721h0m0s`, `1.5s`, `20ms`."""
    if ns == 0:
        return "0s"
    sign = "-" if ns < 0 else ""
    ns = abs(ns)
    if ns < SECOND:
        for unit, name in ((1, "ns"), (1_000, "µs"), (1_000_000, "ms")):
            if ns < unit * 1000:
                return f"{sign}{_trim(ns, unit)}{name}"
    hours, rest = divmod(ns, HOUR)
    minutes, rest = divmod(rest, MINUTE)
    text = f"{_trim(rest, SECOND)}s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    if hours:
        text = f"{hours}h{text}"
    return sign + text


def _trim(value: int, unit: int) -> str:
    whole, rest = divmod(value, unit)
    digits = len(str(unit)) - 1
    fraction = f"{rest:0{digits}d}".rstrip("0") if digits else ""
    return f"{whole}.{fraction}" if fraction else str(whole)


def format_prometheus_duration(ns: int) -> str:
    """`model.Duration.String()`: `15s`, `1m30s`, `1d`; weeks and years only when they fit whole."""
    millis = ns // 1_000_000
    if millis == 0:
        return "0s"
    out = ""
    for unit, name, exact in (
        (365 * 86_400_000, "y", True),
        (7 * 86_400_000, "w", True),
        (86_400_000, "d", False),
        (3_600_000, "h", False),
        (60_000, "m", False),
        (1000, "s", False),
        (1, "ms", False),
    ):
        if exact and millis % unit:
            continue
        if millis >= unit:
            out += f"{millis // unit}{name}"
            millis %= unit
    return out


def format_exponent(value: float) -> str:
    """`strconv.FormatFloat(value, 'e', -1, 64)`: `4.3e+01`."""
    if math.isnan(value) or math.isinf(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    digits, _, exponent = f"{value:.17e}".partition("e")
    for precision in range(17):
        shown = f"{value:.{precision}e}"
        if float(shown) == value:
            digits, _, exponent = shown.partition("e")
            break
    return f"{digits}e{int(exponent):+03d}"
