"""`incidentlens init`: look at somebody's Loki and write a configuration for it."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

import typer

from .console import fail, talk, unusable


def register(app: typer.Typer) -> None:
    app.command("init")(init)


def init(
    loki: str = typer.Option(..., "--loki", help="Loki's address, such as http://localhost:3100."),
    tenant: str | None = typer.Option(None, "--tenant", help="X-Scope-OrgID, where Loki has tenants."),
    bearer_token: str | None = typer.Option(None, "--bearer-token", envvar="LOKI_BEARER_TOKEN"),
    username: str | None = typer.Option(None, "--username", envvar="LOKI_USERNAME"),
    password: str | None = typer.Option(None, "--password", envvar="LOKI_PASSWORD"),
    project: str | None = typer.Option(None, "--project", help="The project's name; the tenant's unless said."),
    out: Path = typer.Option(Path("incidentlens.yaml"), "--out", help="The file to write."),
    force: bool = typer.Option(False, "--force", help="Write over a file that is there."),
) -> None:
    """Look at a Loki and write a commented incidentlens.yaml for it."""
    if out.exists() and not force:
        unusable(f"{out} is there already; give --force to write over it, or --out for another name")
    if not loki.startswith(("http://", "https://")):
        unusable(f"--loki takes an address like http://localhost:3100, not {loki!r}")
    name = project or re.sub(r"[^a-z0-9_-]+", "-", (tenant or "default").lower()).strip("-") or "default"

    from incidentlens.config.discover import NothingFound, discover
    from incidentlens.config.template import render
    from incidentlens.intake.errors import LokiError
    from incidentlens.intake.loki import LokiClient, LokiSettings

    async def look() -> str:
        settings = LokiSettings(loki, tenant, username, password, bearer_token, max_attempts=2)
        async with LokiClient(settings) as client:
            with talk.status("looking at the last hour"):
                found = await discover(client, time.time_ns())
        talk.print(
            f"{len(found.services)} services by {found.service_label}, {found.lines_per_second:.1f} lines/s; "
            f"levels from {found.level_from}",
            markup=False,
        )
        for note in found.notes:
            talk.print(f"note: {note}", markup=False)
        return render(found, loki, tenant, name)

    try:
        text = asyncio.run(look())
    except (LokiError, NothingFound) as error:
        fail(str(error))
    out.write_text(text, "utf-8")
    talk.print(f"{out} is written. Next: incidentlens check --config {out} --loki", markup=False)
