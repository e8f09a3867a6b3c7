"""`incidentlens rules`: the rule groups of Loki's ruler, shown before they are written."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from .check import CONFIG
from .console import answer, fail, print_json, talk, unusable

if TYPE_CHECKING:
    from incidentlens.config.loader import Project
    from incidentlens.intake.loki import LokiClient
    from incidentlens.ruler import Change, RulerClient

group = typer.Typer(help="Write rules to Loki's ruler, and see what that changes first.", no_args_is_help=True)
_PROJECT = typer.Option("", "--project", "-p", help="Only this project; all of them unless said.")
_JSON = typer.Option(False, "--json", help="Answer in JSON.")
_FORCE = typer.Option(False, "--force", help="Also overwrite or remove what a hand edited or added.")
_WORDS = {
    "same": "is as wanted",
    "create": "is new",
    "update": "changes",
    "delete": "is no longer wanted",
    "edited": "was edited by hand since it was written",
    "foreign": "was not written by IncidentLens",
}
_T = TypeVar("_T")
_ATTEMPTS = 2  # a person waits


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="rules")


@group.command()
def diff(
    config: Path = CONFIG,
    project: str = _PROJECT,
    exit_code: bool = typer.Option(False, "--exit-code", help="Status 1 where anything would change."),
    as_json: bool = _JSON,
) -> None:
    """What `sync` would change in the ruler. Writes nothing. Status 1 where a hand's edit stands in the way."""
    changes = _in_ruler(config, project, _wanted)
    _show(changes, as_json=as_json, diffs=True)
    kept = any(change.kept_back for _, change in changes)
    raise typer.Exit(1 if kept or (exit_code and any(change.state != "same" for _, change in changes)) else 0)


@group.command()
def sync(config: Path = CONFIG, project: str = _PROJECT, force: bool = _FORCE, as_json: bool = _JSON) -> None:
    """Write what is wanted into the ruler's namespace incidentlens-PROJECT. A second time it changes nothing."""
    _write(config, project, _wanted, force, as_json)


@group.command()
def remove(config: Path = CONFIG, project: str = _PROJECT, force: bool = _FORCE, as_json: bool = _JSON) -> None:
    """Take away all that was written; what a hand edited or added stays unless told."""
    _write(config, project, _nothing, force, as_json)


@group.command()
def export(
    config: Path = CONFIG,
    project: str = _PROJECT,
    out: Path = typer.Option(..., "--out", help="The ruler's folder of rules: a folder a tenant is made in it."),
    force: bool = _FORCE,
    as_json: bool = _JSON,
) -> None:
    """Write the same groups as files, for a ruler whose store is read-only."""
    from incidentlens.ruler import RulerError, build_groups, plan
    from incidentlens.ruler.files import read_rule_file, rule_file, write_rule_file

    changes: list[tuple[str, Change]] = []
    rows = []
    try:
        for one in _projects(config, project):
            path = rule_file(out, one.name, one.config.tenant)
            wanted = build_groups(one)
            planned = plan(wanted, read_rule_file(path))
            changes += [(one.name, change) for change in planned]
            written = force or not any(change.kept_back for change in planned)
            if written and any(change.state != "same" for change in planned):
                write_rule_file(path, wanted)
            rows.append({"project": one.name, "file": str(path), "groups": len(wanted), "written": written})
    except RulerError as error:
        fail(str(error))
    if as_json:
        print_json({"files": rows, "changes": [_row(name, change) for name, change in changes]})
    else:
        for row in rows:
            said = (
                f"{row['groups']} groups" if row["written"] else "left as it is: a hand edited it (--force overwrites)"
            )
            answer.print(f"{row['file']}: {said}", markup=False)
    raise typer.Exit(0 if all(row["written"] for row in rows) else 1)


