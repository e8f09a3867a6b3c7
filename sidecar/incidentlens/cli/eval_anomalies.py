"""`incidentlens eval anomalies`: the section as any other, and sweeps over detectors, tracked and promoted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from . import evals
from .console import answer, fail, print_json, talk, unusable
from .files import must_exist

if TYPE_CHECKING:
    from incidentlens.evals.blocks import Blocks, Outcome
    from incidentlens.evals.tracking import Tracker

Choice = dict[str, Any]


def command(
    data: Path | None = evals.DATA,
    cases: Path = evals.CASES,
    quick: bool = evals.QUICK,
    report: Path | None = evals.REPORT,
    baseline: Path | None = evals.BASELINE,
    as_json: bool = evals.AS_JSON,
    detector: list[str] = typer.Option([], "--detector", help="Try this detector instead; may be given again."),
    sweep: bool = typer.Option(False, "--sweep", help="With every combination of its parameters; all unless named."),
    setting: list[str] = typer.Option([], "--set", help="A parameter of the one detector, such as trees=300."),
    mode: str = typer.Option("as-it-reads", "--mode", help="as-it-reads, or trained (on groups without anomalies)."),
    log: Path | None = typer.Option(None, "--log", help="Your own log instead of the public blocks."),
    labels: Path | None = typer.Option(None, "--labels", help="Its labels: a CSV of block,anomalous[,scored]."),
    group_by: str | None = typer.Option(None, "--group-by", help="The expression that names its groups."),
    tracking: str | None = typer.Option(None, "--tracking", help="Where MLflow keeps the runs (default: ./mlruns)."),
    runs: bool = typer.Option(False, "--runs", help="Compare the runs kept so far."),
    promote: Path | None = typer.Option(None, "--promote", help="Write the best (or --run) into this configuration."),
    run: str | None = typer.Option(None, "--run", help="With --promote: the kept run to take."),
    project: str | None = typer.Option(None, "--project", help="With --promote: the project; the first unless said."),
) -> None:
    """Evaluate anomalies; with --detector or --sweep, try detectors and promote one."""
    if run is not None and promote is None:
        unusable("--run names a kept run to promote: say where to with --promote incidentlens.yaml")
    if promote is not None:
        must_exist(promote)
    if runs:
        _table(_kept(tracking), as_json)
    elif run is not None and promote is not None:
        found = next((one for one in _kept(tracking) if one["run"].startswith(run)), None)
        if found is None:
            fail(f"there is no run {run}; --runs shows those that are kept", 2)
        _promote(promote, project, found)
    elif detector or sweep:
        blocks = _blocks(data, cases, quick, log, labels, group_by)
        tried = _try(blocks, _choices(detector, setting, sweep), mode, _tracker(tracking))
        _table(tried, as_json)
        if promote is not None:
            _promote(promote, project, tried[0])
    elif promote is not None:
        unusable("--promote takes the best of a --sweep, of a --detector, or the --run named")
    else:
        evals.run(["anomalies"], data, cases, quick, report, baseline, as_json)


def _blocks(
    data: Path | None, cases: Path, quick: bool, log: Path | None, labels: Path | None, group_by: str | None
) -> Blocks:
    from incidentlens.detection.groups import GroupError
    from incidentlens.evals.anomalies import GROUP_BY, dataset
    from incidentlens.evals.blocks import load
    from incidentlens.evals.section import Context
    from incidentlens.intake.files import FileError

    if (log is None) != (labels is None):
        unusable("--log and --labels belong together")
    if log is not None and labels is not None:
        must_exist(log)
        must_exist(labels)
        try:
            return load(log, labels, group_by or GROUP_BY)
        except GroupError as error:
            unusable(f"--group-by: {error}")
        except KeyError as error:
            unusable(f"{labels} has no column {error}; it needs block,anomalous and may have scored")
        except (FileError, OSError) as error:
            fail(str(error))
    found = dataset(Context(cases, evals.data_folder(data), quick))
    if isinstance(found, str):
        unusable(f"{found}; or name your own with --log and --labels")
    return found


def _choices(detectors: list[str], settings: list[str], sweep: bool) -> list[tuple[str, Choice]]:
    from incidentlens.detection.groups import DEFAULTS, DetectorError, check, grid

    if settings and (sweep or len(detectors) != 1):
        unusable("--set belongs to one --detector without --sweep")
    try:
        if sweep:
            return [(name, choice) for name in (detectors or list(DEFAULTS)) for choice in grid(name)]
        chosen = dict(_setting(text) for text in settings)
        for name in detectors:
            check(name, chosen)
        return [(name, chosen) for name in detectors]
    except DetectorError as error:
        unusable(str(error))


def _setting(text: str) -> tuple[str, float | int | str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        unusable(f"--set {text}: write NAME=VALUE")
    return name, _typed(value)


def _typed(value: str) -> float | int | str:
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def _tracker(uri: str | None) -> Tracker | None:
    """Runs are kept where MLflow is installed; where it is not, that is said and nothing else changes."""
    from incidentlens.evals.tracking import Tracker, TrackingError

    try:
        return Tracker(uri)
    except TrackingError as error:
        if uri is not None:
            fail(str(error))
        talk.print(str(error), markup=False)
        return None


def _try(blocks: Blocks, choices: list[tuple[str, Choice]], mode: str, tracker: Tracker | None) -> list[Choice]:
    from incidentlens.detection.groups import DetectorError
    from incidentlens.evals.blocks import MODES
    from incidentlens.evals.tracking import TrackingError

    if mode not in MODES:
        unusable(f"--mode {mode}: it is one of {', '.join(MODES)}")
    tried = []
    for name, parameters in choices:
        try:
            with talk.status(f"{name} {parameters or ''}"):
                outcome = MODES[mode](blocks, name, parameters)
            metrics = _metrics(outcome)
            identity = tracker.keep(name, mode, parameters, metrics) if tracker else ""
        except (DetectorError, TrackingError) as error:
            fail(str(error))
        tried.append({"detector": name, "mode": mode, "parameters": parameters, "run": identity, **metrics})
    return sorted(tried, key=lambda one: -one["f1"])


def _metrics(outcome: Outcome) -> dict[str, float]:
    right, wrongly, missed = outcome.counts
    return {
        "f1": outcome.f1,
        "precision": right / (right + wrongly) if right + wrongly else 0.0,
        "recall": right / (right + missed) if right + missed else 0.0,
        "groups": float(len(outcome.pairs)),
        "seconds": outcome.seconds,
    }


def _kept(uri: str | None) -> list[Choice]:
    from incidentlens.evals.tracking import Tracker, TrackingError

    try:
        found = Tracker(uri).runs()
    except TrackingError as error:
        fail(str(error))
    return [
        {
            "detector": one.detector,
            "mode": one.mode,
            "parameters": {key: _typed(value) for key, value in one.parameters.items()},
            "run": one.id,
            **one.metrics,
        }
        for one in found
    ]


def _table(tried: list[Choice], as_json: bool) -> None:
    if as_json:
        print_json(tried)
        return
    for one in tried:
        said = ", ".join(f"{key}={value}" for key, value in one["parameters"].items())
        answer.print(
            f"F1 {one['f1']:.3f}  precision {one['precision']:.3f}  recall {one['recall']:.3f}  "
            f"{one['detector']} ({said or 'as it comes'}), {one['mode']}  {one['run'][:12]}",
            markup=False,
        )
    if not tried:
        talk.print("no run is kept yet: incidentlens eval anomalies --sweep")


def _promote(path: Path, project: str | None, chosen: Choice) -> None:
    from incidentlens.config.loader import ConfigError
    from incidentlens.config.promote import promote

    try:
        name = promote(path, project, chosen["detector"], chosen["parameters"])
    except ConfigError as error:
        fail(str(error.problems[0] if error.problems else error))
    except (ValueError, OSError) as error:
        fail(str(error))
    talk.print(f"{path}: project {name} uses {chosen['detector']} from now on", markup=False)
