"""What reading costs against volume: bytes that Loki moves and CPU of the sidecar, in full and by push-down.

The same minutes of `db_cascade` at growing rates of everyday lines, of which one in two hundred fails and one warns,
with the cascade on top. Both ways are run over whole logs up to twenty times the volume. Beyond, push-down is run
against a Loki that holds every line that fails or warns and only counts the others (`counting`); what full would cost
there is drawn out from its largest run, and dashed in the picture.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter as Count
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .measure import Figure, alone

BASE_RATE = 50.0  # everyday lines a second at 1 times
WHOLE = (1, 4, 20)
COUNTED = (1, 4, 20, 100, 300, 1000)
_ERRORS, _WARNINGS = 0.5, 0.5  # of a hundred everyday lines; the cascade comes on top
_HISTORY_S, _RUN_S, _INTERVAL_S = 300, 110, 5
_SAVED = 50.0  # times fewer bytes: what the project promises


@dataclass(frozen=True, slots=True)
class Cost:
    """One run. `lines` were written while it ran; `moved` bytes and `cpu` seconds are the sidecar's alone."""

    times: int
    read: str
    whole: bool
    lines: int
    failing: float
    moved: int
    cpu: float
    seconds: float
    causes: list[str]


def measure(largest: int = 1000, whole_up_to: int = 20, picture: Path | None = None) -> list[Figure]:
    """Figures of every run up to `largest` times the volume, both ways up to `whole_up_to` times (at least once).

    A picture of them goes to `picture` (PNG or SVG).
    """
    costs = []
    for times in (one for one in WHOLE if one <= max(1, whole_up_to)):
        costs += [alone(_cost, times, read, True) for read in ("full", "push_down")]
    costs += [alone(_cost, times, "push_down", False) for times in COUNTED if times <= largest]
    figures = [_figure(cost) for cost in costs]
    whole = {(cost.times, cost.read): cost for cost in costs if cost.whole}
    top = max(times for times, _ in whole)
    full, pushed = whole[top, "full"], whole[top, "push_down"]
    saved, found = full.moved / max(1, pushed.moved), full.causes == pushed.causes
    conditions = f"db_cascade at {top} times {BASE_RATE:g} lines/s, {full.failing:.1%} failing, both over the whole log"
    figures += [
        Figure("scale_bytes_saved", saved, "times", conditions, f"at least {_SAVED:g}", saved >= _SAVED),
        Figure("scale_cpu_saved", full.cpu / max(1e-9, pushed.cpu), "times", conditions),
        Figure(
            "scale_same_cause",
            float(found),
            "",
            f"{conditions}: {', '.join(full.causes) or 'nothing'} and {', '.join(pushed.causes) or 'nothing'}",
            "the same",
            found,
        ),
    ]
    if picture is not None:
        _draw(costs, picture)
    return figures


def _figure(cost: Cost) -> Figure:
    kind = "whole log" if cost.whole else "harmless lines only counted by a stand-in"
    return Figure(
        f"scale_{cost.read}_{cost.times}x_{'whole' if cost.whole else 'counted'}",
        cost.moved / 1e6,
        "MB",
        f"{cost.lines} lines in {_RUN_S} s, {cost.failing:.2%} failing, {kind}; CPU {cost.cpu:.2f} s without Loki's; "
        f"found: {', '.join(cost.causes) or 'nothing'}",
        details=asdict(cost),
    )


def _cost(times: int, read: str, whole: bool) -> Cost:
    return asyncio.run(_play(times, read, whole))


