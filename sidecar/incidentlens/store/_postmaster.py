"""The embedded server's keeper: a small process between IncidentLens and `postgres`. Standard library only.

It is run by path, with one argument (JSON) and a pipe as its standard input, and ends the server as soon as that pipe
closes. The operating system closes the pipe however IncidentLens ends, `kill -9` included, so no server is ever left
behind; a parent-death signal would not do, since Linux sends that when the *thread* that started the child ends.
The keeper has its own session: a Ctrl-C in the terminal reaches IncidentLens, which stops what it does and then
closes the pipe, and never the server first.
"""

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522
STOP_SECONDS = 10


class _CapabilityHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _CapabilityData(ctypes.Structure):
    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]


def become(uid: int | None, gid: int | None, reach: bool) -> None:
    """In the forked child: give up root for `uid`, and die with the keeper.

    PostgreSQL refuses to run as root. `reach` keeps the one capability that lets the unprivileged user read below
    folders closed to others (a clone in /root, a temporary folder of mode 0700): the alternative would be to open
    those folders to everybody.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    linux = sys.platform == "linux"
    if uid is not None and gid is not None:
        if reach and linux:
            libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
        if reach and linux:
            bit = 1 << CAP_DAC_OVERRIDE
            header = _CapabilityHeader(CAPABILITY_VERSION_3, 0)
            data = (_CapabilityData * 2)(_CapabilityData(bit, bit, bit), _CapabilityData(0, 0, 0))
            libc.capset(ctypes.byref(header), data)
            libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)
    if linux:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
    os.umask(0o077)


def main() -> int:
    """0 when the server was stopped on request, its own status (or 1) when it ended by itself or never started."""
    plan: dict[str, Any] = json.loads(sys.argv[1])
    bin_folder, cluster, fresh = Path(plan["bin"]), Path(plan["cluster"]), Path(plan["fresh"])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def start(*command: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 (our own binaries, no shell)
            command,
            stdin=subprocess.DEVNULL,
            cwd="/",
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
            preexec_fn=lambda: _child(plan),
        )

    if not (cluster / "PG_VERSION").exists():
        # Made aside and moved into place: a kill in the middle leaves nothing that looks like a database.
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        if plan["uid"] is not None:
            os.chown(fresh, plan["uid"], plan["gid"])
        status = _attend(
            start(str(bin_folder / "initdb"), "-D", str(fresh), "-U", "postgres", "--auth=trust", "--encoding=UTF8",
                  "--locale=C", "--no-sync", "--no-instructions")
        )  # fmt: skip
        if status is None:
            return 0
        if status != 0:
            return status
        os.rename(fresh, cluster)
    options = [argument for name, value in plan["settings"].items() for argument in ("-c", f"{name}={value}")]
    ended = _attend(start(str(bin_folder / "postgres"), "-D", str(cluster), *options))
    return 0 if ended is None else (ended or 1)


def _child(plan: dict[str, Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    become(plan["uid"], plan["gid"], plan["reach"])


def _attend(child: subprocess.Popen[bytes]) -> int | None:
    """Wait until the child ends (its status) or our pipe closes (None, the child then stopped)."""
    while True:
        readable, _, _ = select.select([0], [], [], 0.1)
        if readable and not os.read(0, 1):
            break
        status = child.poll()
        if status is not None:
            return status
    # SIGINT is PostgreSQL's fast shutdown, SIGQUIT its immediate one (recovered from the log at the next start).
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            child.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(STOP_SECONDS)
            return None
    return None


if __name__ == "__main__":
    sys.exit(main())
