"""Generic masks: which parts of a message are values by their shape alone.

Two steps, so that the dear one runs over few texts:

1. `digits`: every word with an ASCII digit becomes `0`. One cheap regular expression over all texts; after it the
   distinct texts are few.
2. `shapes`: over the distinct results of step 1 alone, named masks turn dates, URLs, addresses, hosts, paths, quoted
   strings, values of keys, numbers with units and lists of such into `0` as well. As no other digit is left, a `0` is
   always a value, whatever stood there; at the end it is written `<*>`.

A word that is plain letters is never masked here: whether it is a value cannot be seen from one line (`merging.py`).
All expressions are polars' (Rust, linear time).
"""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

PLACEHOLDER = "<*>"
COLOURS = r"\x1b\[[0-9;]*[A-Za-z]"

_DIGITS = r"(?-u:[A-Za-z_]*[0-9][A-Za-z0-9_]*)"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)(?:[a-z]{1,6})?"
_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)(?:[a-z]{1,6})?"
_ZONE = r"(?:UTC|GMT|MSK|SGT|HKT|[BIJK]ST|AE[SD]T|[CEW]E?S?T|[ECMP]DT|[ECMP]ST)"
_CLOCK = rf"[ ,T]+0:0(?::0)?(?:[.,]0)?(?: ?Z| [AP]M)?(?: {_ZONE}\b)?(?: ?[-+]0)?"
_TOP_LEVEL = (
    r"(?:com|net|org|edu|gov|mil|int|info|io|dev|app"
    r"|local|localdomain|internal|intranet|lan|corp|home|arpa|svc|cluster)"
)
_END = r"\s\"'`,;)\]}>|"  # what ends an unquoted value
_QUOTED = r'(?:[^"\\]|\\.)*'
_TELLING = r"msg|message|error|err|event|reason|exception|cause|error_message|errorMessage|detail"
_UNITS = (
    r"(?:(?:nano|micro|milli)?sec(?:ond)?s?|ns|us|µs|μs|ms|s|min(?:ute)?s?|h|hours?|hrs?|days?"
    r"|[kKMGTP]?i?[bB](?:ytes?|its?)?(?:/s|ps)?|bytes?|bits?|[kKMG]?Hz|percent|%)"
)


class Mask(NamedTuple):
    """One named mask. `pattern` is over text that went through `digits`, so a number reads `0` there."""

    name: str
    pattern: str
    replacement: str
    what: str


