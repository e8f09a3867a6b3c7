"""What people said of failing lines, and what it says of others: known noise, learnt.

A signature that was judged is known by that. For one that never was, its words are asked: each word's odds of having
stood in noise or in something to act on (naive Bayes over distinct templates; D. D. Lewis, ECML 1998). Words nobody has
judged say nothing, so what is wholly new is never called noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import re2

_WORD = re2.compile(r"[A-Za-z]{2,}")
_SURE = 0.9  # noise is called what is so surely noise
_MAX_WORDS = 50  # of a template
_MAX_TEMPLATES = 20_000


@dataclass(frozen=True, slots=True)
class Opinion:
    """`noise`: it may be held back. `probability`: that nobody would act on it."""

    noise: bool
    probability: float
    why: str


@dataclass(slots=True)
class Judged:
    """Judgements by template: how often it was acted on, how often not."""

    _said: dict[str, list[int]] = field(default_factory=dict)  # template: [noise, acted on]
    _words: dict[str, list[float]] | None = None  # word: templates that were noise, and that were acted on

    def learn(self, template: str, *, acted: bool) -> None:
        """Somebody acted on a record of the template, or called it noise. At most 20,000 templates are kept."""
        if template in self._said or len(self._said) < _MAX_TEMPLATES:
            self._said.setdefault(template, [0, 0])[acted] += 1
            self._words = None

    def opinion(self, template: str) -> Opinion:
        """What the judgements say of a template, judged itself or not."""
        if template in self._said:
            noise, acted = self._said[template]
            probability = (noise + 0.5) / (noise + acted + 1)
            # One judgement of the very signature is enough: it is what the person meant.
            known = noise > 0 and noise >= 9 * acted
            return Opinion(known, probability, f"called noise {noise} times, acted on {acted} times")
        words = self._counted()
        known_words = [word for word in _words(template) if word in words]
        if not known_words:
            return Opinion(False, 0.0, "nothing like it was judged before")
        noise_all = sum(noise >= acted for noise, acted in self._said.values()) + 0.5
        acted_all = len(self._said) - noise_all + 1.5
        odds = math.log(noise_all / acted_all)
        weights = {
            word: math.log((noise + 0.5) / (noise_all + 1)) - math.log((acted + 0.5) / (acted_all + 1))
            for word in known_words
            for noise, acted in [words[word]]
        }
        odds += sum(weights.values())
        probability = 1 / (1 + math.exp(-max(-50.0, min(50.0, odds))))
        telling = sorted(weights, key=lambda word: -abs(weights[word]))[:3]
        return Opinion(probability >= _SURE, probability, f"by words that were judged before: {', '.join(telling)}")

    def _counted(self) -> dict[str, list[float]]:
        if self._words is None:
            self._words = {}
            for template, (noise, acted) in self._said.items():
                for word in _words(template):
                    self._words.setdefault(word, [0.0, 0.0])[noise < acted] += 1
        return self._words


def _words(template: str) -> list[str]:
    """Distinct words in lower case, at most 50."""
    return list(dict.fromkeys(word.lower() for word in _WORD.findall(template[:2_000])))[:_MAX_WORDS]
