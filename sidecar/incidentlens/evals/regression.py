"""Two runs of the evaluations: what got better, what got worse, what is a real regression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .section import Figure, Section

_ROUNDING = 0.001


@dataclass(frozen=True, slots=True)
class Change:
    """`key` is `section/figure`. `regression`: worse by more than the earlier run's interval or noise allows."""

    key: str
    name: str
    before: float
    after: float
    worse: bool
    regression: bool


def changes(before: Mapping[str, Any], after: Sequence[Section]) -> list[Change]:
    """Compare with an earlier `report.json`. Figures of peers, and those that only describe, are left out.

    A share is a real regression where it falls out of the earlier run's 95 % interval, or, on the very same cases
    (equal `n`), by more than two of them; any other figure where it is worse by more than its noise.
    """
    old = {
        f"{section['name']}/{figure['key']}": figure for section in before["sections"] for figure in section["figures"]
    }
    found = []
    for section in after:
        for figure in section.figures:
            key = f"{section.name}/{figure.key}"
            earlier = old.get(key)
            if earlier is None or figure.peer or not figure.better or abs(figure.value - earlier["value"]) < _ROUNDING:
                continue
            worse = (figure.value < earlier["value"]) == (figure.better == "higher")
            found.append(
                Change(key, figure.name, earlier["value"], figure.value, worse, worse and _real(earlier, figure))
            )
    return found


def missing(before: Mapping[str, Any], after: Sequence[Section]) -> list[str]:
    """Figures of ours that the earlier run had and this one, of the same sections, has not."""
    measured = [section for section in after if not (section.skipped or section.failed)]
    ran = {section.name: {figure.key for figure in section.figures} for section in measured}
    return [
        f"{section['name']}/{figure['key']}"
        for section in before["sections"]
        if section["name"] in ran
        for figure in section["figures"]
        if not figure["peer"] and figure["key"] not in ran[section["name"]]
    ]


def _real(before: Mapping[str, Any], after: Figure) -> bool:
    value = float(before["value"])
    by = abs(after.value - value)
    if before["low"] is not None and before["high"] is not None:
        if not before["low"] <= after.value <= before["high"]:
            return True
        n = int(before["n"] or 0)
        return n > 0 and n == after.n and by * n > 2 + _ROUNDING
    noise = max(after.noise, float(before.get("noise") or 0.0))
    return by > max(_ROUNDING, noise * abs(value))
