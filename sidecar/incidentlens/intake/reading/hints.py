"""What labels, structured metadata and words tell of an event that its header does not."""

from __future__ import annotations

import polars as pl

from incidentlens.model.terms import Level

from . import levels

_LEVEL_LABEL = r'"(?:level|severity|severity_text|lvl)":"([^"\\]{1,20})"'
_DETECTED = r'"detected_level":"([^"\\]{1,20})"'
_TRACE_META = r'"(?:trace_?id|traceID|traceId|TraceId|trace)":"([^"\\]{8,64})"'
_PARENT = r'"traceparent":"[0-9a-f]{2}-([0-9a-f]{32})-'
_TRACE_WORD = r"(?i)\btrace[_. -]?id\"?(?: ?[:=] ?|[ \[]+)\"?\[?([0-9A-Za-z][0-9A-Za-z-]{7,63})"
_TRACE_PARENT = r"\b00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}\b"
# A line in no known format that says its level first all the same: in capitals, or closed by a colon or a bracket.
_FIRST = (
    r"^[\t (<\[]*(?:(TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERR|ERROR|SEVERE|CRITICAL|FATAL)[\]>)]?[:|]?\s"
    r"|(?i:(debug|info|notice|warn|warning|error|critical|fatal)(?:[\])>]:?|:)\s))"
)
_GIVEN = (Level.INFO.value, Level.DEBUG.value, Level.TRACE.value)


def _nothing(height: int) -> pl.Series:
    return pl.Series([None], dtype=pl.String).new_from_index(0, height)


def _has(column: pl.Series, literal: str) -> bool:
    return bool(column.str.contains(literal, literal=True).any())


def levels_of(events: pl.DataFrame) -> pl.Series:
    """The level of each event: its own field, else a label or metadata `level`, else a level word that the line begins
    with, else Loki's `detected_level` where the words do not gainsay it, else the words; `unknown` where nothing tells.
    """
    own = events["level"]
    if not own.null_count():
        return own
    open_ = own.is_null().arg_true()
    rest = events[open_]
    given = _labelled(rest, _LEVEL_LABEL)
    said = rest.select(pl.coalesce("message", "body").alias("said")).to_series()
    stated = _stated(said)
    words = levels.from_words(said)
    detected = _labelled(rest, _DETECTED)
    table = pl.DataFrame(
        {"given": given, "stated": stated, "detected": detected, "words": words, "trace": rest["exception"]}
    )
    # Loki calls a line an error for its words alone, negated or not; ours are read more carefully.
    calm = pl.when(pl.col("detected").is_in(_GIVEN) & pl.col("words").is_null()).then("detected")
    failed = pl.when(pl.col("trace").is_not_null()).then(pl.lit(Level.ERROR.value))
    told = table.select(
        pl.coalesce("given", "stated", calm, "words", failed, pl.lit(Level.UNKNOWN.value)).alias("level")
    ).to_series()
    return own.scatter(open_, told)


def _stated(said: pl.Series) -> pl.Series:
    """The level word at the very start of each text, null where there is none: "INFO error check done" is no error."""
    names = (
        said.str.slice(0, 40)
        .to_frame()
        .select(pl.coalesce(pl.col("said").str.extract(_FIRST, 1), pl.col("said").str.extract(_FIRST, 2)).alias("name"))
    )
    return levels.read_names(names["name"]) if names["name"].null_count() < len(said) else _nothing(len(said))


def _labelled(events: pl.DataFrame, pattern: str) -> pl.Series:
    """The level that labels or metadata give under a name, null where they give none."""
    column = pl.coalesce(pl.col("metadata").str.extract(pattern, 1), pl.col("stream").str.extract(pattern, 1))
    streams = events["stream"].n_unique()
    if events["metadata"].null_count() == len(events) and streams * 4 < len(events):
        # Few streams and no metadata: read each stream's labels once.
        few = events.select(pl.col("stream").unique())
        few = few.with_columns(pl.col("stream").str.extract(pattern, 1).alias("name"))
        if few["name"].null_count() == len(few):
            return _nothing(len(events))
        names = events.select("stream").join(few, on="stream", how="left", maintain_order="left")["name"]
    else:
        names = events.select(column.alias("name")).to_series()
    return levels.read_names(names) if names.null_count() < len(names) else _nothing(len(events))


def traces_of(events: pl.DataFrame) -> pl.Series:
    """The trace id of each event: metadata's, else its header's or fields', else one that its text names."""
    trace = _nothing(len(events))
    metadata = events["metadata"]
    if metadata.null_count() < len(metadata) and _has(metadata, "race"):
        trace = events.select(
            pl.coalesce(pl.col("metadata").str.extract(_TRACE_META, 1), pl.col("metadata").str.extract(_PARENT, 1))
        ).to_series()
        if not trace.null_count():
            return trace
    trace = trace.zip_with(trace.is_not_null(), events["trace_id"])
    if not trace.null_count():
        return trace
    text = events["line"]
    near = trace.is_null() & text.str.contains(r"(?i:trace[_. -]?id)|traceparent|\b00-[0-9a-f]{32}-").fill_null(False)
    if not near.any():
        return trace
    rows = near.arg_true()
    found = (
        text.gather(rows)
        .alias("line")
        .to_frame()
        .select(pl.coalesce(pl.col("line").str.extract(_TRACE_WORD, 1), pl.col("line").str.extract(_TRACE_PARENT, 1)))
        .to_series()
    )
    return trace.scatter(rows, found)


def services_of(events: pl.DataFrame) -> pl.Series:
    """The source's service, or where it knows none the one that the line itself or its writer's name gives."""
    service = events["service"].fill_null("unknown")
    unknown = service == "unknown"
    if not unknown.any():
        return service
    streams = ["stdout", "stderr"]
    writer = pl.when(~pl.col("writer").is_in(streams)).then(pl.col("writer").str.replace(r"[-_][0-9]+$", ""))
    own = events.select(pl.coalesce("named", writer)).to_series()
    return service.zip_with(~unknown | own.is_null(), own)
