"""Fuzz one target: `python tests/fuzz/run.py TARGET [libFuzzer options]`; `make fuzz` runs all for a bounded time.

What is found is written to `crash-*` in the working directory; run the same with that file's name to see it again.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
with atheris.instrument_imports(
    include=["incidentlens.intake.reading", "incidentlens.logql", "incidentlens.signatures", "incidentlens.runbooks"]
):
    import targets

SEEDS = HERE.parent / "unit" / "reading" / "data"
# One input may take so long (s), be so large (bytes), and the process grow so far (MB).
BOUNDS = ["-timeout=20", "-max_len=4096", "-rss_limit_mb=3072"]


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in targets.TARGETS:
        sys.exit(f"name a target: {', '.join(targets.TARGETS)}")
    seeds = [str(SEEDS / "formats")] if name in ("reading", "signing") else []
    seeds += [str(SEEDS / "multiline" / "java")] if name == "causes" else []
    atheris.Setup([sys.argv[0], *BOUNDS, *sys.argv[2:], *seeds], targets.TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
