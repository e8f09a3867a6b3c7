"""How commands speak: answers on stdout, talk on stderr, one line for an error that says what to do."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, NoReturn

import orjson
import typer
from rich.console import Console

talk = Console(stderr=True, highlight=False, soft_wrap=True)
answer = Console(highlight=False, soft_wrap=True)


def fail(message: str, status: int = 1) -> NoReturn:
    """Say what is wrong on stderr and end with `status`."""
    talk.print(f"incidentlens: {message}", style="red" if talk.is_terminal else None, markup=False)
    raise typer.Exit(status)


def unusable(message: str) -> NoReturn:
    """Arguments that cannot be used: status 2."""
    fail(message, 2)


def print_json(value: Any, *, indent: bool = False) -> None:
    """One JSON document and a line feed on stdout."""
    option = orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS | (orjson.OPT_INDENT_2 if indent else 0)
    sys.stdout.buffer.write(orjson.dumps(value, option=option))
    sys.stdout.flush()


def print_json_lines(values: Iterable[Any]) -> None:
    """A JSON document a line. A reader that hangs up (`| head`) ends it quietly."""
    out = sys.stdout.buffer
    try:
        for value in values:
            out.write(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE))
        out.flush()
    except BrokenPipeError:
        sys.stderr.close()
        raise typer.Exit(0) from None
