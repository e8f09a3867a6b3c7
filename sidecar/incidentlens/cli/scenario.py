"""`incidentlens scenario`: play failures into any Loki."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import typer

from .console import answer, fail, print_json, talk, unusable

group = typer.Typer(help="Play failures with known truth into any Loki.", no_args_is_help=True)

FOLDER = Path(".incidentlens/scenarios")
_LOKI = typer.Option("http://127.0.0.1:3100", "--loki", help="Loki's address.")
_TENANT = typer.Option(None, "--tenant", help="X-Scope-OrgID.")
_SEED = typer.Option(1, "--seed", help="The same seed gives the same log.")
_RATE = typer.Option(50.0, "--rate", help="Everyday lines a second.")
_SPEED = typer.Option(1.0, "--speed", help="2 plays the time line in half the time.")
_HISTORY = typer.Option(0.0, "--history", help="Push this many minutes of everyday past first.")
_FOLDER = typer.Option(FOLDER, "--folder", help="Where truths and state are kept.")
_JSON = typer.Option(False, "--json", help="Answer in JSON.")


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="scenario")


@group.command("list")
def list_scenarios(as_json: bool = _JSON) -> None:
    """The scenarios there are."""
    from incidentlens.scenarios.cascades import CASCADES

    rows = [{"name": cascade.name, "title": cascade.title} for cascade in CASCADES.values()]
    rows.append({"name": "healthy", "title": "everyday noise, nothing broken"})
    if as_json:
        print_json(rows)
        return
    for row in rows:
        answer.print(f"{row['name']:<24}{row['title']}", markup=False)


@group.command()
def run(
    name: str = typer.Argument(help="A scenario's name; see `scenario list`."),
    loki: str = _LOKI,
    tenant: str | None = _TENANT,
    seed: int = _SEED,
    rate: float = _RATE,
    speed: float = _SPEED,
    history: float = _HISTORY,
    folder: Path = _FOLDER,
    as_json: bool = _JSON,
) -> None:
    """Play it once, in the foreground, and write its ground truth."""
    from incidentlens.intake.errors import LokiError
    from incidentlens.intake.loki import LokiClient, LokiSettings
    from incidentlens.scenarios.generator import Scenario
    from incidentlens.scenarios.player import play, push_lines, write_truth

    try:
        scenario = Scenario(name, seed, rate, speed)
    except ValueError as error:
        unusable(str(error))

    async def go() -> dict[str, object]:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with LokiClient(LokiSettings(loki, tenant)) as client:
            if history:
                pushed = await push_lines(client, scenario.history(time.time_ns(), history * 60))
                talk.print(f"pushed {pushed} lines of everyday past")
            talk.print(f"{name}: playing for {scenario.duration_s:.0f} s into {loki}")
            return await play(scenario, client, stop=stop)

    try:
        truth = asyncio.run(go())
    except LokiError as error:
        fail(str(error))
    path = write_truth(truth, folder)
    talk.print(f"{truth['pushed']} lines played; the truth is in {path}")
    if as_json:
        print_json(truth)


@group.command()
def start(
    name: str = typer.Argument(help="A scenario's name."),
    loki: str = _LOKI,
    tenant: str | None = _TENANT,
    seed: int = _SEED,
    rate: float = _RATE,
    speed: float = _SPEED,
    history: float = _HISTORY,
    folder: Path = _FOLDER,
) -> None:
    """Play it in the background."""
    from incidentlens.scenarios import control
    from incidentlens.scenarios.generator import Scenario

    try:
        Scenario(name, seed, rate, speed)
    except ValueError as error:
        unusable(str(error))
    arguments = ["--rate", str(rate), "--speed", str(speed), "--history", str(history), "--folder", str(folder)]
    if tenant:
        arguments += ["--tenant", tenant]
    try:
        started = control.start(name, seed, loki, arguments, folder)
    except control.ControlError as error:
        fail(str(error))
    answer.print(f"{name} runs as process {started.pid}; its log is {started.log}", markup=False)


@group.command()
def stop(name: str = typer.Argument(help="A scenario's name."), folder: Path = _FOLDER) -> None:
    """End a run in the background; its truth is written all the same."""
    from incidentlens.scenarios import control

    if not control.stop(name, folder):
        fail(f"{name} is not running; see: incidentlens scenario status")
    answer.print(f"{name} stopped")


@group.command()
def status(folder: Path = _FOLDER, as_json: bool = _JSON) -> None:
    """What runs in the background."""
    from dataclasses import asdict

    from incidentlens.scenarios import control

    runs = control.status(folder)
    if as_json:
        print_json([asdict(found) for found in runs])
        return
    if not runs:
        answer.print("nothing runs")
    for found in runs:
        age = time.time() - found.started
        answer.print(f"{found.scenario:<24}process {found.pid}, for {age:.0f} s, into {found.loki}", markup=False)
