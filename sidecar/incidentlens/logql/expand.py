"""Go's `$1`, `$name` and `${name}` in the replacement of a regular expression's match."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_REFERENCE = re.compile(r"\$(?:(\$)|([A-Za-z0-9_]++)|\{([A-Za-z0-9_]++)\})")


def expand(template: str, match: Any, groups: Mapping[str, int]) -> str:
    """Fill a replacement from a match; a group that is not there is empty."""

    def value(found: re.Match[str]) -> str:
        if found[1]:
            return "$"
        name = found[2] or found[3]
        index = int(name) if name.isdecimal() and len(name) < 9 else groups.get(name, -1)
        if index < 0 or index > match.re.groups:
            return ""
        return match.group(index) or ""

    return _REFERENCE.sub(value, template)
