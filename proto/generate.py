"""Generates the Python of every .proto beside this file: `make proto`, or `python proto/generate.py [FOLDER]`.

The files lie in a package, so protoc is told that they come from there; then they import each other by their full name
and register under it.
"""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

HERE = Path(__file__).resolve().parent
PACKAGE = "incidentlens/grafana/pb"


def generate(into: Path) -> None:
    """Write *_pb2.py and *_pb2.pyi under `into`/incidentlens/grafana/pb. Raises SystemExit where protoc refuses."""
    into.mkdir(parents=True, exist_ok=True)
    arguments = [
        "protoc",
        f"--proto_path={PACKAGE}={HERE}",
        f"--proto_path={files('grpc_tools') / '_proto'}",
        f"--python_out={into}",
        f"--pyi_out={into}",
        *(f"{PACKAGE}/{source.name}" for source in sorted(HERE.glob("*.proto"))),
    ]
    status = protoc.main(arguments)
    if status:
        raise SystemExit(status)


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "sidecar")
