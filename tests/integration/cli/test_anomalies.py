"""`incidentlens anomalies` and `eval anomalies`, as they are called."""

from __future__ import annotations

import json
import random

import pytest
from typer.testing import CliRunner

from incidentlens.cli.main import _register, app

run = CliRunner().invoke


@pytest.fixture(scope="module", autouse=True)
def commands():
    if not any(command.name == "anomalies" for command in app.registered_commands):
        _register()


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """400 sessions of four steps; three of them are refused."""
    dice = random.Random(1)
    folder = tmp_path_factory.mktemp("sessions")
    timed = []
    for number in range(400):
        steps = ["session opened", "page served", "page served", "session closed"]
        if number in (70, 150, 333):
            steps[1] = "token is not valid, session refused"
        timed += [(number + place + dice.random(), f"{step} sid={number:04d}") for place, step in enumerate(steps)]
    (folder / "app.log").write_text("\n".join(line for _, line in sorted(timed)) + "\n")
    (folder / "labels.csv").write_text(
        "block,anomalous\n" + "".join(f"sid={n:04d},{int(n in (70, 150, 333))}\n" for n in range(400))
    )
    return folder / "app.log"


def test_each_group_is_one_json_object_in_the_order_they_begin(log):
    result = run(app, ["anomalies", str(log), "--group-by", r"sid=(\d+)", "--json"])
    assert result.exit_code == 0
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["group"] for row in rows][:3] == ["0000", "0001", "0002"]
    assert {row["group"] for row in rows if row["anomalous"]} == {"0070", "0150", "0333"}
    assert set(rows[0]) == {"group", "score", "anomalous", "why"}
    assert min(row["score"] for row in rows if row["anomalous"]) >= 1


def test_a_history_may_be_named_and_said_to_be_healthy(log):
    args = ["anomalies", str(log), "--group-by", r"sid=\d+", "--json"]
    rows = [json.loads(line) for line in run(app, [*args, "--train", str(log), "--healthy"]).stdout.splitlines()]
    assert not any(row["anomalous"] for row in rows)
    assert rows[0]["group"] == "sid=0000"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--group-by", "("], "is no regular expression"),
        (["--group-by", "nowhere"], "look at --group-by"),
        (["--group-by", "x", "--healthy"], "name it with --train"),
        (["--group-by", "x", "--train", "missing.log"], "there is no file"),
    ],
)
def test_unusable_arguments_end_with_2_and_one_line_that_says_what_to_do(log, args, message):
    result = run(app, ["anomalies", str(log), *args])
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "incidentlens.yaml"
    path.write_text(
        "version: 1\nstore:\n  embedded: true\nserver:\n  require_token: false\nprojects:\n  shop:\n"
        "    queries:\n      - name: logs\n        logql: '{app=~\".+\"}'\n"
    )
    return path


def test_a_sweep_on_ones_own_labels_promotes_the_best_and_the_project_uses_it(log, config):
    own = ["--log", str(log), "--labels", str(log.parent / "labels.csv"), "--group-by", r"sid=\d+"]
    sweep = ["eval", "anomalies", "--detector", "count-vector", "--sweep", "--json", "--promote", str(config)]
    result = run(app, [*sweep, *own])
    assert result.exit_code == 0, result.stderr
    best = json.loads(result.stdout)[0]
    assert best["parameters"] == {"at_least": best["parameters"]["at_least"]}
    assert f'at_least": {best["parameters"]["at_least"]}' in config.read_text()
    used = run(app, ["anomalies", str(log), "--group-by", r"sid=\d+", "--config", str(config), "--json"])
    rows = [json.loads(line) for line in used.stdout.splitlines()]
    assert all(row["why"] == [] and row["score"] <= 1 for row in rows)  # the count-vector rule's, not ours


def test_runs_are_kept_compared_and_promoted_by_mlflow(log, config, tmp_path):
    pytest.importorskip("mlflow", reason="MLflow is not installed (it and the dev lock want different versions)")
    own = ["--log", str(log), "--labels", str(log.parent / "labels.csv"), "--group-by", r"sid=\d+"]
    kept = ["--tracking", (tmp_path / "runs").as_uri()]
    assert run(app, ["eval", "anomalies", "--detector", "own", *own, *kept]).exit_code == 0
    assert run(app, ["eval", "anomalies", "--detector", "pca", "--set", "kept=0.5", *own, *kept]).exit_code == 0
    runs = json.loads(run(app, ["eval", "anomalies", "--runs", "--json", *kept]).stdout)
    assert [one["detector"] for one in runs] == ["own", "pca"]
    promoted = run(app, ["eval", "anomalies", "--promote", str(config), "--run", runs[1]["run"][:12], *kept])
    assert promoted.exit_code == 0, promoted.stderr
    assert '"kept": 0.5' in config.read_text()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--detector", "magic"], "there is no detector"),
        (["--detector", "pca", "--set", "kept"], "write NAME=VALUE"),
        (["--sweep", "--set", "kept=1"], "--set belongs to one --detector"),
        (["--run", "abc"], "say where to"),
        (["--detector", "own", "--mode", "guess"], "is one of as-it-reads, trained"),
        (["--detector", "own", "--log", "x.log"], "belong together"),
    ],
)
def test_what_a_sweep_cannot_do_is_said_in_one_line(log, args, message):
    own = ["--log", str(log), "--labels", str(log.parent / "labels.csv")]
    given = args if "--log" in args or "--run" in args else [*args, *own]
    result = run(app, ["eval", "anomalies", *given])
    assert result.exit_code == 2
    assert message in result.stderr
