"""What the repository gives to docker-compose.yml agrees with what the commands make."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner

from incidentlens.cli.main import app
from incidentlens.cli.provision import register
from incidentlens.config.loader import load_config

ROOT = Path(__file__).parents[3]
SECRETS = ("POSTGRES_PASSWORD", "INCIDENTLENS_TOKEN", "GRAFANA_ADMIN_PASSWORD", "GRAFANA_SECRET_KEY")


def compose() -> dict[str, Any]:
    value: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return value


def test_the_committed_provisioning_is_what_the_command_writes(tmp_path: Path) -> None:
    register(app)
    arguments = ["provision", "--out", str(tmp_path), "--project", "shop", "--grafana-version", "12.4"]
    result = CliRunner().invoke(app, [*arguments, "--dashboards-path", "/var/lib/grafana/dashboards"])
    assert result.exit_code == 0
    made = {path.relative_to(tmp_path): path.read_text() for path in tmp_path.rglob("*.yaml")}
    assert len(made) == 5
    for name, text in made.items():
        assert (ROOT / "provisioning" / name).read_text() == text, f"{name}: run `make provisioning`"


def test_every_image_is_pinned_and_every_service_that_stays_is_watched() -> None:
    for name, service in compose()["services"].items():
        image = service["image"]
        assert image.endswith(":local") or re.search(r":v?\d+\.\d+", image), name
        if service.get("ports") or name in ("postgres", "loki", "alloy"):
            assert "healthcheck" in service, name


def test_no_secret_has_a_default_and_nothing_listens_beyond_loopback() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for secret in SECRETS:
        uses = re.findall(r"\$\{" + secret + r"([^}]*)\}", text)
        assert uses
        assert all(use.startswith(":?") for use in uses), secret
    for service in compose()["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_every_mounted_file_is_there() -> None:
    for service in compose()["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./"):
                assert (ROOT / source).exists(), source


def test_the_stacks_configuration_is_accepted(tmp_path: Path) -> None:
    text = (ROOT / "provisioning/incidentlens/incidentlens.yaml").read_text()
    (tmp_path / "grafana-token").write_text("glsa_x\n")
    path = tmp_path / "incidentlens.yaml"
    path.write_text(text.replace("/run/incidentlens/grafana-token", "grafana-token"))
    loaded = load_config(path, {"POSTGRES_PASSWORD": "x" * 48, "INCIDENTLENS_TOKEN": "y" * 48})
    grafana = loaded.projects["shop"].grafana
    assert grafana is not None
    assert (grafana.url, grafana.token) == ("http://grafana:3000", "glsa_x")


def test_a_wheel_has_the_dashboards_and_nothing_of_what_makes_them(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    committed = {f"incidentlens/_dashboards/{path.name}" for path in (ROOT / "dashboards/json").iterdir()}
    assert {name for name in names if "dashboards" in name} == committed
