"""From physical lines to events: the format of each stream, its headers, and what belongs together."""

from __future__ import annotations

import polars as pl

from incidentlens.model.records import EVENTS, empty
from incidentlens.model.terms import Level

from . import hints, levels
from .apply import READ, read_layers
from .exceptions import innermost
from .multiline import STICKY, Cut, starts
from .profiles import LONG, Profiles, full, spare

_RAW_COLUMNS = ("ts", "service", "stream", "metadata", "line")


class EventReader:
    """Reads lines into events. One reader may be kept for the life of a process: its memory is bounded.

    The format of a stream is recognised from its first lines and kept; lines that stop fitting have it looked at
    again. The same calls give the same events.
    """

    def __init__(self) -> None:
        self._profiles = Profiles()
        self._cut = Cut()

    @property
    def truncated(self) -> int:
        """How often an event had to end at 1,000 lines or 256 KiB; its rest became an event of its own."""
        return self._cut.events

    def formats(self) -> dict[str, tuple[str, ...]]:
        """The formats recognised so far, by stream."""
        return self._profiles.names()

    def read(self, lines: pl.DataFrame, final: bool = True) -> pl.DataFrame:
        """Read lines (`LINES`, a stream's in order; streams may alternate) into events (`EVENTS`), in order.

        Every line is in exactly one event of its own stream. Lines of one event must come in one call: what stands at
        the end of a stream is given out even where `final` is false and more of it may follow. Holding it back would
        need memory that outlives a crash and would delay the newest failing line, which is the one that matters; a
        live source instead reads again from a little before its cursor and drops the events it has seen.
        """
        if lines.is_empty():
            return empty(EVENTS)
        frame = lines.select(
            *(pl.col(name).cast(EVENTS[name]) for name in _RAW_COLUMNS),
            pl.int_range(pl.len(), dtype=pl.Int64).alias("first"),
        ).with_columns(pl.col("line").fill_null(""), pl.col("ts").fill_null(0), pl.col("stream").fill_null(""))
        text = _clean(frame["line"])
        owner, streams = _owners(frame["stream"])
        read = self._read_streams(streams, owner, text, frame["ts"])
        whole = pl.concat([frame, read, owner.alias("owner").to_frame()], how="horizontal")
        return _finish(self._join(whole))

    def times(self, lines: pl.DataFrame) -> pl.Series:
        """The time (ns) that each line states, null where it states none; `ts` is used for what a stamp leaves open."""
        owner, streams = _owners(lines["stream"])
        return self._read_streams(streams, owner, _clean(lines["line"]), lines["ts"])["event_ts"]

    def _read_streams(self, streams: list[str], owner: pl.Series, text: pl.Series, ts: pl.Series) -> pl.DataFrame:
        """Read every line with its stream's layers, recognising streams that are new or stopped fitting."""
        self._profiles.meet(streams, owner, text)
        groups: dict[tuple[str, ...], list[int]] = {}
        for number, stream in enumerate(streams):
            groups.setdefault(self._profiles[stream].key, []).append(number)
        if len(groups) == 1:
            return self._read_group(streams, list(range(len(streams))), owner, text, ts)
        pieces = []
        for numbers in groups.values():
            rows = owner.is_in(numbers).arg_true()
            piece = self._read_group(streams, numbers, owner.gather(rows), text.gather(rows), ts.gather(rows))
            pieces.append(piece.with_columns(rows.alias("_row")))
        return pl.concat(pieces).sort("_row").drop("_row")

    def _read_group(
        self, streams: list[str], numbers: list[int], owner: pl.Series, text: pl.Series, ts: pl.Series
    ) -> pl.DataFrame:
        """Read streams that share their layers; look again at those with lines that do not fit."""
        profile = self._profiles[streams[numbers[0]]]
        read = read_layers(profile.layers, text, ts, owner)
        for _ in range(3):
            odd = ~(read["head"] & read["fits"]) & ~read["glued"]
            if not odd.any():
                break
            fitting = len(read) - int(odd.sum())
            mostly = bool(read["head"].any()) and fitting * 50 > len(read) * 49
            added = self._profiles.extend([streams[n] for n in numbers], read["body"].filter(odd), mostly)
            if not added:
                break
            # Only the odd lines are read again, so a first format keeps its lines whatever is found later.
            rows = odd.arg_true()
            layers = added if not profile.layers else (*full(profile.layers), *added, *spare(profile.layers))
            again = read_layers(layers, text.gather(rows), ts.gather(rows), owner.gather(rows))
            kept = read.with_row_index("_row").filter(~odd)
            read = (
                pl.concat([kept, again.with_columns(rows.alias("_row")).select(kept.columns)]).sort("_row").drop("_row")
            )
        return read

    def _join(self, whole: pl.DataFrame) -> pl.DataFrame:
        """Join the lines of each event; one row an event, in the order of their first lines."""
        head = whole["head"] & ~whole["glued"]
        if head.all():
            return whole.with_columns(pl.col("first").alias("last"))
        writers = whole["writer"]
        if writers.null_count() < len(writers):
            # Several writers in one stream: each has its own events.
            whole = whole.with_columns(pl.struct("owner", "writer").rank("dense").alias("owner"))
        if whole["owner"].n_unique() > 1:
            whole = whole.sort("owner", maintain_order=True)
        head = whole["head"] & ~whole["glued"]
        level = whole["level"]
        failing = level.is_in([Level.WARN.value, Level.ERROR.value, Level.FATAL.value]).fill_null(False)
        # Only a headed line before one without a header can pass its failure on: few messages need their words read.
        asked = (head & ~head.shift(-1, fill_value=True) & ~failing).arg_true()
        if len(asked):
            words = levels.from_words(whole["message"].gather(asked)).is_not_null()
            failing = failing.scatter(asked.filter(words), True) if words.any() else failing
        begin = starts(
            whole["owner"], head, whole["body"], whole["line"].str.len_bytes(), whole["ts"], failing & head,
            whole["format"].is_in(list(STICKY)) & head, whole["glued"], self._cut,
        )  # fmt: skip
        if begin.all():
            return whole.with_columns(pl.col("first").alias("last")).sort("first")
        whole = whole.with_columns(begin.alias("_begin"), begin.cum_sum().alias("_event"))
        alone = ~pl.col("_begin").shift(-1, fill_value=True) | ~pl.col("_begin")
        single = whole.filter(~alone).with_columns(pl.col("first").alias("last"))
        several = _merge(whole.filter(alone))
        return pl.concat([single.select(several.columns), several]).sort("first")


