"""How well the text of runbooks fits the text of a problem: BM25, and with the `semantic` extra MiniLM beside it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import semantic
from .model import Runbook
from .text import Lexical

# A likeness at which half of the best matches are right, where half of the texts have a runbook at all:
# `incidentlens eval runbooks` prints the curve. It becomes the score 0.5; a match by text never has more than CEILING.
EVEN_LEXICAL, EVEN_FUSED = 0.45, 0.54
CEILING = 0.95
_SEMANTIC = 0.5  # the vectors' part in the sum


class TextMatch(NamedTuple):
    runbook: int  # its place in the set
    score: float  # 0 to CEILING
    words: tuple[str, ...]  # the rarest that both have
    lexical: float
    cosine: float | None  # None without the extra


class Likeness:
    """Built once a set of runbooks. Safe to use from several threads.

    `use_semantic` None: where the extra is installed. The runbooks' vectors take 30 ms each and are made by `prepare`,
    in the background where `background` is set; until they are there, words alone are compared.
    """

    def __init__(
        self, runbooks: Sequence[Runbook], *, use_semantic: bool | None = None, background: bool = False
    ) -> None:
        self._runbooks = tuple(runbooks)
        self._lexical = Lexical(self._runbooks)
        self._vectors: NDArray[np.float32] | None = None
        self._wanted = semantic.available() if use_semantic is None else use_semantic
        self._background = background
        self._started = False

    def prepare(self) -> None:
        """Make the vectors now; does nothing without the extra."""
        if self._wanted and self._vectors is None and self._runbooks:
            vectors = semantic.encode([semantic.summary_of(runbook) for runbook in self._runbooks])
            self._wanted = vectors is not None
            self._vectors = vectors

    def match(self, text: str, most: int = 5) -> list[TextMatch]:
        """The runbooks that fit best, best first; those that share nothing are left out."""
        if not self._runbooks:
            return []
        self._make_ready()
        lexical, asked = self._lexical.likeness(text)
        fused, cosines = lexical / EVEN_LEXICAL / 2, None
        if self._vectors is not None and (vector := semantic.encode_once(text)) is not None:
            cosines = np.maximum(self._vectors @ vector, 0)
            fused = ((1 - _SEMANTIC) * lexical + _SEMANTIC * cosines) / EVEN_FUSED / 2
        order = np.argsort(-fused, kind="stable")[:most]
        return [
            TextMatch(
                runbook=int(index),
                score=round(min(float(fused[index]), CEILING), 3),
                words=tuple(self._lexical.common(int(index), asked)),
                lexical=round(float(lexical[index]), 3),
                cosine=None if cosines is None else round(float(cosines[index]), 3),
            )
            for index in order
            if fused[index] > 0
        ]

    def _make_ready(self) -> None:
        if not self._wanted or self._vectors is not None or self._started:
            return
        if self._background:
            self._started = True
            threading.Thread(target=self.prepare, name="runbook-vectors", daemon=True).start()
        else:
            self.prepare()
