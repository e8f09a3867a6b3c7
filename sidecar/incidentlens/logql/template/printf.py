"""`printf` and Go's way to show values."""

from __future__ import annotations

import re
from typing import Any

from ..units import format_general, quote
from .gotime import GoTime

MAX_WIDTH = 1000
_VERB = re.compile(r"%([-+# 0]*)(\d+|\*)?(?:\.(\d+)?)?(.)", re.DOTALL)


def type_name(value: Any) -> str:
    """Give the Go type of a value."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int"
    if isinstance(value, float):
        return "float64"
    if isinstance(value, str):
        return "string"
    if isinstance(value, dict):
        return "map[string]interface {}"
    if isinstance(value, GoTime):
        return "time.Time"
    return "[]interface {}"


def show(value: Any, *, nil: str = "<nil>") -> str:
    """Show a value as `%v` does."""
    if value is None:
        return nil
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return format_general(value)
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{show(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(show(one) for one in value) + "]"
    return str(value)


def sprint(values: list[Any]) -> str:
    """Join values as `fmt.Sprint`: a space between two where neither is a string."""
    out = ""
    for index, value in enumerate(values):
        if index and not isinstance(value, str) and not isinstance(values[index - 1], str):
            out += " "
        out += show(value)
    return out


def sprintf(layout: str, values: list[Any]) -> str:
    """Format as `fmt.Sprintf`; widths are at most 1000."""
    out: list[str] = []
    position = used = 0
    for found in _VERB.finditer(layout):
        if found.start() < position:
            continue
        out.append(layout[position : found.start()])
        position = found.end()
        flags, width, precision, verb = found.groups()
        if verb == "%":
            out.append("%")
            continue
        has_point = "." in found[0][:-1]
        if width == "*":
            width = str(values[used]) if used < len(values) and isinstance(values[used], int) else ""
            used += 1
        if used >= len(values):
            out.append(f"%!{verb}(MISSING)")
            continue
        value = values[used]
        used += 1
        size = min(int(precision or 0), MAX_WIDTH) if has_point else None
        text = _verb(verb, value, flags, size)
        space = min(int(width or 0), MAX_WIDTH)
        if "-" in flags:
            text = text.ljust(space)
        elif "0" in flags and verb in "deEfFgGxXobv" and not isinstance(value, str):
            sign = text[0] if text[:1] in ("+", "-") else ""
            text = sign + text[len(sign) :].rjust(space - len(sign), "0")
        else:
            text = text.rjust(space)
        out.append(text)
    out.append(layout[position:])
    if used < len(values):
        rest = ", ".join(f"{type_name(value)}={show(value)}" for value in values[used:])
        out.append(f"%!(EXTRA {rest})")
    return "".join(out)


def _verb(verb: str, value: Any, flags: str, size: int | None) -> str:
    plus = "+" if "+" in flags else " " if " " in flags else ""
    if verb == "T":
        return type_name(value)
    if verb == "v":
        return show(value)
    if verb == "s" and not isinstance(value, (bool, int, float)) and value is not None:
        text = show(value)
        return text if size is None else text[:size]
    if verb == "q" and isinstance(value, str):
        return quote(value)
    if verb == "t" and isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and not isinstance(value, bool):
        sign = plus if value >= 0 else ""
        if verb == "d":
            return f"{sign}{value}"
        if verb in "xXob":
            return f"{sign}{value:{verb}}"
        if verb == "c" and 0 <= value <= 0x10FFFF and not 0xD800 <= value <= 0xDFFF:
            return chr(value)
        if verb == "U" and value >= 0:
            return f"U+{value:04X}"
    if isinstance(value, float):
        sign = plus if value >= 0 else ""
        if verb in "fFeE":
            return sign + f"{value:.{6 if size is None else size}{verb}}"
        if verb in "gG":
            return sign + (format_general(value) if size is None else f"{value:.{size or 1}g}")
    if isinstance(value, str) and verb in "xX":
        return value.encode().hex() if verb == "x" else value.encode().hex().upper()
    if value is None:
        return f"%!{verb}(<nil>)"
    return f"%!{verb}({type_name(value)}={show(value)})"
