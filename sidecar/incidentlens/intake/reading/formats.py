"""The formats with a header of their own that cannot be learnt field by field, and the wrappers around lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from . import levels
from .header import SYSLOG_TAIL
from .node import HeaderNode
from .stamps import BY_NAME as STAMP

_WORD_LEVEL = r"(?P<level>[A-Za-z]{3,13}[0-9]?)"


@dataclass(frozen=True)
class Known:
    """A named format: its node, and by which part of a sample it must be recognised at least."""

    node: HeaderNode
    share: float = 0.0


def _syslog_level(priorities: pl.Series) -> pl.Series:
    severity = priorities.cast(pl.Int64, strict=False) % 8
    return severity.replace_strict(dict(enumerate(levels.SYSLOG)), default=None, return_dtype=pl.String).alias("level")


def _redis_level(marks: pl.Series) -> pl.Series:
    return marks.replace_strict(levels.REDIS, default=None, return_dtype=pl.String).alias("level")


def _php_level(names: pl.Series) -> pl.Series:
    table = {
        "fatal error": "fatal", "parse error": "error", "catchable fatal error": "error",
        "recoverable fatal error": "error", "warning": "warn", "core warning": "warn", "deprecated": "warn",
        "notice": "info", "strict standards": "info",
    }  # fmt: skip
    return names.str.to_lowercase().replace_strict(table, default=None, return_dtype=pl.String).alias("level")


def _access_message(result: dict[str, pl.Series], found: pl.DataFrame) -> None:
    """What an access log's signature is built from: method, path and status; the query, the agent and times vary.

    A server error is the server's failure; a client's error is the client's.
    """
    path = pl.col("uri").str.extract(r"^([^?#]*)", 1)
    request = pl.concat_str(pl.col("method"), pl.lit(" "), path, pl.lit(" "), pl.col("status"), ignore_nulls=False)
    text = pl.coalesce(request, pl.concat_str(pl.lit("- "), pl.col("status")))
    status = pl.col("status")
    level = pl.when(status >= "500").then(pl.lit("error")).when(status.is_not_null()).then(pl.lit("info"))
    made = found.select(text.alias("message"), level.alias("level"), pl.col("status").is_not_null().alias("head"))
    result["message"], result["level"] = made["message"], made["level"]


_REQUEST = r'"(?:(?P<method>[A-Z]{2,20}) (?P<uri>[^ "]*)(?: [^"]*)?|[^"]*)"'


def _whole(pattern: str) -> str:
    """A pattern whose header is all that it matches."""
    return f"^(?P<head>{pattern})"


def _make() -> list[Known]:
    known: list[Known] = []

    def add(
        name: str,
        pattern: str,
        stamp: str | None = None,
        *,
        level: Callable[[pl.Series], pl.Series] = levels.read_names,
        share: float = 0.0,
        strict: bool = False,
        default: str | None = None,
        wrapper: bool = False,
        finish: Callable[[dict[str, pl.Series], pl.DataFrame], None] | None = None,
    ) -> None:
        node = HeaderNode(
            name, _whole(pattern), STAMP[stamp] if stamp else None, level, strict, default, wrapper, finish
        )
        known.append(Known(node, share))

    iso = {name: STAMP[name].pattern for name in ("iso_t", "iso")}

    # Wrappers: what follows is a line of some other format.
    add(
        "cri",
        iso["iso_t"] + r" (?P<writer>stdout|stderr) (?P<flag>[PF])(?:[:][^ ]*)? ",
        "iso_t",
        wrapper=True,
        finish=_partial,
    )
    add("compose", r"(?P<writer>[A-Za-z0-9][A-Za-z0-9_.-]*[-_][0-9]{1,4}) +\| ?", wrapper=True, share=0.8)
    add(
        "syslog5424",
        r"<(?P<level>[0-9]{1,3})>1 "
        + iso["iso_t"]
        + r" [^ ]+ (?P<service>[^ ]+) [^ ]+ [^ ]+ "
        + r"(?:-|(?:\[(?:[^\]\\\"]|\\.|\"(?:[^\"\\]|\\.)*\")*\])+)(?: (?:\x{FEFF})?|$)",
        "iso_t",
        level=_syslog_level,
    )
    add(
        "syslog5424",
        iso["iso_t"]
        + r" [^ ]+ (?P<service>[A-Za-z][^ :]*) (?:[0-9]+|-) (?:-|[A-Za-z0-9_.-]+) "
        + r"(?:- |(?:\[[^\]]* level=\"(?P<level>[A-Za-z]+)\"[^\]]*\]|\[[A-Za-z0-9.]+@[0-9]+(?: [^\]]*)?\]) ?)",
        "iso_t",
    )
    add("syslog", r"<(?P<level>[0-9]{1,3})>" + STAMP["syslog"].pattern + SYSLOG_TAIL, "syslog", level=_syslog_level)
    add("syslog", r"<(?P<level>[0-9]{1,3})>" + iso["iso_t"] + SYSLOG_TAIL, "iso_t", level=_syslog_level)
    # Web servers and proxies. haproxy's own line stands behind a syslog header.
    add(
        "access",
        r"(?:[^ \[\"]+ ){2,6}\["
        + STAMP["clf"].pattern
        + r"\] (?:[^ \"]+ ){0,6}"
        + _REQUEST
        + r" (?P<status>[1-5][0-9]{2})(?: .*|$)",
        "clf",
        finish=_access_message,
    )
    add(
        "haproxy",
        r"[^ ]+:[0-9]+ \["
        + STAMP["clf"].pattern
        + r"\] [^ ]+ [^ ]+ [-0-9/+]+ (?P<status>[1-5][0-9]{2}) .*?"
        + _REQUEST
        + ".*",
        "clf",
        finish=_access_message,
    )
    add(
        "envoy",
        r"\[" + STAMP["iso_t"].pattern + r"\] " + _REQUEST + r" (?P<status>[0-9]{3})(?: .*|$)",
        "iso_t",
        finish=_access_message,
    )
    add(
        "access",  # AWS load balancers
        r"(?:(?:https?|h2|wss?|grpcs?) )?"
        + STAMP["iso_t"].pattern
        + r" (?:[^ \"]+ ){6}(?P<status>[1-5][0-9]{2}) (?:[0-9]{1,3}|-) -?[0-9]+ -?[0-9]+ "
        + _REQUEST
        + ".*",
        "iso_t",
        finish=_access_message,
    )
    add(
        "access",  # squid
        STAMP["epoch"].pattern
        + r" +[0-9]+ [^ ]+ [A-Z_]+/(?P<status>[1-5][0-9]{2}) [0-9]+ (?P<method>[A-Z]{2,20}) (?P<uri>[^ ]+) .*",
        "epoch",
        finish=_access_message,
    )
    add(
        "access",  # uWSGI
        r"\[pid: [0-9]+[^\]]*\] [^\[]{0,200}\["
        + STAMP["ctime"].pattern
        + r"\] (?P<method>[A-Z]{2,20}) (?P<uri>[^ ]+) => .* \(HTTP/[0-9.]+ (?P<status>[1-5][0-9]{2})\).*",
        "ctime",
        finish=_access_message,
    )
    add("cups", r"(?P<level>[AECWNIDd]) \[" + STAMP["clf"].pattern + r"\] ", "clf", level=levels.read_letters)
    add(
        "access",  # Django's development server
        r"\[" + STAMP["clf_space"].pattern + r"\] " + _REQUEST + r" (?P<status>[1-5][0-9]{2})(?: .*|$)",
        "clf_space",
        finish=_access_message,
    )
    add(
        "access",
        r"(?P<client>[0-9a-fA-F.:]+)(?::[0-9]+)? - (?:- )?" + _REQUEST + r" (?P<status>[1-5][0-9]{2})(?: .*|$)",
        finish=_access_message,
    )
    add(
        "nginx",
        STAMP["slash"].pattern
        + r" \[(?P<level>debug|info|notice|warn|error|crit|alert|emerg)\] [0-9]+#[0-9]+: (?:\*[0-9]+ )?",
        "slash",
    )
    # Go's klog and glog.
    add(
        "klog",
        r"(?P<level>[IWEF])"
        + r"(?P<ts>[01][0-9][0-3][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2})[.](?P<frac>[0-9]{6}) +[0-9]+ [^ \]]+:[0-9]+\] ?",
        "klog",
        level=levels.read_letters,
        finish=_klog_fields,
    )
    add(
        "klog",
        r"(?P<level>[IWEF])" + STAMP["compact_space"].pattern + r" +[0-9]+ [^ \]]+:[0-9]+\] ?",
        "compact_space",
        level=levels.read_letters,
        finish=_klog_fields,
    )
    # Android.
    logcat = r" +[0-9]+ +[0-9]+ (?P<level>[VDIWEFA]) [^:\n]{1,60}?: "
    add("logcat", STAMP["md"].pattern + logcat, "md", level=levels.read_letters)
    add("logcat", r"(?P<level>[VDIWEFA])/[^(\n]{1,60}\( *[0-9]+\): ", level=levels.read_letters)
    # java.util.logging: the level and the message stand on the next line.
    add("jul", STAMP["us_ampm"].pattern + r" [A-Za-z_][A-Za-z0-9_.$]*(?: [A-Za-z0-9_$<>]+)?$", "us_ampm")
    # Databases and brokers.
    pg_tail = (
        r"(?: [^ ]+)? \[[0-9]+(?:-[0-9]+)?\](?::)?(?: [^ ]+@[^ ]*| [^ :]+,[^ :]+)?(?: [a-z]+=[^ ]*)*[ :]*(?P<level>"
        r"DEBUG[1-5]?|LOG|INFO|NOTICE|WARNING|ERROR|FATAL|PANIC|STATEMENT|DETAIL|HINT|CONTEXT|QUERY|LOCATION):  ?"
    )
    add("postgresql", STAMP["iso"].pattern + pg_tail, "iso")
    # Whatever else log_line_prefix puts before it, the level is in capitals, followed by a colon and two blanks.
    pg_levels = r"(?P<level>LOG|INFO|NOTICE|WARNING|ERROR|FATAL|PANIC|STATEMENT|DETAIL|HINT|CONTEXT):"
    add("postgresql", STAMP["iso"].pattern + r"[ :,][^\n\"]{0,200}?" + pg_levels + "  ", "iso")
    pg_cell = r"(?:\"(?:[^\"]|\"\")*\"|[^,\"]*)"
    add(
        "postgresql",
        STAMP["iso"].pattern
        + rf"(?:,{pg_cell}){{10}},"
        + r"(?P<level>[A-Z]{3,7}[1-5]?),[0-9A-Z]{5},\"(?P<text>(?:[^\"]|\"\")*)\",.*",
        "iso",
        strict=True,
    )
    add(
        "mysql",
        STAMP["iso_t"].pattern + r"[ \t]+[0-9]+ \[(?P<level>[A-Za-z]+)\](?: \[MY-[0-9]+\] \[[A-Za-z0-9_]+\])? ",
        "iso_t",
        finish=_mysql_note,
    )
    for stamp in ("iso", "ymd_clock"):  # MariaDB, and MySQL up to 5.6
        add(
            "mysql",
            STAMP[stamp].pattern + r"(?:[ \t]+[0-9]+)? \[(?P<level>ERROR|Warning|Note|System)\] ",
            stamp,
            finish=_mysql_note,
        )
    add("mysql_slow", r"# Time: " + STAMP["iso_t"].pattern, "iso_t", finish=_slow_query)
    add("redis", r"[0-9]+:[A-Z] " + STAMP["d_mon_y"].pattern + r" (?P<level>[.*#-]) ", "d_mon_y", level=_redis_level)
    add(
        "redis",
        r"\[[0-9]+\] (?P<ts>[0-9]{1,2} [A-Z][a-z]{2} [0-9]{2}:[0-9]{2}:[0-9]{2})"
        r"[.](?P<frac>[0-9]{3}) (?P<level>[.*#-]) ",
        "redis_old",
        level=_redis_level,
    )
    add(
        "mongodb",
        STAMP["iso_t"].pattern + r" (?P<level>[FEWID])[1-5]? +[A-Z-]+ +\[[^\]]*\] ",
        "iso_t",
        level=levels.read_letters,
    )
    add("rabbitmq", r"=(?P<level>[A-Z]+) REPORT==== " + STAMP["d-mon-y::"].pattern + r" ===", "d-mon-y::")
    # Languages and frameworks.
    add(
        "ruby",
        r"(?P<level>[DIWEFA]), \[" + STAMP["iso_t"].pattern + r" ?#[0-9]+\] +[A-Z]+ -- [^:]*: ?",
        "iso_t",
        level=levels.read_letters,
    )
    php_levels = r"(?:Fatal|Parse|Catchable fatal|Recoverable fatal) error|(?:Core )?[Ww]arning|Notice|Deprecated"
    add(
        "php",
        r"\["
        + STAMP["d-mon-y"].pattern
        + rf"\] (?:PHP (?P<level>{php_levels}|Strict Standards):  ?|(?P<fpm>ALERT|ERROR|WARNING|NOTICE|DEBUG): )",
        "d-mon-y",
        level=_php_level,
        finish=_fpm_level,
    )
    for stamp in ("iso_t", "iso"):
        add(
            "monolog",
            r"\["
            + STAMP[stamp].pattern
            + r"\] [A-Za-z0-9_.-]+[.](?P<level>DEBUG|INFO|NOTICE|WARNING|ERROR|CRITICAL|ALERT|EMERGENCY): ",
            stamp,
        )
        # Spring Boot: level, process, application, thread and correlation, logger padded to a width.
        add(
            "spring",
            STAMP[stamp].pattern
            + r" +(?P<level>TRACE|DEBUG|INFO|WARN|ERROR|FATAL) (?:\[[^\]]*\] ?)?"
            + r"[0-9]+ --- (?:\[[^\]]*\] ){1,3}[^ ]+ +: ?",
            stamp,
        )
    add(
        "tracing",
        STAMP["iso_t"].pattern
        + r" +(?P<level>TRACE|DEBUG|INFO|WARN|ERROR) (?:ThreadId\([0-9]+\) )?"
        + r"(?:(?:[A-Za-z_][A-Za-z0-9_.-]*(?:\{[^{}]*\})?:)+ )?[a-z_][a-z0-9_]*(?:::[A-Za-z0-9_]+)+: ",
        "iso_t",
    )
    add(
        "php",
        rf"PHP (?P<level>{php_levels}):  ?",
        level=_php_level,
    )
    add(
        "dotnet",
        r"(?P<level>trce|dbug|info|warn|fail|crit): (?P<logger>[A-Za-z0-9_.`+<>]+)\[[0-9]+\] ?",
        level=_dotnet_level,
    )
    add("python", r"(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL):(?P<logger>[A-Za-z0-9_.]+):")
    add(
        "zap",
        STAMP["iso_t"].pattern
        + r"\t(?P<level>[A-Za-z]{4,6})\t(?:[^\t]+[.][a-z]+:[0-9]+\t|[a-z0-9_./-]+\t[^\t]+[.][a-z]+:[0-9]+\t)?",
        "iso_t",
        strict=True,
        finish=_zap_fields,
    )
    for stamp in ("ctime_zone", "ctime", "iso", "iso_t"):
        add("banner", r"[=*#-]{3,}[A-Za-z ]{0,60}?" + STAMP[stamp].pattern + r" *[=*#-]{3,}$", stamp, finish=_banner)
    add("dmesg", r"\[ *[0-9]{1,7}[.][0-9]{6}\] ?", share=0.5)
    # A level and nothing else before the message.
    add(
        "level",
        r"[\[(<]?" + _WORD_LEVEL + r"(?:[\])>]+[ \t]*:?[ \t]*(?:-[ \t]+)?|:[ \t]*|[ \t]+-[ \t]+|[ \t]*\|[ \t]*)",
        level=_bare_names,
        strict=True,
        share=0.2,
    )
    return known


def _bare_names(names: pl.Series) -> pl.Series:
    """Levels that stand alone. `Error: x` is how JavaScript writes an exception, the head of a stack trace."""
    level = levels.read_names(names, levels.HEADER_NAMES)
    return level.zip_with((names != "Error").fill_null(True), _nothing(len(names)))


def _nothing(height: int) -> pl.Series:
    return pl.Series([None], dtype=pl.String).new_from_index(0, height)


def _dotnet_level(names: pl.Series) -> pl.Series:
    table = {"trce": "trace", "dbug": "debug", "info": "info", "warn": "warn", "fail": "error", "crit": "fatal"}
    return names.replace_strict(table, default=None, return_dtype=pl.String).alias("level")


def _partial(result: dict[str, pl.Series], found: pl.DataFrame) -> None:
    result["partial"] = found["flag"] == "P"


def _fpm_level(result: dict[str, pl.Series], found: pl.DataFrame) -> None:
    """PHP-FPM's own lines carry a plain level where the interpreter's say `PHP Warning`."""
    result["level"] = result["level"].zip_with(result["level"].is_not_null(), levels.read_names(found["fpm"]))


def _klog_fields(result: dict[str, pl.Series], found: pl.DataFrame) -> None:
    """Structured klog quotes the message and puts fields behind it; of these the error is part of what happened."""
    message = result["message"]
    if not message.str.starts_with('"').any():
        return
    text = pl.col("m").str.extract(r'^"((?:[^"\\]|\\.)*)"(?: |$)', 1)
    error = pl.col("m").str.extract(r' err(?:or)?="((?:[^"\\]|\\.)*)"', 1)
    said = pl.concat_str(text, pl.lit(": "), error)
    result["message"] = message.alias("m").to_frame().select(pl.coalesce(said, text, "m").alias("message")).to_series()


def _zap_fields(result: dict[str, pl.Series], found: pl.DataFrame) -> None:
    """The fields stand behind the message as JSON; of these the error is part of what happened."""
    text = pl.col("m").str.splitn("\t{", 2).struct[0]
    error = pl.col("m").str.extract(r'"error": ?"((?:[^"\\]|\\.)*)"', 1)
    said = pl.when(error.is_not_null()).then(pl.concat_str(text, pl.lit(": "), error)).otherwise(text)
    result["message"] = result["message"].alias("m").to_frame().select(said.alias("message")).to_series()


def _banner(result: dict[str, pl.Series], found: pl.DataFrame) -> None:
    """A drawn line that says when something begins: all of it is the message."""
    result["message"] = found["head"]
    result["level"] = pl.Series("level", ["info"], dtype=pl.String).new_from_index(0, len(found))


def _mysql_note(result: dict[str, pl.Series], found: pl.DataFrame) -> None:
    result["level"] = result["level"].fill_null("info")  # [System] and [Note]


def _slow_query(result: dict[str, pl.Series], found: pl.DataFrame) -> None:
    """The header is the whole line: the message comes with the lines that follow."""
    level = pl.Series("level", ["info"], dtype=pl.String).new_from_index(0, len(found))
    result["level"] = level


_ALL = _make()
_WEAK = frozenset(("python", "dmesg", "level"))
KNOWN: tuple[Known, ...] = tuple(known for known in _ALL if known.node.name not in _WEAK)
# Headers so slight that they count only where nothing else fits.
WEAK: tuple[Known, ...] = tuple(known for known in _ALL if known.node.name in _WEAK)
