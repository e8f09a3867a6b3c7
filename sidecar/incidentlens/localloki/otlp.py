"""OpenTelemetry logs (protobuf and JSON) to streams, mapped as Loki maps them.

Resource attributes of a known list become labels; all other attributes, the scope and the fields of a record become
structured metadata; the body becomes the line.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import orjson

from .gotext import GoError, decode_utf8
from .labels import Labels, format_labels, normalise_name
from .limits import OTLP_INDEX_ATTRIBUTES, SERVICE_LABELS
from .records import PushEntry, PushStream
from .wire import read_message

_INDEX = frozenset(OTLP_INDEX_ATTRIBUTES)
_UNKNOWN_SERVICE = "unknown_service"
_SEVERITY_NAMES = {
    f"SEVERITY_NUMBER_{name}{'' if step == 0 else step + 1}": 4 * rank + step + 1
    for rank, name in enumerate(("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"))
    for step in range(4)
}
_MAX_DEPTH = 64

Attributes = list[tuple[str, Any]]
"""Names and values; a value is None, str, bool, int, float, bytes, a list of values or `Attributes` in a `_Map`."""


class _Map:
    """A map value: its items in order."""

    def __init__(self, items: Attributes) -> None:
        self.items = items


def decode_otlp(body: bytes, content_type: str, now_ns: int) -> list[PushStream]:
    """The streams of an export request. Raises GoError; `now_ns` is for records without a time."""
    if content_type == "application/x-protobuf":
        resources = _from_proto(read_message("ExportLogs", body))
    elif content_type == "application/json":
        resources = _from_json(body)
    else:
        raise GoError(f"content type: {content_type} is not supported")
    streams: dict[str, PushStream] = {}
    for attributes, scopes in resources:
        labels, shared = _resource(attributes)
        stream = streams.setdefault(format_labels(labels), PushStream(labels, []))
        for scope, records in scopes:
            scope_metadata = _scope(scope)
            for record in records:
                stream.entries.append(_entry(record, shared, scope_metadata, now_ns))
    return list(streams.values())


def _resource(attributes: Attributes) -> tuple[Labels, Labels]:
    labels: Labels = {}
    metadata: Labels = {}
    named = any(name == "service.name" and go_string(value) for name, value in attributes)
    for name, value in attributes:
        pairs = _flatten(name, value)
        if name not in _INDEX:
            metadata.update(pairs)
            continue
        labels.update(pairs)
        for label, text in pairs:
            if not named and label in SERVICE_LABELS:
                labels["service_name"] = text
                named = True
    if not named:
        labels["service_name"] = _UNKNOWN_SERVICE
    return {name: text for name, text in labels.items() if text}, metadata


def _scope(scope: dict[str, Any]) -> Labels:
    metadata: Labels = {}
    for name, value in scope["attributes"]:
        metadata.update(_flatten(name, value))
    for key, label in (("name", "scope_name"), ("version", "scope_version")):
        if scope[key]:
            metadata[label] = scope[key]
    if scope["dropped"]:
        metadata["scope_dropped_attributes_count"] = str(scope["dropped"])
    return metadata


def _entry(record: dict[str, Any], resource: Labels, scope: Labels, now_ns: int) -> PushEntry:
    metadata: Labels = {}
    for name, value in record["attributes"]:
        metadata.update(_flatten(name, value))
    if record["time"] and record["observed"]:
        metadata["observed_timestamp"] = str(record["observed"])
    if record["severity_number"]:
        metadata["severity_number"] = str(record["severity_number"])
    if record["severity_text"]:
        metadata["severity_text"] = record["severity_text"]
    if record["dropped"]:
        metadata["dropped_attributes_count"] = str(record["dropped"])
    if record["flags"]:
        metadata["flags"] = str(record["flags"])
    for key in ("trace_id", "span_id"):
        if any(record[key]):
            metadata[key] = record[key].hex()
    metadata.update(resource)
    metadata.update(scope)
    return PushEntry(record["time"] or record["observed"] or now_ns, go_string(record["body"]), metadata)


def _flatten(name: str, value: Any, prefix: str = "", depth: int = 0) -> list[tuple[str, str]]:
    """A label of a value; a map gives one of each of its items, named by the way to it."""
    full = normalise_name(f"{prefix}_{name}" if prefix else name)
    if not isinstance(value, _Map) or depth > _MAX_DEPTH:
        return [(full, go_string(value))]
    return [pair for item, inner in value.items for pair in _flatten(item, inner, full, depth + 1)]


def go_string(value: Any) -> str:
    """A value as text: JSON for lists and maps, base64 for bytes."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _go_float(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, int):
        return str(value)
    # Names in the order of the alphabet, as Go writes a map.
    return orjson.dumps(_plain(value), option=orjson.OPT_SORT_KEYS).decode()


def _plain(value: Any) -> Any:
    if isinstance(value, _Map):
        return {name: _plain(item) for name, item in value.items}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value


def _go_float(value: float) -> str:
    if value != value or value in (float("inf"), float("-inf")):
        return "json: unsupported value: " + {True: "NaN"}.get(value != value, "+Inf" if value > 0 else "-Inf")
    size = abs(value)
    if size and (size < 1e-6 or size >= 1e21):
        digits, _, exponent = repr(value).partition("e")
        return f"{digits}e{int(exponent):+d}" if exponent else f"{value:e}"
    text = repr(value)
    if "e" in text:
        text = f"{value:.20f}".rstrip("0")
    return text.removesuffix(".0")


# Protobuf


