"""The demo from start to summary."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console

from incidentlens.api.grafana import serve_grafana
from incidentlens.api.server import serve_in_background
from incidentlens.config.loader import load_config
from incidentlens.incidents import overall_ranking
from incidentlens.intake.loki import LokiClient, LokiSettings
from incidentlens.model.clock import SECOND, SystemClock
from incidentlens.model.incidents import Incident
from incidentlens.model.terms import Status
from incidentlens.pipeline.live import Sidecar
from incidentlens.pipeline.results import importance, incident_result
from incidentlens.pipeline.upkeep import Upkeep
from incidentlens.scenarios.generator import Scenario
from incidentlens.scenarios.player import play, push_lines, write_truth
from incidentlens.store.postgres import PostgresStore

from . import configuration
from .children import DemoError
from .programs import Programs
from .screen import Screen
from .stack import WEB_PORT, Stack, stack
from .story import Story, seconds_after
from .telling import tell_people

_HISTORY_MINUTES = 20.0
_QUIET_S = 20.0  # at speed 1; a real project waits for minutes
_PATIENCE_S = 60.0  # for the verifier, once the scenario is over


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line said."""

    scenario: str
    seed: int
    speed: float
    rate: float
    loki: str | None
    tenant: str | None
    database: str | None
    keep: bool
    programs: Programs = field(default_factory=Programs)
    open_page: bool = False  # of Grafana, in a browser


async def run(options: Options, console: Console) -> dict[str, Any]:
    """Play the demo; returns the object of DESIGN section 5. Raises DemoError, LokiError, StoreError."""
    scenario = Scenario(options.scenario, options.seed, options.rate, options.speed)
    programs = options.programs
    with Screen(console) as screen:
        if programs.note:
            screen.say(programs.note, style="yellow")
        which = "a real" if programs.loki else "a"
        also = ", Grafana" if programs.grafana else ""
        screen.say(
            f"starting: a database, {which if options.loki is None else 'your'} Loki, the shop, the sidecar{also}"
        )
        async with stack(options.loki, options.database, options.keep, programs.loki) as parts:
            return await _play(options, scenario, parts, screen)


async def _play(options: Options, scenario: Scenario, parts: Stack, screen: Screen) -> dict[str, Any]:
    quiet = max(5.0, _QUIET_S / options.speed)
    async with contextlib.AsyncExitStack() as running:
        telling = None
        if options.programs.grafana is not None:
            telling = await tell_people(
                running, options.programs.grafana, parts, options.tenant, screen, options.open_page
            )
        told = None if telling is None else telling.told
        path = configuration.write(parts, options.tenant, quiet, _HISTORY_MINUTES, told)
        loaded = load_config(path)
        store = PostgresStore(parts.database_url)
        clock = SystemClock()
        await store.open()
        running.push_async_callback(store.close)
        shop = LokiClient(LokiSettings(parts.loki_url, options.tenant))
        running.push_async_callback(shop.close)
        history = await push_lines(shop, scenario.history(time.time_ns(), _HISTORY_MINUTES * 60))
        screen.say(f"Loki at {parts.loki_url} has {history} lines of the shop's everyday past to learn from")

        story = Story(store, configuration.PROJECT, screen)
        sidecar = Sidecar(loaded, store, clock, on_tick=story.tell)
        address = await serve_in_background(running, loaded, store, sidecar, clock)
        taken = "" if parts.web_port == WEB_PORT else f"   (port {WEB_PORT} is taken)"
        screen.say(f"web page: {address}{taken}", style="bold")
        listen = loaded.config.grafana.listen or "127.0.0.1:0"
        await serve_grafana(running, lambda: loaded, store, sidecar, clock, listen)
        screen.say(f"Grafana's data source asks at {listen}")
        if telling is not None:
            # Before what answers it, or its last evaluations would fail.
            running.push_async_callback(telling.grafana.child.stop)
        await sidecar.start()
        running.push_async_callback(sidecar.stop)
        await sidecar.first_run(configuration.PROJECT)
        screen.say("the sidecar has learnt what is usual and reads on from here")
        if telling is not None:
            await telling.fill(configuration.PROJECT, address)
            upkeep = Upkeep(sidecar, store, clock)
            upkeep.start()
            running.push_async_callback(upkeep.stop)

        screen.restart_clock()
        screen.say(f"the shop runs; {scenario.name} will break it in {scenario.timeline.before / options.speed:.0f} s")
        truth = await play(scenario, shop, on_batch=_on_batch(screen))
        screen.say("the scenario is over; waiting for the verifier")
        await _settled(story, screen)
        if telling is not None:
            await telling.settled(story.incidents.values())
        result = await _result(options, scenario, truth, store, story)
        if telling is not None:
            result["delivered"] = [each.as_json() for each in telling.delivered(story.incidents.values())]
        if options.keep:
            write_truth(truth, parts.folder)
            screen.say(f"kept in {parts.folder}; go on with: incidentlens local-loki --data {parts.folder / 'loki'}")
        return result


