"""Finds the level of a line as Loki's distributor does, for the structured metadata `detected_level`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import orjson

from ..logql.logfmt import LogfmtError, pairs
from .limits import LEVEL_FIELDS

LEVEL_LABEL = "detected_level"
UNKNOWN = "unknown"

_LEVELS = {
    "trace": "trace",
    "trc": "trace",
    "debug": "debug",
    "dbg": "debug",
    "info": "info",
    "inf": "info",
    "information": "info",
    "warn": "warn",
    "wrn": "warn",
    "warning": "warn",
    "error": "error",
    "err": "error",
    "critical": "critical",
    "fatal": "fatal",
}
_FIELDS = frozenset(LEVEL_FIELDS)
_LOWER_FIELDS = {name.lower(): rank for rank, name in reversed(list(enumerate(LEVEL_FIELDS)))}
_MAX_DEPTH = 2
# OpenTelemetry's severity numbers come in fours.
_SEVERITIES = ("trace", "debug", "info", "warn", "error", "fatal")

_WORD = re.compile(
    r'(?<![^ \t\n\[({"=])(?:trace|debug|fatal|critical|error|err|warning|warn|info)(?=[ \t\n\[\](){}:,!"=]|\Z)'
)


def normalise_level(level: str) -> str:
    """The usual name of a level, or what came in when it is none."""
    return _LEVELS.get(level.lower(), level)


def detect_level(labels: Mapping[str, str], metadata: Mapping[str, str], line: str) -> str:
    """The level a label, the structured metadata or the line itself names; `unknown` when none does."""
    for source in (labels, metadata):
        for name in LEVEL_FIELDS:
            if name in source:
                return normalise_level(source[name])
    severity = metadata.get("severity_number")
    if severity:
        return _severity_level(severity)
    return level_of_line(line)


def _severity_level(text: str) -> str:
    try:
        number = int(text)
    except ValueError:
        return "info"
    if number == 0 or number > 4 * len(_SEVERITIES):
        return UNKNOWN
    return _SEVERITIES[max(number - 1, 0) // 4]


def level_of_line(line: str) -> str:
    """The level in a JSON object, a logfmt line or, failing these, the first word that names one."""
    found: str | None = None
    stripped = line.strip()
    if stripped[:1] == "{" and stripped[-1:] == "}":
        found = _level_in_json(stripped)
    elif "=" in line:
        found = _level_in_logfmt(line)
    if found:
        level = _LEVELS.get(found.lower())
        if level is not None:
            return level
    word = _WORD.search(line.lower())
    return _LEVELS[word.group()] if word is not None else UNKNOWN


def _level_in_json(line: str) -> str | None:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return _level_in_object(value, 0) if isinstance(value, dict) else None


def _level_in_object(value: dict[str, Any], depth: int) -> str | None:
    for name, field in value.items():
        if isinstance(field, str):
            if name in _FIELDS:
                return field
        elif isinstance(field, dict) and depth + 1 < _MAX_DEPTH:
            found = _level_in_object(field, depth + 1)
            if found is not None:
                return found
    return None


def _level_in_logfmt(line: str) -> str | None:
    lowered = line.lower()
    if not any(name in lowered for name in ("lvl", "level", "severity")):
        return None
    best, found = len(LEVEL_FIELDS), None
    with suppress(LogfmtError):
        for name, value in pairs(line, strict=True):
            rank = _LOWER_FIELDS.get(name.lower(), best)
            if rank < best:
                found, best = value, rank
                if rank == 0:
                    break
    return found
