"""Programs that run as long as the demo does: started without a shell, ended in order, at the latest by the kernel."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

_STOP_S = 10.0


class DemoError(Exception):
    """The demo cannot go on; the message says why and what to do."""


class Child:
    """A running program; what it says goes to a file of its own."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    @classmethod
    async def start(
        cls,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Child:
        """Start `command`, in `folder` where one is given. Raises DemoError where it cannot be executed."""
        try:
            with log.open("wb") as said:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=said,
                    stderr=said,
                    cwd=folder,
                    env=environment,
                    start_new_session=True,  # Ctrl-C is ours to handle: we stop it in order
                    preexec_fn=_die_with_parent,
                )
        except OSError as error:
            raise DemoError(f"cannot start {name}: {command[0]}: {error.strerror}") from error
        return cls(name, process, log)

    async def answers(self, asked: Callable[[], Awaitable[bool]], patience_s: float) -> None:
        """Wait until `asked` says yes. Raises DemoError with the program's last words where it never does."""
        deadline = time.monotonic() + patience_s
        while not await asked():
            ended = self._process.returncode is not None
            if ended or time.monotonic() > deadline:
                why = "ended" if ended else f"does not answer within {patience_s:.0f} s"
                raise DemoError(f"{self.name} did not start: it {why}: {self.last_words()}")
            await asyncio.sleep(0.05)

    def last_words(self) -> str:
        """The end of what it said, on one line."""
        said = self._log.read_text("utf-8", "replace").strip().splitlines()[-3:]
        return " / ".join(said)[-1_000:] or "it said nothing"

    async def stop(self) -> None:
        """Ask it to end, and end it after ten seconds. Harmless where it has ended."""
        if self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), _STOP_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


def _die_with_parent() -> None:
    """On Linux the child is ended by the kernel when the demo is killed, however that happens."""
    if sys.platform != "linux":
        return
    import ctypes

    with contextlib.suppress(OSError):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
    if os.getppid() == 1:
        os._exit(0)
