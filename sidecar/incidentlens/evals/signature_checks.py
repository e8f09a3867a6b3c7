"""What is behind the figures of the signatures: were they fitted to these systems, how fast, how much memory."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from incidentlens.bench.measure import peak_mb
from incidentlens.signatures import Catalogue, masks, merging
from incidentlens.signatures.scoring import agreement

from .labelled_logs import LabelledLog, events_of

FACTORS = (0.0, 0.6, 1.0, 1.6, 2.4)
TEMPLATES = 100_000


def sign(lines: Sequence[str]) -> list[str]:
    """The signature of each line by a catalogue that knows nothing yet; the line is the message."""
    return Catalogue().sign(events_of(lines))["signature"].to_list()


def quality(log: LabelledLog, answer: Sequence[str]) -> float:
    """Mean of GA and FGA over the sets of labels."""
    scores = [agreement(answer, truth) for truth in log.truth.values()]
    return statistics.mean(figure for score in scores for figure in (score.ga, score.fga))


@contextmanager
def replaced(module: Any, name: str, value: Any) -> Iterator[None]:
    """A constant of a module exchanged for a while."""
    before = getattr(module, name)
    setattr(module, name, value)
    merging.slots.cache_clear()
    try:
        yield
    finally:
        setattr(module, name, before)
        merging.slots.cache_clear()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One system, scored as shipped and by what the other systems alone would have led to.

    `factor`: how many words prove a value, times this. `masks`: score without the masks that no other system needs;
    `unneeded`: those of them that this one does need.
    """

    log: str
    shipped: float
    factor: float
    with_factor: float
    with_masks: float
    unneeded: list[str]


def leave_one_out(logs: Sequence[LabelledLog]) -> list[LeftOut]:
    """Choose on all systems but one, score on that one; `quality` as the score."""
    shipped = [quality(log, sign(log.content)) for log in logs]
    by_factor = [_with_factor(logs, factor) for factor in FACTORS]
    without = {
        mask.name: _with_masks(logs, [other for other in masks.SHAPES if other.name != mask.name])
        for mask in masks.SHAPES
    }
    answers = []
    for index, log in enumerate(logs):
        others = [other for other in range(len(logs)) if other != index]
        factor = max(
            range(len(FACTORS)),
            # Of equals the one nearest to what is shipped.
            key=lambda at: (round(sum(by_factor[at][other] for other in others), 6), -abs(FACTORS[at] - 1)),
        )
        needed = [
            mask for mask in masks.SHAPES if any(without[mask.name][other] < shipped[other] - 1e-9 for other in others)
        ]
        unneeded = [
            mask.name
            for mask in masks.SHAPES
            if mask not in needed and without[mask.name][index] < shipped[index] - 1e-9
        ]
        (alone,) = _with_masks([log], needed)
        answers.append(LeftOut(log.name, shipped[index], FACTORS[factor], by_factor[factor][index], alone, unneeded))
    return answers


def _with_factor(logs: Sequence[LabelledLog], factor: float) -> list[float]:
    shipped = merging.needed

    def needed(shared: int, introduced: bool, dotted: bool = False) -> int:
        return round(shipped(shared, introduced, dotted) * factor)

    with replaced(merging, "needed", needed):
        return [quality(log, sign(log.content)) for log in logs]


def _with_masks(logs: Sequence[LabelledLog], kept: Sequence[masks.Mask]) -> list[float]:
    with replaced(masks, "SHAPES", tuple(kept)):
        return [quality(log, sign(log.content)) for log in logs]


def many(lines: Sequence[str]) -> list[str]:
    """A short log ten times, its digits changed each time, so that repeated lines do not flatter a rate."""
    turned = [str.maketrans("0123456789", "0123456789"[i:] + "0123456789"[:i]) for i in range(10)]
    return [line.translate(turn) for turn in turned for line in lines]


@dataclass(frozen=True, slots=True)
class Rates:
    """Lines a second; `by_cpu` is the ratio of processor seconds, which a busy machine does not change."""

    lines: int
    first: float  # a catalogue that never saw them
    again: float
    peer: float | None
    by_cpu: float | None


def rates(lines: list[str], peer: Callable[[Sequence[str]], object] | None, rounds: int) -> Rates:
    """Ours and the peer's rate on the same lines in this process, in turns; medians of `rounds`."""
    events = events_of(lines)
    known = Catalogue()
    known.sign(events)
    first, again, theirs = [], [], []
    for _ in range(rounds):
        first.append(_timed(lambda: Catalogue().sign(events)))
        again.append(_timed(lambda: known.sign(events)))
        if peer is not None:
            theirs.append(_timed(lambda: peer(lines)))

    def median(runs: list[tuple[float, float]], at: int) -> float:
        return statistics.median(run[at] for run in runs)

    return Rates(
        len(lines),
        len(lines) / median(first, 0),
        len(lines) / median(again, 0),
        len(lines) / median(theirs, 0) if theirs else None,
        median(theirs, 1) / median(first, 1) if theirs else None,
    )


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def memory(templates: int = TEMPLATES, more: int = 3) -> dict[str, float]:
    """MB that this process grows by with so many templates, and with `more` times as many refused ones after them.

    For a process of its own. Every word is new, so that nothing merges: the worst there is.
    """
    dice = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyz"

    def line() -> str:
        return " ".join("".join(dice.choices(letters, k=dice.randint(3, 12))) for _ in range(dice.randint(6, 14)))

    def batch() -> list[str]:
        return [line() for _ in range(20_000)]

    catalogue = Catalogue(max_templates=templates)
    catalogue.sign(events_of(batch()[:10]))
    before = peak_mb()
    while catalogue.stats().templates < templates:
        catalogue.sign(events_of(batch()))
    full = peak_mb()
    for _ in range(more * templates // 20_000):
        catalogue.sign(events_of(batch()))
    stats = catalogue.stats()
    return {
        "full_mb": full - before,
        "after_mb": peak_mb() - before,
        "templates": stats.templates,
        "overflowed": stats.overflowed,
    }
