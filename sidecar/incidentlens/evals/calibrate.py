"""Fits the numbers of `incidents/calibration.py` and prints them: `python -m incidentlens.evals.calibrate`.

On made-up systems with even seeds and on the cases by hand; odd seeds and the public cases are what the report tests
them on.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sklearn.linear_model import LogisticRegression

from incidentlens.incidents.blame import blame
from incidentlens.incidents.calibration import COEFFICIENTS, Support
from incidentlens.incidents.ranking import candidates
from incidentlens.incidents.rootcause import support_of

from .cases import load_cases
from .playing import Known, play
from .recorded import leading, recording
from .rootcause_cases import RootCauseExpected
from .topologies import make

SEEDS = range(0, 120, 2)
_PENALTY = 1.0  # of the squares; keeps a part that hardly ever occurs near zero


def main() -> None:
    """Print the intercept and the coefficients."""
    samples = [one for seed in SEEDS for one in _made(seed)] + _by_hand(Path("evals/root_cause"))
    intercept, coefficients = fit(samples)
    sys.stdout.write(f"# {len(samples)} incidents\nINTERCEPT = {intercept:.2f}\n")
    sys.stdout.write(f"COEFFICIENTS = { ({name: round(value, 2) for name, value in coefficients.items()}) }\n")


def fit(samples: Iterable[tuple[Support, bool]]) -> tuple[float, dict[str, float]]:
    """(intercept, coefficients) of a logistic map from the parts of a support to whether the first was right."""
    rows = [(support.features(), right) for support, right in samples]
    matrix = np.array([[features[name] for name in COEFFICIENTS] for features, _ in rows])
    model = LogisticRegression(C=1 / _PENALTY, max_iter=1000).fit(matrix, np.array([right for _, right in rows]))
    values = [float(value) for value in model.coef_[0]]
    return float(model.intercept_[0]), dict(zip(COEFFICIENTS, values, strict=True))


def sample(arguments: tuple[Any, ...], truth: Collection[str]) -> tuple[Support, bool]:
    """What one incident gave the ranking to go by, and whether its first was right."""
    incident, signed, dependencies, known, around = arguments
    problems = [p for p in incident.problems if p.suppressed is None] or list(incident.problems)
    graph = blame(problems, signed, dependencies, frozenset(known), around)
    ranked = candidates(graph)
    return support_of(graph, ranked), ranked[0].service in truth


def _made(seed: int) -> list[tuple[Support, bool]]:
    made = make(seed)
    return _played(made.records, made.baseline, Known(), {made.truth}) if made.truth else []


def _by_hand(folder: Path) -> list[tuple[Support, bool]]:
    found = []
    for case in load_cases(folder, RootCauseExpected):
        truth = {service for one in case.expect.causes for service in one.service}
        known = Known(case.inputs.dependencies, case.deploys, case.maintenance)
        found += _played(case.records, case.baseline, known, truth) if truth else []
    return found


def _played(
    records: pl.DataFrame, baseline: pl.DataFrame, known: Known, truth: Collection[str]
) -> list[tuple[Support, bool]]:
    with recording() as asked:
        answer = play(records, baseline, known)
    arguments = leading(answer, asked)
    return [sample(arguments, truth)] if arguments else []


if __name__ == "__main__":
    main()