async def _play(times: int, read: str, whole: bool) -> Cost:
    from incidentlens.config.loader import Query, builtin_runbooks
    from incidentlens.intake.loki import LokiClient
    from incidentlens.model.clock import SECOND, ManualClock
    from incidentlens.pipeline.live import ProjectRunner
    from incidentlens.pipeline.replay import default_project
    from incidentlens.runbooks import load_runbooks
    from incidentlens.store.memory import MemoryStore

    from .corpus import START
    from .counting import CountingLoki

    scenario, hidden = _scenario(times, whole)
    history = list(scenario.history(START, _HISTORY_S))
    run = list(scenario.lines(START))
    loki = CountingLoki([*history, *run], hidden)
    project = default_project(load_runbooks([builtin_runbooks()]), service_label="service_name")
    config = {**project.config.model_dump(), "look_back": _HISTORY_S * SECOND, "overlap": 30 * SECOND}
    project = replace(
        project,
        config=type(project.config).model_validate(config),
        queries=(Query("logs", '{service_name=~".+"}', False, None, read),),  # type: ignore[arg-type]
    )
    clock = ManualClock(START)
    client = LokiClient(replace(project.loki, max_attempts=1), loki)
    store = MemoryStore()
    runner = ProjectRunner(project, store, clock, client)
    await runner.run()  # learns
    moved, served = client.bytes_read, loki.cpu
    began, cpu = time.perf_counter(), time.process_time()
    for _ in range(_RUN_S // _INTERVAL_S):
        clock.advance(_INTERVAL_S * SECOND)
        await runner.run()
    if runner.health.error is not None:
        raise RuntimeError(f"the run at {times} times failed: {runner.health.error}")
    cpu, seconds = time.process_time() - cpu - (loki.cpu - served), time.perf_counter() - began
    async with store.transaction(project.name) as tx:
        told = [one for one in await tx.live_incidents(0) if one.disposition.value in ("ESCALATE", "NEEDS_ONCALL")]
    causes = sorted(one.root_cause.service for one in told if one.root_cause)
    lines = len(run) + round(sum(one.per_second for one in hidden) * scenario.duration_s)
    failing = _failing(run) / lines
    return Cost(times, read, whole, lines, failing, client.bytes_read - moved, cpu, seconds, causes)


def _scenario(times: int, whole: bool) -> tuple[Any, list[Any]]:
    """The scenario at that volume; where it is not made whole, without its harmless lines, and those as counts."""
    from incidentlens.scenarios.generator import Scenario

    from .corpus import START
    from .counting import Counted

    rate = BASE_RATE * times
    if whole:
        return Scenario("db_cascade", 1, rate=rate, errors=_ERRORS, warnings=_WARNINGS), []
    bad = _ERRORS + _WARNINGS
    # Which services write the harmless lines, and in what shares, is taken from a minute of them.
    harmless = Scenario("healthy", 1, rate=BASE_RATE, errors=0, warnings=0).history(START, 60)
    share = Count(line.labels["service_name"] for line in harmless)
    total = sum(share.values())
    counted = [
        Counted({"service_name": service, "detected_level": "info"}, rate * (1 - bad / 100) * number / total)
        for service, number in sorted(share.items())
    ]
    return Scenario(
        "db_cascade", 1, rate=rate * bad / 100, errors=100 * _ERRORS / bad, warnings=100 * _WARNINGS / bad
    ), counted


def _failing(run: Iterable[Any]) -> int:
    from incidentlens.localloki.levels import detect_level

    levels = (detect_level(line.labels, line.metadata, line.text) for line in run)
    return sum(level in ("error", "fatal", "critical") for level in levels)


def _draw(costs: list[Cost], path: Path) -> None:
    """Bytes and CPU against volume, both axes logarithmic."""
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(10, 4.2), layout="constrained")
    for place, (name, label) in enumerate((("moved", "bytes from Loki"), ("cpu", "CPU seconds of the sidecar")), 1):
        axes = canvas.add_subplot(1, 2, place)
        for read, colour in (("full", "tab:red"), ("push_down", "tab:blue")):
            whole = [cost for cost in costs if cost.whole and cost.read == read]
            axes.plot(
                [cost.times for cost in whole],
                [getattr(cost, name) for cost in whole],
                "o-",
                color=colour,
                label=f"{read}, whole log",
            )
            if read == "full":
                last = whole[-1]
                far = [cost.times for cost in costs if not cost.whole and cost.times >= last.times]
                drawn = [getattr(last, name) * times / last.times for times in far]
                axes.plot(far, drawn, "--", color=colour, label="full, drawn out")
        counted = [cost for cost in costs if not cost.whole]
        axes.plot(
            [cost.times for cost in counted],
            [getattr(cost, name) for cost in counted],
            "s:",
            color="tab:blue",
            label="push_down, harmless lines only counted",
        )
        axes.set(xscale="log", yscale="log", xlabel=f"volume, times {BASE_RATE:g} lines/s", ylabel=label)
        axes.grid(visible=True, which="major", alpha=0.3)
        axes.legend(fontsize=8)
    canvas.suptitle(
        f"Reading db_cascade for {_RUN_S} s; {_ERRORS:g} % of the everyday lines fail, and the cascade on top"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(path)
