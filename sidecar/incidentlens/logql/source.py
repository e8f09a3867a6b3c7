"""The seam between LogQL and whatever holds the logs.

A source answers one question: which streams match these matchers, and which of their entries lie in
[start_ns, end_ns). Everything else of LogQL (line filters, parsers, windows, aggregation) is done on top of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from .ast import Matcher

__all__ = ["Entry", "Matcher", "Source", "Stream"]


class Entry(NamedTuple):
    """One log line. `ts` is nanoseconds since the Unix epoch; `metadata` is its structured metadata."""

    ts: int
    line: str
    metadata: dict[str, str] = {}  # noqa: RUF012 - never written to: shared by all entries that have none


class Stream(NamedTuple):
    """One stream: its index labels (with `service_name`) and entries in ascending order of `ts`.

    Entries of equal `ts` stay in the order in which they arrived. `metadata` holds `detected_level` where the
    store found one.
    """

    labels: dict[str, str]
    entries: Sequence[Entry]


class Source(Protocol):
    """What holds the logs of one tenant."""

    def streams(self, matchers: Sequence[Matcher], start_ns: int, end_ns: int) -> Iterable[Stream]:
        """Give the streams whose labels satisfy every matcher, with their entries in [start_ns, end_ns).

        `Matcher.matches(labels)` says whether a stream's labels satisfy one matcher (a label that is not there is
        the empty string); the pair with `op == "="` may be used with an index. Streams without entries in the range
        may be left out. The order of streams does not matter.
        """
        ...
