"""`incidentlens policy`: why was that decided, and what would another policy have done?"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from incidentlens.policy.backtest import Backtest, Verdict

from .check import CONFIG
from .console import answer, fail, print_json, talk, unusable

group = typer.Typer(help="Explain decisions, and try a policy before it is trusted.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="policy")


@group.callback()
def _policy() -> None:
    """Explain decisions, and try a policy before it is trusted."""


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


@group.command("test")
def run_cases(
    policies: list[Path] = typer.Argument(None, help="Policy files or folders; policies/ unless said."),
    cases: Path | None = typer.Option(
        None, "--cases", help="The cases; NAME.cases.yaml beside each policy unless said."
    ),
    as_json: bool = typer.Option(False, "--json", help="Answer in JSON."),
) -> None:
    """Run the example cases beside a policy; ends with 1 where one is decided otherwise than it says."""
    from incidentlens.model.yamlfile import YamlError
    from incidentlens.policy import load_policy
    from incidentlens.policy.examples import cases_beside, load_examples, run_examples

    outcomes = []
    for path in _policy_files(policies or [Path("policies")], cases):
        file = cases or cases_beside(path)
        try:
            found, document = load_examples(file)
            outcomes += run_examples(load_policy(path), str(path), found, document)
        except YamlError as error:
            fail(str(error), 2)
    wrong = [outcome for outcome in outcomes if outcome.wrong]
    if as_json:
        print_json([outcome.model_dump(mode="json") for outcome in outcomes])
    for outcome in () if as_json else wrong:
        answer.print(f"{outcome.file}:{outcome.line}: {outcome.name}: {'; '.join(outcome.wrong)}", markup=False)
        for reason in outcome.reasons:
            answer.print(f"    {reason}", markup=False)
    if wrong:
        talk.print(f"{len(wrong)} of {len(outcomes)} cases are decided otherwise", markup=False)
        raise typer.Exit(1)
    talk.print(f"{len(outcomes)} cases, all as they say", markup=False)


@group.command()
def backtest(
    new: Path | None = typer.Argument(None, help="The policy to try; the one in force, with --set, unless said."),
    since: str = typer.Option("30d", "--since", help="How far back, such as 7d or 12h."),
    project: str = typer.Option("", "--project", help="Whose past; may be left out where there is one project."),
    runbooks: list[Path] = typer.Option([], "--runbooks", help="Other runbooks: folders or files, instead of all."),
    settings: list[str] = typer.Option([], "--set", help="key=value on the policy: cooldown_minutes=30."),
    limit: int = typer.Option(20_000, "--limit", min=1, max=200_000, help="Decisions at most, the latest."),
    config: Path = CONFIG,
    as_json: bool = typer.Option(False, "--json", help="Answer in JSON."),
) -> None:
    """What a policy would have sent, suppressed or escalated differently. Reads the store, changes nothing."""
    from incidentlens.config.types import parse_duration
    from incidentlens.model.yamlfile import YamlError
    from incidentlens.pipeline.backtest import backtest_project
    from incidentlens.policy import load_policy
    from incidentlens.policy.backtest import changed_policy
    from incidentlens.runbooks import load_runbooks
    from incidentlens.store.base import StoreError

    from .opening import open_config, opened_store

    if new is None and not settings and not runbooks:
        unusable("nothing to try: name a policy file, --set key=value, or --runbooks DIR")
    loaded = open_config(config)
    names = [known.name for known in loaded.projects.values()]
    if project not in names and (project or len(names) != 1):
        unusable(f"--project: name one of {', '.join(names)}")
    whose = loaded.projects[project or names[0]]
    try:
        start = time.time_ns() - parse_duration(since)
        keep_mode = not any(setting.partition("=")[0].strip() == "mode" for setting in settings)
        policy = changed_policy(load_policy(new) if new else whose.policy, settings)
        books = load_runbooks(runbooks) if runbooks else None
    except (ValueError, YamlError) as error:
        unusable(str(error))

    async def look() -> Backtest:
        async with opened_store(loaded) as store:
            return await backtest_project(
                store.queries, whose.name, policy, since=start, runbooks=books, keep_mode=keep_mode, limit=limit
            )

    try:
        found = asyncio.run(look())
    except StoreError as error:
        fail(str(error))
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    _show(found)


def _show(found: Backtest) -> None:
    from rich.table import Table
    from rich.text import Text

    from incidentlens.model.times import utc

    table = Table("began", "incident", "before", "after", "what changes", "because")
    for one in found.differences:
        cells = (
            utc(one.at), f"{one.title}\n{one.incident_id}", _said(one.before), _said(one.after),
            ", ".join(one.changes).replace("_", " "), one.after.reason,
        )  # fmt: skip
        table.add_row(*(Text("".join(c if c.isprintable() or c == "\n" else " " for c in cell)) for cell in cells))
    if found.differences:
        answer.print(table)
    talk.print(
        f"{found.incidents} incidents, {found.decisions} decisions taken again: told {found.told_before} before, "
        f"{found.told_after} after; suppressed {found.suppressed_before} before, {found.suppressed_after} after; "
        f"{len(found.differences)} incidents differ",
        markup=False,
    )
    if found.cut or found.skipped:
        talk.print(f"{found.cut} earlier decisions are beyond --limit, {found.skipped} cannot be read", markup=False)


def _said(verdict: Verdict) -> str:
    how = "told" if verdict.told_at is not None else "suppressed" if verdict.suppressed else "nobody told"
    return f"{verdict.told_as or verdict.disposition}, {how}"


def _policy_files(given: list[Path], cases: Path | None) -> list[Path]:
    """The policies that have cases. Ends the program with 2 where there are none."""
    from incidentlens.policy.examples import cases_beside

    files: list[Path] = []
    for path in given:
        if path.is_dir():
            inside = sorted(file for file in path.glob("*.yaml") if not file.stem.endswith(".cases"))
            files += [file for file in inside if cases or cases_beside(file).is_file()]
        elif not path.is_file():
            unusable(f"{path} is not there; name a policy file or a folder of them")
        elif not cases and not cases_beside(path).is_file():
            unusable(f"{path} has no cases: write {cases_beside(path)}, or name them with --cases")
        else:
            files.append(path)
    if not files:
        unusable("there is no policy with cases; NAME.yaml has them in NAME.cases.yaml beside it")
    return files