def _merge(lines: pl.DataFrame) -> pl.DataFrame:
    """Several lines an event to one row: its text whole, its header's fields, the cause its stack trace tells."""
    firsts = [
        "ts",
        "service",
        "stream",
        "metadata",
        "format",
        "message",
        "level",
        "event_ts",
        "trace_id",
        "named",
        "writer",
        "owner",
        "head",
    ]
    merged = lines.group_by("_event", maintain_order=True).agg(
        pl.col("first").first().alias("first"),
        *(pl.col(name).first() for name in firsts),
        pl.col("first").last().alias("last"),
        pl.col("line").str.join("\n"),
        pl.col("body").str.join("\n"),
        pl.col("exception").drop_nulls().first(),
        pl.col("body").slice(1).filter(pl.col("body").slice(1).str.contains(r"\S")).first().alias("second"),
    )
    merged = merged.with_columns(pl.col("line").str.strip_chars_end("\n"), pl.col("body").str.strip_chars_end("\n"))
    told = merged["body"].map_elements(innermost, return_dtype=pl.String, skip_nulls=True)
    merged = merged.with_columns(pl.coalesce("exception", told.alias("told")).alias("exception"))
    message = pl.col("message").fill_null("").str.strip_chars()
    # A header alone, or one that only announces a trace: the event is about what follows.
    hollow = (message == "") | message.str.contains(
        r"^(?:Traceback \(most recent call last\):|Unhandled exception:?|thread '.*' panicked at .*:"
        r"|Exception in thread \"[^\"]*\":?|stack ?trace:?|[Ee]xception:?|[Ee]rror:?)$"
    )
    following = pl.coalesce("exception", pl.col("second").str.strip_chars())
    trailing = pl.when(pl.col("format") == "dotnet").then(pl.col("second").str.strip_chars()).otherwise(following)
    merged = merged.with_columns(
        pl.when(hollow).then(pl.coalesce(trailing, message)).otherwise("message").alias("message")
    )
    merged = _slow_queries(_two_line_headers(merged))
    names = [*_RAW_COLUMNS, "first", *READ, "owner"]
    have = set(merged.columns)
    return merged.select(
        *(pl.col(n) if n in have else pl.lit(None, dtype=READ.get(n, pl.Int64())).alias(n) for n in names), "last"
    )


