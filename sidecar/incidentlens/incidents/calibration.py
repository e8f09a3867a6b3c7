"""From a ranking's probability to a confidence that keeps its word: of the causes given .8, eight in ten are right.

A logistic map with few parameters. `python -m incidentlens.evals.calibrate` fits them on made-up systems (even seeds,
with a long and a short history) and on the cases by hand; the report tests on the public cases and odd seeds. The
numbers here are rounded and drawn towards less confidence than such a fit gives: its samples are few, and made-up
systems hardly show what is taken for news after the wrong history (`faint`). docs/analysis.md says more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_CLIP = 0.01  # a softmax is never so sure as it says
_PLAIN = 10.0  # the score from which on a problem stands out
_GROWN = 30.0  # minutes of history after which what is everyday is known for the most part
# intercept, and what each of Support's parts adds
INTERCEPT = 1.3
COEFFICIENTS = {
    "log_odds": 0.3,
    "alone": 0.6,
    "rivals": -1.1,
    "silent": -0.5,
    "lively": -1.3,
    "symptom": -1.6,
    "blames": -1.5,
    "faint": -1.3,
    "young": -0.7,
}
LOWEST, HIGHEST = 0.05, 0.95


@dataclass(frozen=True, slots=True)
class Support:
    """What there is to go by for the first of a ranking."""

    probability: float
    alone: bool  # nothing else failed and nobody else is named: nothing contradicts it, and nothing supports it
    rivals: bool  # other services began to fail in the same minute and could not be tied to it
    silent: bool  # it has no failing line of its own
    lively: bool  # and writes its everyday lines as ever: what is said of it is in doubt
    symptom: bool  # its words are those of one who suffers
    blames: bool = False  # its failing lines name another: whom it was waiting for
    loudest: float = math.inf  # the highest score among the incident's problems
    history: float = math.inf  # minutes that were observed before: a short history takes much for new

    def features(self) -> dict[str, float]:
        p = min(1 - _CLIP, max(_CLIP, self.probability))
        return {
            # The only candidate has a probability of 1 whatever it is.
            "log_odds": 0.0 if self.alone else math.log(p / (1 - p)),
            "alone": float(self.alone),
            "rivals": float(self.rivals),
            "silent": float(self.silent),
            "lively": float(self.lively),
            "symptom": float(self.symptom),
            "blames": float(self.blames),
            "faint": max(0.0, 1 - self.loudest / _PLAIN),
            "young": max(0.0, 1 - math.log(max(1.0, self.history)) / math.log(_GROWN)),
        }


def confidence(support: Support) -> float:
    """How likely the first of the ranking is right, between .05 and .95."""
    score = INTERCEPT + sum(COEFFICIENTS[name] * value for name, value in support.features().items())
    return round(min(HIGHEST, max(LOWEST, 1 / (1 + math.exp(-score)))), 3)
