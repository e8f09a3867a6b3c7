"""Small types of the configuration: durations, listen addresses and secrets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, PlainSerializer, SecretStr

_UNITS = {"ms": 1_000_000, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9, "w": 604800 * 10**9}
_DURATION = re.compile(r"(?:[0-9]{1,9}(?:\.[0-9]{1,9})?(?:ms|[smhdw]))+")
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|[smhdw])")


def parse_duration(text: object) -> int:
    """`5s`, `2m`, `1h30m`, `250ms`, `7d` to nanoseconds. Raises ValueError for anything else.

    A number of nanoseconds is taken as it is, from a millisecond on: below that somebody forgot the unit.
    """
    if isinstance(text, int) and not isinstance(text, bool) and (text == 0 or text >= _UNITS["ms"]):
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


def at_least(text: str) -> AfterValidator:
    """A duration of at least `text`."""
    least = parse_duration(text)

    def check(ns: int) -> int:
        if ns < least:
            raise ValueError(f"must be at least {text}")
        return ns

    return AfterValidator(check)


def file_or_value(model: type[BaseModel]) -> BeforeValidator:
    """Text names a file; anything else is read as `model`, so that its errors are that model's alone."""

    def read(given: object) -> object:
        if isinstance(given, (str, Path)):
            return Path(given)
        return model.model_validate(given)

    return BeforeValidator(read)


def read_secret(value: SecretStr | None, file: Path | None, base: Path) -> SecretStr | None:
    """The secret itself: as given, or out of `file` (relative to `base`), without the line feed at its end.

    Raises ValueError where the file cannot be read or has nothing in it.
    """
    if file is None:
        return value
    path = file if file.is_absolute() else base / file
    try:
        secret = path.read_text("utf-8").strip()
    except OSError as error:
        raise ValueError(f"cannot read the secret file {path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ValueError(f"the secret file {path} is no UTF-8 text") from None
    if not secret:
        raise ValueError(f"the secret file {path} is empty")
    return SecretStr(secret)
