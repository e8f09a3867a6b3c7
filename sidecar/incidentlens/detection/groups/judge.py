"""Which groups are anomalous, and why, in words.

Innocent until proven rare, and for what reads like a fault: guilty until common. docs/detection.md tells why.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from incidentlens.detection.statistics import share_above

from .collect import Part, Signature
from .profile import LEVELS, Profile, Shape, profile, shape, vectors

_COMMON = 0.05  # what reads like a fault and comes in fewer groups than this is one
_ALONE = 10  # with fewer groups than this to compare with, nothing is said
_RARE = 0.001  # any other signature is unusual where it is proved to come in fewer groups than this
_FEW = 0.02  # to lack a signature or to repeat it otherwise is unusual where it is proved that so few groups do
_USUAL_SET = 0.01  # only where so many groups have the same signatures is the number of each compared
_TEXT = 100  # characters of a template in a reason
_UNSURE = 0.99  # highest score of a group that is not anomalous


@dataclass(frozen=True, slots=True)
class Verdict:
    """`score`: 1 and more for an anomalous group: the sum of -log10 of how common each unusual thing is."""

    group: str
    score: float
    anomalous: bool
    why: tuple[str, ...]


def judge(
    part: Part, meaning: Sequence[Signature], history: Sequence[Part] = (), *, healthy: bool = False
) -> list[Verdict]:
    """A verdict a group of `part`, in the order in which they begin.

    Compared with the groups of `history` and those of the part itself: it learns as it reads, and a history may hold
    anomalies. `healthy`: the history holds none, so it alone is compared with, and whatever came in it is usual.
    `part`, `history` and `meaning` are what one Collector gave, final.
    """
    own = shape(part)
    past = [shape(one) for one in history]
    known = profile(past if healthy else [*past, own])
    return _Judging(part, own, meaning, known, healthy).verdicts()


class _Judging:
    def __init__(self, part: Part, own: Shape, meaning: Sequence[Signature], known: Profile, healthy: bool) -> None:
        self._part = part
        self._own = own
        self._meaning = meaning
        self._known = known
        self._healthy = healthy
        n = known.n
        self._always = [
            code for code, groups in known.groups.items() if n and share_above(n - groups, n) < _FEW
        ]  # fmt: skip
        self._unusual = lru_cache(maxsize=None)(self._unusual_code)

    def verdicts(self) -> list[Verdict]:
        if self._known.n < _ALONE:
            return [Verdict(name, 0.0, False, ()) for name in self._part.names]
        table = vectors(self._own, self._known.irregular)
        lacking = self._lacking()
        order = self._order()
        by_vector: dict[str, tuple[bool, list[tuple[float, str]]]] = {}
        found = []
        for group, exact, coarse, kinds in table.iter_rows():
            if exact not in by_vector:
                by_vector[exact] = self._of_vector(dict(zip(LEVELS, (exact, coarse, kinds), strict=True)))
            new, facts = by_vector[exact]
            facts = [*facts, *lacking.get(group, ())]
            step = order.get(group)
            if step is not None and (new or self._healthy):
                facts.append(step)
            found.append(self._verdict(group, kinds, new and (self._healthy or step is not None), facts))
        return found

    def _verdict(self, group: int, kinds: str, new: bool, facts: list[tuple[float, str]]) -> Verdict:
        known = self._known
        if new:
            facts = [*facts, (self._surprise(0), f"a vector of counts that {self._seldom()}")]
        name = self._part.names[group]
        if facts:
            heaviest = sorted(facts, reverse=True)
            return Verdict(name, round(sum(weight for weight, _ in facts), 4), True, tuple(why for _, why in heaviest))
        common = known.patterns["set"].get(kinds, 0)
        return Verdict(name, round(min(_UNSURE, self._surprise(common) / 10), 4), False, ())

    def _of_vector(self, vector: dict[str, str]) -> tuple[bool, list[tuple[float, str]]]:
        """(rare as a whole, what is unusual in it), whichever group has it."""
        known = self._known
        seen = {level: known.patterns[level].get(vector[level], 0) for level in LEVELS}
        level = known.closed
        if self._healthy and (seen["exact"] or (level != "exact" and seen["coarse"])):
            return False, []
        new = level is not None and (seen[level] == 0 if self._healthy else seen[level] <= known.rare[level])
        facts = [fact for code in map(int, vector["set"].split()) if (fact := self._unusual(code))]
        alike = known.patterns["set"].get(vector["set"], 0)
        if not facts and alike >= _USUAL_SET * known.n and share_above(seen["coarse"], alike) < _FEW:
            text = f"as often as here its lines come in {seen['coarse']} of {alike} groups that have the same ones"
            facts.append((-math.log10((seen["coarse"] + 0.5) / (alike + 1)), text))
        return new, facts

    def _unusual_code(self, code: int) -> tuple[float, str] | None:
        known, signature = self._known, self._meaning[code]
        groups = known.groups.get(code, 0)
        text = f'"{signature.template[:_TEXT]}" came, as in {groups} of {known.n} groups'
        if signature.adverse and groups < max(_COMMON * known.n, 1.5):
            return self._surprise(groups), text
        if not signature.adverse and share_above(groups, known.n) < _RARE:
            return self._surprise(groups), text
        return None

    def _lacking(self) -> dict[int, list[tuple[float, str]]]:
        """By group: what nearly every group has, and this one has not, although it is old enough."""
        found: dict[int, list[tuple[float, str]]] = {}
        for code in self._always:
            having = self._own.counts.filter(pl.col("code") == code).select("group")
            due = self._own.ages.filter(pl.col("age") > self._known.lags[code]).select("group")
            without = due.join(having, on="group", how="anti")["group"]
            if without.len() == 0:
                continue
            groups = self._known.n - self._known.groups[code]
            why = f'"{self._meaning[code].template[:_TEXT]}" did not come, as in {groups} of {self._known.n} groups'
            for group in without:
                found.setdefault(group, []).append((self._surprise(groups), why))
        return found

    def _order(self) -> dict[int, tuple[float, str]]:
        """By group: its rarest step of order, where that is news."""
        known = self._known
        if self._healthy and not known.steps_closed:
            return {}
        at_most = 0 if self._healthy else known.rare_step
        k = pl.col("step").replace_strict(known.steps, default=0, return_dtype=pl.Int64)
        rare = self._own.steps.with_columns(k=k).filter(pl.col("k") <= at_most).sort("group", "k", "step")
        found = {}
        for group, step, count in rare.unique("group", keep="first", maintain_order=True).iter_rows():
            if count == 0 and not self._healthy:
                continue
            before, after = self._meaning[step >> 32], self._meaning[step & 0xFFFFFFFF]
            why = (
                f'"{after.template[:_TEXT]}" right after "{before.template[:_TEXT]}", as in {count} of {known.n} groups'
            )
            found[group] = (self._surprise(count), why)
        return found

    def _surprise(self, groups: int) -> float:
        """-log10 of how common it is."""
        return -math.log10((groups + 0.5) / (self._known.n + 1))

    def _seldom(self) -> str:
        if self._healthy:
            return f"none of {self._known.n} groups had"
        return f"hardly any of {self._known.n} groups has"
