"""Plays a scenario into any Loki, in real time, and writes what was true."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

from incidentlens.model.clock import SECOND

from .generator import Scenario
from .lines import Line, push_streams

# Lines are sent this often: short enough for a live picture, long enough to be worth a request.
_BATCH_S = 0.5
_PUSH_ROWS = 5000


class Pusher(Protocol):
    """Where lines go. `intake.loki.LokiClient` is one."""

    async def push(self, streams: list[dict[str, Any]]) -> None: ...


async def push_lines(pusher: Pusher, lines: Iterable[Line]) -> int:
    """Push all of `lines` as fast as they are taken; returns how many."""
    batch: list[Line] = []
    pushed = 0
    for line in lines:
        batch.append(line)
        if len(batch) >= _PUSH_ROWS:
            await pusher.push(push_streams(batch))
            pushed += len(batch)
            batch = []
    if batch:
        await pusher.push(push_streams(batch))
    return pushed + len(batch)


async def play(
    scenario: Scenario,
    pusher: Pusher,
    *,
    on_batch: Callable[[int, int], Awaitable[None] | None] | None = None,
    stop: asyncio.Event | None = None,
) -> dict[str, Any]:
    """Send the scenario's lines as their moments come; returns the truth with `pushed`.

    `on_batch(lines, elapsed_ns)` hears of each batch. `stop` ends it early; the truth then says `stopped`.
    """
    start = time.time_ns()
    truth = scenario.truth(start)
    batch: list[Line] = []
    pushed = 0
    flush_at = start + int(_BATCH_S * SECOND)

    async def flush() -> None:
        nonlocal batch, pushed
        delay = (flush_at - time.time_ns()) / SECOND
        if delay > 0:
            await asyncio.sleep(delay)
        if batch:
            await pusher.push(push_streams(batch))
            pushed += len(batch)
        if on_batch:
            heard = on_batch(len(batch), flush_at - start)
            if heard is not None:
                await heard
        batch = []

    for line in scenario.lines(start):
        while line.ts >= flush_at:
            await flush()
            flush_at += int(_BATCH_S * SECOND)
            if stop is not None and stop.is_set():
                return {**truth, "pushed": pushed, "stopped": True}
        batch.append(line)
    await flush()
    return {**truth, "pushed": pushed, "stopped": False}


def write_truth(truth: dict[str, Any], folder: Path) -> Path:
    """Write a run's ground truth beside those of other runs; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{truth['scenario']}-seed{truth['seed']}-{truth['start']}.json"
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(truth, indent=1) + "\n", "utf-8")
    temporary.replace(path)
    return path
