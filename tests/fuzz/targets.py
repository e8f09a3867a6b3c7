"""What is fuzzed: each target takes arbitrary bytes and raises only where something is wrong.

A target holds the promises that hostile input must not break: no crash, no line lost or doubled, bounded output, errors
of the one kind that is documented.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress

import polars as pl

from incidentlens.intake.reading import EventReader
from incidentlens.intake.reading.exceptions import innermost
from incidentlens.logql import LogQLError, parse, to_text
from incidentlens.model.records import LINES, stream_key
from incidentlens.model.signatures import MaskRule, SignatureRules
from incidentlens.runbooks.patterns import PatternError, PatternSet
from incidentlens.signatures import Catalogue, RuleError, as_messages, masks
from incidentlens.signatures.explain import MAX_TEXT

_STREAM = stream_key({"job": "fuzz"})
_MOST = 200  # lines of one input


def text_of(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def lines_of(data: bytes) -> pl.DataFrame:
    lines = text_of(data).split("\n")[:_MOST]
    columns = {
        "ts": [1_700_000_000_000_000_000 + n for n in range(len(lines))],
        "service": ["unknown"] * len(lines),
        "stream": [_STREAM] * len(lines),
        "metadata": [None] * len(lines),
        "line": lines,
    }
    return pl.DataFrame(columns, schema=LINES)


def reading(data: bytes) -> None:
    """Lines of any format, wrapped or not, joined or not: no line is lost and no event given twice."""
    lines = lines_of(data)
    events = EventReader().read(lines)
    # Events of several writers in one stream may lie across one another, so the spans may overlap.
    covered = {n for first, last in events.select("first", "last").iter_rows() for n in range(first, last + 1)}
    assert covered == set(range(len(lines))), "a line was lost"
    assert events["first"].is_unique().all()
    assert events["first"].is_sorted()
    assert events["level"].null_count() == events["message"].null_count() == 0


def structured(data: bytes) -> None:
    """The same bytes as JSON and logfmt lines, in a docker wrapper and in a CRI one."""
    for lead, tail in (
        (b'{"msg":"', b'"}'),
        (b"level=error msg=", b""),
        (b'{"log":"', b'\\n","stream":"stdout","time":"x"}'),
    ):
        reading(b"\n".join([lead + data + tail, data, lead + data[::-1] + tail]))
    reading(b"2026-03-10T20:58:10.1Z stdout P " + data + b"\n2026-03-10T20:58:10.1Z stdout F {" + data + b"}")


def signing(data: bytes) -> None:
    """Masks settle, names are bounded, and `explain` says what `sign` did."""
    lines = lines_of(data)
    texts = masks.mask(lines["line"].str.head(MAX_TEXT))
    assert texts.str.len_chars().max() <= 4 * MAX_TEXT  # a `<*>` for each digit between blanks is the most
    catalogue = Catalogue()
    signed = catalogue.sign(as_messages(lines))
    assert signed["signature"].str.len_chars().max() < 200
    for message, signature in signed.select("message", "signature").head(3).iter_rows():
        assert catalogue.explain(message).signature == catalogue.resolve(signature)


def causes(data: bytes) -> None:
    """The innermost cause is bounded whatever the trace."""
    cause = innermost(text_of(data))
    assert cause is None or 0 < len(cause) <= 1000


_MINUS_ZERO = re.compile(r"-0(?![\d.])")


def logql(data: bytes) -> None:
    """A query is refused with LogQLError or printed to one that means the same."""
    try:
        query = parse(text_of(data))
    except LogQLError:
        return
    printed = to_text(query)
    if "Inf" in printed or "NaN" in printed or _MINUS_ZERO.search(printed):
        return  # `1/0` is a number that LogQL has no way to write; `-0` is read as a duration, by Loki too
    assert to_text(parse(printed)) == printed


def patterns(data: bytes) -> None:
    """User patterns of rules and runbooks over hostile text: refused in one line, or run in linear time."""
    pattern, _, text = text_of(data).partition("\n")
    with suppress(RuleError, ValueError):
        rules = SignatureRules(masks=(MaskRule(name="m", pattern=pattern),))
        Catalogue(rules=rules).sign(as_messages(lines_of(text.encode("utf-8", "replace"))))
    with suppress(PatternError):
        PatternSet([pattern]).hits(text)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "reading": reading,
    "structured": structured,
    "signing": signing,
    "causes": causes,
    "logql": logql,
    "patterns": patterns,
}
