"""Which programs the demo finds, what it makes of what they send, and the configuration they get."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from builders import make_incident
from incidentlens.demo import grafana, loki
from incidentlens.demo.programs import Unusable, Wanted, find
from incidentlens.demo.standins import awaited, deliveries
from incidentlens.model.clock import SECOND
from incidentlens.model.terms import Status


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder as Grafana's own archive unpacks, with no program in it."""
    folder = tmp_path / "grafana"
    (folder / "conf").mkdir(parents=True)
    (folder / "conf" / "defaults.ini").touch()
    (folder / "public").mkdir()
    return folder


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    folder = tmp_path / "dist"
    folder.mkdir()
    (folder / "plugin.json").write_text("{}")
    (folder / "module.js").touch()
    return folder


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing on it but what a test puts there."""
    folder = tmp_path / "path"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_without_programs_on_the_path_nothing_is_found_and_nothing_said() -> None:
    found = find(Wanted())
    assert (found.grafana, found.loki, found.note) == (None, None, "")


def test_programs_on_the_path_are_found_with_the_home_around_them(home: Path, plugin: Path, path: Path) -> None:
    program(home / "bin" / "grafana")
    (path / "grafana").symlink_to(home / "bin" / "grafana")
    program(path / "loki")
    found = find(Wanted(grafana_plugin=plugin))
    assert found.loki == path / "loki"
    assert found.grafana is not None
    assert found.grafana.home == home
    assert found.grafana.command(Path("/x.ini")) == [
        str(path / "grafana"), "server", "--homepath", str(home), "--config", "/x.ini",
    ]  # fmt: skip


def test_an_older_grafana_has_its_server_as_a_program_of_its_own(home: Path, plugin: Path) -> None:
    program(home / "bin" / "grafana-server")
    found = find(Wanted(grafana_home=home, grafana_plugin=plugin))
    assert found.grafana is not None
    assert found.grafana.command(Path("/x.ini"))[1:] == ["--homepath", str(home), "--config", "/x.ini"]


def test_plain_looks_for_nothing_but_takes_what_is_named(home: Path, plugin: Path, path: Path) -> None:
    program(path / "loki")
    named = program(home / "bin" / "grafana")
    assert find(Wanted(plain=True)).loki is None
    assert find(Wanted(grafana=str(named), grafana_plugin=plugin, plain=True)).grafana is not None


def test_a_plugin_that_is_not_built_is_a_note_for_a_grafana_on_the_path_and_an_error_for_one_that_is_named(
    home: Path, path: Path, tmp_path: Path
) -> None:
    named = program(home / "bin" / "grafana")
    (path / "grafana").symlink_to(named)
    nowhere = tmp_path / "nowhere"
    found = find(Wanted(grafana_plugin=nowhere))
    assert found.grafana is None
    assert "make plugin" in found.note
    with pytest.raises(Unusable, match="make plugin"):
        find(Wanted(grafana=str(named), grafana_plugin=nowhere))


@pytest.mark.parametrize("wanted", [Wanted(grafana="no-such-program"), Wanted(loki="no-such-program")])
def test_a_program_that_is_named_and_not_there_is_said(wanted: Wanted) -> None:
    with pytest.raises(Unusable, match="no-such-program"):
        find(wanted)


def test_a_folder_that_is_no_home_of_grafana_is_said(tmp_path: Path, plugin: Path) -> None:
    named = program(tmp_path / "elsewhere" / "bin" / "grafana")
    with pytest.raises(Unusable, match="--grafana-home"):
        find(Wanted(grafana=str(named), grafana_home=tmp_path / "empty", grafana_plugin=plugin))


def test_grafana_listens_on_loopback_lets_visitors_look_and_has_a_password_of_its_own() -> None:
    settings = configparser.ConfigParser(interpolation=None)
    settings.read_string(grafana.configuration(Path("/demo"), 3001, "a-secret", "127.0.0.1:50052", 1026))
    assert settings["server"]["http_addr"] == "127.0.0.1"
    assert settings["server"]["http_port"] == "3001"
    assert settings["security"]["admin_password"] == "a-secret"
    assert settings["auth.anonymous"]["org_role"] == "Viewer"
    assert settings["plugin.incidentlens-datasource"]["address"] == "127.0.0.1:50052"
    assert settings["plugins"]["allow_loading_unsigned_plugins"] == "incidentlens-datasource"
    assert settings["smtp"]["host"] == "127.0.0.1:1026"
    assert settings["analytics"]["reporting_enabled"] == "false"
    assert all(settings["paths"][name].startswith("/demo/") for name in settings["paths"])


def test_loki_listens_on_loopback_and_keeps_all_below_its_folder() -> None:
    made = loki.configuration(Path("/demo/loki"), 3101, 9096)
    assert made["server"]["http_listen_address"] == made["server"]["grpc_listen_address"] == "127.0.0.1"
    assert (made["server"]["http_listen_port"], made["server"]["grpc_listen_port"]) == (3101, 9096)
    assert made["common"]["path_prefix"] == "/demo/loki"
    assert made["analytics"] == {"reporting_enabled": False}


def test_a_tenant_goes_with_grafanas_own_questions_to_loki() -> None:
    (source,) = grafana.loki_source("http://127.0.0.1:3100", "shop")["datasources"]
    assert source["jsonData"]["httpHeaderName1"] == "X-Scope-OrgID"
    assert source["secureJsonData"] == {"httpHeaderValue1": "shop"}
    (source,) = grafana.loki_source("http://127.0.0.1:3100", None)["datasources"]
    assert "secureJsonData" not in source


T0 = 1_763_000_000 * SECOND


def message(kind: str, to: str, title: str, incident: str, second: int) -> dict:
    at = f"2025-11-13T02:{13 + (20 + second) // 60:02d}:{(20 + second) % 60:02d}+00:00"  # T0 is 02:13:20
    head = {"subject": title} if kind == "email" else {"titles": [title]}
    return {"kind": kind, "to": to, "at": at, "content": f"see http://il/incidents/{incident}", **head}


def test_what_came_is_told_with_its_seconds_after_opening_and_after_the_end() -> None:
    incident = make_incident(
        "inc_1", onset=T0, opened_at=T0, last_seen=T0, updated_at=T0, status=Status.RESOLVED, ended_at=T0 + 60 * SECOND
    )
    other = make_incident("inc_2", onset=T0, opened_at=T0, last_seen=T0, updated_at=T0)
    came = deliveries(
        [
            message("discord", "discord-escalate", "ESCALATE: pool", "inc_1", 14),
            message("email", "oncall@example.com", "NEEDS_ONCALL: disk", "inc_2", 9),
            message("discord", "discord-escalate", "Resolved: pool", "inc_1", 98),
            {"kind": "refused", "to": "discord-dev", "at": "2025-11-13T02:20:00+00:00", "why": "content: too long"},
        ],
        [incident, other],
    )
    assert [each.in_words() for each in came] == [
        "sent to discord-escalate 14 s after opening",
        "sent to email-oncall 9 s after opening",
        "resolution sent to discord-escalate 38 s after its end",
        "refused for discord-dev: content: too long",
    ]
    assert [each.as_json()["incident"] for each in came] == ["inc_1", "inc_2", "inc_1", None]
    assert awaited(came, [incident, other]) == []
    assert awaited(came[:2], [incident, other]) == [incident]
    assert awaited([], [other]) == [other]
