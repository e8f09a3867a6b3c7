"""`incidentlens replay`: what would have been found in yesterday's logs, from files or from a Loki's past."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from .console import answer, fail, print_json, talk, unusable
from .files import must_exist

if TYPE_CHECKING:
    import polars as pl

    from incidentlens.config.loader import Loaded, Project


_SHOWN = 20


def register(app: typer.Typer) -> None:
    app.command("replay")(replay)


def replay(
    records: list[Path] = typer.Argument(None, help="Files: .jsonl[.gz] records or plain logs; - for standard input."),
    baseline: list[Path] = typer.Option([], "--baseline", help="Files of healthy time to learn from first."),
    loki: str | None = typer.Option(None, "--loki", help="Read a Loki's past instead of files."),
    query: str | None = typer.Option(None, "--query", help="The LogQL to read there."),
    since: str | None = typer.Option(None, "--since", help="How far back, such as 24h or 7d."),
    tenant: str | None = typer.Option(None, "--tenant", help="X-Scope-OrgID."),
    config: Path | None = typer.Option(None, "--config", "-c", help="Use a configuration's project."),
    project: str | None = typer.Option(None, "--project", help="Which of its projects; the first unless said."),
    service_label: str = typer.Option("service", "--service-label", help="The label that names the service."),
    as_json: bool = typer.Option(False, "--json", help="The whole result as one JSON object."),
) -> None:
    """Replay the past through the same pipeline: no services needed, nothing is sent."""
    from incidentlens.config.types import parse_duration

    span = 0
    if since is not None:
        try:
            span = parse_duration(since)
        except ValueError as error:
            unusable(str(error))
    from_loki = loki is not None or (config is not None and not records)
    if from_loki and not span:
        unusable("a Loki's past needs --since, such as --since 24h")
    if not from_loki and not records:
        unusable("name files to replay, or --loki URL --query '{…}' --since 24h")
    if loki is not None and query is None and config is None:
        unusable("--loki needs --query, such as --query '{service_name=~\".+\"}'")
    for path in [*(records or []), *baseline]:
        must_exist(path)

    from incidentlens.intake.errors import LokiError
    from incidentlens.intake.files import FileError
    from incidentlens.model.yamlfile import YamlError

    try:
        chosen = _project(config, project, service_label, tenant, loki, query)
        label = chosen.config.service_label
        past = _Past(chosen, span) if from_loki else None
        if past is not None:
            result = asyncio.run(_replay(chosen, past.to_replay(), past.to_learn()))
        else:
            result = asyncio.run(_replay(chosen, _files(records, label), _files(baseline, label)))
    except (LokiError, FileError, YamlError, OSError) as error:
        fail(str(error))
    if as_json:
        print_json(result.result)
        return
    _show(result)
    if past is not None:
        if past.note:
            talk.print(past.note, markup=False)
        talk.print("Next: incidentlens serve   (in shadow mode: decides and shows everything, sends nothing)")


def _project(
    config: Path | None,
    name: str | None,
    service_label: str,
    tenant: str | None,
    loki: str | None,
    query: str | None,
) -> Project:
    """The configuration's project, or one made of the arguments."""
    from dataclasses import replace

    from incidentlens import logql
    from incidentlens.config.loader import Query, builtin_runbooks, without_own_streams
    from incidentlens.intake.loki import LokiSettings
    from incidentlens.pipeline.replay import default_project
    from incidentlens.runbooks import load_runbooks

    if config is not None:
        from .opening import open_config

        loaded: Loaded = open_config(config)
        if name is not None and name not in loaded.projects:
            unusable(f"{config} has no project {name}; it has {', '.join(loaded.projects)}")
        made = loaded.projects[name or next(iter(loaded.projects))]
    else:
        made = default_project(load_runbooks([builtin_runbooks()]), service_label=service_label)
    if loki is not None:
        made = replace(made, loki=LokiSettings(loki, tenant))
    if query is not None:
        error = logql.check(query)
        if error is not None:
            unusable(f"--query: {error}")
        made = replace(made, queries=(Query("replay", without_own_streams(query), False, None),))
    return made


