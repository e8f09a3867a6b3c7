"""The same case in other clothes: services renamed, time shifted, lines lost, stamps jittered.

Whoever has learnt names or dates by heart gives another answer to a renamed and shifted case; whoever reasons does not.
"""

from __future__ import annotations

import datetime
import random
import re
from collections.abc import Mapping

import orjson
import polars as pl

from incidentlens.model.clock import DAY, SECOND
from incidentlens.model.records import stream_key

DAYS = 1003  # of a shift; whole days, so that a time of day without a date stays true
_DATE = re.compile(r"\b(20\d\d-[01]\d-[0-3]\d)(?=\b|T)")


def permutation(services: list[str], seed: int = 1) -> dict[str, str]:
    """Each service's new name: that of another one, no name stays where it was (unless there is only one)."""
    order = sorted(set(services))
    random.Random(seed).shuffle(order)
    return {name: order[(index + 1) % len(order)] for index, name in enumerate(order)}


def renamed(frame: pl.DataFrame, names: Mapping[str, str]) -> pl.DataFrame:
    """A LINES frame with services renamed in labels and in lines, wherever a name stands by itself."""
    if not names or frame.is_empty():
        return frame
    words = sorted(names, key=len, reverse=True)
    pattern = re.compile(r"(?<![\w-])(" + "|".join(map(re.escape, words)) + r")(?![\w]|-[a-z]*service)")

    def new(text: str) -> str:
        return pattern.sub(lambda found: names[found.group(1)], text)

    streams = {stream: _stream(stream, names) for stream in frame["stream"].unique().to_list()}
    return frame.with_columns(
        pl.col("service").replace(names),
        pl.col("stream").replace(streams),
        pl.Series("line", [new(line) for line in frame["line"].to_list()], dtype=pl.String),
    )


def _stream(stream: str, names: Mapping[str, str]) -> str:
    labels = orjson.loads(stream)
    for label, value in labels.items():
        whole = next((name for name in sorted(names, key=len, reverse=True) if value == name), None)
        head = next((name for name in sorted(names, key=len, reverse=True) if value.startswith(f"{name}-")), None)
        if whole is not None:
            labels[label] = names[whole]
        elif head is not None and label == "pod":
            labels[label] = names[head] + value[len(head) :]
    return stream_key(labels)


def shifted(frame: pl.DataFrame, days: int = DAYS) -> pl.DataFrame:
    """Every stamp `days` later, and every ISO date in the lines."""
    moved: dict[str, str] = {}

    def later(found: re.Match[str]) -> str:
        date = found.group(1)
        if date not in moved:
            try:
                moved[date] = (datetime.date.fromisoformat(date) + datetime.timedelta(days=days)).isoformat()
            except ValueError:
                moved[date] = date
        return moved[date]

    lines = [_DATE.sub(later, line) for line in frame["line"].to_list()]
    return frame.with_columns(pl.col("ts") + days * DAY, pl.Series("line", lines, dtype=pl.String))


def thinned(frame: pl.DataFrame, part: float = 0.2, seed: int = 1) -> pl.DataFrame:
    """Without `part` of the lines, taken at random."""
    dice = random.Random(seed)
    return frame.filter(pl.Series([dice.random() >= part for _ in range(frame.height)], dtype=pl.Boolean))


def jittered(frame: pl.DataFrame, by: int = SECOND // 20, seed: int = 1) -> pl.DataFrame:
    """Stamps moved by up to `by` ns either way, and the order that follows."""
    dice = random.Random(seed)
    moves = pl.Series([dice.randint(-by, by) for _ in range(frame.height)], dtype=pl.Int64)
    return frame.with_columns(pl.col("ts") + moves).sort("ts", maintain_order=True)


def moved(frame: pl.DataFrame, by: int) -> pl.DataFrame:
    """Every stamp later by `by` ns, the text as it is: buckets of time are cut elsewhere."""
    return frame.with_columns(pl.col("ts") + by)
