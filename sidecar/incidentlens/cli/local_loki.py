"""`incidentlens local-loki`: a small Loki for the demo, tests and a laptop."""

from __future__ import annotations

from pathlib import Path

import typer

from .console import unusable


def register(app: typer.Typer) -> None:
    app.command("local-loki")(local_loki)


def local_loki(
    listen: str = typer.Option("127.0.0.1:3100", "--listen", help="HOST:PORT."),
    data: Path = typer.Option(Path(".incidentlens/loki"), "--data", help="The folder it keeps its data in."),
    auth: bool = typer.Option(False, "--auth", help="Turn tenants on: requests then need X-Scope-OrgID."),
    alertmanager: str | None = typer.Option(None, "--alertmanager", help="Where its ruler sends alerts."),
) -> None:
    """Run the local Loki: for the demo, tests and a laptop, not for production."""
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        unusable(f"--listen takes HOST:PORT, not {listen!r}")
    from incidentlens.localloki import run

    def say(url: str) -> None:
        typer.echo(f"Loki's API on {url}, its data in {data}   (Ctrl-C ends it)")

    run(listen, data, auth=auth, alertmanager_url=alertmanager, listening=say)
