"""logfmt: `key=value key="value with blanks"`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl
import re2

from . import levels
from .times import read_times

_PAIR = r'[A-Za-z_@][A-Za-z0-9_.@/-]*=(?:"(?:[^"\\]|\\.)*"|[^ "]*)'
_SHAPE = rf"^[ \t]*{_PAIR}(?: +{_PAIR})+(?: |$)"
PROBE = re2.compile(_SHAPE)
_KEYS = re2.compile(r"(?:^| )([A-Za-z_@][A-Za-z0-9_.@/-]*)=")

_ROLES: dict[str, tuple[str, ...]] = {
    "message": ("msg", "message", "event", "text", "@message"),
    "level": ("level", "lvl", "severity", "loglevel", "log.level", "levelname"),
    "time": ("ts", "t", "time", "timestamp", "@timestamp", "at", "date", "asctime"),
    "error": ("err", "error", "error.message", "exception", "errmsg", "reason", "cause"),
    "trace": ("trace_id", "traceID", "traceId", "traceid", "trace.id", "traceparent"),
    "service": ("service", "service_name", "service.name", "app", "component"),
}
_DROPPED = ("caller", "source", "pid", "thread", "goroutine")  # where there is no message, these are no part of one


def _value(key: str) -> str:
    return rf'(?:^| ){re.escape(key)}=(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^ "]*))'


@dataclass(frozen=True)
class LogfmtNode:
    """Lines of key=value pairs; `used` names the key that plays each role in this stream."""

    used: tuple[tuple[str, str], ...]
    name: str = "logfmt"
    wrapper: bool = False

    @property
    def key(self) -> str:
        return f"{self.name}\x00{self.used}"

    def read(self, text: pl.Series, reference: pl.Series) -> dict[str, pl.Series]:
        used = dict(self.used)
        frame = text.alias("line").to_frame()
        taken = frame.select(
            pl.col("line").str.contains(_SHAPE).fill_null(False).alias("head"),
            *(pl.col("line").str.extract_groups(_value(key)).alias(role) for role, key in used.items()),
        )
        values: dict[str, pl.Series] = {}
        for role in used:
            both = taken[role].struct
            quoted = both.field("quoted")
            if quoted.str.contains("\\", literal=True).any():
                quoted = quoted.str.replace_all(r'\\(["\\])', "$1").str.replace_all("\\n", "\n", literal=True)
            value = quoted.zip_with(quoted.is_not_null(), both.field("bare"))
            values[role] = value.zip_with(value != "", pl.Series([None], dtype=pl.String).new_from_index(0, len(value)))
        result = {"head": taken["head"], "message": self._message(text, values)}
        if "level" in values:
            result["level"] = levels.read_names(values["level"])
        if "time" in values:
            result["event_ts"] = read_times(values["time"], reference)
        if "trace" in values:
            result["trace_id"] = values["trace"]
        if "service" in values:
            result["named"] = values["service"]
        return result

    def _message(self, text: pl.Series, values: dict[str, pl.Series]) -> pl.Series:
        used = dict(self.used)
        told = values.get("message")
        if told is None or told.null_count():
            gone = [used[role] for role in ("time", "level", "trace") if role in used] + list(_DROPPED)
            keys = "|".join(re.escape(key) for key in gone)
            rest = text.str.replace_all(rf'(?:^| )(?:{keys})=(?:"(?:[^"\\]|\\.)*"|[^ "]*)', "").str.strip_chars(" ")
            told = rest if told is None else told.zip_with(told.is_not_null(), rest)
        error = values.get("error")
        if error is None or "message" not in values or error.null_count() == len(error):
            return told.alias("message")
        null_like = ["null", "nil", "<nil>", "none", "None", "false", "-"]
        pair = pl.DataFrame({"message": told, "error": error})
        said = pl.col("error").is_not_null() & ~pl.col("error").is_in(null_like)
        return pair.select(
            pl.when(said & values["message"].is_not_null())
            .then(pl.concat_str("message", pl.lit(": "), "error"))
            .otherwise("message")
            .alias("message")
        ).to_series()


def node_of(lines: Iterable[str]) -> LogfmtNode:
    """The node for a stream of lines like these."""
    count: Counter[str] = Counter()
    for line in lines:
        count.update(set(_KEYS.findall(line[:2000])))
    used = {}
    for role, keys in _ROLES.items():
        present = [key for key in keys if count[key]]
        if present:
            # The key most lines have; of equals the more telling one.
            used[role] = max(present, key=lambda key: (count[key], -keys.index(key)))
    return LogfmtNode(tuple(used.items()))
