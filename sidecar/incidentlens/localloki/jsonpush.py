"""Reads the JSON body of a push.

The quick way is orjson and a check of every shape. Whatever does not pass it (which is rare) goes the slow way,
`jsonslow`, which is as lenient as Loki's reader is and refuses with the same text.
"""

from __future__ import annotations

from typing import Any

import orjson

from .jsonslow import read_push
from .labels import Labels
from .records import PushEntry, PushStream

_MAX_INT64 = 2**63 - 1


def decode_json_push(body: bytes) -> list[PushStream]:
    """The streams of a push body. Raises GoError with Loki's text when it cannot be read."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return read_push(body)
    streams = _checked(document)
    return read_push(body) if streams is None else streams


def _checked(document: Any) -> list[PushStream] | None:
    if type(document) is not dict or set(document) != {"streams"} or type(document["streams"]) is not list:
        return None
    out: list[PushStream] = []
    for stream in document["streams"]:
        if type(stream) is not dict or not stream.keys() <= {"stream", "values"}:
            return None
        labels: Labels = stream.get("stream", {})
        values = stream.get("values", [])
        if type(labels) is not dict or type(values) is not list:
            return None
        for value in labels.values():
            if type(value) is not str:
                return None
        entries: list[PushEntry] = []
        for entry in values:
            read = _entry(entry)
            if read is None:
                return None
            entries.append(read)
        out.append(PushStream(labels, entries))
    return out


def _entry(value: Any) -> PushEntry | None:
    if type(value) is not list or not 2 <= len(value) <= 3:
        return None
    stamp, line = value[0], value[1]
    if type(stamp) is not str or type(line) is not str or not (stamp.isascii() and stamp.isdigit()):
        return None
    ts = int(stamp) if len(stamp) <= 19 else _MAX_INT64 + 1
    if ts > _MAX_INT64:
        return None
    metadata: dict[str, str] = {}
    if len(value) == 3:
        metadata = value[2]
        if type(metadata) is not dict:
            return None
        for item in metadata.values():
            if type(item) is not str:
                return None
    return PushEntry(ts, line, metadata)
