"""`incidentlens runbooks`: check, match and begin runbooks."""

from __future__ import annotations

from pathlib import Path

import typer

from .console import answer, fail, print_json, talk, unusable

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
    """Which runbooks fit the failing lines of a file, with score and reasons."""
    import polars as pl

    from incidentlens.config.loader import builtin_runbooks
    from incidentlens.intake.files import read_records
    from incidentlens.intake.reading import EventReader
    from incidentlens.model.signatures import SignatureRules
    from incidentlens.model.yamlfile import YamlError
    from incidentlens.runbooks import Matcher, load_runbooks
    from incidentlens.signatures import Catalogue

    try:
        matcher = Matcher(load_runbooks(paths or [builtin_runbooks()]))
    except YamlError as error:
        fail(str(error))
    if str(file) != "-" and not file.is_file():
        unusable(f"there is no file {file}")
    reader, catalogue = EventReader(), Catalogue((), SignatureRules())
    found: dict[str, dict[str, object]] = {}
    for lines in read_records(file):
        signed = catalogue.sign(reader.read(lines)).filter(pl.col("level").is_in(["fatal", "error", "warn"]))
        for row in signed.unique("signature", keep="first", maintain_order=True).iter_rows(named=True):
            if row["signature"] in found:
                continue
            matches = matcher.match_text(row["message"], row["exception"], row["signature"], row["service"])
            found[row["signature"]] = {
                "signature": row["signature"],
                "line": row["line"],
                "runbooks": [one.model_dump(include={"runbook_id", "name", "score", "reasons"}) for one in matches],
            }
    if as_json:
        print_json(list(found.values()))
        return
    for entry in found.values():
        answer.print(str(entry["signature"]), markup=False)
        runbooks = entry["runbooks"]
        for one in runbooks if isinstance(runbooks, list) else []:
            answer.print(f"  {one['score']:.2f}  {one['runbook_id']}: {'; '.join(one['reasons'])}", markup=False)
        if not runbooks:
            answer.print("  no runbook reaches 0.5", markup=False)


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
