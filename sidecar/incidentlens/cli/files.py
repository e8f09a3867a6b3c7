"""Files named on the command line."""

from __future__ import annotations

from pathlib import Path

from .console import unusable


def must_exist(path: Path) -> Path:
    """The path, where it can be read or is `-`; otherwise a clear line and status 2."""
    if str(path) == "-":
        return path
    if path.is_dir():
        unusable(f"{path} is a folder; name a file")
    if not path.exists():
        unusable(f"there is no file {path}")
    return path
