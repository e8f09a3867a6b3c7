"""`incidentlens bench`: how fast, how much memory, how soon; with conditions, and a peer in the same run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from .console import answer, print_json, talk, unusable

_PARTS = ("throughput", "replay", "latency", "pages")


def register(app: typer.Typer) -> None:
    app.command("bench")(bench)


def bench(
    parts: list[str] = typer.Argument(None, help=f"Which parts: {', '.join(_PARTS)}; all unless said."),
    records: int = typer.Option(1_000_000, "--records", help="Records for replay; 10000000 takes minutes."),
    lines: int = typer.Option(200_000, "--lines", help="Lines for parse and signature, and for the peer."),
    rounds: int = typer.Option(20, "--rounds", help="Failures for the latency."),
    incidents: int = typer.Option(100_000, "--incidents", help="Incidents behind pages and lists."),
    out: Path | None = typer.Option(None, "--out", help="Write the figures as JSON to this file too."),
    as_json: bool = typer.Option(False, "--json", help="Answer in JSON."),
) -> None:
    """Measure this machine; prints figures with their conditions."""
    from incidentlens.bench import latency, measure, pages, replaying, throughput

    chosen = tuple(parts or _PARTS)
    unknown = [part for part in chosen if part not in _PARTS]
    if unknown:
        unusable(f"there is no part {unknown[0]!r}; there are {', '.join(_PARTS)}")
    work = {
        "throughput": lambda: throughput.measure(lines),
        "replay": lambda: replaying.measure(records),
        "latency": lambda: latency.measure(rounds),
        "pages": lambda: pages.measure(incidents),
    }
    figures = []
    for part in chosen:
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
        value = f"{figure.value:,.0f}" if figure.value >= 100 else f"{figure.value:.2f}"
        verdict = "" if figure.met is None else f"   aim: {figure.aim}, {'met' if figure.met else 'not met'}"
        answer.print(f"{figure.name:<44}{value:>10} {figure.unit}{verdict}", markup=False)
        answer.print(f"    {figure.conditions}", style="dim", markup=False)
    on = result["machine"]
    answer.print(f"measured at {on['at']} on {on['cores']} cores of {on['cpu']}, Python {on['python']}", markup=False)