SHAPES: tuple[Mask, ...] = (
    Mask("rules", r"([*][*])[*]+|(={2})=+|(-{2})-+|(_{2})_+|(#{2})#+|([.]{2})[.]+", "$1$2$3$4$5$6", "drawn lines"),
    Mask(
        "telling",
        rf'"?\b({_TELLING})"?(?:\s*:\s*|=)"({_QUOTED})"',
        "$1: $2",
        "what a message or error field says: kept",
    ),
    Mask("telling_word", rf"\b({_TELLING})=(\w)", "$1: $2", "the same without quotes"),
    Mask("json", rf'"([\w.@-]+)"\s*:\s*(?:"{_QUOTED}"|[\w.+-]+)', "$1=0", "values of JSON keys"),
    Mask("json_key", r'"([\w.@-]+)"\s*:', "$1:", "JSON keys of objects and lists: kept"),
    Mask("request", r'"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|CONNECT|TRACE) [^"]*"', "$1 0", "HTTP request lines"),
    Mask("url", rf"\b[a-zA-Z][a-zA-Z0.+-]*://[^{_END}]+", "0", "URLs"),
    Mask("email", r"(?-u:[\w.+-]+@\w[\w-]*(?:\.[\w-]+)+)", "0", "e-mail addresses"),
    Mask("quoted", rf'"{_QUOTED}"|`[^`]*`', "0", "quoted strings"),
    Mask("apostrophes", r"(^|[\s(\[{=:,<])'[^']*'", "${1}0", "strings in single quotes"),
    Mask(
        "date",
        rf"\b(?:{_DAY},? )?(?:{_MONTH},? 0|0[ -]{_MONTH}[ -]0)(?:{_CLOCK}(?: 0)?|,? 0(?:{_CLOCK})?)?\b",
        "0",
        "dates written with the month's name",
    ),
    Mask("ipv6", r"(?:::|\b(?:0|[a-fA-F]{1,4}):{1,2})+0(?:::?(?:0|[a-fA-F]{1,4})\b)*", "0", "addresses with colons"),
    Mask("windows_path", rf"\b[A-Za-z]:[\\/][^{_END}]*|\\\\?[\w.$-]+\\[^{_END}]*", "0", "Windows paths"),
    Mask("path", rf"(^|[\s(\[{{=:,>@-])(?:\.{{0,2}}|~)/[^{_END}:(]+", "${1}0", "paths"),
    Mask("package_path", rf"(?-u:\b[A-Za-z_][\w-]*(?:\.[\w-]+)+/)[^{_END}:(=]+", "0", "paths that begin with a dotted name"),
    Mask(
        "host",
        rf"\b(?-u:[\w-]+\.)+(?:{_TOP_LEVEL}|(?-u:[\w-]+\.[a-z]{{2}}))(?::0)?([^\w.:-]|[.:]\s|[.:]?$)",
        "0$1",
        "host names",
    ),
    Mask("value", rf"(\w)=[^{_END}=][^{_END}]*", "$1=0", "values of keys: key=value"),
    Mask("spaced_value", rf"(\w) =( ?)[^{_END}=>~][^{_END}]*", "$1 =${2}0", "values of keys: key = value"),
    Mask("late_value", rf"(\w)= ([^{_END}=>~]+)([{_END}]|$)", "$1= 0$3", "values of keys: key= value"),
    Mask(
        "identifier",
        r"\b((?:[A-Za-z_]*(?:[a-z]I[dD]|_id|[uU][uU][iI][dD])|id|Id|ID): ?)\w[\w-]*",
        "${1}0",
        "what follows the name of an id",
    ),
    Mask("user", r"\b(for|by|of|from|as|to) (user|account|login) (\w[\w.$\\-]*)", "$1 $2 0", "names of users"),
    Mask(
        "account",
        r"\b((?:[Pp]assword|[Pp]ublickey|hostbased|keyboard-interactive/pam|none|failures|attempts exceeded) for"
        r"|(?:[Ii]nvalid|[Ii]llegal|authenticating|disconnected from) user) \w[\w.$\\-]*( from\b| by\b| \[| 0)",
        "$1 0$2",
        "names of users in the words of a login",
    ),
    Mask("null", r"\(null\)|<(?:null|nil|none)>", "0", "what stands where there was no value"),
    Mask("overflow", r"(\b0[ ,;])[*]{2}([ ,;)\]]|$)", "${1}0$2", "asterisks for a number that did not fit"),
    Mask(
        "number",
        r"(?:\B[-+])?(?:\w+[-.~@/#$])*0(?:[-.~@+/$]\w+|[:,]0)*%?",
        "0",
        "words with digits, and what is joined to them",
    ),
    Mask("unit", rf"\b0 ?{_UNITS}\b", "0", "numbers with units"),
    Mask("about", r"(^|[\s(=:])[<>~≈]0\b", "${1}0", "about, less and more than a number"),
    Mask("words", r"\[[\w.$-]+(?:, ?[\w.$-]+)+\]", "[0]", "lists in brackets"),
    Mask("list", r"\b0+(?:(?:, ?| |;|:|/)0+\b)+|00+", "0", "several values in a row"),
)
_ROUNDS = 4  # a mask can make room for one before it; the fixed point is reached in two or three


def decolour(texts: pl.Series) -> pl.Series:
    """Texts without terminal colours, which would glue a number to the word after them."""
    if not texts.str.contains("\x1b", literal=True).any():
        return texts
    return texts.str.replace_all(COLOURS, "")


def digits(texts: pl.Expr) -> pl.Expr:
    """Step 1, as an expression over a String column."""
    return texts.str.replace_all(_DIGITS, "0")


def shapes(texts: pl.Series) -> pl.Series:
    """Step 2 over texts that went through `digits`; white space becomes single blanks.

    Repeated until nothing changes, so that masking a masked text changes nothing. A `<*>` of the log's own counts as a
    value.
    """
    texts = _tidy(texts)
    for _ in range(_ROUNDS):
        before = texts
        for each in SHAPES:
            texts = texts.str.replace_all(each.pattern, each.replacement)
        if (texts == before).all():
            break
    return _placed(texts)


def mask(texts: pl.Series) -> pl.Series:
    """Both steps: messages in, masked texts out, in the same order."""
    return shapes(_digits(decolour(texts)))


def fired(text: str) -> tuple[str, list[tuple[Mask, str]]]:
    """The masked text of one message, and the masks that changed it with the text after each (for `explain`)."""
    steps: list[tuple[Mask, str]] = []
    series = _digits(decolour(pl.Series([text])))
    if series[0] != text:
        steps.append((Mask("digits", _DIGITS, "0", "words with digits"), _placed(series)[0]))
    series = _tidy(series)
    for _ in range(_ROUNDS):
        start = series[0]
        for each in SHAPES:
            before = series[0]
            series = series.str.replace_all(each.pattern, each.replacement)
            if series[0] != before and (shown := _placed(series)[0]) != _placed(pl.Series([before]))[0]:
                steps.append((each, shown))
        if series[0] == start:
            break
    return _placed(series)[0], steps


def _digits(texts: pl.Series) -> pl.Series:
    return texts.to_frame("text").select(digits(pl.col("text"))).to_series()


def _tidy(texts: pl.Series) -> pl.Series:
    own = texts.str.replace_all(PLACEHOLDER, "0", literal=True)
    return own.str.replace_all(r"[\s\x00-\x1f\x7f]+", " ").str.strip_chars(" ")


def _placed(texts: pl.Series) -> pl.Series:
    return texts.str.replace_all("0", PLACEHOLDER, literal=True)
