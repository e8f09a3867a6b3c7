"""Small types of the configuration: durations, listen addresses and secrets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, SecretStr

_UNITS = {"ms": 1_000_000, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9, "w": 604800 * 10**9}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])")


def parse_duration(text: object) -> int:
    """`5s`, `2m`, `1h30m`, `250ms`, `7d` to nanoseconds. Raises ValueError for anything else."""
    if isinstance(text, int) and not isinstance(text, bool):
        return text
    if not isinstance(text, str) or not _DURATION.fullmatch(text.strip()):
        raise ValueError(f"{text!r} is no duration; write one like 5s, 2m, 1h30m or 7d")
    return sum(int(float(number) * _UNITS[unit]) for number, unit in _PART.findall(text))


def format_duration(ns: int) -> str:
    """Nanoseconds as people write them: `90s` is `1m30s`, `0` is `0s`."""
    if ns and ns % _UNITS["s"]:
        return f"{ns // _UNITS['ms']}ms"
    parts = []
    for unit in ("d", "h", "m", "s"):
        amount, ns = divmod(ns, _UNITS[unit])
        if amount:
            parts.append(f"{amount}{unit}")
    return "".join(parts) or "0s"


Duration = Annotated[int, BeforeValidator(parse_duration), PlainSerializer(format_duration, when_used="json")]
"""Nanoseconds, written as text in YAML."""


def read_secret(value: SecretStr | None, file: Path | None, base: Path) -> SecretStr | None:
    """The secret itself: as given, or out of `file` (relative to `base`), without the line feed at its end.

    Raises ValueError where the file cannot be read.
    """
    if file is None:
        return value
    path = file if file.is_absolute() else base / file
    try:
        return SecretStr(path.read_text("utf-8").strip())
    except OSError as error:
        raise ValueError(f"cannot read the secret file {path}: {error.strerror}") from error
