"""The demo, the first five minutes and a replay against a real Loki named in INCIDENTLENS_LIVE_LOKI."""

import json
import os
import subprocess
import sys
import uuid

import pytest

LOKI = os.environ.get("INCIDENTLENS_LIVE_LOKI")
pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not LOKI, reason="INCIDENTLENS_LIVE_LOKI names no Loki"),
]


def run(folder, *arguments):
    command = [sys.executable, "-m", "incidentlens.cli.main", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=180, check=False)


def test_a_failure_in_a_real_loki_is_found_explained_and_verified_and_found_again_by_replay(tmp_path):
    tenant = f"il-{uuid.uuid4().hex[:8]}"
    done = run(
        tmp_path, "demo", "--scenario", "auth_cascade", "--speed", "4", "--loki", LOKI, "--tenant", tenant, "--json"
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    (incident,) = [one for one in result["incidents"] if one["decision"]["told"]]
    assert incident["root_cause"]["service"] == "session"
    assert incident["verification"]["outcome"] == "resolved"

    assert run(tmp_path, "init", "--loki", LOKI, "--tenant", tenant).returncode == 0
    checked = run(tmp_path, "check", "--loki", "--json")
    assert json.loads(checked.stdout)["ok"], checked.stdout
    replayed = run(tmp_path, "replay", "--config", "incidentlens.yaml", "--since", "30m", "--json")
    assert replayed.returncode == 0, replayed.stderr
    found = json.loads(replayed.stdout)
    assert found["root_cause_ranking"][0]["service"] == "session"
