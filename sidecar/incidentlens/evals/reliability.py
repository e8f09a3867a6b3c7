"""Is a confidence true? Expected calibration error, Brier score, and the curve as a picture."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .intervals import wilson

Given = Sequence[tuple[float, bool]]  # (confidence that was given, whether the cause was right)
_EDGES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@dataclass(frozen=True, slots=True)
class Bin:
    """Causes given with a confidence from `low` up to `high`."""

    low: float
    high: float
    n: int
    mean: float  # confidence
    right: int


def bins(given: Given) -> list[Bin]:
    """The bins that have anything in them."""
    found = []
    for low, high in pairwise(_EDGES):
        inside = [one for one in given if low <= one[0] < high or (high == 1.0 and one[0] == 1.0)]
        if inside:
            mean = sum(confidence for confidence, _ in inside) / len(inside)
            found.append(Bin(low, high, len(inside), mean, sum(right for _, right in inside)))
    return found


def ece(given: Given) -> float:
    """Expected calibration error: the mean distance of confidence and truth over the bins, by their size."""
    return sum(one.n * abs(one.mean - one.right / one.n) for one in bins(given)) / max(1, len(given))


def brier(given: Given) -> float:
    """Mean squared distance of confidence and truth (G. W. Brier, 1950)."""
    return sum((confidence - right) ** 2 for confidence, right in given) / max(1, len(given))


def picture(sets: Mapping[str, Given]) -> bytes:
    """The reliability curves of several sets as SVG, with the interval of each point."""
    import matplotlib
    from matplotlib.figure import Figure as Drawing

    with matplotlib.rc_context({"svg.hashsalt": "reliability", "font.size": 9}):
        drawing = Drawing(figsize=(5.2, 4.2), layout="constrained")
        axes = drawing.add_subplot()
        axes.plot([0, 1], [0, 1], color="0.7", linewidth=1, linestyle="--", label="as it should be")
        for index, (name, given) in enumerate(sets.items()):
            points = bins(given)
            shares = [one.right / one.n for one in points]
            spans = [wilson(one.right, one.n) for one in points]
            below = [share - low for share, (low, _) in zip(shares, spans, strict=True)]
            above = [high - share for share, (_, high) in zip(shares, spans, strict=True)]
            axes.errorbar(
                [one.mean + 0.004 * index for one in points],
                shares,
                yerr=[below, above],
                marker="o",
                capsize=2,
                linewidth=1,
                label=f"{name} ({len(given)})",
            )
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence given", ylabel="share that was right")
        axes.legend(loc="upper left", frameon=False)
        out = io.BytesIO()
        drawing.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()
