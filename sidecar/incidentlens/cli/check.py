"""`incidentlens check`: is the configuration good?"""

from __future__ import annotations

import asyncio
from pathlib import Path

import typer

from .console import answer, print_json, talk

CONFIG = typer.Option(Path("incidentlens.yaml"), "--config", "-c", envvar="INCIDENTLENS_CONFIG", help="The file.")


def register(app: typer.Typer) -> None:
    app.command("check")(check)


def check(
    config: Path = CONFIG,
    loki: bool = typer.Option(False, "--loki", help="Also ask each project's Loki about its queries."),
    as_json: bool = typer.Option(False, "--json", help="Answer in JSON."),
) -> None:
    """Check configuration, queries, runbooks and policies; name file, line, key and what is allowed."""
    from incidentlens.config.loader import ConfigError, Loaded, load_config

    try:
        loaded = load_config(config)
    except ConfigError as error:
        if as_json:
            print_json({"ok": False, "problems": [problem._asdict() for problem in error.problems]})
        else:
            for problem in error.problems:
                answer.print(str(problem), markup=False)
        raise typer.Exit(1) from None

    async def ask(loaded: Loaded) -> tuple[list[str], dict[str, dict[str, str]]]:
        from incidentlens.intake.errors import LokiError
        from incidentlens.intake.loki import LokiClient
        from incidentlens.model.clock import SystemClock
        from incidentlens.pipeline.choosing import choose

        wrong: list[str] = []
        reading: dict[str, dict[str, str]] = {}
        for project in loaded.projects.values():
            async with LokiClient(project.loki) as client:
                for query in project.queries:
                    try:
                        await client.format_query(query.logql)
                        if not query.metric:
                            chosen = await choose(client, project, query, SystemClock().now())
                            told = f"{chosen.mode.value}: {chosen.why}"
                            reading.setdefault(project.name, {})[query.name] = told
                    except LokiError as error:
                        wrong.append(f"{config}: projects.{project.name}.queries {query.name}: {error}")
        return wrong, reading

    wrong, reading = asyncio.run(ask(loaded)) if loki else ([], {})
    summary = {
        name: {
            "queries": [query.name for query in project.queries],
            "runbooks": len(project.runbooks),
            "mode": project.policy.mode.value,
            "tokens": len(project.tokens),
            **({"reading": reading.get(name, {})} if loki else {}),
        }
        for name, project in loaded.projects.items()
    }
    if as_json:
        print_json({"ok": not wrong, "problems": wrong, "projects": summary})
    else:
        for line in wrong:
            answer.print(line, markup=False)
        if not wrong:
            for name, project in loaded.projects.items():
                queries = ", ".join(query.name for query in project.queries)
                answer.print(
                    f"{name}: queries {queries}; {len(project.runbooks)} runbooks; mode {project.policy.mode}",
                    markup=False,
                )
                for query, told in reading.get(name, {}).items():
                    answer.print(f"  {query} is read by {told}", markup=False)
            talk.print(
                f"all is well. Next: incidentlens replay --config {config} --since 24h   (what would have been found)",
                markup=False,
            )
    raise typer.Exit(1 if wrong else 0)
