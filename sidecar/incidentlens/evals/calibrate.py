"""Fits the numbers of `incidents/calibration.py` and prints them: `python -m incidentlens.evals.calibrate [MINUTES]`.

On made-up systems with even seeds, each with its whole history and with a minute of it, and on the cases by hand; odd
seeds and the public cases are what the report tests them on. Samples are few, so what is fitted is how far to move from
the numbers that are in force. After MINUTES (20 unless said) it fits what it has.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.optimize import minimize

from incidentlens.incidents.blame import blame
from incidentlens.incidents.calibration import COEFFICIENTS, HIGHEST, INTERCEPT, LOWEST, Support
from incidentlens.incidents.ranking import candidates
from incidentlens.incidents.rootcause import support_of
from incidentlens.model.clock import MINUTE

from .cases import Case, load_cases
from .playing import Known, play
from .recorded import leading, recording
from .rootcause_cases import RootCauseExpected
from .topologies import make

SEEDS = range(0, 120, 2)
_MINUTES = 20.0
_PENALTY = 10.0  # of the squares of what is moved; for the intercept a fifth of it
_FOLDS = 10
_PRESENT = np.array([*COEFFICIENTS.values(), INTERCEPT])
_EVERY = 10  # cases between two lines of progress


@dataclass(frozen=True, slots=True)
class Sample:
    """What the first of one ranking had for it, and whether it was right. Samples of one `group` are no two proofs."""

    group: str
    support: Support
    right: bool


def main() -> None:
    """Print the numbers in force and the fitted ones, with their losses on cases that a fit did not see."""
    limit = float(sys.argv[1]) if len(sys.argv) > 1 else _MINUTES
    samples = gather([*_made(SEEDS), *_by_hand(Path("evals/root_cause"))], limit)
    seen, right = _matrix(samples)
    fitted = fit(samples)
    sys.stdout.write(f"# {len(samples)} incidents, {int(right.sum())} right\n")
    for name, chances in (
        ("in force", _chances(seen, _PRESENT)),
        ("fitted, cross-validated", cross_validated(samples)),
    ):
        brier, log_loss = losses(chances, right)
        sys.stdout.write(f"# {name}: Brier {brier:.4f}, log loss {log_loss:.4f}\n")
    sys.stdout.write(f"INTERCEPT = {fitted[-1]:.2f}\nCOEFFICIENTS = ")
    sys.stdout.write(f"{ {name: round(float(value), 2) for name, value in zip(COEFFICIENTS, fitted, strict=False)} }\n")


Play = Callable[[], "Sample | None"]


def gather(plays: Sequence[Play], minutes: float) -> list[Sample]:
    """Play them in turn until the time is over, with a line of progress now and then on stderr."""
    began, found = time.monotonic(), list[Sample]()
    for number, one in enumerate(plays, 1):
        sample = one()
        if sample is not None:
            found.append(sample)
        seconds = time.monotonic() - began
        over = seconds > minutes * 60
        if over or number % _EVERY == 0 or number == len(plays):
            sys.stderr.write(f"{number} of {len(plays)} cases, {seconds:.0f} s\n")
        if over:
            break
    return found


def fit(samples: Iterable[Sample]) -> NDArray[np.float64]:
    """Coefficients and, last, the intercept: the likeliest for the samples, held near those in force."""
    seen, right = _matrix(list(samples))
    weight = np.full(len(_PRESENT), _PENALTY)
    weight[-1] /= 5

    def loss(numbers: NDArray[np.float64]) -> float:
        log_odds = seen @ numbers
        surprise = np.logaddexp(0.0, np.where(right, -log_odds, log_odds)).sum()
        return float(surprise + 0.5 * (weight * (numbers - _PRESENT) ** 2).sum())

    found: NDArray[np.float64] = minimize(loss, _PRESENT, method="L-BFGS-B").x
    return found


def cross_validated(samples: Sequence[Sample]) -> NDArray[np.float64]:
    """The chance that each first is right, by a fit that saw no sample of its fold; a group is never divided."""
    groups = sorted({sample.group for sample in samples})
    fold = {group: index % _FOLDS for index, group in enumerate(groups)}
    seen, _ = _matrix(samples)
    chances = np.zeros(len(samples))
    for number in range(_FOLDS):
        held = np.array([fold[sample.group] == number for sample in samples])
        if held.any():
            rest = [sample for sample in samples if fold[sample.group] != number]
            chances[held] = _chances(seen[held], fit(rest))
    return chances


def losses(chances: NDArray[np.float64], right: NDArray[np.bool_]) -> tuple[float, float]:
    """(Brier score, log loss) of chances against what was right."""
    said = np.where(right, chances, 1 - chances)
    return float(((chances - right) ** 2).mean()), float(-np.log(said).mean())


def _matrix(samples: Sequence[Sample]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    features = [sample.support.features() for sample in samples]
    rows = [[*(one[name] for name in COEFFICIENTS), 1.0] for one in features]
    return np.array(rows), np.array([sample.right for sample in samples])


def _chances(seen: NDArray[np.float64], numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    chances: NDArray[np.float64] = np.clip(1 / (1 + np.exp(-(seen @ numbers))), LOWEST, HIGHEST)
    return chances


def _made(seeds: Iterable[int]) -> Iterator[Play]:
    for seed in seeds:
        yield partial(_made_up, seed, None)
        yield partial(_made_up, seed, MINUTE)


def _made_up(seed: int, history: int | None) -> Sample | None:
    made = make(seed)
    baseline = made.baseline
    if history is not None:
        baseline = baseline.filter(pl.col("ts") > int(baseline["ts"][-1]) - history)
    return _played(f"seed {seed}", made.records, baseline, Known(), {made.truth}) if made.truth else None


def _by_hand(folder: Path) -> Iterator[Play]:
    for case in load_cases(folder, RootCauseExpected):
        yield partial(_hand, case)


def _hand(case: Case[RootCauseExpected]) -> Sample | None:
    truth = {service for one in case.expect.causes for service in one.service}
    known = Known(case.inputs.dependencies, case.deploys, case.maintenance)
    return _played(case.id, case.records, case.baseline, known, truth) if truth else None


def _played(
    group: str, records: pl.DataFrame, baseline: pl.DataFrame, known: Known, truth: Collection[str]
) -> Sample | None:
    with recording() as asked:
        answer = play(records, baseline, known)
    arguments = leading(answer, asked)
    return sample(group, arguments, truth) if arguments else None


def sample(group: str, arguments: tuple[Any, ...], truth: Collection[str]) -> Sample:
    """What one incident gave the ranking to go by, and whether its first was right."""
    incident, signed, dependencies, known, around = arguments
    problems = [p for p in incident.problems if p.suppressed is None] or list(incident.problems)
    graph = blame(problems, signed, dependencies, frozenset(known), around)
    ranked = candidates(graph)
    return Sample(group, support_of(graph, ranked), ranked[0].service in truth)


if __name__ == "__main__":
    main()
