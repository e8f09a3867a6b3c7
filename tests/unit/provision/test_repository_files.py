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


def test_the_stack_hangs_together_as_docker_compose_config_would_ask() -> None:
    """No Docker engine is needed: every name that is used is one that is declared, and every key is known."""
    stack = compose()
    services, volumes = stack["services"], stack["volumes"]
    assert set(stack) <= {"name", "services", "volumes"} | {key for key in stack if key.startswith("x-")}
    taken: list[str] = []
    for name, service in services.items():
        unknown = set(service) - KEYS
        assert not unknown, f"{name}: {unknown}"
        for needed, how in (service.get("depends_on") or {}).items():
            assert needed in services, f"{name} waits for {needed}"
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[needed], f"{name} waits for the health of {needed}"
            else:
                assert how["condition"] == "service_completed_successfully", name
                assert services[needed]["restart"] == "no", f"{needed} would never have ended"
        for volume in service.get("volumes", []):
            source, target, *mode = volume.split(":")
            assert source.startswith("./") or source in volumes, f"{name}: {source}"
            assert target.startswith("/"), name
            assert mode in ([], ["ro"]), name
        for check in [service["healthcheck"]] if "healthcheck" in service else []:
            assert check["test"][0] in ("CMD", "CMD-SHELL"), name
        taken += [port.rsplit(":", 1)[0] for port in service.get("ports", [])]
    assert len(taken) == len(set(taken))
    used = {volume.split(":")[0] for service in services.values() for volume in service.get("volumes", [])}
    assert set(volumes) <= used


def test_no_service_waits_for_itself_and_images_are_built_from_stages_that_there_are() -> None:
    services = compose()["services"]

    def waits_for(name: str, seen: tuple[str, ...] = ()) -> None:
        assert name not in seen, " waits for ".join((*seen, name))
        for needed in services[name].get("depends_on") or {}:
            waits_for(needed, (*seen, name))

    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    for name, service in services.items():
        waits_for(name)
        if "build" in service:
            assert service["build"]["target"] in stages, name
            assert (ROOT / service["build"]["context"]).is_dir()


def test_the_dashboards_are_mounted_where_grafana_is_told_to_look() -> None:
    [provider] = yaml.safe_load((ROOT / "provisioning/dashboards/incidentlens.yaml").read_text())["providers"]
    mounts = [volume.split(":") for volume in compose()["services"]["grafana"]["volumes"]]
    assert any(provider["options"]["path"].startswith(target) for source, target, *_ in mounts if "dash" in source)


def test_every_variable_is_in_the_file_that_make_env_writes_or_has_a_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    written = re.search(r"for name in ([A-Z_ ]+); do", (ROOT / "Makefile").read_text())
    assert written is not None
    for name, more in re.findall(r"(?<!\$)\$\{([A-Z_]+)([^}]*)\}", text):
        assert more.startswith(":-") or name in written[1].split(), name


KEYS = {
    "build", "cap_drop", "command", "depends_on", "entrypoint", "environment", "expose", "healthcheck", "image",
    "logging", "ports", "restart", "security_opt", "stop_grace_period", "volumes",
}  # fmt: skip


def test_a_wheel_has_the_dashboards_and_nothing_of_what_makes_them(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    committed = {f"incidentlens/_dashboards/{path.name}" for path in (ROOT / "dashboards/json").iterdir()}
    assert {name for name in names if "dashboards" in name} == committed