@group.command()
def lint(
    config: Path = CONFIG,
    project: str = _PROJECT,
    loki: bool = typer.Option(False, "--loki", help="Also ask each project's Loki about every expression."),
    as_json: bool = _JSON,
) -> None:
    """Check the rules that would be written: names, labels, limits, LogQL."""
    from incidentlens.ruler import RulerError, build_groups, lint_groups
    from incidentlens.ruler.lint import RuleIssue, ask_loki

    async def check(one: Project) -> tuple[list[RuleIssue], int]:
        try:
            groups = build_groups(one)
        except RulerError as error:
            return [RuleIssue(group="", rule="", message=str(error))], 0
        issues = lint_groups(groups, one.config.ruler.rules_per_group)
        if loki:
            async with _client(one) as client:
                issues += await ask_loki(groups, client)
        return issues, sum(len(found.rules) for found in groups)

    found: list[tuple[str, RuleIssue]] = []
    rules = 0
    for one in _projects(config, project):
        issues, number = _run(check(one))
        found += [(one.name, issue) for issue in issues]
        rules += number
    if as_json:
        rows = [{"project": name, **issue.model_dump()} for name, issue in found]
        print_json({"ok": not found, "rules": rules, "issues": rows})
    else:
        for name, issue in found:
            answer.print(f"{name}: {issue}", markup=False)
        talk.print(f"{rules} rules, {len(found)} issues")
    raise typer.Exit(1 if found else 0)


Planner = Callable[["Project", "RulerClient"], Awaitable[list["Change"]]]


async def _wanted(one: Project, client: RulerClient) -> list[Change]:
    from incidentlens.ruler import build_groups, namespace_of, plan

    return plan(build_groups(one), await client.groups(namespace_of(one.name)))


async def _nothing(one: Project, client: RulerClient) -> list[Change]:
    from incidentlens.ruler import namespace_of, plan_removal

    return plan_removal(await client.groups(namespace_of(one.name)))


def _write(config: Path, project: str, planner: Planner, force: bool, as_json: bool) -> None:
    changes = _in_ruler(config, project, planner, apply=True, force=force)
    _show(changes, as_json=as_json, diffs=False, force=force)
    raise typer.Exit(1 if any(change.kept_back for _, change in changes) and not force else 0)


def _in_ruler(
    config: Path, project: str, planner: Planner, *, apply: bool = False, force: bool = False
) -> list[tuple[str, Change]]:
    """Each project's changes, planned and, where asked, carried out. Ends with one line where that fails."""
    from incidentlens.ruler import RulerClient, namespace_of

    async def all_of_them() -> list[tuple[str, Change]]:
        out = []
        for one in _projects(config, project):
            async with _client(one) as loki:
                client = RulerClient(loki)
                changes = await planner(one, client)
                if apply:
                    await client.apply(namespace_of(one.name), changes, force=force)
                out += [(one.name, change) for change in changes]
        return out

    return _run(all_of_them())


def _projects(config: Path, project: str) -> list[Project]:
    from .opening import open_config

    loaded = open_config(config)
    if not project:
        return list(loaded.projects.values())
    if project not in loaded.projects:
        unusable(f"there is no project {project!r}; there are {', '.join(loaded.projects)}")
    return [loaded.projects[project]]


def _client(one: Project) -> LokiClient:
    from dataclasses import replace

    from incidentlens.intake.loki import LokiClient

    return LokiClient(replace(one.loki, max_attempts=min(one.loki.max_attempts, _ATTEMPTS)))


def _run(work: Coroutine[Any, Any, _T]) -> _T:
    """Run it, and turn what Loki or the ruler says into one line."""
    from incidentlens.intake.errors import LokiError
    from incidentlens.ruler import RulerError

    try:
        return asyncio.run(work)
    except (LokiError, RulerError) as error:
        fail(str(error))


def _show(changes: Sequence[tuple[str, Change]], *, as_json: bool, diffs: bool, force: bool = False) -> None:
    if as_json:
        print_json([_row(name, change) for name, change in changes])
        return
    for name, change in changes:
        if change.state == "same" and not diffs:
            continue
        kept = " (kept; --force overwrites or removes it)" if change.kept_back and not force else ""
        answer.print(f"{name}/{change.name} {_WORDS[change.state]}{kept}", markup=False)
        if diffs and change.state != "same":
            answer.print(change.diff(), markup=False)
    counted = {state: sum(change.state == state for _, change in changes) for state in _WORDS}
    talk.print(", ".join(f"{number} {state}" for state, number in counted.items() if number) or "no rule groups")


def _row(project: str, change: Change) -> dict[str, Any]:
    return {
        "project": project,
        "group": change.name,
        "state": change.state.value,
        "kept_back": change.kept_back,
        "rules": len(change.wanted.rules) if change.wanted else 0,
        "diff": change.diff(),
    }
