"""Protobuf messages of Loki's push and of OpenTelemetry logs, described here and built at import.

Only what is read is described; unknown fields are skipped by protobuf itself. Text that comes from a log is declared
as bytes (the same on the wire), for Loki takes invalid UTF-8 where protobuf's `string` refuses it.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from .gotext import GoError

_F = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "incidentlens.localloki"
_TYPES = {
    "bytes": _F.TYPE_BYTES,
    "int64": _F.TYPE_INT64,
    "int32": _F.TYPE_INT32,
    "uint32": _F.TYPE_UINT32,
    "fixed64": _F.TYPE_FIXED64,
    "fixed32": _F.TYPE_FIXED32,
    "double": _F.TYPE_DOUBLE,
    "bool": _F.TYPE_BOOL,
}

# message: (number, name, type), a trailing * for repeated, a trailing ? for a member of the oneof `value`.
_MESSAGES: dict[str, tuple[tuple[int, str, str], ...]] = {
    "Timestamp": ((1, "seconds", "int64"), (2, "nanos", "int32")),
    "LabelPair": ((1, "name", "bytes"), (2, "value", "bytes")),
    "Entry": ((1, "timestamp", "Timestamp"), (2, "line", "bytes"), (3, "metadata", "LabelPair*")),
    "Stream": ((1, "labels", "bytes"), (2, "entries", "Entry*")),
    "PushRequest": ((1, "streams", "Stream*"),),
    "AnyValue": (
        (1, "string_value", "bytes?"),
        (2, "bool_value", "bool?"),
        (3, "int_value", "int64?"),
        (4, "double_value", "double?"),
        (5, "array_value", "ArrayValue?"),
        (6, "kvlist_value", "KeyValueList?"),
        (7, "bytes_value", "bytes?"),
    ),
    "ArrayValue": ((1, "values", "AnyValue*"),),
    "KeyValueList": ((1, "values", "KeyValue*"),),
    "KeyValue": ((1, "key", "bytes"), (2, "value", "AnyValue")),
    "Resource": ((1, "attributes", "KeyValue*"),),
    "Scope": (
        (1, "name", "bytes"),
        (2, "version", "bytes"),
        (3, "attributes", "KeyValue*"),
        (4, "dropped_attributes_count", "uint32"),
    ),
    "LogRecord": (
        (1, "time_unix_nano", "fixed64"),
        (2, "severity_number", "int32"),
        (3, "severity_text", "bytes"),
        (5, "body", "AnyValue"),
        (6, "attributes", "KeyValue*"),
        (7, "dropped_attributes_count", "uint32"),
        (8, "flags", "fixed32"),
        (9, "trace_id", "bytes"),
        (10, "span_id", "bytes"),
        (11, "observed_time_unix_nano", "fixed64"),
    ),
    "ScopeLogs": ((1, "scope", "Scope"), (2, "log_records", "LogRecord*")),
    "ResourceLogs": ((1, "resource", "Resource"), (2, "scope_logs", "ScopeLogs*")),
    "ExportLogs": ((1, "resource_logs", "ResourceLogs*"),),
    "Status": ((1, "code", "int32"), (2, "message", "bytes")),
}


def _build() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="incidentlens/localloki.proto", package=_PACKAGE, syntax="proto3")
    for message_name, fields in _MESSAGES.items():
        message = file.message_type.add(name=message_name)
        for number, name, kind in fields:
            field = message.field.add(name=name, number=number)
            field.label = _F.LABEL_REPEATED if kind.endswith("*") else _F.LABEL_OPTIONAL
            if kind.endswith("?"):
                if not message.oneof_decl:
                    message.oneof_decl.add(name="value")
                field.oneof_index = 0
            kind = kind.rstrip("*?")
            if kind in _TYPES:
                field.type = _TYPES[kind]
            else:
                field.type = _F.TYPE_MESSAGE
                field.type_name = f".{_PACKAGE}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _MESSAGES
    }


_CLASSES = _build()


def new_message(name: str) -> Any:
    """An empty message: `PushRequest`, `ExportLogs`, `Status` and what they are made of."""
    return _CLASSES[name]()


def read_message(name: str, data: bytes) -> Any:
    """Parse a message; raises GoError when the bytes are none."""
    message = new_message(name)
    try:
        message.ParseFromString(data)
    except DecodeError:
        raise GoError("unexpected EOF") from None
    return message
