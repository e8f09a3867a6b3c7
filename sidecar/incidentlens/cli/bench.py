"""`incidentlens bench`: how fast, how much memory, how soon; with conditions, and a peer in the same run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from .console import answer, print_json, talk, unusable

_PARTS = ("throughput", "replay", "latency", "pages", "panels", "refresh", "stream", "idle", "discord", "scale")
_SERVED = ("panels", "refresh", "stream")  # measured on one sidecar over one large store


def register(app: typer.Typer) -> None:
    app.command("bench")(bench)


def bench(
    parts: list[str] = typer.Argument(None, help=f"Which parts: {', '.join(_PARTS)}; all unless said."),
    records: int = typer.Option(1_000_000, "--records", help="Records for replay; 10000000 takes minutes."),
    lines: int = typer.Option(200_000, "--lines", help="Lines for parse and signature, and for the peer."),
    rounds: int = typer.Option(20, "--rounds", help="Failures for the latency."),
    incidents: int = typer.Option(100_000, "--incidents", help="Incidents behind pages, lists and panels."),
    evidence: int = typer.Option(1_000_000, "--evidence", help="Rows of evidence behind panels."),
    seconds: float = typer.Option(30.0, "--seconds", help="How long CPU is watched, for refresh and idle."),
    changes: int = typer.Option(100, "--changes", help="Changes for the stream."),
    grafana: str | None = typer.Option(None, "--grafana", help="For discord: as in `incidentlens demo`."),
    grafana_home: Path | None = typer.Option(None, "--grafana-home", help="For discord: as in `incidentlens demo`."),
    times: int = typer.Option(1000, "--times", help="The largest volume for scale, times 50 lines a second."),
    whole: int = typer.Option(20, "--whole", help="The largest volume of scale that is read in full too."),
    picture: Path | None = typer.Option(None, "--picture", help="Draw scale's cost against volume (PNG or SVG)."),
    out: Path | None = typer.Option(None, "--out", help="Write the figures as JSON to this file too."),
    as_json: bool = typer.Option(False, "--json", help="Answer in JSON."),
) -> None:
    """Measure this machine; prints figures with their conditions."""
    from incidentlens.bench import discord, latency, measure, pages, replaying, scale, served_parts, throughput
    from incidentlens.demo.programs import Unusable, Wanted, find

    chosen = tuple(parts or _PARTS)
    unknown = [part for part in chosen if part not in _PARTS]
    if unknown:
        unusable(f"there is no part {unknown[0]!r}; there are {', '.join(_PARTS)}")
    programs = None
    if "discord" in chosen:
        try:
            programs = find(Wanted(grafana, grafana_home))
        except Unusable as error:
            unusable(str(error))
    work = {
        "throughput": lambda: throughput.measure(lines),
        "replay": lambda: replaying.measure(records),
        "latency": lambda: latency.measure(rounds),
        "pages": lambda: pages.measure(incidents),
        "idle": lambda: served_parts.measure_idle(seconds),
        "scale": lambda: scale.measure(times, whole, picture),
        "discord": lambda: discord.measure(programs, rounds),
    }
    figures = []
    together = tuple(part for part in chosen if part in _SERVED)
    if together:
        with talk.status(f"measuring {', '.join(together)}"):
            figures += served_parts.measure(together, incidents, evidence, seconds, changes)
    for part in (part for part in chosen if part not in _SERVED):
        with talk.status(f"measuring {part}"):
            figures += work[part]()
    result: dict[str, Any] = {"machine": measure.machine(), "figures": [figure.as_json() for figure in figures]}
    if out is not None:
        import orjson

        out.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    if as_json:
        print_json(result)
        return
    for figure in figures:
        value = (
            "-" if figure.value is None else f"{figure.value:,.0f}" if figure.value >= 100 else f"{figure.value:.2f}"
        )
        verdict = "" if figure.met is None else f"   aim: {figure.aim}, {'met' if figure.met else 'not met'}"
        answer.print(f"{figure.name:<44}{value:>10} {figure.unit}{verdict}", markup=False)
        answer.print(f"    {figure.conditions}", style="dim", markup=False)
    on = result["machine"]
    answer.print(f"measured at {on['at']} on {on['cores']} cores of {on['cpu']}, Python {on['python']}", markup=False)
