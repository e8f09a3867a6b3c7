"""How the shop's services write their logs: each in one of the formats that real teams mix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import orjson

from incidentlens.model.records import stream_key


@dataclass(frozen=True, slots=True)
class Line:
    """One physical line on its way to Loki; `ts` in ns."""

    ts: int
    labels: Mapping[str, str]
    text: str
    metadata: Mapping[str, str] = field(default_factory=dict)

    def as_record(self) -> dict[str, object]:
        """The form that `incidentlens replay` reads."""
        record: dict[str, object] = {"ts": self.ts, "labels": dict(self.labels), "line": self.text}
        if self.metadata:
            record["metadata"] = dict(self.metadata)
        return record


@dataclass(frozen=True, slots=True)
class Event:
    """What a service has to say, before its format: `text` may hold line feeds (a stack trace)."""

    ts: int
    service: str
    level: str  # DEBUG, INFO, WARN, ERROR, FATAL
    text: str
    trace_id: str | None = None
    logger: str = "app"
    fields: Mapping[str, object] = field(default_factory=dict)


Writer = Callable[[Event], str]


def _moment(ts: int) -> datetime:
    return datetime.fromtimestamp(ts / 1e9, UTC)


def _iso(ts: int) -> str:
    return _moment(ts).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def write_json(event: Event) -> str:
    """As zap writes it: a stack trace is a field of its own."""
    message, _, stack = event.text.partition("\n")
    document: dict[str, object] = {
        "ts": _iso(event.ts),
        "level": event.level.lower(),
        "logger": event.logger,
        "msg": message,
        **event.fields,
    }
    if event.trace_id:
        document["trace_id"] = event.trace_id
    if stack:
        document["stacktrace"] = stack
    return orjson.dumps(document).decode()


def write_logfmt(event: Event) -> str:
    parts = [f"ts={_iso(event.ts)}", f"level={event.level.lower()}", f"msg={_quoted(event.text)}"]
    parts += [f"{key}={_quoted(str(value))}" for key, value in event.fields.items()]
    if event.trace_id:
        parts.append(f"trace_id={event.trace_id}")
    return " ".join(parts)


def _quoted(text: str) -> str:
    if text and not any(sign in text for sign in ' ="\n'):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def write_java(event: Event) -> str:
    """As logback's default pattern writes it, the stack trace on lines of its own."""
    stamp = _moment(event.ts).strftime("%Y-%m-%d %H:%M:%S,%f")[:-3]
    thread = f"http-nio-8080-exec-{event.ts // 1000 % 20}"
    # The pattern prints its brackets whether the request has a trace or not.
    return f"{stamp} {event.level:<5} [{thread}] [{event.trace_id or ''}] {event.logger} - {event.text}"


def write_python(event: Event) -> str:
    stamp = _moment(event.ts).strftime("%Y-%m-%d %H:%M:%S,%f")[:-3]
    level = {"WARN": "WARNING", "FATAL": "CRITICAL"}.get(event.level, event.level)
    return f"{stamp} - {event.logger} - {level} - {event.text}"


def write_klog(event: Event) -> str:
    stamp = _moment(event.ts).strftime("%m%d %H:%M:%S.%f")
    return f"{event.level[0]}{stamp}       1 {event.logger}.go:{100 + len(event.text)}] {event.text}"


def write_access(event: Event) -> str:
    """An nginx access line; `fields` has method, path, status, bytes, client and seconds."""
    stamp = _moment(event.ts).strftime("%d/%b/%Y:%H:%M:%S +0000")
    f = event.fields
    return (
        f'{f["client"]} - - [{stamp}] "{f["method"]} {f["path"]} HTTP/1.1" {f["status"]} {f["bytes"]} '
        f'"-" "Mozilla/5.0 (X11; Linux x86_64)" {f["seconds"]}'
    )


WRITERS: dict[str, Writer] = {
    "json": write_json,
    "logfmt": write_logfmt,
    "java": write_java,
    "python": write_python,
    "klog": write_klog,
    "access": write_access,
}

# Which service writes how; an access line of the gateway is an event with a `status` field.
FORMATS = {
    "web-gateway": "json",
    "checkout": "java",
    "payment": "java",
    "orders": "logfmt",
    "inventory": "logfmt",
    "auth": "json",
    "session": "json",
    "catalogue": "python",
    "reporting": "python",
    "notifications": "python",
    "search": "java",
    "platform": "klog",
}


def to_lines(event: Event, environment: str = "shop") -> list[Line]:
    """An event as the lines a shipper would push: a stack trace in a text format is a line a frame, 1 µs apart."""
    style = "access" if "status" in event.fields and event.service == "web-gateway" else FORMATS[event.service]
    labels = {"env": environment, "service_name": event.service, "format": style}
    metadata = {"trace_id": event.trace_id} if event.trace_id else {}
    text = WRITERS[style](event)
    parts = [text] if style in ("json", "logfmt") else text.split("\n")
    return [Line(event.ts + 1000 * index, labels, part, metadata) for index, part in enumerate(parts)]


def push_streams(lines: list[Line]) -> list[dict[str, object]]:
    """Lines as the streams of Loki's JSON push."""
    streams: dict[str, dict[str, object]] = {}
    values: dict[str, list[list[object]]] = {}
    for line in lines:
        key = stream_key(line.labels)
        if key not in streams:
            values[key] = []
            streams[key] = {"stream": dict(line.labels), "values": values[key]}
        entry: list[object] = [str(line.ts), line.text]
        if line.metadata:
            entry.append(dict(line.metadata))
        values[key].append(entry)
    return list(streams.values())
