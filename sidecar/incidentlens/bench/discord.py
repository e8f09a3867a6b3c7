"""Seconds from the first failing line to the message in Discord, through a real Grafana at the intervals it is
provisioned with; a stand-in takes Discord's place."""

from __future__ import annotations

import asyncio
import contextlib
import random
import statistics
import time
from datetime import datetime
from typing import Any

from rich.console import Console

from incidentlens.demo import configuration
from incidentlens.demo.programs import Programs
from incidentlens.demo.screen import Screen
from incidentlens.demo.stack import stack
from incidentlens.demo.telling import Telling, tell_people

from .latency import fail_anew, set_interval
from .measure import Figure, alone

_AIM_S = 45.0
_TIMEOUT_S = 180.0
_INTERVAL_S = 5  # a project's, unless it says otherwise
_NAME, _AIM = "line_to_discord", "under 45"


def measure(programs: Programs | None, rounds: int) -> list[Figure]:
    """Median and worst over `rounds` failures, each in a service of its own."""
    if programs is None or programs.grafana is None:
        why = (programs and programs.note) or "no grafana program is on the PATH, and --grafana names none"
        return [Figure.not_measured(f"{_NAME}_median", "s", why, _AIM)]
    seconds: list[float] = alone(_run, programs, rounds)
    median, worst = statistics.median(seconds), max(seconds)
    told = (
        f"{rounds} failures of 20 lines each, interval {_INTERVAL_S} s, delay 2 s; Grafana asks every 10 s and "
        f"waits 1 s for a group; {'a real' if programs.loki else 'the local'} Loki, embedded PostgreSQL"
    )
    details = {"seconds": [round(each, 1) for each in seconds]}
    return [
        Figure(f"{_NAME}_median", median, "s", told, _AIM, median < _AIM_S, details),
        Figure(f"{_NAME}_worst", worst, "s", told, _AIM, worst < _AIM_S),
    ]


def _run(programs: Programs, rounds: int) -> list[float]:
    return asyncio.run(_rounds(programs, rounds))


async def _rounds(programs: Programs, rounds: int) -> list[float]:
    from incidentlens.api.grafana import serve_grafana
    from incidentlens.config.loader import load_config
    from incidentlens.intake.loki import LokiClient, LokiSettings
    from incidentlens.model.clock import SystemClock
    from incidentlens.pipeline.live import Sidecar
    from incidentlens.scenarios.generator import Scenario
    from incidentlens.scenarios.player import push_lines
    from incidentlens.store.postgres import PostgresStore

    assert programs.grafana is not None
    async with stack(None, None, False, programs.loki) as parts, contextlib.AsyncExitStack() as running:
        telling = await tell_people(running, programs.grafana, parts, None, Screen(Console(quiet=True)), False)
        path = configuration.write(parts, None, 60, 20, telling.told)
        set_interval(path, _INTERVAL_S)
        loaded, clock = load_config(path), SystemClock()
        loki = LokiClient(LokiSettings(parts.loki_url))
        running.push_async_callback(loki.close)
        await push_lines(loki, Scenario("healthy").history(time.time_ns(), 1200))
        store = PostgresStore(parts.database_url)
        await store.open()
        running.push_async_callback(store.close)
        sidecar = Sidecar(loaded, store, clock)
        listen = f"127.0.0.1:{parts.grafana_port}"
        await serve_grafana(running, lambda: loaded, store, sidecar, clock, listen)
        running.push_async_callback(telling.grafana.child.stop)
        await sidecar.start()
        running.push_async_callback(sidecar.stop)
        await sidecar.first_run(configuration.PROJECT)
        await telling.fill(configuration.PROJECT, f"http://127.0.0.1:{parts.web_port}")
        seconds = []
        for number in range(rounds):
            await asyncio.sleep(random.uniform(0, 10))  # at any moment between two looks of Grafana's
            service, began = await fail_anew(loki, number)
            seconds.append(await _message(telling, service, began))
        return seconds


async def _message(telling: Telling, service: str, began: int) -> float:
    """Seconds from `began` (ns) until a Discord message names the service; the time limit where none does."""
    deadline = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline:
        for message in telling.sent_to.catcher.messages:
            if message["kind"] == "discord" and _names(message, service):
                return datetime.fromisoformat(message["at"]).timestamp() - began / 1e9
        await asyncio.sleep(0.1)
    return _TIMEOUT_S


def _names(message: dict[str, Any], service: str) -> bool:
    return any(f"{service}:" in title for title in message.get("titles", ()))
