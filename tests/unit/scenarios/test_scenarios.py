"""Scenarios: what they say, how often, and what they say was true."""

import itertools
import json
import subprocess
import sys
import time
from collections import Counter

import pytest

from incidentlens.model.clock import SECOND
from incidentlens.scenarios import control
from incidentlens.scenarios.cascades import CASCADES
from incidentlens.scenarios.errors import ERRORS
from incidentlens.scenarios.generator import Scenario, Timeline
from incidentlens.scenarios.lines import push_streams
from incidentlens.scenarios.player import push_lines, write_truth

START = 1_763_700_000 * SECOND


def test_the_same_seed_gives_the_same_log_and_another_seed_another():
    one, same, other = (list(Scenario("db_cascade", seed).lines(START)) for seed in (1, 1, 2))
    assert one == same
    assert one != other


@pytest.mark.parametrize("name", [*CASCADES, "healthy"])
def test_lines_come_in_order_of_time_and_stay_within_the_run(name):
    scenario = Scenario(name, 3)
    times = [line.ts for line in scenario.lines(START)]
    # A stack trace's lines are a microsecond apart, so another writer's line may fall between them.
    assert all(later >= earlier - SECOND // 1000 for earlier, later in itertools.pairwise(times))
    assert times[0] >= START
    assert times[-1] < START + (scenario.duration_s + 1) * SECOND


def test_everyday_talk_is_seventy_twenty_ten_of_at_least_33_types_in_seven_families():
    families = {error.family for error in ERRORS if error.covered}
    assert families == {
        "database",
        "authentication",
        "payment",
        "infrastructure",
        "application",
        "data",
        "security",
    }
    assert len([error for error in ERRORS if error.covered]) >= 33
    assert len([error for error in ERRORS if not error.covered]) >= 6
    events = Counter()
    for line in Scenario("healthy", 1, rate=200).history(START, 300):
        text = line.text
        if text.startswith(("\tat ", "  File", "    ", "Traceback", "java.", "Caused by", "KeyError")):
            continue  # the lines of a stack trace
        if any(word in text for word in ('"level":"error"', "level=error", " ERROR ")) or text[0] == "E":
            events["error"] += 1
        elif any(word in text for word in ('"level":"warn"', "level=warn", " WARN")) or text[0] == "W":
            events["warn"] += 1
        else:
            events["info"] += 1
    total = sum(events.values())
    assert abs(events["info"] / total - 0.70) < 0.02
    assert abs(events["error"] / total - 0.20) < 0.02
    assert abs(events["warn"] / total - 0.10) < 0.02


def test_the_rate_is_what_was_asked_for_whatever_the_speed():
    for speed in (1, 4):
        scenario = Scenario("healthy", 1, rate=100, speed=speed)
        lines = [line for line in scenario.lines(START) if not line.text.startswith(("\t", " "))]
        assert abs(len(lines) / scenario.duration_s - 100) < 15


@pytest.mark.parametrize("name", sorted(CASCADES))
def test_the_truth_names_the_first_line_of_the_cause_and_every_step_in_order(name):
    scenario = Scenario(name, 5)
    truth = scenario.truth(START)
    starts = [step["start"] for step in truth["chain"]]
    assert starts == sorted(starts)
    assert truth["chain"][0]["role"] == "cause"
    assert truth["cause"]["service"] == truth["chain"][0]["service"]
    assert truth["fault"]["start"] == START + int(Timeline().before * SECOND)
    assert json.loads(json.dumps(truth)) == truth


@pytest.mark.parametrize(("name", "options"), [("nonsense", {}), ("healthy", {"rate": 0}), ("healthy", {"speed": -1})])
def test_what_cannot_be_played_is_refused_with_what_can(name, options):
    with pytest.raises(ValueError, match=r"db_cascade|above 0"):
        Scenario(name, **options)


async def test_lines_are_pushed_in_bounded_batches_and_counted():
    pushed = []

    class Loki:
        async def push(self, streams):
            pushed.append(sum(len(stream["values"]) for stream in streams))

    lines = list(Scenario("healthy", 1).history(START, 300))
    assert await push_lines(Loki(), iter(lines)) == len(lines) == sum(pushed)
    assert max(pushed) <= 5000
    streams = push_streams(lines[:100])
    assert sum(len(stream["values"]) for stream in streams) == 100
    assert all(set(stream["stream"]) >= {"service_name", "env"} for stream in streams)


def test_a_run_writes_its_truth_into_a_file_of_its_own(tmp_path):
    truth = Scenario("memory_leak", 9).truth(START)
    path = write_truth(truth, tmp_path / "new" / "folder")
    assert json.loads(path.read_text()) == truth
    assert "memory_leak" in path.name


def test_a_scenario_is_started_seen_and_stopped_and_not_started_twice(tmp_path):
    def command(*arguments):
        line = [sys.executable, "-m", "incidentlens.cli.main", "scenario", *arguments, "--folder", str(tmp_path)]
        return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)

    # A Loki that is not there: the client tries again for a while, so the run goes on until it is stopped.
    started = command("start", "db_cascade", "--loki", "http://127.0.0.1:9")
    assert started.returncode == 0, started.stderr
    assert "process" in started.stdout
    (run,) = control.status(tmp_path)
    assert run.scenario == "db_cascade"
    again = command("start", "db_cascade", "--loki", "http://127.0.0.1:9")
    assert again.returncode == 1
    assert "running already" in again.stderr
    assert command("stop", "db_cascade").returncode == 0
    assert control.status(tmp_path) == []
    gone = command("stop", "db_cascade")
    assert gone.returncode == 1
    assert "is not running" in gone.stderr


def test_a_state_file_of_a_process_that_is_gone_is_cleared_away(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", "pass"])
    ended.wait()
    state = {
        "scenario": "db_cascade",
        "seed": 1,
        "pid": ended.pid,
        "ticks": "1",
        "started": time.time(),
        "loki": "x",
        "log": "y",
    }
    path = tmp_path / "db_cascade.run.json"
    path.write_text(json.dumps(state))
    (tmp_path / "auth_cascade.run.json").write_text("half a fi")
    assert control.status(tmp_path) == []
    assert not path.exists()
