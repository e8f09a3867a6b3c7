"""The demo in a real Grafana: INCIDENTLENS_LIVE_GRAFANA_HOME names its folder (with bin/, conf/ and public/), and
INCIDENTLENS_LIVE_LOKI_PROGRAM, where it is set, a Loki to read from. The plugin must be built (`make plugin`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from incidentlens.demo.programs import own_plugin

HOME = os.environ.get("INCIDENTLENS_LIVE_GRAFANA_HOME", "")
LOKI = os.environ.get("INCIDENTLENS_LIVE_LOKI_PROGRAM", "")

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not HOME, reason="INCIDENTLENS_LIVE_GRAFANA_HOME names no Grafana"),
    pytest.mark.skipif(not (own_plugin() / "module.js").is_file(), reason="the plugin is not built: `make plugin`"),
]


TO = {
    "ESCALATE": ("discord", "discord-escalate"),
    "NEEDS_ONCALL": ("email", "email-oncall"),
    "NEEDS_DEV": ("discord", "discord-dev"),
}


@pytest.mark.parametrize("scenario", ["db_cascade", "auth_cascade"])
def test_an_incident_is_told_of_once_and_then_that_it_is_over(scenario: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "incidentlens.cli.main", "demo", "--scenario", scenario, "--grafana-home", HOME]
    command += ["--loki-program", LOKI] if LOKI else ["--plain"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [*command, "--no-open", "--json"], env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    (incident,) = [one for one in result["incidents"] if one["decision"] and one["decision"]["told"]]
    expected = [(*TO[incident["disposition"]], state) for state in ("firing", "resolved")]
    # What it was at first may have gone to others before.
    came = [(each["kind"], each["to"], each["state"]) for each in result["delivered"]]
    assert came[-2:] == expected, done.stderr
    assert {each["incident"] for each in result["delivered"]} == {incident["id"]}
    assert result["delivered"][0]["after_s"] < 45
    assert result["delivered"][-1]["after_s"] < 60
    running = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    assert [line for line in running if any(str(tmp_path) in part for part in line)] == []
    assert list(tmp_path.iterdir()) == []
