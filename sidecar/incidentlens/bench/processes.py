"""CPU time and memory of processes, from /proc: of Linux alone."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def available() -> bool:
    """Whether this system can tell."""
    return Path("/proc/self/stat").is_file()


def cpu_seconds(pid: int) -> float:
    """CPU time that a process and its ended children have used, user and system. 0 where it is gone."""
    fields = _stat(pid)
    return sum(int(field) for field in fields[11:15]) / _TICKS if fields else 0.0


def resident_mb(pid: int) -> float:
    """Resident memory, what it shares with others included. Raises OSError where it is gone."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / 1e6


def below(pid: int) -> list[int]:
    """All that descend from a process, by pid."""
    parents = {int(entry.name): _parent(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    found: list[int] = []
    around = [pid]
    while around:
        around = [child for child, parent in parents.items() if parent in around]
        found += around
    return found


def _parent(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def _stat(pid: int) -> list[str]:
    """The fields after the name, which may hold anything."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
