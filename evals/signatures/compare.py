"""Signatures against labelled logs and against Drain3, in one run on the same lines.

    python evals/signatures/compare.py [--data DIR] [--json FILE]

DIR holds `loghub2k/<System>/{content.log,raw.log,truth.csv,truth_corrected.csv}` and `loghub2_full/<System>/` (default:
`../shared/evaldata` beside the repository). Prints Markdown. No setting differs between systems. Rates are of one
process, the median of three runs, Drain3's of one.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl
from drain3 import TemplateMiner
from drain3.masking import MaskingInstruction
from drain3.template_miner_config import TemplateMinerConfig

from incidentlens.model.records import EVENTS
from incidentlens.signatures import Catalogue, masks, merging, sign_file
from incidentlens.signatures.scoring import agreement

REPO = Path(__file__).resolve().parents[2]

# The masks that Drain3's own example configuration has.
_BEFORE, _AFTER = r"((?<=[^A-Za-z0-9])|^)", r"((?=[^A-Za-z0-9])|$)"
DRAIN_MASKS = [
    (r"([0-9a-f]{2,}:){3,}([0-9a-f]{2,})", "ID"),
    (r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}", "IP"),
    (r"([0-9a-f]{6,} ?){3,}", "SEQ"),
    (r"([0-9A-F]{4} ?){4,}", "SEQ"),
    (r"0x[a-f0-9A-F]+", "HEX"),
    (r"[\-\+]?\d+", "NUM"),
]


def frame(lines: Sequence[str]) -> pl.DataFrame:
    """Lines as EVENTS: the line is the message, its level unknown."""
    index = range(len(lines))
    columns: dict[str, object] = {name: [None] * len(lines) for name in EVENTS}
    columns |= {"ts": index, "first": index, "last": index, "line": lines, "message": lines}
    for name, value in (("service", "unknown"), ("stream", "{}"), ("level", "unknown"), ("format", "plain")):
        columns[name] = [value] * len(lines)
    return pl.DataFrame(columns, schema=EVENTS)


def ours(lines: Sequence[str]) -> list[str]:
    return Catalogue().sign(frame(lines))["signature"].to_list()


def only_masks(lines: Sequence[str]) -> list[str]:
    return masks.mask(pl.Series(lines)).to_list()


def drain(lines: Sequence[str]) -> list[str]:
    config = TemplateMinerConfig()
    config.masking_instructions = [MaskingInstruction(f"{_BEFORE}{p}{_AFTER}", name) for p, name in DRAIN_MASKS]
    miner = TemplateMiner(config=config)
    return [str(miner.add_log_message(line)["cluster_id"]) for line in lines]


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]


def many(lines: Sequence[str]) -> list[str]:
    """A short log ten times, its digits changed each time, so that repeated lines do not flatter a rate."""
    turned = [str.maketrans("0123456789", "0123456789"[i:] + "0123456789"[:i]) for i in range(10)]
    return [line.translate(turn) for turn in turned for line in lines]


def truth_of(path: Path) -> list[str]:
    with path.open(newline="", encoding="utf-8") as file:
        return [row["event_id"] for row in csv.DictReader(file)]


def rate(work: Callable[[], object], lines: int, runs: int) -> float:
    """Lines a second, the median of `runs`."""
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return lines / statistics.median(seconds)


class Table:
    """Rows of figures, printed as Markdown with their mean."""

    def __init__(self, title: str, columns: Sequence[str]) -> None:
        self.title, self.columns, self.rows = title, list(columns), dict[str, list[float]]()

    def add(self, name: str, *figures: float) -> None:
        self.rows[name] = list(figures)

    def show(self, digits: int = 3, mean: bool = True) -> None:
        print(f"\n### {self.title}\n")
        print("| | " + " | ".join(self.columns) + " |")
        print("|---" * (len(self.columns) + 1) + "|")
        rows = dict(self.rows)
        if mean:
            rows["**mean**"] = [statistics.mean(column) for column in zip(*self.rows.values(), strict=True)]
        for name, figures in rows.items():
            print(
                f"| {name} | "
                + " | ".join(f"{figure:.{digits}f}" if digits else f"{figure:,.0f}" for figure in figures)
                + " |"
            )


def scaled(factor: float) -> Callable[[int, bool], int]:
    """The number of words that prove a value, times `factor`; 0: words never do."""
    original = _NEEDED
    return lambda shared, introduced: round(original(shared, introduced) * factor)


_NEEDED = merging.needed


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=REPO / "../shared/evaldata")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    root: Path = arguments.data
    folders = sorted(path for path in (root / "loghub2k").glob("*") if path.is_dir())
    if not folders:
        print(f"no loghub2k in {root}; give the folder with --data", file=sys.stderr)
        return 2
    print(
        f"{datetime.date.today()}, {platform.machine()}, {os.cpu_count()} cores,"
        f" Python {platform.python_version()}, polars {pl.__version__}"
    )

    kinds = {"original": "truth.csv", "corrected": "truth_corrected.csv"}
    tables: list[Table] = []
    for kind, name in kinds.items():
        table = Table(
            f"Message text, {kind} labels",
            [
                "GA",
                "FGA",
                "GA raw",
                "FGA raw",
                "GA masks only",
                "FGA masks only",
                "GA Drain3",
                "FGA Drain3",
                "GA Drain3 raw",
                "FGA Drain3 raw",
            ],
        )
        for folder in folders:
            truth = truth_of(folder / name)
            content, raw = lines_of(folder / "content.log"), lines_of(folder / "raw.log")
            answers = [
                ours(content),
                [row["signature"] for row in sign_file(folder / "raw.log")],
                only_masks(content),
                drain(content),
                drain(raw),
            ]
            scores = [agreement(answer, truth) for answer in answers]
            table.add(folder.name, *(figure for score in scores for figure in (score.ga, score.fga)))
        table.show()
        tables.append(table)

    full = Table("Whole logs (one set of labels)", ["GA", "FGA", "GA Drain3", "FGA Drain3"])
    for folder in sorted(path for path in (root / "loghub2_full").glob("*") if path.is_dir()):
        content, truth = lines_of(folder / "content.log"), truth_of(folder / "truth.csv")
        scores = [agreement(answer(content), truth) for answer in (ours, drain)]
        full.add(folder.name, *(figure for score in scores for figure in (score.ga, score.fga)))
    full.show(mean=False)
    tables.append(full)

    speed = Table(
        "Lines a second, message text: the first time a catalogue sees them, and the second (2,000-line logs ten times,"
        " digits changed)",
        ["lines", "first", "again", "Drain3", "times Drain3"],
    )
    for folder in [*folders, *sorted(path for path in (root / "loghub2_full").glob("*") if path.is_dir())]:
        lines = lines_of(folder / "content.log")
        lines = lines if len(lines) > 10_000 else many(lines)
        events = frame(lines)
        first = rate(lambda events=events: Catalogue().sign(events), len(lines), 3)
        known = Catalogue()
        known.sign(events)
        again = rate(lambda events=events, known=known: known.sign(events), len(lines), 3)
        theirs = rate(lambda lines=lines: drain(lines), len(lines), 1)
        speed.add(f"{folder.parent.name}/{folder.name}", len(lines), first, again, theirs, first / theirs)
    speed.show(digits=0, mean=False)
    tables.append(speed)

    factors = (0.0, 0.6, 1.0, 1.6, 2.4)
    sweep = Table(
        "How many words prove a value, times a factor (0: never): mean of GA and FGA over both labels",
        [f"x{factor}" for factor in factors],
    )
    for folder in folders:
        content = lines_of(folder / "content.log")
        figures = []
        for factor in factors:
            merging.needed = scaled(factor)
            merging.slots.cache_clear()
            answer = ours(content)
            scores = [agreement(answer, truth_of(folder / name)) for name in kinds.values()]
            figures.append(statistics.mean(figure for score in scores for figure in (score.ga, score.fga)))
        sweep.add(folder.name, *figures)
    merging.needed = _NEEDED
    merging.slots.cache_clear()
    sweep.show(digits=4)
    tables.append(sweep)
    print(
        "\nLeave one out: the factor that is best on the other systems (among equals the one nearest 1),"
        " and what it gives on the one left out\n"
    )
    left_out = []
    for name in sweep.rows:
        others = [
            statistics.mean(row[i] for other, row in sweep.rows.items() if other != name) for i in range(len(factors))
        ]
        best = max(range(len(factors)), key=lambda i: (round(others[i], 6), -abs(factors[i] - 1)))
        left_out.append(sweep.rows[name][best])
        print(f"- {name}: x{factors[best]} gives {sweep.rows[name][best]:.4f}")
    print(
        f"\nMean left out {statistics.mean(left_out):.4f},"
        f" mean with the shipped numbers {statistics.mean(row[2] for row in sweep.rows.values()):.4f}"
    )
    if arguments.json:
        arguments.json.write_text(
            json.dumps(
                [{"title": table.title, "columns": table.columns, "rows": table.rows} for table in tables], indent=1
            )
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
