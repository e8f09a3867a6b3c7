"""Levels: what writers call them, and what words tell where a line states none."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from incidentlens.model.terms import Level

_NAMES: dict[Level, str] = {
    Level.FATAL: "fatal critical crit emerg emergency alert panic dpanic ftl fatl crt catastrophe",
    Level.ERROR: "error err eror erro severe fail failed failure errors sever stderr",
    Level.WARN: "warn warning wrn wrning warnings",
    Level.INFO: "info information informational inf notice note notification log config hint detail statement "
    "context query location audit stdout",
    Level.DEBUG: "debug dbg dbug debg fine deb",
    Level.TRACE: "trace trc trce finer finest verbose vrb silly trac verb",
}
BY_NAME: dict[str, str] = {name: level.value for level, names in _NAMES.items() for name in names.split()}
# In a header these are rather a word of the message, or PostgreSQL's own; only its format reads them as levels.
_POSTGRES_ONLY = frozenset(["hint", "detail", "statement", "context", "query", "location", "log"])
_NOT_IN_HEADERS = _POSTGRES_ONLY | frozenset(
    ["stderr", "stdout", "audit", "config", "errors", "warnings", "fail", "failed", "note", "panic"]
)
HEADER_NAMES = {name: level for name, level in BY_NAME.items() if name not in _NOT_IN_HEADERS}

LETTERS: dict[str, str] = {
    "F": "fatal", "C": "fatal", "A": "fatal", "E": "error", "W": "warn", "I": "info", "N": "info", "D": "debug",
    "V": "trace", "T": "trace",
}  # fmt: skip
SYSLOG = ("fatal", "fatal", "fatal", "error", "warn", "info", "info", "debug")
REDIS = {".": "debug", "-": "info", "*": "info", "#": "warn"}


def from_name(name: str) -> str | None:
    """The level a word stands for: `WARNING`, `err`, `DEBUG5`, `W`; None where it stands for none."""
    plain = name.rstrip("0123456789")
    return LETTERS.get(plain) if len(plain) == 1 else BY_NAME.get(plain.lower())


def from_number(number: float, otel: bool = False) -> str | None:
    """The level a number stands for: syslog's 0 to 7, the tens of bunyan, pino and Python, Google's hundreds,
    logback's ten thousands, OpenTelemetry's 1 to 24 (`otel`).
    """
    if otel:
        steps = ((1, "trace"), (5, "debug"), (9, "info"), (13, "warn"), (17, "error"), (21, "fatal"))
        return next((level for least, level in reversed(steps) if least <= number <= 24), None)
    if 0 <= number <= 7:
        return SYSLOG[int(number)]
    if 10 <= number < 100:
        return ("trace", "debug", "info", "warn", "error", "fatal")[min(int(number) // 10, 6) - 1]
    if 100 <= number <= 800 and number % 100 == 0:
        return ("debug", "info", "info", "warn", "error", "fatal", "fatal", "fatal")[int(number) // 100 - 1]
    return {5000: "trace", 10_000: "debug", 20_000: "info", 30_000: "warn", 40_000: "error"}.get(int(number))


def read_names(names: pl.Series, mapping: Mapping[str, str] = BY_NAME) -> pl.Series:
    """A column of level words to level values, null where a word is none. Case and a digit at the end do not matter."""
    plain = names.str.to_lowercase()
    if plain.str.contains(r"[0-9]$").any():
        plain = plain.str.strip_chars_end("0123456789")
    return plain.replace_strict(dict(mapping), default=None, return_dtype=pl.String).alias("level")


def read_letters(letters: pl.Series) -> pl.Series:
    """A column of klog's, logcat's or MongoDB's letters to level values."""
    return letters.str.slice(0, 1).replace_strict(LETTERS, default=None, return_dtype=pl.String).alias("level")


# Words of failure. Loki looks for such words too, but takes `0 errors` for an error: what negates them is blotted out
# first. Rust regular expressions know no look-around, so it is two passes, the second over the few lines that match.
_FATAL = (
    r"(?i)\b(?:fatal|panic(?:ked)?|out of memory|oom[- ]?kill\w*|oomkilled|segmentation fault|core dumped|kernel bug)\b"
)
_ERROR = (
    r"(?i)(?:\b(?:errors?|err|exceptions?|failed|failures?|fails|critical|traceback|unhandled|uncaught|refused|aborted"
    r"|cannot|unable to|could not|couldn't|timed out|denied|unreachable|unavailable|no route to host"
    r"|crash(?:ed)?|deadlock)\b"
    r"|[a-z](?:Error|Exception)\b|\bexit (?:code|status) [1-9])"
)
_WARN = r"(?i)\b(?:warn|warning|deprecated|retry(?:ing)?|slow query)\b"
_SUSPECT = (
    r"(?i)error|exception|fail|fatal|panic|critical|traceback|unhandled|uncaught|refused|aborted|cannot|"
    r"unable to|could not|couldn't|timed out|denied|unreachable|unavailable|no route|crash|deadlock|"
    r"out of memory|oom|segmentation|dumped|kernel bug|exit (?:code|status)|warn|deprecated|retry|"
    r"slow query|\berr\b"
)
_BENIGN = (
    r"(?i)\b(?:no|zero|0|without|not an?|never|ignor(?:e|ed|ing)|if|max|clear(?:ed)?)"
    r"[ _-](?:\w+[ _-])?(?:errors?|exceptions?|failures?|failed|fails|warnings?|panics?|crash(?:es)?|critical|retry)\b"
    r"|\b(?:\w+[_.-])?(?:errors?|err|exceptions?|failures?|failed|warnings?|fatal|panics?)\"?(?: ?[=:] ?| is | was )\"?"
    r"(?:0|null|none|nil|false|no|\[\]|\{\}|\"\"|''|-)(?:[\",;.\s)\]}%]|$)"
    r"|\b(?:errors?|failures?|failed|exceptions?)(?: (?:rate|count|ratio|total))?[ :=]+0(?:\.0+)?%?(?:[\s,;)]|$)"
    r"|\b(?:error|exception|failure|panic|fail|warning)[ _-]?"
    r"(?:free|handlers?|handling|log|logs|page|pages|safe|fast|over|reporting|rate|count|detector)\b"
    r"|\bfail(?:over|back|safe)\b|\b(?:corrected|recovered|resolved|fixed)\b[^.;]*"
)


def from_words(messages: pl.Series) -> pl.Series:
    """What the words of a message tell of its level: `fatal`, `error`, `warn`, or null where they tell nothing.

    "no errors", "0 failed", `error=null`, "error handler" and the like tell nothing.
    """
    suspect = messages.str.contains(_SUSPECT).fill_null(False)
    if not suspect.any():
        return pl.Series("level", [None] * len(messages), dtype=pl.String)
    text = pl.col("message")
    found = (
        messages.alias("message")
        .to_frame()
        .with_row_index("row")
        .filter(suspect)
        .with_columns(text.str.slice(0, 2000).str.replace_all(_BENIGN, " "))
        .select(
            "row",
            pl.when(text.str.contains(_FATAL))
            .then(pl.lit(Level.FATAL.value))
            .when(text.str.contains(_ERROR))
            .then(pl.lit(Level.ERROR.value))
            .when(text.str.contains(_WARN))
            .then(pl.lit(Level.WARN.value))
            .alias("level"),
        )
    )
    rows = pl.DataFrame({"row": pl.int_range(len(messages), dtype=pl.UInt32, eager=True)})
    return rows.join(found, on="row", how="left", maintain_order="left")["level"]
