"""A small service that logs to a file, for a shipper to pick up: `python -m incidentlens.provision.sample FILE`.

One JSON object a line, some lines a second. Once in ten minutes its database refuses connections for a minute.
The file is started anew at 8 MB; what was in it before is kept once as FILE.1.
"""

from __future__ import annotations

import json
import random
import signal
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

PERIOD_S, FAILS_FROM_S, FAILS_TO_S = 600, 60, 120
MAX_BYTES = 8 << 20
_EVERYDAY = ("GET /stock/{0} 200 in {1} ms", "reserved {1} of article {0}", "cache hit for article {0}")
_FAILING = (
    "could not connect to database host=stock-db port=5432: connection refused",
    "reservation of article {0} failed: no database connection after {1} ms",
)


def line(now: datetime, dice: random.Random) -> str:
    """One line of the log at `now` (UTC)."""
    since = now.timestamp() % PERIOD_S
    failing = FAILS_FROM_S < since < FAILS_TO_S and dice.random() < 0.6
    text = dice.choice(_FAILING if failing else _EVERYDAY).format(dice.randint(1000, 9999), dice.randint(1, 900))
    level = "error" if failing else "info"
    stamp = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"ts": stamp, "level": level, "service": "warehouse", "msg": text})


def run(path: Path, a_second: float = 5.0) -> None:
    """Write until SIGTERM or Ctrl-C."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    dice = random.Random()
    path.parent.mkdir(parents=True, exist_ok=True)
    while not stop.wait(dice.expovariate(a_second)):
        if path.exists() and path.stat().st_size > MAX_BYTES:
            path.replace(path.with_name(path.name + ".1"))
        with path.open("a", encoding="utf-8") as log:
            log.write(line(datetime.now(UTC), dice) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m incidentlens.provision.sample FILE")
    run(Path(sys.argv[1]))
