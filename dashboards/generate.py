"""Writes the dashboards' JSON: `make dashboards`, or `python dashboards/generate.py [FOLDER]`."""

from __future__ import annotations

import sys
from pathlib import Path

from source import health, incident, overview, overview_loki, runbooks, signatures

EVERY = {
    "overview": overview,
    "incident": incident,
    "signatures": signatures,
    "runbooks": runbooks,
    "health": health,
    "overview-without-plugin": overview_loki,
}


def write(folder: Path) -> list[Path]:
    """One file a dashboard; what else is there in JSON is taken away."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, module in EVERY.items():
        path = folder / f"{name}.json"
        path.write_bytes(module.build().json())
        paths.append(path)
    for path in folder.glob("*.json"):
        if path not in paths:
            path.unlink()
    return paths


if __name__ == "__main__":
    for written in write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("json")):
        print(written)
