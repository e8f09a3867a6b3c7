"""`incidentlens runbooks`: check, match and begin runbooks."""

from __future__ import annotations

from pathlib import Path

import typer

from .console import answer, fail, print_json, talk, unusable
from .files import must_exist

group = typer.Typer(help="Check, match and begin runbooks.", no_args_is_help=True)
_JSON = typer.Option(False, "--json", help="Answer in JSON.")
_PATHS = typer.Option([], "--runbooks", help="A folder or file; the built-in ones unless said.")


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="runbooks")


@group.command()
def lint(
    paths: list[Path] = typer.Argument(None, help="Folders or files; the built-in ones unless said."),
    as_json: bool = _JSON,
) -> None:
    """What is wrong, or probably not meant: names file, line and key."""
    from incidentlens.config.loader import builtin_runbooks
    from incidentlens.runbooks import lint as lint_all
    from incidentlens.runbooks import runbook_files

    folders = paths or [builtin_runbooks()]
    issues = lint_all(folders)
    if as_json:
        print_json([issue.model_dump() for issue in issues])
    else:
        for issue in issues:
            answer.print(str(issue), markup=False)
    errors = sum(issue.level == "error" for issue in issues)
    if errors:
        raise typer.Exit(1)
    talk.print(f"{len(runbook_files(folders))} runbooks, {len(issues)} warnings")


@group.command()
def match(
    file: Path = typer.Argument(help="A log file, as `replay` takes it; - for standard input."),
    paths: list[Path] = _PATHS,
    as_json: bool = _JSON,
) -> None:
    """Which runbooks fit what is found in a file: replays it, and shows each incident's matches with their reasons."""
    import asyncio

    from incidentlens.config.loader import builtin_runbooks
    from incidentlens.intake.files import FileError, read_records
    from incidentlens.model.yamlfile import YamlError
    from incidentlens.pipeline.replay import default_project, replay_frames
    from incidentlens.runbooks import load_runbooks

    must_exist(file)
    try:
        project = default_project(load_runbooks(paths or [builtin_runbooks()]))
        found = asyncio.run(replay_frames(read_records(file), project=project))
    except (YamlError, FileError, OSError) as error:
        fail(str(error))
    incidents = found.result["incidents"]
    if as_json:
        keys = ("id", "title", "service", "signatures", "runbooks")
        print_json([{key: incident[key] for key in keys} for incident in incidents])
        return
    for incident in incidents:
        answer.print(incident["title"], markup=False)
        for one in incident["runbooks"]:
            answer.print(f"  {one['score']:.2f}  {one['id']}: {'; '.join(one['reasons'])}", markup=False)
        if not incident["runbooks"]:
            answer.print("  no runbook reaches 0.5", markup=False)
    talk.print(f"{len(incidents)} incidents in {found.records} records")


@group.command()
def new(
    runbook_id: str = typer.Argument(help="Its id: lower-case letters, digits, - and _."),
    out: Path | None = typer.Option(None, "--out", help="The file to write; standard output unless said."),
) -> None:
    """A commented runbook to begin with."""
    from incidentlens.runbooks import new_runbook

    try:
        text = new_runbook(runbook_id)
    except ValueError as error:
        unusable(str(error))
    if out is None:
        answer.print(text, markup=False, end="")
        return
    if out.exists():
        unusable(f"{out} is there already")
    out.write_text(text, "utf-8")
    talk.print(f"{out} is written. Next: fill it in, then incidentlens runbooks lint {out}", markup=False)
