"""`incidentlens demo`: a failure from its first line to its verified end, on this machine alone."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import typer
from rich.table import Table
from rich.text import Text

from .console import fail, print_json, talk, unusable


def register(app: typer.Typer) -> None:
    app.command("demo")(demo)


def demo(
    scenario: str = typer.Option("db_cascade", "--scenario", help="See `incidentlens scenario list`."),
    seed: int = typer.Option(1, "--seed", help="The same seed gives the same log."),
    speed: float = typer.Option(1.0, "--speed", help="2 plays it in half the time."),
    rate: float = typer.Option(50.0, "--rate", help="Everyday lines a second."),
    loki: str | None = typer.Option(None, "--loki", help="A Loki of your own instead of the local one."),
    tenant: str | None = typer.Option(None, "--tenant", help="X-Scope-OrgID for it."),
    database: str | None = typer.Option(None, "--database", help="A PostgreSQL URL instead of the embedded one."),
    grafana: str | None = typer.Option(
        None, "--grafana", help="A grafana or grafana-server program to show it in; the one on the PATH unless said."
    ),
    grafana_home: Path | None = typer.Option(
        None, "--grafana-home", help="The folder with its conf/ and public/, where it is not around the program."
    ),
    grafana_plugin: Path | None = typer.Option(
        None, "--grafana-plugin", help="The built plugin; what `make plugin` makes unless said."
    ),
    loki_program: str | None = typer.Option(
        None, "--loki-program", help="A loki program instead of the local Loki; the one on the PATH unless said."
    ),
    plain: bool = typer.Option(False, "--plain", help="Look for neither program on the PATH."),
    no_open: bool = typer.Option(False, "--no-open", help="Open no browser."),
    keep: bool = typer.Option(False, "--keep", help="Keep everything in ./.incidentlens/demo."),
    as_json: bool = typer.Option(False, "--json", help="At the end, the whole result as JSON on stdout."),
) -> None:
    """Play a failure and show the incident from its first line to its verified end."""
    from incidentlens.demo.programs import Unusable, Wanted, find

    if loki is not None and loki_program is not None:
        unusable("give either --loki URL or --loki-program PATH")
    try:
        programs = find(Wanted(grafana, grafana_home, grafana_plugin, loki_program, plain))
    except Unusable as error:
        unusable(str(error))

    from incidentlens.api.server import ServeError
    from incidentlens.demo.run import DemoError, Options, run, summary
    from incidentlens.grafana.server import ListenError
    from incidentlens.intake.errors import LokiError
    from incidentlens.scenarios.generator import Scenario
    from incidentlens.store.base import StoreError

    try:
        Scenario(scenario, seed, rate, speed)
    except ValueError as error:
        unusable(str(error))
    logging.getLogger().setLevel(logging.ERROR)  # the story is told by the screen
    shown = talk.is_terminal and not no_open
    options = Options(scenario, seed, speed, rate, loki, tenant, database, keep, programs, shown)
    try:
        result = asyncio.run(run(options, talk))
    except (DemoError, ListenError, LokiError, ServeError, StoreError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        talk.print("stopped; nothing is left running")
        raise typer.Exit(130) from None
    table = Table(title="what happened", title_justify="left", show_header=False, box=None)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in summary(result):
        table.add_row(name, Text(value))
    talk.print(table)
    if as_json:
        print_json(result)
