"""How soon a page answers while a big catch-up is under way: with the stages beside the event loop, and on it.

    python evals/responsiveness/measure.py [--records 500000]

Both in one run, over a real PostgreSQL and HTTP. The first page of incidents is asked for again and again during one
tick; printed are how many were answered, and the median, the 95th and the slowest answer in seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import polars as pl

from incidentlens.api.server import serve_in_background
from incidentlens.config.loader import load_config
from incidentlens.demo import configuration
from incidentlens.demo.stack import Stack
from incidentlens.model.clock import SECOND, SystemClock
from incidentlens.model.records import LINES, stream_key
from incidentlens.pipeline.engine import Engine, Intake
from incidentlens.pipeline.live import Sidecar
from incidentlens.pipeline.offloop import Run, beside, here
from incidentlens.scenarios.generator import Scenario, Timeline
from incidentlens.store.embedded import EmbeddedPostgres
from incidentlens.store.postgres import PostgresStore

_SPAN_S = 300


def played(records: int, start: int) -> pl.DataFrame:
    """So many lines of a shop in which a cascade runs its course."""
    scenario = Scenario("db_cascade", 7, rate=records / _SPAN_S, timeline=Timeline(60, 120, _SPAN_S))
    rows = []
    for line in scenario.lines(start):
        rows.append((line.ts, line.labels["service_name"], stream_key(line.labels), None, line.text))
        if len(rows) == records:
            break
    return pl.DataFrame(rows, schema=LINES, orient="row").sort("ts")


async def measure(lines: pl.DataFrame, run: Run) -> tuple[float, list[float]]:
    """Seconds of the tick, and of each answer meanwhile."""
    answers: list[float] = []
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(EmbeddedPostgres(folder / "postgres"))
        path = configuration.write(Stack(folder, "http://127.0.0.1:1", server.url, 0), None, 60, 20)
        loaded, clock = load_config(path), SystemClock()
        store = await stack.enter_async_context(PostgresStore(server.url))
        sidecar: Any = Sidecar(loaded, store, clock)
        url = await serve_in_background(stack, loaded, store, sidecar, clock)
        client = await stack.enter_async_context(httpx.AsyncClient(timeout=600))
        (await client.get(url)).raise_for_status()
        engine = Engine(loaded.projects[configuration.PROJECT], store, clock, run)
        began = time.perf_counter()
        until = int(lines["ts"][-1])
        tick = asyncio.create_task(engine.tick(Intake(lines=lines, until=until, cursors={"all": until})))
        while not tick.done():
            asked = time.perf_counter()
            (await client.get(url)).raise_for_status()
            answers.append(time.perf_counter() - asked)
            await asyncio.sleep(0.1)
        await tick
        return time.perf_counter() - began, answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=500_000)
    lines = played(parser.parse_args().records, time.time_ns() - _SPAN_S * SECOND)
    for name, run in (("beside the loop", beside), ("on the loop", here)):
        seconds, answers = asyncio.run(measure(lines, run))
        tail = statistics.quantiles(answers, n=20)[-1] if len(answers) > 1 else answers[0]
        print(
            f"{name}: {lines.height:,} records in {seconds:.1f} s; {len(answers)} answers, "
            f"median {statistics.median(answers):.3f} s, 95th {tail:.3f} s, slowest {max(answers):.3f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