def _proto_value(value: Any, depth: int = 0) -> Any:
    kind = value.WhichOneof("value")
    if kind is None or depth > _MAX_DEPTH:
        return None
    raw = getattr(value, kind)
    if kind == "string_value":
        return decode_utf8(raw)
    if kind == "array_value":
        return [_proto_value(item, depth + 1) for item in raw.values]
    if kind == "kvlist_value":
        return _Map(_proto_attributes(raw.values, depth + 1))
    return raw


def _proto_attributes(pairs: Any, depth: int = 0) -> Attributes:
    return [(decode_utf8(pair.key), _proto_value(pair.value, depth)) for pair in pairs]


def _from_proto(request: Any) -> list[tuple[Attributes, list[tuple[dict[str, Any], list[dict[str, Any]]]]]]:
    out = []
    for resource_logs in request.resource_logs:
        scopes = []
        for scope_logs in resource_logs.scope_logs:
            scope = {
                "name": decode_utf8(scope_logs.scope.name),
                "version": decode_utf8(scope_logs.scope.version),
                "attributes": _proto_attributes(scope_logs.scope.attributes),
                "dropped": scope_logs.scope.dropped_attributes_count,
            }
            records = [
                {
                    "time": record.time_unix_nano,
                    "observed": record.observed_time_unix_nano,
                    "severity_number": record.severity_number,
                    "severity_text": decode_utf8(record.severity_text),
                    "body": _proto_value(record.body),
                    "attributes": _proto_attributes(record.attributes),
                    "dropped": record.dropped_attributes_count,
                    "flags": record.flags,
                    "trace_id": record.trace_id,
                    "span_id": record.span_id,
                }
                for record in scope_logs.log_records
            ]
            scopes.append((scope, records))
        out.append((_proto_attributes(resource_logs.resource.attributes), scopes))
    return out


# JSON: names in camel case or with underscores, 64 bit integers as text or number, ids in hexadecimal.


def _get(value: Any, name: str, default: Any = None) -> Any:
    if not isinstance(value, dict):
        raise GoError("ReadObjectCB: expect { or n, but found something else")
    found = value.get(name)
    if found is None:
        snake = "".join("_" + char.lower() if char.isupper() else char for char in name)
        found = value.get(snake)
    return default if found is None else found


def _integer(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise GoError("ReadInt64: invalid integer") from None


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise GoError("ReadArrayCB: expect [ or n, but found something else")
    return value


def _json_value(value: Any, depth: int = 0) -> Any:
    if not isinstance(value, dict) or depth > _MAX_DEPTH:
        return None
    if (text := _get(value, "stringValue")) is not None:
        return str(text)
    if (flag := _get(value, "boolValue")) is not None:
        return flag is True or flag == "true"
    if (number := _get(value, "intValue")) is not None:
        return _integer(number)
    if (number := _get(value, "doubleValue")) is not None:
        try:
            return float(number)
        except (TypeError, ValueError):
            raise GoError("ReadFloat64: invalid number") from None
    if (raw := _get(value, "bytesValue")) is not None:
        try:
            return base64.b64decode(str(raw), validate=True)
        except binascii.Error as error:
            raise GoError(f"bytesValue: {error}") from None
    if (array := _get(value, "arrayValue")) is not None:
        return [_json_value(item, depth + 1) for item in _list(_get(array, "values", []))]
    if (pairs := _get(value, "kvlistValue")) is not None:
        return _Map(_json_attributes(_get(pairs, "values", []), depth + 1))
    return None


def _json_attributes(pairs: Any, depth: int = 0) -> Attributes:
    return [(str(_get(pair, "key", "")), _json_value(_get(pair, "value"), depth)) for pair in _list(pairs)]


def _json_id(value: Any) -> bytes:
    try:
        return bytes.fromhex(str(value))
    except ValueError:
        raise GoError(f"parse id: {value!r} is not hexadecimal") from None


def _from_json(body: bytes) -> list[tuple[Attributes, list[tuple[dict[str, Any], list[dict[str, Any]]]]]]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise GoError(f"ReadObjectCB: {error}") from None
    out = []
    for resource_logs in _list(_get(document, "resourceLogs", [])):
        scopes = []
        for scope_logs in _list(_get(resource_logs, "scopeLogs", [])):
            scope = _get(scope_logs, "scope", {})
            records = []
            for record in _list(_get(scope_logs, "logRecords", [])):
                severity = _get(record, "severityNumber", 0)
                records.append(
                    {
                        "time": _integer(_get(record, "timeUnixNano", 0)),
                        "observed": _integer(_get(record, "observedTimeUnixNano", 0)),
                        "severity_number": _SEVERITY_NAMES.get(severity, 0)
                        if isinstance(severity, str)
                        else _integer(severity),
                        "severity_text": str(_get(record, "severityText", "")),
                        "body": _json_value(_get(record, "body")),
                        "attributes": _json_attributes(_get(record, "attributes", [])),
                        "dropped": _integer(_get(record, "droppedAttributesCount", 0)),
                        "flags": _integer(_get(record, "flags", 0)),
                        "trace_id": _json_id(_get(record, "traceId", "")),
                        "span_id": _json_id(_get(record, "spanId", "")),
                    }
                )
            scopes.append(
                (
                    {
                        "name": str(_get(scope, "name", "")),
                        "version": str(_get(scope, "version", "")),
                        "attributes": _json_attributes(_get(scope, "attributes", [])),
                        "dropped": _integer(_get(scope, "droppedAttributesCount", 0)),
                    },
                    records,
                )
            )
        out.append((_json_attributes(_get(_get(resource_logs, "resource", {}), "attributes", [])), scopes))
    return out
