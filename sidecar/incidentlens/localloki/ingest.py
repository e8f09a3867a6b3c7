"""Checks what is pushed, adds `service_name` and `detected_level`, and stores it. The refusals are Loki's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from ..logql.source import Entry
from ..model.clock import Clock
from .gotext import GoError, format_rfc3339
from .labels import Labels, check_names, format_labels, normalise_name, without_empty
from .levels import LEVEL_LABEL, detect_level, normalise_level
from .limits import SERVICE_LABELS, Limits
from .records import PushEntry, PushStream
from .store import Pushed, Store

SERVICE_NAME = "service_name"
_UNKNOWN_SERVICE = "unknown_service"
_NO_STREAMS = "error at least one valid stream is required for ingestion"


class PushRefused(Exception):
    """A push, or a part of it, was not taken. What could be taken has been stored."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def ingest(store: Store, tenant: str, streams: list[PushStream], clock: Clock) -> None:
    """Store the streams of one push.

    Lines that break a limit are left out and the rest is stored; then, or when nothing could be stored, PushRefused
    is raised with Loki's status and text.
    """
    labelled = [(_stream_labels(stream.labels), stream.entries) for stream in streams]
    if not labelled:
        raise PushRefused(422, _NO_STREAMS)
    now = clock.now()
    faults: Counter[str] = Counter()
    accepted: Pushed = []
    for labels, entries in labelled:
        if not entries:
            continue
        text = format_labels(labels)
        fault = _label_fault(labels, text, store.limits)
        if fault is not None:
            faults[fault] += 1
            continue
        kept: list[Entry] = []
        for entry in entries:
            fault = _entry_fault(entry, text, now, store.limits)
            if fault is None:
                kept.append(_finished(entry, labels))
            else:
                faults[fault] += 1
        if kept:
            accepted.append((labels, kept))
    refusals = store.push(tenant, accepted) if accepted else []
    if faults:
        raise PushRefused(400, _grouped(faults))
    if refusals:
        raise PushRefused(refusals[-1].status, refusals[-1].text)


def _grouped(faults: Mapping[str, int]) -> str:
    if len(faults) == 1 and sum(faults.values()) == 1:
        return next(iter(faults))
    return "; ".join(f"{count} errors like: {text}" for text, count in faults.items())


def _stream_labels(labels: Labels) -> Labels:
    """The labels of a stream, checked, without empty ones, with a service name."""
    try:
        check_names(labels)
    except GoError as error:
        raise GoError(f"couldn't parse labels: {error}") from None
    labels = without_empty(labels)
    if SERVICE_NAME not in labels:
        named = next((labels[name] for name in SERVICE_LABELS if name in labels), _UNKNOWN_SERVICE)
        labels = dict(sorted([*labels.items(), (SERVICE_NAME, named)]))
    return labels


def _label_fault(labels: Labels, text: str, limits: Limits) -> str | None:
    count = len(labels) - (SERVICE_NAME in labels)
    if count > limits.max_label_names:
        return f"entry for stream '{text}' has {count} label names; limit {limits.max_label_names}"
    for name, value in labels.items():
        if len(name.encode()) > limits.max_label_name_length:
            return f"stream '{text}' has label name too long: '{name}'"
        if len(value.encode()) > limits.max_label_value_length:
            return f"stream '{text}' has label value too long: '{value}'"
    return None


def _entry_fault(entry: PushEntry, text: str, now: int, limits: Limits) -> str | None:
    if limits.reject_older_than_ns and entry.ts < now - limits.reject_older_than_ns:
        oldest = format_rfc3339(now - limits.reject_older_than_ns)
        return (
            f"entry for stream '{text}' has timestamp too old: {format_rfc3339(entry.ts)}, "
            f"oldest acceptable timestamp is: {oldest}"
        )
    if entry.ts > now + limits.creation_grace_ns:
        return f"entry for stream '{text}' has timestamp too new: {format_rfc3339(entry.ts)}"
    # A character is at most four bytes: only a long line needs counting.
    if len(entry.line) * 4 > limits.max_line_size:
        size = len(entry.line.encode("utf-8", "replace"))
        if size > limits.max_line_size:
            return (
                f"max entry size '{limits.max_line_size}' bytes exceeded for stream '{text}' "
                f"while adding an entry with length '{size}' bytes"
            )
    if not entry.metadata:
        return None
    size = sum(len(name.encode()) + len(value.encode()) for name, value in entry.metadata.items())
    if size > limits.max_metadata_size:
        return (
            f"stream '{text}' has structured metadata too large: '{size}' bytes, limit: "
            f"'{limits.max_metadata_size}' bytes. Please see `limits_config.max_structured_metadata_size` or contact "
            "your Loki administrator to increase it"
        )
    if len(entry.metadata) > limits.max_metadata_count:
        return (
            f"stream '{text}' has too many structured metadata labels: '{len(entry.metadata)}', limit: "
            f"'{limits.max_metadata_count}'. Please see `limits_config.max_structured_metadata_entries_count` or "
            "contact your Loki administrator to increase it"
        )
    return None


_NORMAL_NAMES: dict[str, str] = {}
_MAX_NORMAL_NAMES = 10_000


def _normal_name(name: str) -> str:
    normal = _NORMAL_NAMES.get(name)
    if normal is None:
        try:
            normal = normalise_name(name)
        except GoError as error:
            raise PushRefused(500, str(error)) from None
        if len(_NORMAL_NAMES) >= _MAX_NORMAL_NAMES:
            _NORMAL_NAMES.clear()
        _NORMAL_NAMES[name] = normal
    return normal


def _finished(entry: PushEntry, labels: Labels) -> Entry:
    metadata = {_normal_name(name): value.replace("\ufffd", "") for name, value in entry.metadata.items() if value}
    if LEVEL_LABEL in metadata:
        metadata[LEVEL_LABEL] = normalise_level(metadata[LEVEL_LABEL])
    else:
        metadata[LEVEL_LABEL] = detect_level(labels, metadata, entry.line)
    return Entry(entry.ts, entry.line, metadata)
