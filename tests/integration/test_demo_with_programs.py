"""The demo with a Grafana and a Loki on the PATH: stand-ins that say what was done to them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

HERE = Path(__file__).parents[1]


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with `grafana` in a home of its own, `loki`, a built plugin, and room for the demo."""
    bin_folder = tmp_path / "home" / "bin"
    bin_folder.mkdir(parents=True)
    (tmp_path / "home" / "conf").mkdir()
    (tmp_path / "home" / "conf" / "defaults.ini").touch()
    (tmp_path / "home" / "public").mkdir()
    (tmp_path / "plugin").mkdir()
    (tmp_path / "plugin" / "plugin.json").write_text("{}")
    (tmp_path / "plugin" / "module.js").touch()
    (tmp_path / "demo").mkdir()
    script(bin_folder / "grafana", f'exec "{sys.executable}" "{HERE / "stand_in_grafana.py"}" "$@"')
    script(bin_folder / "loki", f'exec "{sys.executable}" "{HERE / "stand_in_loki.py"}" "$@"')
    return tmp_path


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


STARTED: list[subprocess.Popen] = []


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    """A demo that a failed test leaves is ended with it."""
    yield
    while STARTED:
        if (running := STARTED.pop()).poll() is None:
            running.kill()
            running.communicate()


def start(folder: Path, *arguments: str, **more: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "incidentlens.cli.main", "demo", "--grafana-plugin", str(folder / "plugin")]
    environment = {
        **os.environ, "TMPDIR": str(folder / "demo"), "STAND_IN_EVENTS": str(folder / "events"),
        "PATH": f"{folder / 'home' / 'bin'}:{os.environ['PATH']}", "GF_SERVER_HTTP_ADDR": "0.0.0.0", **more,
    }  # fmt: skip
    running = subprocess.Popen(
        [*command, *arguments],
        cwd=folder / "demo",
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    STARTED.append(running)
    return running


def events(folder: Path) -> list[str]:
    """What the stand-in for Grafana was told and did, without the times."""
    return [line.split(" ", 1)[1] for line in (folder / "events").read_text().splitlines()]


def left_behind(folder: Path) -> list[str]:
    deadline = time.monotonic() + 30
    while True:
        lines = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
        running = [line for line in lines if str(folder / "demo") in line]
        if not running or time.monotonic() > deadline:
            return running + [str(path) for path in (folder / "demo").iterdir()]
        time.sleep(0.1)


@pytest.mark.slow
def test_grafana_is_configured_filled_told_of_and_stopped_before_what_answers_it(programs: Path) -> None:
    running = start(programs, "--speed", "5", "--json")
    answer, story = running.communicate(timeout=400)
    assert running.returncode == 0, story
    result = json.loads(answer)
    assert "look here: http://127.0.0.1:" in story
    assert "user admin, password" in story

    said = events(programs)
    arguments = json.loads(said[0].removeprefix("arguments "))
    assert arguments[:3] == ["server", "--homepath", str(programs / "home")]
    assert said[1] == "environment []"
    assert "mode 600" in said
    assert "plugin True" in said
    settings = json.loads(
        next(line for line in said if line.startswith("configuration ")).removeprefix("configuration ")
    )
    assert settings["server"]["http_addr"] == "127.0.0.1"
    assert len(settings["security"]["admin_password"]) >= 12
    assert [line for line in said if line.startswith("error")] == []  # it never asked in vain
    assert said[-2:] == ["stopped", "ended"]

    (incident,) = [one for one in result["incidents"] if one["decision"] and one["decision"]["told"]]
    of_it = [each for each in result["delivered"] if each["incident"] == incident["id"]]
    assert of_it[0]["state"] == "firing"
    assert of_it[-1]["state"] == "resolved"
    assert f"sent to {of_it[0]['to']} {of_it[0]['after_s']:.0f} s after opening" in story
    assert left_behind(programs) == []


def test_a_grafana_that_does_not_start_is_said_with_its_last_words_and_nothing_is_left(programs: Path) -> None:
    running = start(programs, "--speed", "5", STAND_IN_FAILS="1")
    _, story = running.communicate(timeout=180)
    assert running.returncode == 1
    assert "Grafana did not start: it ended: cannot migrate the database" in story
    assert "Traceback" not in story
    assert left_behind(programs) == []


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_a_demo_that_is_stopped_or_killed_takes_its_grafana_and_loki_with_it(
    ending: signal.Signals, programs: Path
) -> None:
    running = start(programs, "--speed", "5")
    deadline = time.monotonic() + 180
    while not (programs / "events").exists() or "started" not in events(programs):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    running.send_signal(ending)
    _, story = running.communicate(timeout=90)
    assert "Traceback" not in story
    assert [name for name in left_behind(programs) if not name.startswith("/") or " " in name] == []
    assert "stopped" in events(programs)


def test_what_cannot_be_used_is_said_in_one_line(programs: Path) -> None:
    running = start(programs, "--grafana", "no-such-grafana")
    _, story = running.communicate(timeout=180)
    assert running.returncode == 2
    assert story.strip().splitlines() == ["incidentlens: --grafana: there is no program 'no-such-grafana'"]
