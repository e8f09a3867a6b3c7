"""`incidentlens policy`: why was that decided, and why was nobody told?"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import typer

from .check import CONFIG
from .console import answer, fail, print_json

group = typer.Typer(help="Explain decisions.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="policy")


@group.callback()
def _policy() -> None:
    """Explain decisions."""


@group.command()
def explain(
    incident_id: str = typer.Argument(help="An incident's id."),
    config: Path = CONFIG,
    as_json: bool = typer.Option(False, "--json", help="The decisions as they are stored."),
) -> None:
    """Every decision on an incident with its reasons; also answers: why was nobody told?"""
    from incidentlens.policy import explain as in_words
    from incidentlens.store.base import StoreError

    from .opening import open_config, opened_store

    loaded = open_config(config)

    async def look() -> str | None:
        async with opened_store(loaded) as store:
            for project in loaded.projects:
                async with store.transaction(project) as tx:
                    if await tx.incident(incident_id) is None:
                        continue
                    decisions = await tx.decisions(incident_id)
                    if as_json:
                        print_json([decision.model_dump(mode="json") for decision in decisions])
                        return ""
                    return in_words(
                        decisions, await tx.actions(incident_id), await tx.events(incident_id), now=time.time_ns()
                    )
        return None

    try:
        text = asyncio.run(look())
    except StoreError as error:
        fail(str(error))
    if text is None:
        fail(f"there is no incident {incident_id}; its id is in the address of its page, or in GET /api/incidents")
    answer.print(text, markup=False, end="")
