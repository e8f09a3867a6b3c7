"""The vectors of runbooks, where the `semantic` extra is installed; nothing of it is imported otherwise."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .model import Runbook
from .text import split_name

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .minilm import MiniLM

log = logging.getLogger(__name__)

_KEPT = 5_000  # vectors, of all the projects' runbooks
_TEXT = 1_000  # characters of a text; its beginning says what it is about

_lock = threading.Lock()
_encoder: MiniLM | None = None
_refused = False
_vectors: dict[str, NDArray[np.float32]] = {}


def available() -> bool:
    """Whether the extra is installed, and did not fail to load."""
    from .minilm import missing

    return not _refused and not missing()


def encode(texts: Sequence[str]) -> NDArray[np.float32] | None:
    """One row of length 1 a text; None where the model cannot be loaded (said once in the log). Vectors are kept."""
    import numpy as np

    encoder = _loaded()
    if encoder is None:
        return None
    if len(_vectors) + len(texts) > _KEPT:
        _vectors.clear()
    for text in texts:
        if text not in _vectors:
            _vectors[text] = encoder.encode([text])[0]
    return np.stack([_vectors[text] for text in texts])


def encode_once(text: str) -> NDArray[np.float32] | None:
    """The vector of a text that will not be asked for again."""
    encoder = _loaded()
    return None if encoder is None else encoder.encode([text[:_TEXT]])[0]


def summary_of(runbook: Runbook) -> str:
    """What a runbook is about: its name and the beginning of what it says."""
    said = runbook.description or " ".join(runbook.steps)
    return f"{split_name(runbook.name)}. {said}"[:_TEXT]


def _loaded() -> MiniLM | None:
    global _encoder, _refused
    with _lock:
        if _encoder is None and not _refused:
            from .minilm import MiniLM

            try:
                _encoder = MiniLM.load()
            except Exception as error:  # a broken installation must not stop the incident
                _refused = True
                log.warning("the semantic extra is not used, runbooks are matched by words: %s", error)
        return _encoder
