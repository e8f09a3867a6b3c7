"""`incidentlens anomalies`: which groups of a file's records (blocks, sessions, requests) are not like the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from .console import answer, fail, print_json_lines, talk, unusable
from .files import must_exist

if TYPE_CHECKING:
    from incidentlens.detection.groups import Verdict

_SHOWN = 20


def register(app: typer.Typer) -> None:
    app.command("anomalies")(anomalies)


def anomalies(
    file: Path = typer.Argument(help="A log file or .jsonl records; .gz too; - for standard input."),
    group_by: str = typer.Option(
        ..., "--group-by", help="A regular expression; its first group, or the whole match, is the group's id."
    ),
    train: list[Path] = typer.Option([], "--train", help="Files of history to learn from first."),
    healthy: bool = typer.Option(False, "--healthy", help="The history is healthy: whatever came in it is usual."),
    config: Path | None = typer.Option(None, "--config", "-c", help="Use the detector that a project has chosen."),
    project: str | None = typer.Option(None, "--project", help="Which project of it; the first unless said."),
    as_json: bool = typer.Option(False, "--json", help='Per group: {"group", "score", "anomalous", "why"}.'),
) -> None:
    """Score groups of records by what each of them has, lacks and does in an unusual order."""
    from incidentlens.detection.groups import Collector, DetectorError, GroupError, detect, read_part
    from incidentlens.intake.files import FileError

    for path in [file, *train]:
        must_exist(path)
    if healthy and not train:
        unusable("--healthy says something of a history: name it with --train")
    name, parameters = _chosen(config, project)
    try:
        collector = Collector(group_by)
        past = [read_part(collector, path) for path in train]
        part, meaning = collector.final(read_part(collector, file))
        history = [collector.final(one)[0] for one in past]
        found = detect(name, parameters, part, meaning, history, healthy=healthy)
    except GroupError as error:
        unusable(f"--group-by: {error}")
    except (FileError, DetectorError) as error:
        fail(str(error))
    if not part.names:
        fail(f"no record of {file} matches {group_by!r}: look at --group-by", 2)
    if as_json:
        print_json_lines(_rows(found))
        return
    _show(found)
    talk.print(f"{part.records} records, {part.grouped} of them in {len(part.names)} groups", markup=False)


def _chosen(config: Path | None, project: str | None) -> tuple[str, Any]:
    """The detector of a configuration's project, or our own."""
    from incidentlens.detection.groups import OWN

    if config is None:
        return OWN, {}
    from .opening import open_config

    loaded = open_config(config)
    if project is not None and project not in loaded.projects:
        unusable(f"{config} has no project {project}; it has {', '.join(loaded.projects)}")
    chosen = loaded.projects[project or next(iter(loaded.projects))].config.anomalies
    return chosen.detector, chosen.parameters


def _rows(found: list[Verdict]) -> Iterator[dict[str, Any]]:
    for one in found:
        yield {"group": one.group, "score": one.score, "anomalous": one.anomalous, "why": one.why}


def _show(found: list[Verdict]) -> None:
    odd = sorted((one for one in found if one.anomalous), key=lambda one: (-one.score, one.group))
    for one in odd[:_SHOWN]:
        answer.print(f"{one.score:>8.2f}  {one.group}", markup=False)
        for why in one.why[:3]:
            answer.print(f"          {why}", markup=False)
    if len(odd) > _SHOWN:
        talk.print(f"and {len(odd) - _SHOWN} more; --json has them all")
    talk.print(f"{len(odd)} of {len(found)} groups are anomalous")