def _two_line_headers(merged: pl.DataFrame) -> pl.DataFrame:
    """java.util.logging writes the level and the message on the line after the stamp: `SEVERE: ...`."""
    second = pl.col("second").str.extract_groups(
        r"^(?P<level>SEVERE|WARNING|INFO|CONFIG|FINE|FINER|FINEST): (?P<text>.*)$"
    )
    split = merged.select(second.alias("s")).unnest("s")
    if split["text"].null_count() == len(split):
        return merged
    return merged.with_columns(
        pl.coalesce(levels.read_names(split["level"]), pl.col("level")).alias("level"),
        pl.coalesce(split["text"], pl.col("message")).alias("message"),
    )


def _slow_queries(merged: pl.DataFrame) -> pl.DataFrame:
    """MySQL's slow log puts the statement last, behind its comments and settings."""
    slow = pl.col("format") == "mysql_slow"
    if not merged.select(slow.any()).item():
        return merged
    statement = pl.col("body").str.replace_all(r"(?mi)^(?:#.*|use .*;|set timestamp=.*;)$", "").str.strip_chars()
    return merged.with_columns(
        pl.when(slow & (statement != ""))
        .then(statement.str.extract(r"^([^\n]*)", 1))
        .otherwise("message")
        .alias("message")
    )


def _finish(events: pl.DataFrame) -> pl.DataFrame:
    """Levels, traces and services from wherever they are told, then the columns of `EVENTS`."""
    level = hints.levels_of(events)
    trace = hints.traces_of(events)
    service = hints.services_of(events)
    message = pl.coalesce("message", "body").str.strip_chars()
    return events.select(
        *(pl.col(name) for name in ("ts",)),
        service.alias("service"),
        "stream",
        "metadata",
        "line",
        level.alias("level"),
        "format",
        message.alias("message"),
        "exception",
        trace.alias("trace_id"),
        "event_ts",
        "first",
        "last",
    ).select(pl.col(name).cast(dtype) for name, dtype in EVENTS.items())


def _clean(line: pl.Series) -> pl.Series:
    """What is read: the line without colours, NUL bytes and the carriage return at its end, and not endlessly long."""
    frame = line.alias("line").to_frame()
    text = pl.col("line")
    odd = frame.select(
        text.str.contains("\x1b", literal=True).any().alias("colour"),
        text.str.contains("\x00", literal=True).any().alias("nul"),
        text.str.ends_with("\r").any().alias("cr"),
        (text.str.len_bytes() > LONG).any().alias("long"),
    ).row(0, named=True)
    if odd["colour"]:
        text = text.str.replace_all(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07]{0,200}\x07|[()][0-9A-Za-z])", "")
    if odd["nul"]:
        text = text.str.replace_all("\x00", "", literal=True)
    if odd["cr"]:
        text = text.str.strip_chars_end("\r\n")
    if odd["long"]:
        # An object is no object any more once it is cut.
        text = (
            pl.when(text.str.starts_with("{") | (text.str.len_bytes() <= LONG))
            .then(text)
            .otherwise(text.str.slice(0, LONG))
        )
    return frame.select(text).to_series() if any(odd.values()) else line


def _owners(stream: pl.Series) -> tuple[pl.Series, list[str]]:
    """A number for each line's stream, by first appearance, and the streams by number."""
    streams = stream.unique(maintain_order=True)
    if len(streams) == 1:
        return pl.Series([0], dtype=pl.UInt32).new_from_index(0, len(stream)), streams.to_list()
    numbers = pl.DataFrame({"stream": streams}).with_row_index("owner")
    joined = stream.alias("stream").to_frame().join(numbers, on="stream", how="left", maintain_order="left")
    return joined["owner"], streams.to_list()
