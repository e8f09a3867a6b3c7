"""Lines that are JSON objects: ECS, zap, bunyan, pino, logback, Serilog, GCP, OTLP, journald, MongoDB, docker, ...

Nobody agrees on names, so each role (message, level, time, ...) has the names it goes by, the most telling first. Which
of them a stream uses is seen in a sample; a line that has none of these gets the full search.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import polars as pl

from . import levels
from .exceptions import innermost
from .times import read_times

Path = tuple[str, ...]


def _paths(names: str) -> tuple[Path, ...]:
    """`a` is a key, `a>b` a key within, `a.b` a key that has a dot in it."""
    return tuple(tuple(name.split(">")) for name in names.split())


ROLES: dict[str, tuple[Path, ...]] = {
    "message": _paths(
        "message msg Message @message short_message textPayload jsonPayload>message jsonPayload>msg fields>message "
        "@fields>msg @fields>message MESSAGE @m RenderedMessage @mt MessageTemplate "
        "body>stringValue body Body log>message "
        "log event text description rest"
    ),
    "level": _paths(
        "level severity lvl log.level log>level loglevel logLevel LogLevel levelname level_name Level Severity @l "
        "severityText severity_text SeverityText priority PRIORITY fields>level @fields>lvl @fields>level "
        "jsonPayload>level s syslog>severity levelString error_severity"
    ),
    "number": _paths("severityNumber severity_number SeverityNumber"),
    "time": _paths(
        "ts time timestamp @timestamp t>$date t datetime date eventTime Timestamp @t timeUnixNano time_unix_nano "
        "observedTimeUnixNano timeMillis asctime __REALTIME_TIMESTAMP _SOURCE_REALTIME_TIMESTAMP instant>epochSecond "
        "started_at start_time EdgeStartTimestamp EdgeEndTimestamp receiveTimestamp fields>timestamp created_at"
    ),
    "error": _paths(
        "error.message error>message err>message exception>message error err "
        "exception exc_info thrown>message thrown @x "
        "Exception stack_trace stacktrace error.stack_trace error>stack_trace err>stack error>stack stack exc_text "
        "exception>stacktrace jsonPayload>error fields>error errorMessage error_message cause attr>error"
    ),
    "stack": _paths(
        "stack_trace stacktrace error.stack_trace error>stack_trace err>stack error>stack stack exception>stacktrace "
        "exception.stacktrace exc_info exc_text thrown>extendedStackTrace @x Exception exception traceback"
    ),
    "trace": _paths(
        "trace_id traceId traceID trace.id TraceId trace>id traceid traceparent dd.trace_id dd>trace_id "
        "logging.googleapis.com/trace mdc>traceId context>trace_id span>trace_id contextMap>traceId otelTraceID trace"
    ),
    "service": _paths(
        "service.name service>name service service_name serviceName resource>service.name app application component "
        "SYSLOG_IDENTIFIER resource>labels>container_name"
    ),
    "method": _paths(
        "method http_method request_method request>method ClientRequestMethod http.request.method cs-method verb"
    ),
    "uri": _paths(
        "path uri url request>uri request>url http_path request_uri ClientRequestURI url.path url>path endpoint"
    ),
    "status": _paths(
        "status status_code statusCode response>status http_status EdgeResponseStatus http.response.status_code code"
    ),
}
# Where no name of a role is known, these are looked for in objects of any name: `{"data": {"msg": ...}}`.
_SOUGHT: dict[str, tuple[str, ...]] = {
    "message": ("message", "msg", "Message"),
    "level": ("level", "severity", "lvl", "Level"),
    "time": ("time", "timestamp", "ts", "@timestamp"),
    "trace": ("trace_id", "traceId", "traceID"),
}
_SAID = ("message", "msg", "Message", "errmsg", "type")  # what an error object says of itself
_DEEP, _WIDE = 3, 64  # how deep and how broad an object is searched for them
_AT_ONCE = 4096  # lines whose objects are held at the same time
_DOCKER = frozenset(("log", "stream", "time"))
_HEADERS_OF_TEXT = 12  # fields shown as the message of an object that has none


def get(value: Any, path: Path) -> Any:
    """What stands at a path of nested objects, None where it leads nowhere."""
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def text_of(value: Any) -> str | None:
    """A value as text: a string as it is, objects and lists as JSON; None for nothing."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list) and value and all(type(item) is int for item in value):
        # journald gives a message that is not UTF-8 as the list of its bytes.
        return bytes(item & 255 for item in value).decode("utf-8", "replace")
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # it nests deeper than orjson writes, though not deeper than it reads
        return "{...}"


