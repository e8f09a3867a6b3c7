"""From a ranking's probability to a confidence that keeps its word: of the causes given .8, eight in ten are right.

A logistic map with few parameters. Its numbers are those that `python -m incidentlens.evals.calibrate` prints; it fits
them on made-up systems (even seeds) and tests them on others (odd seeds). docs/analysis.md says more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_CLIP = 0.01  # a softmax is never so sure as it says
# intercept, and what each of Support's parts adds
INTERCEPT = -0.6
COEFFICIENTS = {"log_odds": 0.45, "alone": 0.6, "rivals": -1.0, "silent": -0.5, "symptom": -0.6}
LOWEST, HIGHEST = 0.05, 0.95


@dataclass(frozen=True, slots=True)
class Support:
    """What there is to go by for the first of a ranking."""

    probability: float
    alone: bool  # nothing else failed and nobody else is named: nothing contradicts it, and nothing supports it
    rivals: bool  # other services began to fail in the same minute and could not be tied to it
    silent: bool  # it has no failing line of its own
    symptom: bool  # its words are those of one who suffers

    def features(self) -> dict[str, float]:
        p = min(1 - _CLIP, max(_CLIP, self.probability))
        return {
            # The only candidate has a probability of 1 whatever it is.
            "log_odds": 0.0 if self.alone else math.log(p / (1 - p)),
            "alone": float(self.alone),
            "rivals": float(self.rivals),
            "silent": float(self.silent),
            "symptom": float(self.symptom),
        }


def confidence(support: Support) -> float:
    """How likely the first of the ranking is right, between .05 and .95."""
    score = INTERCEPT + sum(COEFFICIENTS[name] * value for name, value in support.features().items())
    return round(min(HIGHEST, max(LOWEST, 1 / (1 + math.exp(-score)))), 3)
