"""The local Loki as a user runs it: a process of its own."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from incidentlens.intake.loki import LokiClient, LokiSettings


@asynccontextmanager
async def local_loki(folder: Path) -> AsyncIterator[LokiSettings]:
    """One that keeps its data in `folder` and is ready; at the end it is stopped."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = ["local-loki", "--listen", f"127.0.0.1:{port}", "--data", str(folder)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "incidentlens.cli.main", *arguments,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    settings = LokiSettings(f"http://127.0.0.1:{port}", max_attempts=2)
    try:
        async with LokiClient(settings) as client, asyncio.timeout(60):
            while not await client.ready():
                await asyncio.sleep(0.05)
        yield settings
    finally:
        process.terminate()
        await process.wait()
