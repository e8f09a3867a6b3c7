"""The whole of replay: records a second, and memory that does not grow with the input."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from .measure import Figure, alone

_SMALL_SHARE = 5  # memory at a fifth of the records, to compare with


def measure(records: int) -> list[Figure]:
    """Rate and peak memory over `records`, and how much of it the last four fifths added."""
    small = alone(_replay, records // _SMALL_SHARE)
    large = alone(_replay, records)
    growth = large["peak_mb"] / small["peak_mb"]
    conditions = f"{records} records of db_cascade and its aftermath, every stage, in-memory store"
    return [
        Figure("replay", large["rate"], "records/s", conditions, details={"incidents": large["incidents"]}),
        Figure("replay_peak_memory", large["peak_mb"], "MB", conditions),
        Figure(
            "replay_memory_growth",
            growth,
            "times",
            f"peak at {records} records over peak at {records // _SMALL_SHARE}",
            "constant: at most 1.25",
            growth <= 1.25,
        ),
    ]


def _replay(records: int) -> dict[str, Any]:
    from incidentlens.config.loader import builtin_runbooks
    from incidentlens.pipeline.replay import default_project, replay_frames
    from incidentlens.runbooks import load_runbooks

    from .corpus import repeated
    from .measure import peak_mb

    project = default_project(load_runbooks([builtin_runbooks()]))
    began = time.perf_counter()
    found = asyncio.run(replay_frames(repeated(records), project=project))
    seconds = time.perf_counter() - began
    return {
        "rate": found.records / seconds,
        "peak_mb": peak_mb(),
        "incidents": len(found.result["incidents"]) + found.result["left_out"],
    }
