"""Answers against truths, and the figures that are made of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from .intervals import bootstrap, share
from .playing import CONFIDENT, Answer
from .section import Figure


@dataclass(frozen=True, slots=True)
class Outcome:
    """One case with a known cause. `named` is the cause of the most important incident, None: undetermined."""

    case: str
    kind: str
    truth: Collection[str]  # any of these services
    named: str | None
    confidence: float
    place: int  # of the truth in the ranking over all incidents; 0: it is not in it
    ranking: tuple[str, ...] = ()

    @property
    def right(self) -> bool:
        return self.named is not None and self.named in self.truth

    @property
    def wrong(self) -> bool:
        return self.named is not None and self.named not in self.truth

    @property
    def confident_wrong(self) -> bool:
        return self.wrong and self.confidence >= CONFIDENT


def outcome(case: str, kind: str, truth: Collection[str], answer: Answer) -> Outcome:
    """What an answer is worth where `truth` (any of these services) is the cause."""
    named, confidence = answer.named or (None, 0.0)
    return Outcome(case, kind, truth, named, confidence, place(truth, answer.ranking), tuple(answer.ranking[:5]))


def place(truth: Collection[str], ranking: Sequence[str]) -> int:
    """The best place (from 1) of any of `truth` in a ranking, 0 where none is in it."""
    return min((index for index, service in enumerate(ranking, 1) if service in truth), default=0)


def figures(key: str, of: str, found: Sequence[Outcome], **aims: Any) -> list[Figure]:
    """The figures of one set of cases; `first_aim` and `three_aim` are shares to reach."""
    n = len(found)
    first = sum(one.place == 1 for one in found)
    three = sum(0 < one.place <= 3 for one in found)
    right, wrong = sum(one.right for one in found), sum(one.confident_wrong for one in found)
    undetermined = sum(one.named is None for one in found)
    return [
        share(f"{key}_first", f"{of}: cause first in the ranking", first, n, **_aim(first, n, aims.get("first_aim"))),
        share(f"{key}_three", f"{of}: among the first three", three, n, **_aim(three, n, aims.get("three_aim"))),
        mrr(f"{key}_mrr", f"{of}: mean reciprocal rank", [one.place for one in found]),
        share(f"{key}_named", f"{of}: the cause that is named is right", right, n),
        share(f"{key}_confident_wrong", f"{of}: wrong with confidence (.7 or more)", wrong, n, better="lower"),
        share(f"{key}_undetermined", f"{of}: undetermined, or nothing found", undetermined, n, better=""),
        net(f"{key}_net", f"{of}: right minus confidently wrong, a case", right, wrong, n),
    ]


def peer_figures(key: str, of: str, peer: str, places: Sequence[int]) -> list[Figure]:
    """The figures of a peer that only ranks; it is always sure, so whatever is not first is confidently wrong."""
    n, first = len(places), sum(one == 1 for one in places)
    three = sum(0 < one <= 3 for one in places)
    return [
        share(f"{key}_first", f"{of}: cause first in the ranking", first, n, peer=peer),
        share(f"{key}_three", f"{of}: among the first three", three, n, peer=peer),
        mrr(f"{key}_mrr", f"{of}: mean reciprocal rank", places, peer=peer),
    ]


def mrr(key: str, name: str, places: Sequence[int], **more: Any) -> Figure:
    """Mean reciprocal rank; a truth that is not ranked counts as 0."""
    values = [1 / one if one else 0.0 for one in places]
    low, high = bootstrap(values) if values else (0.0, 1.0)
    return Figure(key, name, sum(values) / max(1, len(values)), low=low, high=high, n=len(values), **more)


def net(key: str, name: str, right: int, wrong: int, n: int) -> Figure:
    """From -1 (always confidently wrong) to 1 (always right)."""
    values = [1.0] * right + [-1.0] * wrong + [0.0] * (n - right - wrong)
    low, high = bootstrap(values) if values else (-1.0, 1.0)
    return Figure(key, name, sum(values) / max(1, n), low=low, high=high, n=n)


def _aim(right: int, n: int, aim: float | None) -> dict[str, Any]:
    return {} if aim is None or not n else {"aim": f"≥ {aim:.2f}", "met": right / n >= aim}
