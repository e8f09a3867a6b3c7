"""A set of labelled groups, and how a detector does on it: for `eval anomalies`, its sweeps and its report."""

from __future__ import annotations

import csv
import random
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from incidentlens.detection.groups import OWN, Collector, Part, Signature, Verdict, detect, read_part, subset
from incidentlens.detection.groups.compare import Parameters

FOLDS = 5


@dataclass(frozen=True, slots=True)
class Blocks:
    """A file's groups with their labels. `history`: groups that are only learnt from; empty where all are scored."""

    part: Part
    meaning: list[Signature]
    labels: dict[str, bool]
    history: frozenset[str]
    seconds: float  # that reading and signing took

    @property
    def scored(self) -> list[str]:
        return [name for name in self.part.names if name in self.labels and name not in self.history]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Right and wrong, group by group. `pairs`: (is anomalous, called so)."""

    pairs: list[tuple[bool, bool]]
    wrong: list[tuple[str, bool, Verdict]]
    seconds: float

    @property
    def counts(self) -> tuple[int, int, int]:
        """Rightly called anomalous, wrongly, and missed."""
        return (
            sum(truth and called for truth, called in self.pairs),
            sum(called and not truth for truth, called in self.pairs),
            sum(truth and not called for truth, called in self.pairs),
        )

    @property
    def f1(self) -> float:
        return f1(self.pairs)


def f1(pairs: Sequence[tuple[bool, bool]]) -> float:
    """F1 of (truth, called) pairs; 0 where nothing is anomalous and nothing was called so."""
    both = sum(truth and called for truth, called in pairs)
    either = sum(truth for truth, _ in pairs) + sum(called for _, called in pairs)
    return 2 * both / either if either else 0.0


def f1_interval(pairs: Sequence[tuple[bool, bool]], rounds: int = 1000) -> tuple[float, float]:
    """The 95 % percentile interval of F1 (bootstrap over groups, seeded)."""
    dice = random.Random(1)
    drawn = sorted(f1(dice.choices(pairs, k=len(pairs))) for _ in range(rounds))
    return drawn[int(0.025 * rounds)], drawn[int(0.975 * rounds) - 1]


def load(log: Path, labels: Path, group_by: str) -> Blocks:
    """A log and `block,anomalous[,scored]`; a group with scored 0 is history."""
    with labels.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    began = time.perf_counter()
    collector = Collector(group_by)
    part, meaning = collector.final(read_part(collector, log))
    return Blocks(
        part,
        meaning,
        {row["block"]: row["anomalous"] == "1" for row in rows},
        frozenset(row["block"] for row in rows if row.get("scored", "1") == "0"),
        time.perf_counter() - began,
    )


def as_it_reads(blocks: Blocks, name: str = OWN, parameters: Parameters | None = None) -> Outcome:
    """No labels and no history: the file alone, every group in it."""
    began = time.perf_counter()
    found = detect(name, parameters or {}, blocks.part, blocks.meaning)
    return _outcome(blocks, found, blocks.scored, time.perf_counter() - began)


def trained(blocks: Blocks, name: str = OWN, parameters: Parameters | None = None, *, healthy: bool = True) -> Outcome:
    """With a history: the groups that are only learnt from, or each fifth of them by the other four.

    `healthy`: without its anomalous groups. Otherwise nothing is said of them, as in a log that nobody has labelled.
    """

    def known(names: Collection[str]) -> set[str]:
        return {name for name in names if not (healthy and blocks.labels.get(name, False))}

    if blocks.history:
        splits = [(blocks.history, set(blocks.scored))]
    else:
        mixed = sorted(blocks.scored)
        random.Random(1).shuffle(mixed)
        folds = [set(mixed[index::FOLDS]) for index in range(FOLDS)]
        splits = [(frozenset(mixed) - fold, fold) for fold in folds]
    began = time.perf_counter()
    found: list[Verdict] = []
    for past, now in splits:
        history = subset(blocks.part, known(past))
        part = subset(blocks.part, now)
        found += detect(name, parameters or {}, part, blocks.meaning, [history], healthy=healthy and name == OWN)
    return _outcome(blocks, found, blocks.scored, time.perf_counter() - began)


MODES: dict[str, Callable[..., Outcome]] = {"as-it-reads": as_it_reads, "trained": trained}


def _outcome(blocks: Blocks, found: Sequence[Verdict], scored: Sequence[str], seconds: float) -> Outcome:
    by_name = {one.group: one for one in found}
    pairs, wrong = [], []
    for name in scored:
        verdict = by_name[name]
        truth = blocks.labels[name]
        pairs.append((truth, verdict.anomalous))
        if truth != verdict.anomalous:
            wrong.append((name, truth, verdict))
    return Outcome(pairs, wrong, seconds)
