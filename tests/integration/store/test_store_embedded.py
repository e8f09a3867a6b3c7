"""The embedded server: starts anywhere, stops always, and leaves no process."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
import pytest

from incidentlens.store.base import StoreError
from incidentlens.store.embedded import EmbeddedPostgres, find_binaries


def servers_on(folder: Path) -> list[int]:
    """Processes whose command line names the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"postgres" in command and os.fsencode(folder) in command:
                found.append(int(entry.name))
    return found


def gone(folder: Path, seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while servers_on(folder) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not servers_on(folder)


needs_proc = pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for processes in /proc")


@needs_proc
def test_data_outlives_the_server_and_no_process_outlives_the_block(tmp_path: Path) -> None:
    folder = tmp_path / "pg"
    with EmbeddedPostgres(folder) as server, psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (x int)")
        connection.execute("INSERT INTO kept VALUES (41)")
        assert servers_on(folder)
    assert not servers_on(folder)
    with EmbeddedPostgres(folder) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT x FROM kept").fetchone() == (41,)
    assert not servers_on(folder)


def test_a_long_name_of_the_temporary_folder_is_no_hindrance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("t" * 90)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with EmbeddedPostgres(long / "pg") as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert [path.name for path in long.iterdir()] == ["pg"]


@needs_proc
def test_a_command_joins_the_server_that_a_sidecar_runs_and_leaves_it_running(tmp_path: Path) -> None:
    folder = tmp_path / "pg"
    with EmbeddedPostgres(folder) as server:
        beside = EmbeddedPostgres(folder)
        beside.start(join=True)
        with psycopg.connect(beside.url) as connection:
            assert connection.execute("SELECT current_database()").fetchone() == ("incidentlens",)
        beside.stop()
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    alone = EmbeddedPostgres(folder)
    alone.start(join=True)
    assert servers_on(folder)
    alone.stop()
    assert gone(folder)


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_server_ends_with_its_process_however_that_ends(tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "pg"
    program = (
        "import sys, time, psycopg\nfrom incidentlens.store.embedded import EmbeddedPostgres\n"
        "with EmbeddedPostgres(sys.argv[1]) as server:\n"
        "    connection = psycopg.connect(server.url)\n    print('up', flush=True)\n    time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    process.send_signal(number)
    process.communicate()
    assert gone(folder)
    with EmbeddedPostgres(folder) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


@needs_proc
def test_a_server_left_by_a_killed_keeper_is_ended_first(tmp_path: Path) -> None:
    folder = tmp_path / "pg"
    first = EmbeddedPostgres(folder)
    first.start()
    assert first.keeper_pid is not None
    os.kill(first.keeper_pid, signal.SIGKILL)
    first.stop()
    with EmbeddedPostgres(folder) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert gone(folder)


def test_a_stale_pid_file_of_a_killed_server_is_no_obstacle(tmp_path: Path) -> None:
    folder = tmp_path / "pg"
    with EmbeddedPostgres(folder):
        pass
    # A pid that lives and is no server of ours: this very process.
    (folder / "cluster" / "postmaster.pid").write_text(f"{os.getpid()}\n{folder}\n1\n5432\n\n\n\nready\n")
    os.chown(folder / "cluster" / "postmaster.pid", (folder / "cluster").stat().st_uid, -1)
    with EmbeddedPostgres(folder) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_half_made_folder_is_made_anew(tmp_path: Path) -> None:
    fresh = tmp_path / "pg" / "cluster.new"
    fresh.mkdir(parents=True)
    (fresh / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(tmp_path / "pg") as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path), pytest.raises(StoreError, match="in use by another incidentlens"):
        EmbeddedPostgres(tmp_path).start()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file/pg for the database"):
        EmbeddedPostgres(tmp_path / "file" / "pg").start()


def test_a_folder_with_a_long_or_odd_name_works(tmp_path: Path) -> None:
    folder = tmp_path / ("sehr lang & übel " * 10)
    with EmbeddedPostgres(folder) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_data_of_another_version_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "cluster").mkdir()
    (tmp_path / "cluster" / "PG_VERSION").write_text("9\n")
    with pytest.raises(StoreError, match="was made by PostgreSQL 9"):
        find_binaries(tmp_path / "cluster")


def test_an_address_before_the_start_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not started"):
        _ = EmbeddedPostgres(tmp_path).url


def open_to_all(path: Path) -> bool:
    return all(part.stat().st_mode & stat.S_IXOTH for part in (path, *path.parents))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
@pytest.mark.skipif(
    not open_to_all(Path(sys.executable).resolve()), reason="this Python lies where other users cannot run it"
)
def test_an_ordinary_user_needs_nothing_special(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("ordinary")
    for parent in (folder, folder.parent, folder.parent.parent):
        parent.chmod(0o755)
    os.chown(folder, 65534, 65534)
    program = (
        "import os, sys, psycopg\nfrom incidentlens.store.embedded import EmbeddedPostgres\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "with EmbeddedPostgres(sys.argv[1]) as server, psycopg.connect(server.url) as connection:\n"
        "    print(connection.execute('SELECT 41').fetchone()[0])\n"
    )
    result = subprocess.run([sys.executable, "-c", program, str(folder / "pg")], capture_output=True, check=False)
    assert result.stdout == b"41\n", result.stderr
