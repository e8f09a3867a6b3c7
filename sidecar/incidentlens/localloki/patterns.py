"""`/loki/api/v1/patterns`: what recent lines have in common, with how often in each step.

Words are compared by their place, as in Drain (He et al., 2017), on a tree of one level: lines of one level with the
same number of words and the same first word join when at least half of their words agree, words with digits in them
being taken for alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..logql.source import Entry
from .levels import LEVEL_LABEL, UNKNOWN
from .limits import SECOND

WILDCARD = "<_>"
MAX_CLUSTERS = 300
MAX_LINE = 3000
_MAX_WORDS = 120
_AGREE = 0.5
_RESOLUTION_S = 10
_WORD = re.compile(r"[^\s=:,;()\[\]{}\"']++|\s++|[=:,;()\[\]{}\"']")
_DIGIT = re.compile(r"\d")


@dataclass(slots=True)
class Pattern:
    """Lines that look alike: `counts` by the second in which their step begins."""

    words: list[str]
    shapes: list[str]
    level: str
    counts: dict[int, int] = field(default_factory=dict)

    def text(self) -> str:
        """The words, runs of varying ones shown once."""
        out: list[str] = []
        for word in self.words:
            if word != WILDCARD or not out or out[-1] != WILDCARD:
                out.append(word)
        return "".join(out)

    def total(self) -> int:
        """Lines counted."""
        return sum(self.counts.values())


def _words(line: str) -> list[str]:
    return _WORD.findall(line[:MAX_LINE])[:_MAX_WORDS]


def _shape(word: str) -> str:
    """What words are compared by: those with digits in them are all alike."""
    return WILDCARD if _DIGIT.search(word) else word


class PatternMiner:
    """Joins lines to patterns. When there are too many the ones seen least are forgotten, and counted."""

    def __init__(self, start_ns: int, step_ns: int) -> None:
        """Lines are counted by ten seconds; only whole tens from the start on count."""
        self._start = -(-start_ns // (_RESOLUTION_S * SECOND)) * _RESOLUTION_S * SECOND
        self._step = max(step_ns // SECOND, 1)
        self._groups: dict[tuple[str, int, str], list[Pattern]] = {}
        self._count = 0
        self.forgotten = 0

    def take(self, entry: Entry) -> None:
        """Count a line."""
        if entry.ts < self._start:
            return
        words = _words(entry.line)
        if not words:
            return
        shapes = list(map(_shape, words))
        level = entry.metadata.get(LEVEL_LABEL, UNKNOWN)
        group = self._groups.setdefault((level, len(words), shapes[0]), [])
        best, agreed = None, _AGREE * len(words)
        for pattern in group:
            same = sum(map(str.__eq__, pattern.shapes, shapes))
            if same >= agreed:
                best, agreed = pattern, same + 1
        if best is None:
            best = Pattern(words, shapes, level)
            group.append(best)
            self._count += 1
            if self._count > MAX_CLUSTERS:
                self._forget()
        elif best.words != words:
            best.words = [old if old == new else WILDCARD for old, new in zip(best.words, words, strict=True)]
            best.shapes = list(map(_shape, best.words))
        moment = entry.ts // SECOND // self._step * self._step
        best.counts[moment] = best.counts.get(moment, 0) + 1

    def _forget(self) -> None:
        """Forget the half that was seen least."""
        ranked = sorted((p.total() for group in self._groups.values() for p in group), reverse=True)
        floor = ranked[MAX_CLUSTERS // 2]
        for key, group in list(self._groups.items()):
            kept = [pattern for pattern in group if pattern.total() > floor]
            self.forgotten += len(group) - len(kept)
            if kept:
                self._groups[key] = kept
            else:
                del self._groups[key]
        self._count = sum(map(len, self._groups.values()))

    def patterns(self) -> list[tuple[str, str, list[tuple[int, int]]]]:
        """`(pattern, level, [(second, lines)])`, most lines first."""
        merged: dict[tuple[str, str], dict[int, int]] = {}
        for group in self._groups.values():
            for pattern in group:
                counts = merged.setdefault((pattern.text(), pattern.level), {})
                for moment, lines in pattern.counts.items():
                    counts[moment] = counts.get(moment, 0) + lines
        rows = [(text, level, sorted(counts.items())) for (text, level), counts in merged.items()]
        return sorted(rows, key=lambda row: (-sum(lines for _, lines in row[2]), row[0], row[1]))


def mine(entries: Iterable[Entry], start_ns: int, step_ns: int) -> PatternMiner:
    """Go through entries once."""
    miner = PatternMiner(start_ns, step_ns)
    for entry in entries:
        miner.take(entry)
    return miner
