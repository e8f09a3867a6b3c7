"""What the demo starts, and how it is all stopped again: one process tree, nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from incidentlens.intake.loki import LokiClient, LokiSettings
from incidentlens.store.embedded import EmbeddedPostgres

WEB_PORT = 8095
GRAFANA_PORT = 50051
LOKI_PORT = 3100
_START_WAIT_S = 30.0


class DemoError(Exception):
    """The demo cannot go on; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Stack:
    """Where everything is."""

    folder: Path
    loki_url: str
    database_url: str
    web_port: int
    grafana_port: int = GRAFANA_PORT  # where Grafana's data source is answered


def free_port(wanted: int) -> int:
    """`wanted`, or a free port of 127.0.0.1 where that one is taken."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise DemoError("no free port on 127.0.0.1")


@asynccontextmanager
async def stack(loki: str | None, database: str | None, keep: bool) -> AsyncIterator[Stack]:
    """Start what is not given, and stop it again whatever happens."""
    folder = _folder(keep)
    async with contextlib.AsyncExitStack() as started:
        if not keep:
            started.callback(shutil.rmtree, folder, ignore_errors=True)
        postgres = asyncio.create_task(_database(started, folder, database))
        try:
            loki_url = loki or await _local_loki(started, folder)
        finally:
            database_url = await postgres
        yield Stack(folder, loki_url, database_url, free_port(WEB_PORT), free_port(GRAFANA_PORT))


def _folder(keep: bool) -> Path:
    if not keep:
        return Path(tempfile.mkdtemp(prefix="incidentlens-demo-"))
    folder = Path(".incidentlens/demo").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


async def _database(started: contextlib.AsyncExitStack, folder: Path, given: str | None) -> str:
    if given:
        return given
    server = EmbeddedPostgres(folder / "postgres")
    await asyncio.to_thread(server.start)
    started.push_async_callback(asyncio.to_thread, server.stop)
    return server.url


async def _local_loki(started: contextlib.AsyncExitStack, folder: Path) -> str:
    """The local Loki in a process of its own: its queries must not hold up the screen."""
    port = free_port(LOKI_PORT)
    url = f"http://127.0.0.1:{port}"
    command = ["-m", "incidentlens.cli.main", "local-loki", "--listen", f"127.0.0.1:{port}", "--data"]
    log_path = folder / "loki.log"
    with log_path.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            str(folder / "loki"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is ours to handle: we stop it in order
            preexec_fn=_die_with_parent,
        )
    started.push_async_callback(_stop, process)
    async with LokiClient(LokiSettings(url, max_attempts=1)) as client:
        deadline = time.monotonic() + _START_WAIT_S
        while not await client.ready():
            if process.returncode is not None or time.monotonic() > deadline:
                said = log_path.read_text("utf-8", "replace").strip().splitlines()[-3:]
                raise DemoError(f"the local Loki did not start: {' / '.join(said) or 'it said nothing'}")
            await asyncio.sleep(0.05)
    return url


def _die_with_parent() -> None:
    """On Linux the child is ended by the kernel when the demo is killed, however that happens."""
    if sys.platform != "linux":
        return
    import ctypes

    with contextlib.suppress(OSError):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
    if os.getppid() == 1:
        os._exit(0)


async def _stop(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), 10)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
