"""The launcher, in each shell that is here."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")

LAUNCHER = Path(__file__).parents[4] / "plugin/launcher/gpx_incidentlens"
SHELLS = [shell for shell in ("sh", "dash", "bash", "busybox") if shutil.which(shell)]


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    found = str(shutil.which(request.param))
    return [found, "sh"] if request.param == "busybox" else [found]


@pytest.fixture
def launcher(tmp_path: Path) -> Path:
    """In a plugin's folder, under the name by which Grafana looks for it."""
    copy = tmp_path / "gpx_incidentlens_linux_amd64"
    shutil.copy(LAUNCHER, copy)
    copy.chmod(0o755)
    return copy


@contextmanager
def started(shell: list[str], launcher: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """As Grafana starts it since 12.4: with nothing of its own environment."""
    process = subprocess.Popen(
        [*shell, str(launcher)],
        env={"grafana_plugin_type": "datasource", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@contextmanager
def listening() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.mark.parametrize("address", ["10.1.2.3:50051", "incidentlens:50051", "[::1]:50051", "il-1.svc_x.local:1"])
def test_its_first_line_is_the_address_it_was_given(shell: list[str], launcher: Path, address: str) -> None:
    with started(shell, launcher, GF_PLUGIN_ADDRESS=address) as process:
        assert line(process) == f"1|2|tcp|{address}|grpc\n"


def test_the_address_comes_from_grafanas_settings_then_its_environment_then_the_file_then_the_default(
    shell: list[str], launcher: Path
) -> None:
    beside = launcher.with_name("gpx_incidentlens.address")
    both = {"GF_PLUGIN_ADDRESS": "settings:1", "INCIDENTLENS_GRAFANA_ADDRESS": "environment:2"}
    beside.write_text("file:3\r\nignored\n")
    with started(shell, launcher, **both) as process:
        assert line(process) == "1|2|tcp|settings:1|grpc\n"
    with started(shell, launcher, INCIDENTLENS_GRAFANA_ADDRESS="environment:2") as process:
        assert line(process) == "1|2|tcp|environment:2|grpc\n"
    with started(shell, launcher) as process:
        assert line(process) == "1|2|tcp|file:3|grpc\n"
    beside.write_text("file:4")
    with started(shell, launcher) as process:
        assert line(process) == "1|2|tcp|file:4|grpc\n"
    beside.write_text("")
    with started(shell, launcher) as process:
        assert line(process) == "1|2|tcp|127.0.0.1:50051|grpc\n"


@pytest.mark.parametrize(
    "address",
    ["nohost", ":1", "x:", "x:y", "[::1]", "a|b:1", "a b:1", "x:0", "x:65536", "x:123456", "a\nb:3", "$(id):1", "é:1"],
)
def test_an_address_that_is_none_is_told_on_stderr_and_never_on_stdout(
    shell: list[str], launcher: Path, address: str
) -> None:
    with started(shell, launcher, GF_PLUGIN_ADDRESS=address) as process:
        out, said = process.communicate(timeout=10)
    assert (process.returncode, out) == (1, "")
    assert said.startswith("[ERROR] incidentlens: the address")
    assert "uid=" not in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once_and_nothing_stays_behind(
    shell: list[str], launcher: Path, number: signal.Signals
) -> None:
    with listening() as address, started(shell, launcher, GF_PLUGIN_ADDRESS=address) as process:
        line(process)
        time.sleep(0.2)
        begun = time.monotonic()
        process.send_signal(number)
        assert process.wait(5) == 0
        assert time.monotonic() - begun < 2
        time.sleep(0.2)
        assert _living(process.pid) == []


def test_a_kill_leaves_nobody_at_its_pipes(shell: list[str], launcher: Path) -> None:
    with listening() as address, started(shell, launcher, GF_PLUGIN_ADDRESS=address) as process:
        line(process)
        time.sleep(0.2)
        process.kill()
        begun = time.monotonic()
        process.communicate(timeout=5)  # until the pipes are closed, as Grafana waits
        assert time.monotonic() - begun < 2


def test_it_ends_when_the_address_has_not_answered_for_a_while(shell: list[str], launcher: Path) -> None:
    with listening() as address:
        pass
    with started(shell, launcher, GF_PLUGIN_ADDRESS=address, GF_PLUGIN_PATIENCE="2") as process:
        assert line(process) == f"1|2|tcp|{address}|grpc\n"  # first of all: it may come up later
        out, said = process.communicate(timeout=20)
    assert (process.returncode, out) == (1, "")
    assert "has not answered for" in said


def test_it_stays_while_the_address_answers_and_bears_a_short_absence(shell: list[str], launcher: Path) -> None:
    with (
        listening() as address,
        started(shell, launcher, GF_PLUGIN_ADDRESS=address, GF_PLUGIN_PATIENCE="3") as process,
    ):
        line(process)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(5)


def test_it_ends_when_grafana_was_killed(launcher: Path, tmp_path: Path) -> None:
    told = tmp_path / "pid"
    with listening() as address:
        text = f'"{launcher}" >/dev/null 2>&1 & echo $! >"{told}"; sleep 60'
        grafana = subprocess.Popen(
            ["sh", "-c", text], start_new_session=True,
            env={"GF_PLUGIN_ADDRESS": address, "GF_PLUGIN_PATIENCE": "3", "PATH": os.environ["PATH"]},
        )  # fmt: skip
        try:
            time.sleep(0.5)
            pid = int(told.read_text())
            grafana.kill()
            grafana.wait()
            deadline = time.monotonic() + 10
            while _alive(pid):
                assert time.monotonic() < deadline
                time.sleep(0.1)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(grafana.pid, signal.SIGKILL)


def _alive(pid: int) -> bool:
    return _stat(pid)[:1] not in ([], ["Z"])


def _living(group: int) -> list[int]:
    """The processes of a group, but for those that only wait to be buried."""
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
    return [pid for pid in pids if _alive(pid) and _stat(pid)[2:3] == [str(group)]]


def _stat(pid: int) -> list[str]:
    """State, parent, group, …; nothing for a process that is gone."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return []


def test_in_exec_mode_it_becomes_the_program_that_is_named(shell: list[str], launcher: Path, tmp_path: Path) -> None:
    program = tmp_path / "incidentlens"
    program.write_text('#!/bin/sh\nprintf "%s " "$$" "$@" "$PYTHONDONTWRITEBYTECODE"\n')
    program.chmod(0o755)
    with started(shell, launcher, GF_PLUGIN_EXEC=str(program), GF_PLUGIN_CONFIG="/etc/my il.yaml") as process:
        out, _ = process.communicate(timeout=10)
    assert out == f"{process.pid} grafana-plugin --config /etc/my il.yaml 1 "
    with started(shell, launcher, GF_PLUGIN_EXEC="/nowhere/incidentlens") as process:
        out, said = process.communicate(timeout=10)
    assert (process.returncode, out) == (1, "")
    assert "give the whole path" in said