def decode(line: str) -> dict[str, Any] | None:
    """The object a line holds, None where it holds none (or nests deeper than orjson goes)."""
    try:
        value = orjson.loads(line)
    except (orjson.JSONDecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


@dataclass(frozen=True)
class JsonNode:
    """Lines that are JSON objects. `used` has, for each role, the paths seen in the sample, in the order to try."""

    used: tuple[tuple[str, tuple[Path, ...]], ...]
    name: str = "json"
    wrapper: bool = False

    @property
    def key(self) -> str:
        return f"{self.name}\x00{self.used}"

    def read(self, text: pl.Series, reference: pl.Series) -> dict[str, pl.Series]:
        quick = self._quick(text)
        if quick is None:
            columns = self._slow(text)
        elif quick["quick"].all():
            columns = quick
        else:
            rows = (~quick["quick"]).arg_true()
            slow = self._slow(text.gather(rows))
            empty = pl.Series([None], dtype=pl.String).new_from_index(0, len(text))
            columns = {name: quick.get(name, empty).scatter(rows, values) for name, values in slow.items()}
            columns |= {name: values for name, values in quick.items() if name not in columns}
        columns.pop("quick", None)
        columns["event_ts"] = read_times(columns.pop("time"), reference)
        if self.name == "docker":
            # docker cuts a line at 16 KiB; the piece that ends it has the line feed.
            columns["partial"] = ~columns["message"].str.ends_with("\n")
            columns["message"] = columns["message"].str.strip_chars_end("\r\n")
        return columns

    def _quick(self, text: pl.Series) -> dict[str, pl.Series] | None:
        """The fields of flat objects, by searching for their keys; None where the fields do not lend themselves to it.

        In an object without objects within and without a backslash a quote only ever begins or ends a text, so a key in
        quotes before a colon is a key. Three times as fast as parsing. `quick` tells the rows it holds for.
        """
        used = dict(self.used)
        single = {role: paths[0][0] for role, paths in used.items() if len(paths) == 1 and len(paths[0]) == 1}
        if not all(role in single for role in ("message", "level", "time")):
            return None
        if any(used[role] and role not in single for role in ("trace", "service")):
            return None
        if any(len(path) > 1 for path in used["error"]) or self.name == "docker":
            return None
        line = pl.col("line")

        def value(role: str, pattern: str) -> pl.Expr:
            return line.str.extract(rf'"{re.escape(single[role])}" ?: ?{pattern}', 1)

        flat = line.str.starts_with("{") & line.str.ends_with("}") & ~line.str.contains("\\", literal=True)
        flat &= line.str.count_matches("{", literal=True) == 1
        if used["error"]:
            keys = "|".join(re.escape(path[0]) for path in used["error"])
            flat &= ~line.str.contains(rf'"(?:{keys})" ?:')
        wanted = {
            "flat": flat.fill_null(False),
            "message": value("message", '"([^"]+)"'),
            "level": value("level", '"?([A-Za-z0-9]{1,20})'),
            "time": value("time", '"?([^",}]+)'),
        }
        for role, column in (("trace", "trace_id"), ("service", "named")):
            if used[role]:
                wanted[column] = value(role, '"([^"]+)"')
        found = text.alias("line").to_frame().select(expr.alias(name) for name, expr in wanted.items())
        level = found["level"]
        known = {name: _level_of((single["level"],), _number(name)) for name in level.unique().drop_nulls().head(1000)}
        read = level.replace_strict(known, default=None, return_dtype=pl.String)
        quick = found["flat"] & found["message"].is_not_null() & read.is_not_null()
        columns = {name: found[name] for name in wanted if name not in ("flat", "level")}
        if "trace_id" in columns:
            quick &= ~columns["trace_id"].str.contains("[/-]").fill_null(False)
        return {**columns, "level": read, "head": quick, "quick": quick}

    def _slow(self, text: pl.Series) -> dict[str, pl.Series]:
        """Parse every line with orjson and take its fields role by role.

        A loop over lines, but one that stays in C but for a look-up a role: measured twice as fast as polars' own
        `json_decode` on lines of 240 bytes, and it takes what polars refuses (fields whose type differs by line). A few
        thousand lines at a time, so that the objects are gone before the garbage collector walks over them.
        """
        columns: dict[str, list[Any]] = {}
        for begin in range(0, len(text), _AT_ONCE) or (0,):
            for name, values in self._take(text.slice(begin, _AT_ONCE).fill_null("").to_list()).items():
                columns.setdefault(name, []).extend(values)
        return {
            name: pl.Series(name, values, dtype=pl.Boolean if name == "head" else pl.String)
            for name, values in columns.items()
        }

    def _take(self, lines: list[str]) -> dict[str, Sequence[Any]]:
        """The fields of some lines by column."""
        used = dict(self.used)
        objects = _decode_all(lines)
        messages: Sequence[str | None] = _texts(objects, used["message"])
        taken: dict[str, Sequence[Any]] = {"head": [item is not _NO_OBJECT for item in objects]}
        if used["error"]:
            pairs = [_with_error(item, said, used["error"]) for item, said in zip(objects, messages, strict=True)]
            messages = [said for said, _ in pairs]
            taken["exception"] = [cause for _, cause in pairs]
        if None in messages:
            messages = [
                _describe(item) if said is None and item is not _NO_OBJECT else said
                for item, said in zip(objects, messages, strict=True)
            ]
        taken["message"] = messages
        taken["level"] = _levels(objects, used["level"])
        taken["time"] = _texts(objects, used["time"])
        if used["trace"]:
            taken["trace_id"] = [_trace(item, used["trace"]) for item in objects]
        if used["service"]:
            taken["named"] = _texts(objects, used["service"])
        if self.name == "docker":
            taken["writer"] = _texts(objects, (("stream",),))
        return taken


_NO_OBJECT: dict[str, Any] = {}


def _decode_all(lines: list[str]) -> list[dict[str, Any]]:
    """The object each line holds, `_NO_OBJECT` itself where it holds none."""
    try:
        objects = list(map(orjson.loads, lines))
    except (orjson.JSONDecodeError, RecursionError):
        objects = [decode(line) if "{" in line[:64] else None for line in lines]
    return [
        (_unfold_otlp(item) if "resourceLogs" in item else item) if type(item) is dict else _NO_OBJECT
        for item in objects
    ]


def _texts(objects: list[dict[str, Any]], paths: tuple[Path, ...]) -> list[str | None]:
    """For each object the first of the paths that leads to something, as text."""
    if not paths:
        return [None] * len(objects)
    if len(paths) == 1 and len(paths[0]) == 1:
        key = paths[0][0]
        values = [item.get(key) for item in objects]
        if all(type(value) is str and value for value in values):
            return values
    return [_first_text(item, paths) for item in objects]


def _levels(objects: list[dict[str, Any]], paths: tuple[Path, ...]) -> list[str | None]:
    if len(paths) == 1 and len(paths[0]) == 1:
        key = paths[0][0]
        values = [item.get(key) for item in objects]
        names = [value for value in values if type(value) is str]
        known = {name: _level_of(paths[0], name) for name in set(names)}
        if len(names) == len(values) and None not in known.values():
            return [known[name] for name in names]
    return [_level(item, paths) for item in objects]


def _number(text: str) -> str | float:
    return float(text) if text.isdigit() else text


def node_of(objects: Iterable[dict[str, Any]]) -> JsonNode:
    """The node for a stream of objects like these."""
    sample = [_unfold_otlp(item) if "resourceLogs" in item else item for item in objects]
    if sample and all(set(item) >= _DOCKER and set(item) <= _DOCKER | {"attrs", "tag"} for item in sample):
        docker: dict[str, tuple[Path, ...]] = dict.fromkeys(ROLES, ())
        docker |= {"message": (("log",),), "time": (("time",),)}
        return JsonNode(tuple(docker.items()), "docker", True)
    used: dict[str, tuple[Path, ...]] = {}
    for role, paths in ROLES.items():
        used[role] = tuple(path for path in paths if any(_usable(role, item, path) for item in sample))
    for role in _SOUGHT:
        used[role] = used[role] or _within(role, sample)
    for role in ("message", "level", "time"):
        used[role] = used[role] or ROLES[role]
    return JsonNode(tuple(used.items()))


def _within(role: str, sample: list[dict[str, Any]]) -> tuple[Path, ...]:
    """The path that most of these objects have for a role inside an object of any name, not deeper than `_DEEP`."""
    found: Counter[Path] = Counter()
    for item in sample:
        found.update(path for path in _inside(role, item, ()) if _usable(role, item, path))
    best = max(found.values(), default=0)
    return tuple(path for path, count in found.items() if count == best)[:1]


def _inside(role: str, value: dict[str, Any], at: Path) -> Iterator[Path]:
    for key, inner in list(value.items())[:_WIDE]:
        if isinstance(inner, dict):
            yield from ((*at, key, name) for name in _SOUGHT[role] if name in inner)
            if len(at) + 1 < _DEEP:
                yield from _inside(role, inner, (*at, key))


def _usable(role: str, item: dict[str, Any], path: Path) -> bool:
    value = get(item, path)
    if value is None or value == "":
        return False
    if role == "message":
        return isinstance(value, str) or path[-1] in ("MESSAGE", "body", "message", "msg")
    if role == "level":
        return _level_of(path, value) is not None
    if role == "trace":
        return isinstance(value, str) and len(value) >= 8
    if role == "time":
        return isinstance(value, int | float | str)
    if role in ("error", "stack"):
        return not isinstance(value, bool | int | float)
    return isinstance(value, str | int | float)


def _first_text(item: dict[str, Any], paths: tuple[Path, ...]) -> str | None:
    for path in paths:
        value = item.get(path[0]) if len(path) == 1 else get(item, path)
        if value is not None and value != "":
            if path == ("instant", "epochSecond"):
                return f"{value}.{int(get(item, ('instant', 'nanoOfSecond')) or 0):09d}"
            return value if type(value) is str else text_of(value)
    return None


def _level(item: dict[str, Any], paths: tuple[Path, ...]) -> str | None:
    for path in paths:
        value = item.get(path[0]) if len(path) == 1 else get(item, path)
        if value is not None:
            level = _level_of(path, value)
            if level is not None:
                return level
    for path in ROLES["number"]:
        value = get(item, path)
        if isinstance(value, int):
            return levels.from_number(value, otel=True)
    return None


_SEEN_LEVELS: dict[str, str | None] = {}


def _level_of(path: Path, value: Any) -> str | None:
    if type(value) is str:
        if value in _SEEN_LEVELS:
            return _SEEN_LEVELS[value]
        level = levels.from_number(float(value)) if value.isascii() and value.isdigit() and len(value) < 4 else None
        level = level or levels.from_name(value)
        if len(_SEEN_LEVELS) < 4096:
            _SEEN_LEVELS[value] = level
        return level
    if isinstance(value, int | float) and not isinstance(value, bool):
        return levels.from_number(value)
    return None


def _trace(item: dict[str, Any], paths: tuple[Path, ...]) -> str | None:
    for path in paths:
        value = get(item, path)
        if isinstance(value, str) and value:
            if path[-1] == "traceparent":
                return value.split("-")[1] if value.count("-") == 3 else None
            return value.rsplit("/", 1)[-1]
    return None


def _with_error(item: dict[str, Any], message: str | None, paths: tuple[Path, ...]) -> tuple[str | None, str | None]:
    """The message with the error's own text behind it, and the innermost cause where a stack trace is given."""
    said = None
    exception = None
    for path in paths:
        value = get(item, path)
        if value is None or isinstance(value, bool | int | float) or value in ("", "null", "none", "None", "nil"):
            continue
        if isinstance(value, dict):
            value = next((value[name] for name in _SAID if value.get(name)), None)
            if not isinstance(value, str):
                continue
        text = text_of(value) or ""
        if "\n" in text:
            exception = exception or innermost(text)
            text = exception or text.split("\n", 1)[0]
        said = said or text
        if exception is not None:
            break
    if said is None or (message is not None and said in message):
        return message, exception
    return (said if message is None else f"{message}: {said}"), exception


def _describe(item: dict[str, Any]) -> str:
    """A message for an object that has none: the request it tells of, or its fields."""
    method, uri = _first_text(item, ROLES["method"]), _first_text(item, ROLES["uri"])
    if method and uri:
        status = _first_text(item, ROLES["status"]) or "-"
        return f"{method} {uri.split('?', 1)[0]} {status}"
    skipped = {path[0] for role in ("level", "time", "trace") for path in ROLES[role]}
    shown = [f"{key}={text_of(value)}" for key, value in item.items() if key not in skipped]
    return " ".join(shown[:_HEADERS_OF_TEXT])


def _unfold_otlp(item: dict[str, Any]) -> dict[str, Any]:
    """The first log record of an OTLP line, with its resource's service."""
    try:
        resource = item["resourceLogs"][0]
        record = dict(resource["scopeLogs"][0]["logRecords"][0])
        attributes = (resource.get("resource") or {}).get("attributes") or []
        for attribute in attributes:
            if attribute.get("key") == "service.name":
                record["service.name"] = (attribute.get("value") or {}).get("stringValue")
    except (KeyError, IndexError, TypeError, AttributeError, ValueError):
        return item
    return record
