"""The demo as a newcomer runs it: everything real, in one process tree, and nothing left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

CHAINS = {
    "db_cascade": ["orders", "payment", "checkout", "web-gateway"],
    "auth_cascade": ["session", "auth", "web-gateway"],
    "deployment_gone_wrong": ["inventory", "orders", "checkout"],
    "memory_leak": ["catalogue", "platform", "web-gateway"],
}


def start(folder: Path, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "incidentlens.cli.main", "demo", *arguments]
    environment = {**os.environ, "TMPDIR": str(folder)}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def left_behind(folder: Path) -> list[str]:
    """Processes that still name the demo's folder, and files that are still in it."""
    deadline = time.monotonic() + 10
    while True:
        lines = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
        names = [" ".join(line) for line in lines if any(str(folder) in part for part in line)]
        if not names or time.monotonic() > deadline:
            return names + [str(path) for path in folder.iterdir()]
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", sorted(CHAINS))
def test_a_failure_is_found_explained_decided_and_verified_through_a_real_loki_and_database(scenario, tmp_path):
    running = start(tmp_path, "--scenario", scenario, "--speed", "5", "--json")
    answer, story = running.communicate(timeout=150)
    assert running.returncode == 0, story
    result = json.loads(answer)
    told = [one for one in result["incidents"] if one["decision"] and one["decision"]["told"]]
    assert len(told) == 1, [one["title"] for one in told]
    (incident,) = told
    truth = result["truth"]
    assert incident["root_cause"]["service"] == truth["cause"]["service"]
    assert list(dict.fromkeys(step["service"] for step in incident["root_cause"]["chain"])) == CHAINS[scenario]
    assert incident["disposition"] in truth["dispositions"]
    assert incident["decision"]["reasons"]
    assert incident["verification"]["outcome"] == "resolved"
    assert incident["status"] == "resolved"
    assert result["time_to_detect_s"] <= 15
    assert result["root_cause_ranking"][0]["service"] == truth["cause"]["service"]
    assert "web page: http://127.0.0.1:" in story
    assert "notification that would go out" in story
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("after", [0.0, 1.0, 4.0, 12.0])
def test_ctrl_c_stops_everything_at_once_and_leaves_nothing(after, tmp_path):
    running = start(tmp_path, "--speed", "5")
    assert "starting" in running.stderr.readline()
    time.sleep(after)
    began = time.monotonic()
    running.send_signal(signal.SIGINT)
    _, story = running.communicate(timeout=30)
    assert running.returncode == 130, story
    assert time.monotonic() - began < 10
    assert "Traceback" not in story
    assert left_behind(tmp_path) == []


def test_a_killed_demo_leaves_no_process(tmp_path):
    running = start(tmp_path, "--speed", "5")
    time.sleep(6)
    running.kill()
    running.communicate(timeout=30)
    assert [name for name in left_behind(tmp_path) if not name.startswith("/") or " " in name] == []
