"""`incidentlens`: finds the command, imports only what it needs, and turns errors into one line."""

from __future__ import annotations

import logging
import sys

import typer

from incidentlens import __version__

from . import console

app = typer.Typer(
    name="incidentlens",
    help="Turns failing log lines in Loki into incidents with a cause, proof and a verified end.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        console.answer.print(f"incidentlens {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Say more of what is done, on stderr."),
) -> None:
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
        force=True,
    )
    for noisy in ("httpx", "httpcore", "watchfiles", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.INFO if verbose else logging.WARNING)
    # It warns of every run that waits for the one before it, which is what we ask of it.
    logging.getLogger("apscheduler").setLevel(logging.INFO if verbose else logging.ERROR)


def _register() -> None:
    """Each module adds its own commands."""
    from . import (
        anomalies,
        bench,
        check,
        demo,
        evals,
        grafana_plugin,
        init,
        local_loki,
        mcp,
        policy,
        provision,
        read,
        replay,
        rules,
        runbooks,
        scenario,
        serve,
        signatures,
    )

    for module in (
        init,
        check,
        demo,
        serve,
        replay,
        read,
        signatures,
        anomalies,
        scenario,
        local_loki,
        runbooks,
        rules,
        policy,
        bench,
        evals,
        grafana_plugin,
        provision,
        mcp,
    ):
        module.register(app)


def run() -> None:
    """The console script's entry."""
    try:
        _register()  # takes a moment, and Ctrl-C may come in it
        app()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    run()
