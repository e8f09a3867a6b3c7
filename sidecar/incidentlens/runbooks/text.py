"""Runbooks and incidents as words, and the likeness of the two by BM25 (Robertson and Walker 1994; Lucene's form).

A likeness is the share, 0 to 1, of what the text says that the runbook speaks of: the BM25 score over the greatest one
that the text's words could reach. A word that no runbook has weighs like the rarest, so a line about something else
stays low whatever single word it shares.
"""

from __future__ import annotations

import logging
import math
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .model import Runbook

_K1, _B = 2.0, 0.5
_NAME = 3  # how often a runbook's name counts among its words
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD = re.compile(r"[a-z][a-z0-9]{1,39}")
_MAX_WORDS = 4_000  # of one runbook
_MAX_ASKED = 200  # distinct ones of one text
_AGAIN = 2  # a word that the text says more often counts so often
_STOP = frozenset(
    word
    for line in (
        "a an and are as at be been but by can could do does for from had has have if in into is it its may more most",
        "of on or other our should so some such than that the their them then there these they this to was were",
        "which will with would you your when where while what who how also any all only same",
    )
    for word in line.split()
)
_ENDINGS = (
    "ingly", "ments", "ment", "ings", "ing", "ations", "ation", "ated", "ates", "ions", "ion", "ate", "ed", "es", "ly",
    "s",
)  # fmt: skip


def split_name(name: str) -> str:
    """`KubePodCrashLooping`, `kube_pod-crash.looping` as words: `Kube Pod Crash Looping`."""
    return re.sub(r"[\W_]+", " ", _CAMEL.sub(" ", name)).strip()


def words(text: str) -> list[str]:
    """Stems in order, without words that say nothing, numbers and ids; a name in camel case is several words."""
    found = _WORD.findall(_CAMEL.sub(" ", text).replace("_", " ").lower())
    return [_stem(word) for word in found if word not in _STOP]


@lru_cache(maxsize=8192)
def _stem(word: str) -> str:
    """English endings off, crudely: the same stem for the forms of a word is all that is asked."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "ls":
        word = word[:-1]
    if len(word) > 3 and word[-1] in "ei":
        word = word[:-1] + ("y" if word[-1] == "i" else "")
    return word


def document(runbook: Runbook) -> list[str]:
    """A runbook's words, its name counted three times."""
    said = [runbook.description, *runbook.patterns, *runbook.steps, runbook.body]
    name = words(split_name(runbook.name))
    own = [word for word in words(split_name(runbook.id)) if word not in name]
    return [*(_NAME * [*name, *own]), *(word for text in said for word in words(text))][:_MAX_WORDS]


class Lexical:
    """BM25 over a set of runbooks. The library is imported when the first text is asked for."""

    def __init__(self, runbooks: Sequence[Runbook]) -> None:
        self._documents = [document(runbook) for runbook in runbooks]
        counts: Counter[str] = Counter()
        for found in self._documents:
            counts.update(set(found))
        total = len(self._documents)
        self._rarity = {word: math.log(1 + (total - n + 0.5) / (n + 0.5)) for word, n in counts.items()}
        self._unknown = math.log(1 + (max(total, 1) - 0.5) / 1.5)  # of one that a single runbook has
        self._index: Any = None

    def likeness(self, text: str) -> tuple[NDArray[np.float32], list[str]]:
        """One value a runbook, and the text's words that were asked for."""
        counts = dict(list(Counter(words(text)).items())[:_MAX_ASKED])
        asked = [word for word, count in counts.items() for _ in range(min(count, _AGAIN))]
        known = [word for word in asked if word in self._rarity]
        if not known:
            return np.zeros(len(self._documents), np.float32), []
        # A word's share of a document's score is below its rarity, however often the document has it.
        greatest = sum(self._rarity.get(word, self._unknown) for word in asked)
        scores: NDArray[np.float32] = self._built().get_scores(known) / np.float32(greatest)
        return scores, list(counts)

    def common(self, index: int, asked: Sequence[str], most: int = 6) -> list[str]:
        """The rarest of those words that the runbook has."""
        here = set(self._documents[index])
        return sorted((word for word in set(asked) if word in here), key=lambda word: (-self._rarity[word], word))[
            :most
        ]

    def _built(self) -> Any:
        if self._index is None:
            import bm25s

            logging.getLogger("bm25s").setLevel(logging.WARNING)  # it says at DEBUG what it does, on stderr

            self._index = bm25s.BM25(k1=_K1, b=_B, method="lucene", csc_backend="numpy")
            self._index.index(self._documents, show_progress=False)
        return self._index
