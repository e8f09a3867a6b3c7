"""What moves between the parts of the local Loki."""

from __future__ import annotations

from typing import NamedTuple

from .labels import Labels

ZERO_TIME = -62135596800 * 1_000_000_000
"""The zero of Go's time, in nanoseconds since the Unix epoch: the time of an entry that names none."""


class PushEntry(NamedTuple):
    """A line as it was pushed. `ts` is nanoseconds since the Unix epoch."""

    ts: int
    line: str
    metadata: dict[str, str]


class PushStream(NamedTuple):
    """A stream as it was pushed: its labels not yet checked."""

    labels: Labels
    entries: list[PushEntry]
