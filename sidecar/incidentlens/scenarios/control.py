"""Scenarios in the background: start, stop, status. One process a run, known by a small file in `folder`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

_STOP_WAIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Run:
    """A run that was started. `started` is seconds since the epoch; `ticks` tells this process from a later one."""

    scenario: str
    seed: int
    pid: int
    ticks: str
    started: float
    loki: str
    log: str


class ControlError(Exception):
    """Nothing was done; the message says why and what to do."""


def start(scenario: str, seed: int, loki: str, arguments: list[str], folder: Path) -> Run:
    """Start `incidentlens scenario run` in the background. Raises ControlError where that scenario runs already."""
    if any(run.scenario == scenario for run in status(folder)):
        raise ControlError(f"{scenario} is running already; stop it first: incidentlens scenario stop {scenario}")
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{scenario}.log"
    command = [sys.executable, "-m", "incidentlens.cli.main", "scenario", "run", scenario]
    command += ["--seed", str(seed), "--loki", loki, *arguments]
    with log.open("wb") as out:
        # A session of its own, so the terminal's Ctrl-C does not end what was asked to go on.
        process = subprocess.Popen(  # noqa: S603 (our own program with our own arguments)
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    run = Run(scenario, seed, process.pid, _ticks(process.pid) or "", time.time(), loki, str(log))
    (folder / f"{scenario}.run.json").write_text(json.dumps(asdict(run)) + "\n", "utf-8")
    return run


def stop(scenario: str, folder: Path) -> bool:
    """End a run and wait until it is gone. False where none was running."""
    run = next((run for run in status(folder) if run.scenario == scenario), None)
    if run is None:
        return False
    os.kill(run.pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_WAIT_S
    while _alive(run) and time.monotonic() < deadline:
        time.sleep(0.05)
    if _alive(run):
        os.kill(run.pid, signal.SIGKILL)
    (folder / f"{scenario}.run.json").unlink(missing_ok=True)
    return True


def status(folder: Path) -> list[Run]:
    """The runs that go on now; files of ended ones are cleared away."""
    runs = []
    for path in sorted(folder.glob("*.run.json")) if folder.is_dir() else []:
        try:
            run = Run(**json.loads(path.read_text("utf-8")))
        except (ValueError, TypeError):
            path.unlink(missing_ok=True)
            continue
        if _alive(run):
            runs.append(run)
        else:
            path.unlink(missing_ok=True)
    return runs


def _alive(run: Run) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(run.pid, os.WNOHANG)  # where it is our own child, so that it does not linger as a zombie
    return _ticks(run.pid) == run.ticks and bool(run.ticks)


def _ticks(pid: int) -> str | None:
    """When the process began, so a number used again by another process is not taken for the run."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None if Path("/proc/self/stat").exists() else _ticks_elsewhere(pid)
    return None if fields[0] == "Z" else fields[19]


def _ticks_elsewhere(pid: int) -> str | None:
    """Where there is no /proc (macOS): ask ps."""
    found = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S603, S607
    return found.stdout.strip() or None