def _on_batch(screen: Screen) -> Callable[[int, int], None]:
    last = 0

    def heard(lines: int, elapsed: int) -> None:
        nonlocal last
        screen.pushed(lines, max(0.1, (elapsed - last) / SECOND))
        last = elapsed

    return heard


async def _settled(story: Story, screen: Screen) -> None:
    """Wait until every notable incident has its verified end, or patience runs out."""
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        notable = [incident for incident in story.incidents.values() if incident.disposition.notifies]
        if all(not incident.status.active for incident in notable):
            return
        await asyncio.sleep(0.25)
        screen.refresh()


async def _result(
    options: Options, scenario: Scenario, truth: dict[str, Any], store: PostgresStore, story: Story
) -> dict[str, Any]:
    incidents = sorted(story.incidents.values(), key=importance)
    async with store.transaction(configuration.PROJECT) as tx:
        fresh = [found for incident in incidents if (found := await tx.incident(incident.id)) is not None]
        results = [await incident_result(tx, incident) for incident in fresh]
    return {
        "scenario": scenario.name,
        "seed": options.seed,
        "truth": truth,
        "incidents": results,
        "time_to_detect_s": _time_to_detect(truth, fresh),
        "root_cause_ranking": [entry.model_dump() for entry in overall_ranking(fresh)],
    }


def _time_to_detect(truth: dict[str, Any], incidents: list[Incident]) -> float | None:
    """Seconds from the first failing line of the fault to the opening of the incident that tells of it."""
    if "fault" not in truth:
        return None
    services = {step["service"] for step in truth["chain"]}
    begin = truth["fault"]["start"]
    opened = [
        incident.opened_at
        for incident in incidents
        if incident.disposition.notifies and incident.opened_at >= begin and services & set(incident.services)
    ]
    return seconds_after(min(opened), begin) if opened else None


def summary(result: dict[str, Any]) -> list[tuple[str, str]]:
    """The demo's last words: (name, value) pairs."""
    told = [incident for incident in result["incidents"] if incident["decision"] and incident["decision"]["told"]]
    rows = [
        ("scenario", f"{result['scenario']}, seed {result['seed']}"),
        ("time to detect", "-" if result["time_to_detect_s"] is None else f"{result['time_to_detect_s']} s"),
        ("incidents told", str(len(told))),
    ]
    for incident in told[:3]:
        root = incident["root_cause"] or {}
        chain = " → ".join(step["service"] for step in root.get("chain", []))
        rows += [
            ("incident", incident["title"]),
            ("cause", root.get("summary") or "undetermined"),
            ("chain", chain or "-"),
            ("disposition", f"{incident['disposition']}, severity {incident['severity']}"),
            ("outcome", (incident["verification"] or {}).get("outcome") or Status(incident["status"]).value),
        ]
    if result["truth"].get("cause"):
        cause = result["truth"]["cause"]
        rows.append(("the truth", f"{cause['error']} in {cause['service']}"))
    if "delivered" in result:
        rows += [("told", each["text"]) for each in result["delivered"]]
        reached = {each["incident"] for each in result["delivered"]}
        rows += [("told", f"nothing came of: {each['title']}") for each in told if each["id"] not in reached]
    return rows


__all__ = ["DemoError", "Options", "run", "summary"]
