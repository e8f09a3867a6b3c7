"""Detectors of others over the same count vectors: to compare with, and for who has found one better for their logs.

scikit-learn comes with the extra `compare`; without it only our own and the count-vector rule are there. Each looks at
distinct vectors once, and is fitted on at most 10,000 groups: two of them take quadratic time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from .collect import Part, Signature
from .judge import Verdict, judge
from .profile import shape, vectors

Parameters = Mapping[str, float | int | str]
OWN = "own"
_FITTED = 10_000
_COLUMNS = 5_000  # signatures, the commonest: a matrix has to fit into memory
# What each takes, with what it takes where nothing is said; and what a sweep tries.
DEFAULTS: dict[str, dict[str, float | int | str]] = {
    OWN: {},
    "count-vector": {"at_least": 1},
    "isolation-forest": {"trees": 100, "contamination": "auto"},
    "local-outlier-factor": {"neighbours": 20, "contamination": "auto"},
    "one-class-svm": {"nu": 0.05, "gamma": "scale"},
    "pca": {"kept": 0.95, "contamination": 0.05},
}
SWEEPS: dict[str, dict[str, list[float | int | str]]] = {
    OWN: {},
    "count-vector": {"at_least": [1, 2, 3]},
    "isolation-forest": {"trees": [100, 300], "contamination": ["auto", 0.01, 0.03, 0.1]},
    "local-outlier-factor": {"neighbours": [5, 20, 50], "contamination": ["auto", 0.01, 0.03, 0.1]},
    "one-class-svm": {"nu": [0.01, 0.03, 0.1], "gamma": ["scale", "auto"]},
    "pca": {"kept": [0.8, 0.95, 0.99], "contamination": [0.01, 0.03, 0.1]},
}


class DetectorError(ValueError):
    """There is no such detector or parameter, or what it needs is not installed; the message says what to do."""


def detect(
    name: str,
    parameters: Parameters,
    part: Part,
    meaning: Sequence[Signature],
    history: Sequence[Part] = (),
    *,
    healthy: bool = False,
) -> list[Verdict]:
    """Verdicts of a detector by name. DetectorError for a name, parameter or value that cannot be used.

    Detectors but our own are fitted on `history` where there is one, otherwise on the part itself.
    """
    check(name, parameters)
    if name == OWN:
        return judge(part, meaning, history, healthy=healthy)
    chosen = {**DEFAULTS[name], **parameters}
    if not part.names:
        return []
    own = vectors(shape(part), set())["exact"]
    past = pl.concat([vectors(shape(one), set())["exact"] for one in history]) if history else own
    if name == "count-vector":
        return _count_vector(part.names, own, past, int(chosen["at_least"]), learnt=bool(history))
    distinct = own.unique(maintain_order=True)
    columns = _columns(past)
    try:
        scores, limit = _FITS[name](_matrix(_sample(past), columns), _matrix(distinct, columns), chosen)
    except ImportError:
        raise DetectorError(f"{name} needs scikit-learn: pip install 'incidentlens[compare]'") from None
    except ValueError as error:
        raise DetectorError(f"{name} cannot work with {dict(chosen)}: {error}") from None
    by_vector = dict(zip(distinct, scores.tolist(), strict=True))
    return [
        Verdict(group, by_vector[vector], by_vector[vector] > limit, ())
        for group, vector in zip(part.names, own, strict=True)
    ]


def check(name: str, parameters: Parameters) -> None:
    """DetectorError unless there is a detector of that name that takes these parameters."""
    if name not in DEFAULTS:
        raise DetectorError(f"there is no detector {name!r}; there are {', '.join(DEFAULTS)}")
    unknown = sorted(set(parameters) - set(DEFAULTS[name]))
    if unknown:
        takes = ", ".join(DEFAULTS[name]) or "none"
        raise DetectorError(f"{name} has no parameter {unknown[0]!r}; it takes {takes}")


def grid(name: str) -> list[dict[str, float | int | str]]:
    """Every combination that a sweep of the detector tries."""
    check(name, {})
    combinations: list[dict[str, float | int | str]] = [{}]
    for parameter, values in SWEEPS[name].items():
        combinations = [{**one, parameter: value} for one in combinations for value in values]
    return combinations


def _count_vector(names: list[str], own: pl.Series, past: pl.Series, at_least: int, *, learnt: bool) -> list[Verdict]:
    """A vector of counts that fewer than `at_least` groups have: of the history or, as it reads, besides itself."""
    seen = dict(past.value_counts().iter_rows())
    found = []
    for group, vector in zip(names, own, strict=True):
        others = seen.get(vector, 0) - (0 if learnt else 1)
        found.append(Verdict(group, 1 / (1 + others), others < at_least, ()))
    return found


def _sample(past: pl.Series) -> pl.Series:
    return past if past.len() <= _FITTED else past.sample(_FITTED, seed=1)


def _columns(past: pl.Series) -> dict[int, int]:
    """Signature codes and their columns: the commonest of the history."""
    codes = past.str.split(" ").explode().drop_nulls().str.extract(r"^(\d+)", 1).cast(pl.Int64)
    common = codes.value_counts(sort=True).head(_COLUMNS)
    return {code: index for index, code in enumerate(common[codes.name].sort())}


def _matrix(texts: pl.Series, columns: Mapping[int, int]) -> Any:
    """log1p of the counts; one more column has the number of signatures the history has not."""
    import numpy as np

    matrix = np.zeros((texts.len(), len(columns) + 1))
    for row, text in enumerate(texts):
        for item in text.split():
            code, _, count = item.partition(":")
            column = columns.get(int(code))
            if column is None:
                matrix[row, -1] += 1
            else:
                matrix[row, column] = math.log1p(int(count))
    return matrix


def _isolation_forest(past: Any, own: Any, chosen: Mapping[str, Any]) -> tuple[Any, float]:
    from sklearn.ensemble import IsolationForest

    model = IsolationForest(n_estimators=int(chosen["trees"]), contamination=chosen["contamination"], random_state=1)
    return -model.fit(past).decision_function(own), 0.0


def _local_outlier_factor(past: Any, own: Any, chosen: Mapping[str, Any]) -> tuple[Any, float]:
    import numpy as np
    from sklearn.neighbors import LocalOutlierFactor

    neighbours = min(int(chosen["neighbours"]), max(1, len(past) - 1))
    # Equal vectors are at no distance, which it takes for infinite density: a little noise keeps it finite.
    past = past + np.random.default_rng(1).normal(0, 1e-3, past.shape)
    model = LocalOutlierFactor(n_neighbors=neighbours, contamination=chosen["contamination"], novelty=True)
    return -model.fit(past).decision_function(own), 0.0


def _one_class_svm(past: Any, own: Any, chosen: Mapping[str, Any]) -> tuple[Any, float]:
    from sklearn.svm import OneClassSVM

    model = OneClassSVM(nu=float(chosen["nu"]), gamma=chosen["gamma"])
    return -model.fit(past).decision_function(own), 0.0


def _pca(past: Any, own: Any, chosen: Mapping[str, Any]) -> tuple[Any, float]:
    """What the principal components leave unexplained (W. Xu et al., SOSP 2009)."""
    import numpy as np
    from sklearn.decomposition import PCA

    model = PCA(n_components=float(chosen["kept"]), svd_solver="full").fit(past)

    def left(rows: Any) -> Any:
        return np.square(rows - model.inverse_transform(model.transform(rows))).sum(axis=1)

    limit = float(np.quantile(left(past), 1 - float(chosen["contamination"])))
    return left(own), limit + 1e-9


_FITS: dict[str, Callable[[Any, Any, Mapping[str, Any]], tuple[Any, float]]] = {
    "isolation-forest": _isolation_forest,
    "local-outlier-factor": _local_outlier_factor,
    "one-class-svm": _one_class_svm,
    "pca": _pca,
}
