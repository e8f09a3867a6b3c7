"""Reads a column of lines with the layers a stream was recognised to have."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from .node import PARSED
from .recognise import Layer

# The columns of `read_layers`: `body` is the line without its wrappers, what decides whether it carries another on;
# `glued` a further piece of a line that a wrapper had cut; `fits` that no spare layer had to take it.
READ: dict[str, pl.DataType] = {**PARSED, "body": pl.String(), "glued": pl.Boolean(), "fits": pl.Boolean()}


def read_layers(layers: Sequence[Layer], text: pl.Series, reference: pl.Series, owner: pl.Series) -> pl.DataFrame:
    """Read texts with the first layer each fits. Columns `READ`, same height; `head` is false where none fits.

    `reference`: the source's time (ns). `owner`: a number for each stream; pieces of one line have one owner.
    """
    pieces: list[pl.DataFrame] = []
    rows: pl.Series | None = None  # rows of the input that are left; None while all are
    for layer in layers:
        if not len(text):
            break
        frame = _read_layer(layer, text, reference, owner)
        head = frame["head"]
        claimed = head if not layer.node.wrapper else frame["_claimed"]
        if "_claimed" in frame.columns:
            frame = frame.drop("_claimed")
        if claimed.all():
            pieces.append(frame if rows is None else frame.with_columns(rows.alias("_row")))
            text = text.clear()
            break
        if not claimed.any():
            continue
        if rows is None:
            rows = pl.int_range(len(text), dtype=pl.UInt32, eager=True)
        pieces.append(frame.filter(claimed).with_columns(rows.filter(claimed).alias("_row")))
        left = ~claimed
        text, reference, owner, rows = text.filter(left), reference.filter(left), owner.filter(left), rows.filter(left)
    if len(text) or not pieces:
        rest = _plain(text)
        pieces.append(rest if rows is None else rest.with_columns(rows.alias("_row")))
    if len(pieces) == 1 and "_row" not in pieces[0].columns:
        return pieces[0]
    return pl.concat(pieces).sort("_row").drop("_row")


def _plain(text: pl.Series) -> pl.DataFrame:
    return _complete(
        {"head": pl.Series("head", [False]).new_from_index(0, len(text)), "message": text}, text, "plain", True
    )


def _complete(read: dict[str, pl.Series], body: pl.Series, name: str, fits: bool) -> pl.DataFrame:
    """All columns of `READ`, in order."""
    columns = {key: value for key, value in read.items() if key in READ} | {"body": body}
    constants: dict[str, pl.Expr] = {
        "format": pl.lit(name),
        "partial": pl.lit(False),
        "glued": pl.lit(False),
        "fits": pl.lit(fits),
    }
    frame = pl.DataFrame([column.alias(key) for key, column in columns.items()])
    return frame.select(
        pl.col(key) if key in columns else constants.get(key, pl.lit(None)).cast(dtype).alias(key)
        for key, dtype in READ.items()
    )


def _read_layer(layer: Layer, text: pl.Series, reference: pl.Series, owner: pl.Series) -> pl.DataFrame:
    read = layer.node.read(text, reference)
    head = read["head"].fill_null(False)
    if not layer.node.wrapper and not layer.inner:
        read["head"] = head
        return _complete(read, text, layer.node.name, not layer.spare)
    outer = _complete({**read, "head": head}, text, layer.node.name, not layer.spare)
    body = read["message"].fill_null("")
    glued = pl.Series("glued", [False]).new_from_index(0, len(text))
    if layer.node.wrapper and "partial" in read and read["partial"].any():
        body, glued = _glue(body, read["partial"].fill_null(False), owner, read.get("writer"))
    known = outer["event_ts"].fill_null(reference) if "event_ts" in read else reference
    inner = read_layers(layer.inner, body, known, owner)
    if layer.node.wrapper:
        # What stands in the wrapper is the line: whether it has a header, and its body, are its own. The wrapper's
        # time has a zone and belongs to the very line, so it goes first.
        times = ("event_ts", "inner_event_ts")
        own_head, own_body = inner["head"] & ~glued, body
        level = pl.col("inner_level")
    else:
        times = ("inner_event_ts", "event_ts")
        own_head, own_body = head, text
        level = pl.coalesce("inner_level", "level")
    both = outer.with_columns(
        own_head.alias("own_head"),
        own_body.alias("own_body"),
        glued.alias("glued"),
        *(inner[c].alias(f"inner_{c}") for c in inner.columns),
    )
    named = pl.col("inner_head") & (pl.col("inner_format") != "plain")
    merged = both.select(
        pl.when(head).then("own_head").otherwise(False).alias("head"),
        pl.when(named).then("inner_format").otherwise("format").alias("format"),
        pl.when(head).then("inner_message").otherwise("message").alias("message"),
        level.alias("level"),
        pl.coalesce(*times).alias("event_ts"),
        pl.coalesce("inner_trace_id", "trace_id").alias("trace_id"),
        pl.coalesce("inner_exception", "exception").alias("exception"),
        pl.coalesce("inner_named", "named").alias("named"),
        pl.coalesce("writer", "inner_writer").alias("writer"),
        pl.col("partial"),
        pl.when(head).then("own_body").otherwise("body").alias("body"),
        pl.col("glued"),
        (pl.col("fits") & pl.col("inner_fits")).alias("fits"),
    )
    return merged.with_columns(head.alias("_claimed")) if layer.node.wrapper else merged


def _glue(
    body: pl.Series, partial: pl.Series, owner: pl.Series, writer: pl.Series | None
) -> tuple[pl.Series, pl.Series]:
    """Join the pieces of lines that a wrapper cut: the first row gets the whole line, the others are marked."""
    frame = pl.DataFrame({"body": body, "partial": partial, "owner": owner}).with_row_index("row")
    frame = frame.with_columns(
        (writer if writer is not None else pl.Series([""]).new_from_index(0, len(body))).alias("writer")
    )
    group = ["owner", "writer"]
    carried = pl.col("partial").shift(1, fill_value=False).over(group)
    frame = frame.with_columns(carried.alias("glued"))
    frame = frame.with_columns((~pl.col("glued")).cum_sum().over(group).alias("piece"))
    whole = pl.col("body").str.join("").over([*group, "piece"])
    frame = frame.with_columns(pl.when("glued").then(pl.lit("")).otherwise(whole).alias("body")).sort("row")
    return frame["body"], frame["glued"]
