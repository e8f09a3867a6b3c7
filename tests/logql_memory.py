"""A source of logs in memory, with the labels that Loki adds by itself; for tests of LogQL."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from incidentlens.localloki.levels import detect_level
from incidentlens.logql import Entry, Matcher, Stream

SECOND = 1_000_000_000
NOON = 1_795_176_000 * SECOND  # 2026-11-20T12:00:00Z
_SERVICE = (
    "service",
    "app",
    "application",
    "app_name",
    "name",
    "app_kubernetes_io_name",
    "container",
    "component",
    "job",
)


class MemorySource:
    """Streams in memory.

    Args:
        streams: pairs of labels and lines; a line is (ns, text) or (ns, text, metadata).
    """

    def __init__(self, streams: Iterable[tuple[dict[str, str], Iterable[Sequence[Any]]]]) -> None:
        self._streams: dict[tuple[tuple[str, str], ...], Stream] = {}
        for labels, lines in streams:
            key = tuple(sorted(labels.items()))
            stream = self._streams.setdefault(key, Stream(labels, []))
            entries = [Entry(int(line[0]), line[1], dict(line[2]) if len(line) > 2 else {}) for line in lines]
            assert isinstance(stream.entries, list)
            stream.entries.extend(entries)
            stream.entries.sort(key=lambda entry: entry.ts)

    def streams(self, matchers: Sequence[Matcher], start_ns: int, end_ns: int) -> Iterable[Stream]:
        for stream in self._streams.values():
            if all(matcher.matches(stream.labels) for matcher in matchers):
                yield Stream(stream.labels, [entry for entry in stream.entries if start_ns <= entry.ts < end_ns])


def pushed(path: Path) -> MemorySource:
    """Read a push body as a real Loki would take it: `service_name` and `detected_level` added."""
    streams = []
    for stream in json.loads(path.read_text("utf-8"))["streams"]:
        labels = dict(stream["stream"])
        labels["service_name"] = next((labels[name] for name in _SERVICE if name in labels), "unknown_service")
        lines = []
        for value in stream["values"]:
            metadata = dict(value[2]) if len(value) > 2 else {}
            metadata.setdefault("detected_level", detect_level(labels, metadata, value[1]))
            lines.append((int(value[0]), value[1], metadata))
        streams.append((labels, lines))
    return MemorySource(streams)
