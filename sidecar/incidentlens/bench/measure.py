"""A figure, its conditions, and the machine it was measured on."""

from __future__ import annotations

import os
import platform
import resource
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value; None where it could not be measured, and `conditions` say why. `aim` is the project's own."""

    name: str
    value: float | None
    unit: str
    conditions: str
    aim: str = ""
    met: bool | None = None
    details: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def not_measured(cls, name: str, unit: str, why: str, aim: str = "") -> Figure:
        """One that this machine cannot give."""
        return cls(name, None, unit, f"not measured: {why}", aim)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    packages = {}
    for name in ("polars", "drain3", "psycopg", "pydantic"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = "not installed"
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "packages": packages,
    }


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"


def peak_mb() -> float:
    """The most memory this process ever held, in MB.

    On Linux ru_maxrss begins at what the parent held when it started this process, so the kernel's own mark of this
    address space (VmHWM) is read instead.
    """
    try:
        with open("/proc/self/status", encoding="ascii") as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024 / 1e6
    except (OSError, StopIteration):
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3


def alone(work: Callable[..., T], *arguments: Any) -> T:
    """Run in a fresh process, so that neither memory nor caches of another measurement count."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()
