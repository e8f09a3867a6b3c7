"""`incidentlens parse`: how a log file's lines are read."""

from __future__ import annotations

from pathlib import Path

import typer

from .console import answer, fail, print_json_lines
from .files import must_exist


def register(app: typer.Typer) -> None:
    app.command("parse")(parse)


def parse(
    file: Path = typer.Argument(help="A log file, .gz too; - for standard input."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object an event."),
) -> None:
    """Read a log file into events: time, level, service, format, message, and the lines each one spans."""
    from incidentlens.intake.files import FileError, parse_file

    must_exist(file)
    try:
        if as_json:
            print_json_lines(parse_file(file))
            return
        for event in parse_file(file):
            first, last = event["lines"]
            where = f"{first}" if first == last else f"{first}-{last}"
            stamp = str(event["ts"] or "-")[:23]
            answer.print(f"{where:>9}  {stamp:<23}  {event['level']:<7}  {event['message']}", markup=False)
    except (OSError, FileError) as error:
        fail(str(error))
