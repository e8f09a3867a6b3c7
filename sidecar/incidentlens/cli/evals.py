"""`incidentlens eval`: how good is it, on labelled cases and public data, beside a plain baseline."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from .check import CONFIG
from .console import answer, fail, print_json, talk, unusable

app = typer.Typer(no_args_is_help=True, help="How good is it, on labelled cases, beside a plain baseline.")

DATA = typer.Option(None, "--data", help="The public sets (default: $INCIDENTLENS_EVALDATA, or ../shared/evaldata).")
CASES = typer.Option(Path("evals"), "--cases", help="The folder of labelled cases.")
QUICK = typer.Option(False, "--quick", help="Fewer repetitions and smaller sets where that is possible.")
REPORT = typer.Option(None, "--report", help="Write the page here, its figures beside it as report.json.")
BASELINE = typer.Option(None, "--baseline", help="An earlier report: say what changed, end with 1 on a regression.")
AS_JSON = typer.Option(False, "--json", help="Answer in JSON.")


def register(main: typer.Typer) -> None:
    from incidentlens.evals.registry import EVALUATIONS

    from . import eval_anomalies, eval_judge

    own: dict[str, Callable[..., None]] = {"anomalies": eval_anomalies.command}  # those with options of their own
    app.command("all", help="Every evaluation.")(_command(list(EVALUATIONS)))
    for name in EVALUATIONS:
        app.command(name)(own.get(name) or _command([name]))
    app.command("judge")(eval_judge.command)
    app.command("capture")(capture)
    main.add_typer(app, name="eval")


def capture(
    incident_id: str = typer.Argument(help="An incident that people judged: right cause, wrong cause, noise."),
    out: Path | None = typer.Option(None, "--out", help="The file; evals/root_cause/captured-ID.yaml unless said."),
    config: Path = CONFIG,
) -> None:
    """Make an evaluation case of an incident that people judged. Secrets are masked; read it before you share it."""
    import asyncio

    from incidentlens.evals.capture import NotJudged
    from incidentlens.evals.capture import capture as captured
    from incidentlens.store.base import StoreError

    from .opening import open_config, opened_store

    loaded = open_config(config)

    async def look() -> str | None:
        async with opened_store(loaded) as store:
            for project in loaded.projects:
                detail = await store.queries.incident_detail(project, incident_id)
                if detail is not None:
                    return captured(detail.incident, detail.feedback, detail.evidence)
        return None

    try:
        text = asyncio.run(look())
    except (StoreError, NotJudged) as error:
        fail(str(error))
    if text is None:
        fail(f"there is no incident {incident_id}; its id is in the address of its page, or in GET /api/incidents")
    safe = "".join(char for char in incident_id if char.isalnum() or char in "-_")
    path = out or Path("evals/root_cause") / f"captured-{safe}.yaml"
    if path.exists():
        unusable(f"{path} is there already; name another with --out")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    talk.print(f"{path} is written. Next: read it, then incidentlens eval root-cause", markup=False)


def data_folder(given: Path | None) -> Path | None:
    """The folder of the public sets: the one given, that of the environment, or the one beside the checkout."""
    named = os.environ.get("INCIDENTLENS_EVALDATA")
    if given is None and not named:
        beside = Path("../shared/evaldata")
        return beside if beside.is_dir() else None
    folder = given or Path(named or "")
    if not folder.is_dir():
        unusable(f"there is no folder {folder}; name the one that holds the public sets")
    return folder


def _command(names: list[str]) -> Callable[..., None]:
    def command(
        data: Path | None = DATA,
        cases: Path = CASES,
        quick: bool = QUICK,
        report: Path | None = REPORT,
        baseline: Path | None = BASELINE,
        as_json: bool = AS_JSON,
    ) -> None:
        run(names, data, cases, quick, report, baseline, as_json)

    command.__doc__ = f"Evaluate {', '.join(names)}."
    return command


def run(
    names: list[str],
    data: Path | None,
    cases: Path,
    quick: bool,
    report: Path | None,
    baseline: Path | None,
    as_json: bool,
) -> None:
    """Evaluate, print, write; status 1 where an evaluation raised, or on a real regression against `baseline`."""
    from incidentlens.bench.measure import machine
    from incidentlens.evals import regression
    from incidentlens.evals.registry import attempt
    from incidentlens.evals.report import markdown, write
    from incidentlens.evals.section import Context

    earlier = _earlier(baseline) if baseline else None
    context = Context(cases, data_folder(data), quick)
    sections = []
    for number, name in enumerate(names, 1):
        began = time.monotonic()
        with talk.status(f"evaluating {name}"):
            section = attempt(name, context)
        sections.append(section)
        came = (
            f"failed: {section.failed}" if section.failed else f"skipped: {section.skipped}" if section.skipped else ""
        )
        seconds = time.monotonic() - began
        talk.print(f"{number} of {len(names)} {name}: {seconds:.0f} s{', ' if came else ''}{came}", markup=False)
    on = machine()
    command = "incidentlens eval " + (names[0] if len(names) == 1 else "all")
    if report is not None:
        write(report, sections, on, command)
    found = regression.changes(earlier, sections) if earlier else []
    gone = regression.missing(earlier, sections) if earlier else []
    if as_json:
        print_json(
            {
                "machine": on,
                "sections": [section.as_json() for section in sections],
                "changes": found,
                "missing": gone,
            }
        )
    else:
        answer.print(markdown(sections, on, command), markup=False)
        for change in found:
            word = "REGRESSION" if change.regression else "worse" if change.worse else "better"
            answer.print(f"{word}: {change.key}: {change.before:.3f} -> {change.after:.3f}", markup=False)
        for key in gone:
            answer.print(f"REGRESSION: {key} is no longer measured", markup=False)
    if gone or any(section.failed for section in sections) or any(change.regression for change in found):
        raise typer.Exit(1)


def _earlier(path: Path) -> dict[str, Any]:
    import orjson

    file = path.with_name("report.json") if path.suffix == ".md" else path
    try:
        found: dict[str, Any] = orjson.loads(file.read_bytes())
        found["sections"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        fail(f"{file} is no report of an earlier run ({error}); make one with --report", 2)
    return found
