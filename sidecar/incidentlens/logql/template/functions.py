"""The functions a template may call, as Loki offers them: Go's own, its older ones and a choice of sprig's."""

from __future__ import annotations

import base64
import binascii
import html
import json
import math
import time
import urllib.parse
from collections.abc import Callable
from typing import Any

from ..errors import LogQLError
from ..expand import expand
from ..regex import compile_re2
from ..units import UnitError, parse_bytes, parse_go_duration, quote
from .gotime import ZERO_NS, GoTime, parse_time, zone
from .numbers import (
    MAX_TEXT,
    FunctionError,
    bounded,
    divide,
    float_fold,
    product,
    remainder,
    rounded,
    to_float,
    to_int,
    wrap,
)
from .printf import show, sprint, sprintf, type_name

# What a parameter takes: s(tring), i(nteger), f(loat), t(ime), a(ny); a last `*` repeats the one before it.
Signature = tuple[str, Callable[..., Any]]


def _regex(pattern: str) -> Any:
    try:
        return compile_re2(pattern)
    except LogQLError as error:
        raise FunctionError(error.message) from None


def _replace_all(pattern: str, text: str, replacement: str) -> str:
    expression = _regex(pattern)
    return _substitute(expression, text, lambda found: expand(replacement, found, expression.groupindex))


def _replace_literal(pattern: str, text: str, replacement: str) -> str:
    return _substitute(_regex(pattern), text, lambda found: replacement)


def _substitute(expression: Any, text: str, write: Callable[[Any], str]) -> str:
    out: list[str] = []
    position = total = 0
    for found in expression.finditer(text):
        part = text[position : found.start()] + write(found)
        total += len(part)
        if total > MAX_TEXT:
            raise FunctionError(f"result is longer than {MAX_TEXT} characters")
        out.append(part)
        position = found.end()
    return "".join(out) + text[position:]


def _count(pattern: str, text: str) -> int:
    return sum(1 for _ in _regex(pattern).finditer(text))


def _conversion(read: Callable[[str], float]) -> Callable[[str], float]:
    def convert(text: str) -> float:
        try:
            return float(read(text))
        except UnitError as error:
            raise FunctionError(str(error)) from None

    return convert


def _unquote_url(text: str) -> str:
    position = 0
    while (position := text.find("%", position)) >= 0:
        digits = text[position + 1 : position + 3]
        if len(digits) < 2 or any(digit not in "0123456789abcdefABCDEF" for digit in digits):
            raise FunctionError(f"invalid URL escape {quote(text[position : position + 3])}")
        position += 3
    return urllib.parse.unquote_plus(text)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _trunc(count: int, text: str) -> str:
    raw = _bytes(text)
    if count < 0 and len(raw) + count > 0:
        return _text(raw[len(raw) + count :])
    return _text(raw[:count]) if 0 <= count < len(raw) else text


def _substr(start: int, end: int, text: str) -> str:
    raw = _bytes(text)
    if start < 0:
        start = 0
    elif end < 0 or end > len(raw):
        end = len(raw)
    if not 0 <= start <= end <= len(raw):
        raise FunctionError(f"runtime error: slice bounds out of range [{start}:{end}]")
    return _text(raw[start:end])


def _title(text: str) -> str:
    out, start = [], True
    for char in text:
        out.append(char.title() if start else char)
        start = not (char.isalnum() or char in "_'")
    return "".join(out)


def _replace(text: str, old: str, new: str, count: int) -> str:
    return text.replace(old, new, count) if count >= 0 else bounded(text.replace(old, new))


def _repeat(count: int, text: str) -> str:
    if count < 0:
        raise FunctionError("strings: negative Repeat count")
    if count * len(text) > MAX_TEXT:
        raise FunctionError(f"result is longer than {MAX_TEXT} characters")
    return text * count


def _indent(spaces: int, text: str) -> str:
    if not 0 <= spaces <= 1000:
        raise FunctionError("strings: negative Repeat count" if spaces < 0 else "indent of more than 1000")
    pad = " " * spaces
    return bounded(pad + text.replace("\n", "\n" + pad))


def _align_left(count: int, text: str) -> str:
    return text if count < 0 else text[:count].ljust(min(count, MAX_TEXT))


def _align_right(count: int, text: str) -> str:
    if count < 0 or count == len(text):
        return text
    return text.rjust(min(count, MAX_TEXT)) if count > len(text) else text[len(text) - count :]


def _from_json(text: str) -> Any:
    if len(text) > MAX_TEXT:
        raise FunctionError("fromJson: the text is too long")
    try:
        return json.loads(text, parse_int=float)
    except (ValueError, RecursionError):
        return None


def _moment(value: Any) -> GoTime:
    if isinstance(value, GoTime):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return GoTime(value * 1_000_000_000)
    return GoTime(time.time_ns())