def _files(paths: list[Path], service_label: str) -> Iterator[pl.DataFrame]:
    from incidentlens.intake.files import read_records

    for path in paths:
        yield from read_records(path, service_label=service_label)


class _Past:
    """A Loki's past in two parts: what is only learnt from, then what is replayed. Read in that order.

    The look-back before the span is learnt from, as at a sidecar's first start. Where Loki has nothing of it, the
    first quarter of what it has (at most a look-back) is learnt from instead, and that is said.
    """

    def __init__(self, project: Project, span: int) -> None:
        self._project = project
        self._end = time.time_ns() - project.config.delay
        self._begin = self._end - span
        self.note = ""

    async def to_learn(self) -> AsyncIterator[pl.DataFrame]:
        look_back = self._project.config.look_back
        rows = 0
        async for frame in self._read(self._begin - look_back, self._begin):
            rows += frame.height
            yield frame
        if rows:
            return
        until = 0
        async for frame in self._read(self._begin, self._end):
            if not until:
                first = int(frame["ts"][0])
                until = first + min(look_back, (self._end - first) // 4)
                self.note = (
                    f"Loki has nothing older than {_when(first)}: what came before {_when(until)} was only learnt from"
                )
            part = frame.filter(frame["ts"] < until)
            if part.height:
                yield part
            if part.height < frame.height:
                break
        self._begin = max(self._begin, until)

    async def to_replay(self) -> AsyncIterator[pl.DataFrame]:
        async for frame in self._read(self._begin, self._end):
            yield frame

    async def _read(self, begin: int, end: int) -> AsyncIterator[pl.DataFrame]:
        """Every log query's lines, step by step in order of time."""
        import polars as pl

        from incidentlens.intake.loki import LokiClient
        from incidentlens.intake.paging import Window

        project = self._project
        async with LokiClient(project.loki) as client:
            position = begin
            while position < end:
                until = min(end, position + project.config.catch_up_step)
                frames = []
                for query in project.queries:
                    if query.metric:
                        continue
                    window = Window(client, query.logql, project.config.service_label, project.page_limit)
                    frames += [frame async for frame in window.read(position, until)]
                if frames:
                    yield pl.concat(frames).unique(["ts", "stream", "line"], maintain_order=True).sort("ts")
                position = until


async def _replay(project: Project, source: Any, baseline: Any) -> Any:
    from incidentlens.pipeline.replay import replay_frames

    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(pulse_style="cyan"),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=talk,
        transient=True,
        disable=not talk.is_terminal,
    ) as progress:
        task = progress.add_task("records", total=None)
        heard: Callable[[int], None] = lambda rows: progress.update(task, advance=rows)  # noqa: E731
        return await replay_frames(source, baseline, project=project, progress=heard)


def _show(found: Any) -> None:
    incidents = found.result["incidents"]
    told = [one for one in incidents if one["decision"] and one["decision"]["told"]]
    for one in incidents[:_SHOWN]:
        root = one["root_cause"] or {}
        heading = Text(f"{one['disposition']:<13}{one['severity']:<9}")
        heading.append(one["title"], style="bold")
        answer.print(heading)
        answer.print(Text(f"             {_when(one['onset'])}, {one['count']} records, {one['id']}"))
        if root.get("summary"):
            answer.print(Text(f"             {root['summary']}"))
        for item in one["evidence"][:2]:
            line = item["line"].replace("\n", " ")
            answer.print(Text(f"             {item['service']}: {line[:160]}", style="dim"))
    quiet = len(incidents) - len(told)
    talk.print(
        f"{found.records} records: {len(incidents)} incidents, {len(told)} would have been told, "
        f"{quiet} only observed; {found.suppressed} of {found.problems} problem updates were suppressed"
    )
    hidden = len(incidents) - _SHOWN + found.result["left_out"]
    if hidden > 0:
        talk.print(f"{hidden} less important incidents are not shown; --json has more")


def _when(ts: int) -> str:
    from incidentlens.model.times import utc

    return utc(ts)
