"""The commands as a person or a program uses them: what is answered where, and with which status."""

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

LOG = """\
2026-11-20 12:00:01,100 ERROR [main] com.shop.Orders - connection pool exhausted: 50 of 50 in use
2026-11-20 12:00:02,100 ERROR [main] com.shop.Orders - connection pool exhausted: 50 of 50 in use
2026-11-20 12:00:02,900 ERROR [main] com.shop.Orders - order 17 failed
java.lang.NullPointerException: Cannot invoke "Order.id()" because "order" is null
\tat com.shop.Orders.place(Orders.java:41)
\tat com.shop.Api.post(Api.java:12)
2026-11-20 12:00:03,100 INFO  [main] com.shop.Orders - order 18 accepted
"""


def run(*arguments, cwd=None):
    command = [sys.executable, "-m", "incidentlens.cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=cwd, check=False)


@pytest.fixture
def log_file(tmp_path):
    path = tmp_path / "orders.log"
    path.write_text(LOG)
    return path


def test_replay_gives_one_json_object_with_proof_as_it_stood(log_file):
    done = run("replay", log_file, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    lines = [item["line"] for incident in result["incidents"] for item in incident["evidence"]]
    assert any("pool exhausted" in line for line in lines)
    assert any(line.count("\n") == 3 and "NullPointerException" in line for line in lines)
    assert all(part in LOG for line in lines for part in line.split("\n"))
    assert result["root_cause_ranking"][0]["service"] == "orders"


def test_parse_gives_an_object_an_event_and_a_stack_trace_is_one(log_file):
    done = run("parse", log_file, "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["lines"] for event in events] == [[1, 1], [2, 2], [3, 6], [7, 7]]
    assert [event["level"] for event in events] == ["error", "error", "error", "info"]
    assert events[0]["service"] == "orders"
    assert set(events[0]) >= {"ts", "level", "service", "format", "message", "lines"}


def test_signatures_answers_every_line_in_order(log_file):
    done = run("signatures", log_file, "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["line"] for row in rows] == list(range(1, 8))
    assert rows[0]["signature"] == rows[1]["signature"] != rows[2]["signature"]
    assert "<*>" in rows[0]["template"]


def test_a_preview_says_what_rules_would_change_before_they_count(log_file, tmp_path):
    rules = tmp_path / "rules.yaml"
    rules.write_text("groups:\n  - name: order trouble\n    pattern: 'order|Order|pool'\n")
    done = run("signatures", log_file, "--preview", rules)
    assert done.returncode == 0, done.stderr
    assert "merged" in done.stdout
    assert "order_trouble" in done.stdout


def test_a_line_is_explained(log_file):
    done = run("signatures", log_file, "--explain", "1")
    assert "connection_pool_exhausted" in done.stdout
    assert "mask" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["replay", "nowhere.log"], 2, "there is no file nowhere.log"),
        (["replay"], 2, "name files to replay"),
        (["replay", "--loki", "http://127.0.0.1:1", "--query", "{a=", "--since", "1h"], 2, "parse error"),
        (["replay", "--loki", "http://127.0.0.1:1", "--query", '{a="b"}'], 2, "--since"),
        (["replay", "--loki", "http://127.0.0.1:1", "--query", '{a="b"}', "--since", "soon"], 2, "no duration"),
        (["parse", "nowhere.log"], 2, "there is no file"),
        (["scenario", "run", "nonsense"], 2, "db_cascade"),
        (["demo", "--scenario", "nonsense"], 2, "db_cascade"),
        (["check", "--config", "nowhere.yaml"], 1, "nowhere.yaml"),
        (["serve", "--config", "nowhere.yaml"], 1, "incidentlens check"),
        (["local-loki", "--listen", "3100"], 2, "HOST:PORT"),
        (["init", "--loki", "localhost:3100"], 2, "http://localhost:3100"),
        (["runbooks", "new", "Bad Id"], 2, "id"),
        (["bench", "nonsense"], 2, "throughput"),
    ],
)
def test_unusable_arguments_and_faults_get_one_line_that_says_what_to_do(arguments, status, says, tmp_path):
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == status, done.stderr
    assert says in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_the_local_loki_says_where_it_listens_and_ends_in_good_order(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [sys.executable, "-m", "incidentlens.cli.main", "local-loki", "--listen", address, "--data", "loki"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == f"Loki's API on http://{address}, its data in loki   (Ctrl-C ends it)\n"
        running.terminate()
        assert running.wait(30) in (0, -signal.SIGTERM)


def test_runbooks_are_linted_matched_and_begun(log_file, tmp_path):
    assert run("runbooks", "lint").returncode == 0
    found = json.loads(run("runbooks", "match", log_file, "--json").stdout)
    assert any(one["id"] == "db-pool-exhausted" and one["score"] >= 0.5 for row in found for one in row["runbooks"])
    out = tmp_path / "mine.yaml"
    assert run("runbooks", "new", "my-runbook", "--out", out).returncode == 0
    assert run("runbooks", "new", "my-runbook", "--out", out).returncode == 2
    broken = tmp_path / "broken.yaml"
    broken.write_text("id: x\nname: X\npaterns: [a]\n")
    done = run("runbooks", "lint", broken)
    assert done.returncode == 1
    assert "did you mean 'patterns'" in done.stdout


def test_scenarios_are_listed_for_programs_too():
    names = [row["name"] for row in json.loads(run("scenario", "list", "--json").stdout)]
    assert {"db_cascade", "auth_cascade", "deployment_gone_wrong", "memory_leak"} <= set(names)


def test_starting_takes_less_than_a_second_of_imports():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "incidentlens.cli.main", "scenario", "list"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    heavy = {"polars", "psycopg", "fastapi", "uvicorn", "lark"}
    loaded = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert not heavy & loaded


def test_the_files_named_in_the_readme_are_there():
    root = Path(__file__).parents[3]
    text = (root / "README.md").read_text()
    links = [part.split(")")[0] for part in text.split("](")[1:]]
    assert all((root / link.split("#")[0]).exists() for link in links if not link.startswith("http"))