def _unix_to_time(text: str) -> GoTime:
    scale = {5: 86_400_000_000_000, 10: 1_000_000_000, 13: 1_000_000, 16: 1_000, 19: 1}.get(len(text))
    if not text.lstrip("+-").isdecimal() or not text.isascii():
        reason = f"strconv.ParseInt: parsing {quote(text)}: invalid syntax"
        raise FunctionError(f"unable to parse time '{text}': {reason}")
    if scale is None:
        raise FunctionError(f"unable to parse time '{text}': %!w(<nil>)")
    return GoTime(int(text) * scale)


def _to_date(layout: str, text: str) -> GoTime:
    return parse_time(layout, text, zone("UTC")) or GoTime(ZERO_NS)


def _to_date_in_zone(layout: str, name: str, text: str) -> GoTime:
    return parse_time(layout, text, zone(name)) or GoTime(ZERO_NS)


def is_true(value: Any) -> bool:
    """Go's truth: not nil, zero or empty."""
    return isinstance(value, GoTime) or bool(value)


def _default(fallback: Any, *given: Any) -> Any:
    return given[0] if given and is_true(given[0]) else fallback


def _b64dec(text: str) -> str:
    try:
        return _text(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        at = next((index for index, char in enumerate(text) if char not in alphabet), len(text) - len(text) % 4)
        return f"illegal base64 data at input byte {at}"


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if isinstance(value, dict):
            if not isinstance(key, str):
                raise FunctionError(f"value has type {type_name(key)}; should be string")
            value = value.get(key, "" if value and all(isinstance(one, str) for one in value.values()) else None)
        elif isinstance(value, (list, str)):
            if not isinstance(key, int) or isinstance(key, bool):
                raise FunctionError(f"cannot index slice/array with type {type_name(key)}")
            items: Any = _bytes(value) if isinstance(value, str) else value
            if not 0 <= key < len(items):
                raise FunctionError(f"index out of range: {key}")
            value = items[key]
        elif value is None:
            raise FunctionError("index of untyped nil")
        else:
            raise FunctionError(f"can't index item of type {type_name(value)}")
    return value


def _slice(value: Any, *bounds: int) -> Any:
    if not isinstance(value, (str, list)):
        raise FunctionError(f"can't slice item of type {type_name(value)}")
    items: Any = _bytes(value) if isinstance(value, str) else value
    start, end = (
        (*bounds, len(items))[:2] if len(bounds) == 1 else (*bounds, 0, len(items))[:2] if bounds else (0, len(items))
    )
    if not 0 <= start <= len(items):
        raise FunctionError(f"index out of range: {start}")
    if not start <= end <= len(items):
        raise FunctionError(f"index out of range: {end}")
    return _text(items[start:end]) if isinstance(value, str) else items[start:end]


def _length(value: Any) -> int:
    if isinstance(value, str):
        return len(_bytes(value))
    if isinstance(value, (list, dict)):
        return len(value)
    raise FunctionError("len of nil pointer" if value is None else f"len of type {type_name(value)}")


def _kind(value: Any) -> str:
    return "int" if isinstance(value, int) and not isinstance(value, bool) else type_name(value)


def _equal(first: Any, *others: Any) -> bool:
    for other in others:
        if first is not None and other is not None and _kind(first) != _kind(other):
            raise FunctionError("incompatible types for comparison")
        if isinstance(first, (dict, list)):
            raise FunctionError("non-comparable type " + show(first) + ": " + type_name(first))
        if first == other:
            return True
    return False


def _less(left: Any, right: Any) -> bool:
    if _kind(left) != _kind(right):
        raise FunctionError("incompatible types for comparison")
    if isinstance(left, bool) or not isinstance(left, (int, float, str)):
        raise FunctionError("invalid type for comparison")
    return left < right  # type: ignore[no-any-return]


def _escape_js(text: str) -> str:
    table = {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D"}
    return "".join(table.get(char) or (char if char >= " " else f"\\u{ord(char):04X}") for char in text)


FUNCTIONS: dict[str, Signature] = {
    # Go's
    "html": ("a*", lambda *v: html.escape(sprint(list(v))).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")),
    "index": ("aa*", _index),
    "js": ("a*", lambda *v: _escape_js(sprint(list(v)))),
    "len": ("a", _length),
    "not": ("a", lambda value: not is_true(value)),
    "print": ("a*", lambda *values: sprint(list(values))),
    "printf": ("sa*", lambda layout, *values: bounded(sprintf(layout, list(values)))),
    "println": ("a*", lambda *values: " ".join(show(value) for value in values) + "\n"),
    "slice": ("ai*", _slice),
    "urlquery": ("a*", lambda *values: urllib.parse.quote_plus(sprint(list(values)), safe="")),
    "eq": ("aa*", _equal),
    "ne": ("aa", lambda left, right: not _equal(left, right)),
    "lt": ("aa", _less),
    "le": ("aa", lambda left, right: _less(left, right) or _equal(left, right)),
    "gt": ("aa", lambda left, right: not (_less(left, right) or _equal(left, right))),
    "ge": ("aa", lambda left, right: not _less(left, right)),
    # Loki's
    "ToLower": ("s", str.lower),
    "ToUpper": ("s", str.upper),
    "Replace": ("sssi", _replace),
    "Trim": ("ss", lambda text, chars: text.strip(chars) if chars else text),
    "TrimLeft": ("ss", lambda text, chars: text.lstrip(chars) if chars else text),
    "TrimRight": ("ss", lambda text, chars: text.rstrip(chars) if chars else text),
    "TrimPrefix": ("ss", str.removeprefix),
    "TrimSuffix": ("ss", str.removesuffix),
    "TrimSpace": ("s", str.strip),
    "regexReplaceAll": ("sss", _replace_all),
    "regexReplaceAllLiteral": ("sss", _replace_literal),
    "count": ("ss", _count),
    "urldecode": ("s", _unquote_url),
    "urlencode": ("s", lambda text: urllib.parse.quote_plus(text, safe="")),
    "bytes": ("s", _conversion(parse_bytes)),
    "duration": ("s", _conversion(lambda text: parse_go_duration(text) / 1e9)),
    "duration_seconds": ("s", _conversion(lambda text: parse_go_duration(text) / 1e9)),
    "unixEpochMillis": ("t", lambda moment: str(moment.ns // 1_000_000)),
    "unixEpochNanos": ("t", lambda moment: str(moment.ns)),
    "toDateInZone": ("sss", _to_date_in_zone),
    "unixToTime": ("s", _unix_to_time),
    "alignLeft": ("is", _align_left),
    "alignRight": ("is", _align_right),
    # sprig's
    "b64enc": ("s", lambda text: base64.b64encode(_bytes(text)).decode()),
    "b64dec": ("s", _b64dec),
    "lower": ("s", str.lower),
    "upper": ("s", str.upper),
    "title": ("s", _title),
    "trunc": ("is", _trunc),
    "substr": ("iis", _substr),
    "contains": ("ss", lambda part, text: part in text),
    "hasPrefix": ("ss", lambda part, text: text.startswith(part)),
    "hasSuffix": ("ss", lambda part, text: text.endswith(part)),
    "indent": ("is", _indent),
    "nindent": ("is", lambda spaces, text: "\n" + _indent(spaces, text)),
    "replace": ("sss", lambda old, new, text: bounded(text.replace(old, new))),
    "repeat": ("is", _repeat),
    "trim": ("s", str.strip),
    "trimAll": ("ss", lambda chars, text: text.strip(chars) if chars else text),
    "trimSuffix": ("ss", lambda part, text: text.removesuffix(part)),
    "trimPrefix": ("ss", lambda part, text: text.removeprefix(part)),
    "int": ("a", to_int),
    "float64": ("a", to_float),
    "add": ("a*", lambda *values: wrap(sum(map(to_int, values)))),
    "sub": ("aa", lambda left, right: wrap(to_int(left) - to_int(right))),
    "mul": ("aa*", lambda *values: product(values)),
    "div": ("aa", divide),
    "mod": ("aa", remainder),
    "addf": ("a*", lambda *values: float_fold(lambda left, right: left + right, (0.0, *values))),
    "subf": ("aa*", lambda *values: float_fold(lambda left, right: left - right, values)),
    "mulf": ("aa*", lambda *values: float_fold(lambda left, right: left * right, values)),
    "divf": ("aa*", lambda *values: float_fold(lambda left, right: left / right, values)),
    "max": ("aa*", lambda *values: max(map(to_int, values))),
    "min": ("aa*", lambda *values: min(map(to_int, values))),
    "maxf": ("aa*", lambda *values: max(map(to_float, values))),
    "minf": ("aa*", lambda *values: min(map(to_float, values))),
    "ceil": (
        "a",
        lambda value: float(math.ceil(to_float(value))) if math.isfinite(to_float(value)) else to_float(value),
    ),
    "floor": (
        "a",
        lambda value: float(math.floor(to_float(value))) if math.isfinite(to_float(value)) else to_float(value),
    ),
    "round": ("aif*", rounded),
    "fromJson": ("s", _from_json),
    "date": ("sa", lambda layout, moment: _moment(moment).format(layout)),
    "toDate": ("ss", _to_date),
    "now": ("", lambda: GoTime(time.time_ns())),
    "unixEpoch": ("t", lambda moment: str(moment.ns // 1_000_000_000)),
    "default": ("aa*", _default),
}
NAMES = frozenset(FUNCTIONS) | {"and", "or", "call", "__line__", "__timestamp__"}
