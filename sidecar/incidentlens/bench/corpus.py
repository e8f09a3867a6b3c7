"""What is measured on: the shop's log with a failure in it, as frames, made as it is read so that nothing is held."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import polars as pl

from incidentlens.model.clock import SECOND
from incidentlens.model.records import LINES, stream_key
from incidentlens.scenarios.generator import Scenario
from incidentlens.scenarios.lines import Line

START = 1_763_700_000 * SECOND
_BATCH = 50_000


def to_frame(lines: list[Line]) -> pl.DataFrame:
    """Scenario lines as a LINES frame."""
    return pl.DataFrame(
        {
            "ts": [line.ts for line in lines],
            "service": [line.labels["service_name"] for line in lines],
            "stream": [stream_key(line.labels) for line in lines],
            "metadata": [stream_key(line.metadata) if line.metadata else None for line in lines],
            "line": [line.text for line in lines],
        },
        schema=LINES,
    )


def shop(records: int, seed: int = 1) -> Iterator[pl.DataFrame]:
    """`records` lines in batches: `db_cascade` again and again, 50 lines a second, the time going on."""
    lines = islice(_runs(seed), records)
    while batch := list(islice(lines, _BATCH)):
        yield to_frame(batch)


def _runs(seed: int) -> Iterator[Line]:
    start = START
    while True:
        scenario = Scenario("db_cascade", seed)
        yield from scenario.lines(start)
        start += int(scenario.duration_s * SECOND) + 1800 * SECOND
        seed += 1


def repeated(records: int, seed: int = 1) -> Iterator[pl.DataFrame]:
    """`records` lines cheaply: a part of the shop's log again and again, each time later. For long runs."""
    part = pl.concat(list(shop(min(records, 200_000), seed)))
    span = int(part["ts"][-1]) - int(part["ts"][0]) + SECOND
    left, shift = records, 0
    while left > 0:
        for batch in part.head(left).iter_slices(_BATCH):
            yield batch.with_columns(pl.col("ts") + shift)
        left -= min(left, part.height)
        shift += span
