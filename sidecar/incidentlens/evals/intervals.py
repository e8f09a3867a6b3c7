"""Intervals of what was measured on a sample: a bare percentage of twelve cases says little."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from .section import Better, Figure

_Z = 1.959963984540054  # two-sided 95 %


def wilson(right: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share (E. B. Wilson, JASA 1927). ValueError unless 0 <= right <= n and n > 0."""
    if not 0 <= right <= n or n == 0:
        raise ValueError(f"{right} of {n} is no share")
    share, z2 = right / n, _Z * _Z
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return (0.0 if right == 0 else max(0.0, centre - half), 1.0 if right == n else min(1.0, centre + half))


def bootstrap(
    values: Sequence[float],
    of: Callable[[Sequence[float]], float] = statistics.fmean,
    rounds: int = 2000,
) -> tuple[float, float]:
    """The 95 % percentile interval of `of(values)` (B. Efron, 1979), seeded. ValueError where there are no values."""
    if not values:
        raise ValueError("nothing to draw from")
    dice = random.Random(1)
    drawn = sorted(of(dice.choices(values, k=len(values))) for _ in range(rounds))
    return drawn[int(0.025 * rounds)], drawn[min(rounds - 1, int(0.975 * rounds))]


def share(key: str, name: str, right: int, n: int, *, better: Better = "higher", **more: Any) -> Figure:
    """`right` of `n` as a figure with its interval; `n` of zero is a share of zero with the widest interval."""
    low, high = wilson(right, n) if n else (0.0, 1.0)
    return Figure(key, name, right / n if n else 0.0, low=low, high=high, n=n, better=better, **more)
