"""How well a grouping of lines agrees with a truth: group accuracy and FGA.

As defined by Zhu et al., "Tools and Benchmarks for Automated Log Parsing" (ICSE-SEIP 2019) for GA and by Jiang et al.,
"A Large-Scale Evaluation for Log Parsing Techniques" (ISSTA 2024) for FGA.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import polars as pl


class Agreement(NamedTuple):
    """`ga`: share of lines whose group is exactly a true group. `fga`: F1 of groups. The rest says how many groups."""

    ga: float
    fga: float
    predicted: int
    true: int
    right: int


def agreement(predicted: Sequence[Hashable], truth: Sequence[Hashable]) -> Agreement:
    """Compare two groupings of the same lines, in the same order. ValueError where the lengths differ or are zero."""
    if len(predicted) != len(truth) or not predicted:
        raise ValueError(f"need as many predicted groups as true ones, and some: {len(predicted)} and {len(truth)}")
    frame = pl.DataFrame({"p": [str(name) for name in predicted], "t": [str(name) for name in truth]})
    pairs = frame.group_by("p", "t").len()
    sides = pairs.with_columns(p_kinds=pl.len().over("p"), t_kinds=pl.len().over("t"))
    right = sides.filter((pl.col("p_kinds") == 1) & (pl.col("t_kinds") == 1))
    n_predicted, n_true = frame["p"].n_unique(), frame["t"].n_unique()
    return Agreement(
        ga=int(right["len"].sum()) / len(frame),
        fga=2 * len(right) / (n_predicted + n_true),
        predicted=n_predicted,
        true=n_true,
        right=len(right),
    )
