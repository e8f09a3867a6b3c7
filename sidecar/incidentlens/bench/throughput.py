"""Records a second through parse and signature, Drain3 beside it on the very same lines."""

from __future__ import annotations

import time
from typing import Any

import polars as pl

from incidentlens.intake.reading import EventReader
from incidentlens.signatures import Catalogue

from .corpus import shop
from .measure import Figure, alone

_REPEATS = 3
# Drain3's masks: the usual generic ones, so that it does the same work (its own documentation's examples).
_MASKS = (
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),
    (r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}", "IP"),
    (r"((?<=[^A-Za-z0-9])|^)(0x[a-f0-9A-F]+)((?=[^A-Za-z0-9])|$)", "HEX"),
    (r"((?<=[^A-Za-z0-9])|^)([\-\+]?\d+)((?=[^A-Za-z0-9])|$)", "NUM"),
)


def measure(records: int) -> list[Figure]:
    """Two or three figures: ours, the peer's where it is installed, and their ratio."""
    ours = alone(_ours, records)
    conditions = f"{records} raw lines of db_cascade in six formats, one process, best of {_REPEATS}"
    figures = [
        Figure(
            "parse_and_signature",
            ours["rate"],
            "records/s",
            conditions,
            details={"signatures": ours["signatures"], "peak_mb": ours["peak_mb"], "threads": ours["threads"]},
        )
    ]
    try:
        theirs = alone(_drain3, records)
    except ModuleNotFoundError:
        return figures
    ratio = ours["rate"] / theirs["rate"]
    figures += [
        Figure(
            "drain3_raw_lines",
            theirs["rate"],
            "records/s",
            f"{conditions}; the peer: Drain3 with generic masks, its default settings",
            details={"clusters": theirs["clusters"]},
        ),
        Figure("parse_and_signature_over_drain3", ratio, "times", conditions, "at least 5", ratio >= 5),
    ]
    return figures


def _ours(records: int) -> dict[str, Any]:
    from .measure import peak_mb

    frames = list(shop(records))
    best, signatures = 0.0, 0
    for _ in range(_REPEATS):
        reader, catalogue = EventReader(), Catalogue()
        began = time.perf_counter()
        for frame in frames:
            catalogue.sign(reader.read(frame))
        best = max(best, sum(frame.height for frame in frames) / (time.perf_counter() - began))
        signatures = catalogue.stats().templates
    return {"rate": best, "signatures": signatures, "peak_mb": peak_mb(), "threads": pl.thread_pool_size()}


def _drain3(records: int) -> dict[str, Any]:
    from drain3 import TemplateMiner
    from drain3.masking import MaskingInstruction
    from drain3.template_miner_config import TemplateMinerConfig

    lines = [line for frame in shop(records) for line in frame["line"].to_list()]
    best, clusters = 0.0, 0
    for _ in range(1):  # it is slow, and steady
        config = TemplateMinerConfig()
        config.masking_instructions = [MaskingInstruction(pattern, name) for pattern, name in _MASKS]
        miner = TemplateMiner(config=config)
        began = time.perf_counter()
        for line in lines:
            miner.add_log_message(line)
        best = max(best, len(lines) / (time.perf_counter() - began))
        clusters = len(miner.drain.clusters)
    return {"rate": best, "clusters": clusters}
