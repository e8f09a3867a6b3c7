"""Fits the numbers of `incidents/calibration.py` and prints them: `python -m incidentlens.evals.calibrate`.

On made-up systems with even seeds; those with odd seeds are what the report tests the numbers on.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

import numpy as np
from sklearn.linear_model import LogisticRegression

from incidentlens.incidents.blame import blame
from incidentlens.incidents.calibration import COEFFICIENTS, Support
from incidentlens.incidents.ranking import candidates
from incidentlens.incidents.rootcause import support_of

from .playing import play
from .recorded import leading, recording
from .topologies import make

SEEDS = range(0, 240, 2)
_PENALTY = 1.0  # of the squares; keeps a part that hardly ever occurs near zero


def main() -> None:
    """Print the intercept and the coefficients."""
    samples = [one for seed in SEEDS for one in _sample(seed)]
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


def sample(arguments: tuple[object, ...], truth: str) -> tuple[Support, bool]:
    """What one incident gave the ranking to go by, and whether its first was right."""
    incident, signed, dependencies, known, around = arguments
    problems = [p for p in incident.problems if p.suppressed is None] or list(incident.problems)  # type: ignore[attr-defined]
    graph = blame(problems, signed, dependencies, frozenset(known), around)  # type: ignore[arg-type,call-overload]
    ranked = candidates(graph)
    return support_of(graph, ranked), ranked[0].service == truth


def _sample(seed: int) -> list[tuple[Support, bool]]:
    made = make(seed)
    if not made.truth:
        return []
    with recording() as asked:
        answer = play(made.records, made.baseline)
    arguments = leading(answer, asked)
    return [sample(arguments, made.truth)] if arguments else []


if __name__ == "__main__":
    main()
