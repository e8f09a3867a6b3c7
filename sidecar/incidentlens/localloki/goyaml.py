"""Writes YAML the way Go's yaml.v3 does: four spaces, plain where it can be, else quoted, literal blocks for lines."""

from __future__ import annotations

import io
import re
from typing import Any

from yaml.emitter import Emitter

# What is read as something else than text when it stands bare, today or by YAML 1.1.
_NOT_TEXT = re.compile(
    r"(?i:~|null|true|false|y|n|yes|no|on|off|\.nan|[-+]?\.inf"
    r"|[-+]?(?:\d[\d_]*+|0b[01_]++|0o?[0-7_]++|0x[\da-f_]++)"
    r"|[-+]?(?:\d[\d_]*+\.?[\d_]*+|\.\d[\d_]*+)(?:e[-+]?\d++)?"
    r"|[-+]?\d[\d_]*+(?::[0-5]?\d)++(?:\.\d*+)?"
    r"|\d{4}-\d\d?-\d\d?(?:(?:[Tt]|[ \t]++)\d.*+)?)?\Z",
    re.DOTALL,
)
_ESCAPES = {"\a": "\\a", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\v": "\\v", "\f": "\\f", "\r": "\\r", "\x1b": "\\e"}


_STEP = 4


def to_yaml(value: dict[str, Any]) -> str:
    """A mapping as a YAML document. Values are texts, whole numbers, mappings and lists of mappings."""
    return "".join(f"{line}\n" for line in _mapping(value, 0))


def _mapping(value: dict[str, Any], column: int) -> list[str]:
    """The lines of a mapping whose keys stand at `column`; what is inside stands at the next multiple of four."""
    inside = column - column % _STEP + _STEP
    out: list[str] = []
    for key, inner in value.items():
        name = " " * column + scalar(key)
        if isinstance(inner, dict):
            out += [f"{name}:", *_mapping(inner, inside)] if inner else [f"{name}: {{}}"]
        elif isinstance(inner, list):
            out.append(f"{name}:" if inner else f"{name}: []")
            for item in inner:
                first, *rest = _mapping(item, inside + 2)
                out += [" " * inside + "- " + first[inside + 2 :], *rest]
        elif isinstance(inner, int):
            out.append(f"{name}: {inner}")
        else:
            first, *rest = scalar(inner).split("\n")
            out += [f"{name}: {first}", *(" " * inside + line if line else "" for line in rest)]
    return out


def scalar(text: str) -> str:
    """A text as a scalar; the lines of a literal block come without their indent."""
    if "\n" in text and _literal(text):
        ending = "" if text.endswith("\n") and not text.endswith("\n\n") else "+" if text.endswith("\n") else "-"
        hint = "4" if text[0] in " \n" else ""
        return f"|{hint}{ending}\n" + text.removesuffix("\n")
    analysis = Emitter(io.StringIO(), allow_unicode=True).analyze_scalar(text)
    if _NOT_TEXT.match(text) is not None or "\n" in text:
        return _double(text)
    if analysis.allow_block_plain:
        return text
    if analysis.allow_single_quoted and "\t" not in text:
        return "'" + text.replace("'", "''") + "'"
    return _double(text)


def _literal(text: str) -> bool:
    return all(char == "\n" or char.isprintable() for char in text) and not re.search(r" \n| \Z", text)


def _double(text: str) -> str:
    out = ['"']
    for char in text:
        if char in '"\\':
            out.append(f"\\{char}")
        elif char in _ESCAPES:
            out.append(_ESCAPES[char])
        elif char.isprintable():
            out.append(char)
        else:
            code = ord(char)
            out.append(f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}")
    return "".join([*out, '"'])
