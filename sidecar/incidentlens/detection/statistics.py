"""How surprising a count is, given what is known of its rate.

The rate of a signature has a Gamma posterior (its events and the minutes they were looked for), so a count has a
negative binomial predictive distribution: the shorter the history, the heavier its tail, and the less a large count
proves. Over-dispersion seen in the minutes' counts widens it further.
"""

from __future__ import annotations

import math
from collections.abc import Callable

PRIOR_EVENTS = 0.5  # Jeffreys' prior for a Poisson rate: half an event in no time
MAX_TERMS = 10_000


def poisson_tail(count: int, mean: float) -> float:
    """P(X ≥ count) for a Poisson of that mean."""
    if count <= 0:
        return 1.0
    if mean <= 0:
        return 0.0
    log_first = count * math.log(mean) - mean - math.lgamma(count + 1)
    return _sum_tail(log_first, lambda k: mean / (k + 1), count, mean)


def negative_binomial_tail(count: int, mean: float, variance: float) -> float:
    """P(X ≥ count) for a negative binomial of that mean and variance; a Poisson where the variance is no larger."""
    if count <= 0:
        return 1.0
    if mean <= 0:
        return 0.0
    if variance <= mean * (1 + 1e-9):
        return poisson_tail(count, mean)
    shape = mean * mean / (variance - mean)
    success = mean / variance  # in (0, 1)
    log_first = (
        math.lgamma(count + shape)
        - math.lgamma(shape)
        - math.lgamma(count + 1)
        + shape * math.log(success)
        + count * math.log1p(-success)
    )
    return _sum_tail(log_first, lambda k: (k + shape) / (k + 1) * (1 - success), count, mean)


def count_tail(count: int, events: float, minutes: float, window: float, dispersion: float = 1.0) -> float:
    """P(at least `count` in `window` minutes) after `events` were seen in `minutes` minutes.

    `dispersion` is variance over mean of the minutes' counts, at least 1. With no history (`minutes` 0) nothing is
    surprising and the answer is 1.
    """
    if minutes <= 0 or window <= 0:
        return 1.0
    shape = events + PRIOR_EVENTS
    mean = window * shape / minutes
    variance = mean * max(dispersion, 1.0) + mean * mean / shape
    return negative_binomial_tail(count, mean, variance)


def share_tail(count: int, trials: int, before: float, of: float) -> float:
    """P(at most `count` of `trials`) after `before` of `of` earlier trials: beta-binomial, Jeffreys' prior.

    With few earlier trials even a whole absence proves little, as it should.
    """
    if trials <= 0 or count >= trials:
        return 1.0
    alpha, beta = before + 0.5, max(0.0, of - before) + 0.5
    base = math.lgamma(alpha + beta) - math.lgamma(alpha) - math.lgamma(beta) - math.lgamma(alpha + beta + trials)
    total = 0.0
    for k in range(count + 1):
        choose = math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
        total += math.exp(base + choose + math.lgamma(alpha + k) + math.lgamma(beta + trials - k))
    return min(1.0, total)


def share_above(count: int, n: int) -> float:
    """An upper bound of a share after `count` of `n`, right 95 times in 100 (E. B. Wilson, JASA 1927; one-sided)."""
    if n <= 0:
        return 1.0
    z2 = 1.6448536269514722**2
    share = count / n
    half = math.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n)))
    return min(1.0, (share + z2 / (2 * n) + half) / (1 + z2 / n))


def _sum_tail(log_first: float, step: Callable[[int], float], count: int, mean: float) -> float:
    """Sum pmf(count), pmf(count + 1), … by their ratios; stops when what is left cannot matter."""
    if count <= mean:
        return 1.0  # not in the upper tail: nobody asks how unsurprising it is
    if log_first < -700:
        return 0.0
    term = math.exp(log_first)
    total = term
    for k in range(count, count + MAX_TERMS):
        term *= step(k)
        total += term
        if term < total * 1e-6:
            break
    return min(1.0, total)
