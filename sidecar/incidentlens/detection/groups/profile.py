"""What the groups of a history look like: how many have each signature, each count vector, each step of order.

Everything is counted in groups, not in records: a group that repeats a line a thousand times proves it once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import polars as pl

from incidentlens.detection.statistics import share_above

from .collect import Part

_REGULAR = 0.9  # a signature whose commonest count has at least this part of its groups repeats regularly
_LAG = 0.99  # quantile of how long after a group's first record a signature comes
NEWS = 0.005  # where it is proved that fewer groups than this bring something new, something new is news
LEVELS = ("exact", "coarse", "set")  # of a vector, the finest first


@dataclass(frozen=True, slots=True)
class Shape:
    """The groups of a part as numbers. Frames are a row a group, in the part's order, unless said otherwise.

    `counts`: group, code, n, first (place of the first one), a row a (group, code).
    `steps`: group, step (a × 2^32 + b: b follows a directly), a row a distinct (group, step).
    `ages`: group, start, age: records from the group's first one to the input's end.
    """

    counts: pl.DataFrame
    steps: pl.DataFrame
    ages: pl.DataFrame


def shape(part: Part) -> Shape:
    """Count a part once. Linear in its rows but for one sort."""
    rows = part.rows
    counts = (
        rows.lazy()
        .group_by("group", "code")
        .agg(pl.len().alias("n"), pl.col("place").min().alias("first"))
        .sort("group", "code")
        .collect()
    )
    steps = (
        rows.lazy()
        .sort("group", "place")
        .with_columns(before=pl.col("code").shift(1).over("group"))
        .drop_nulls("before")
        .select("group", step=pl.col("before").cast(pl.UInt64) * (1 << 32) + pl.col("code"))
        .unique()
        .collect()
    )
    ages = (
        rows.lazy()
        .group_by("group")
        .agg(pl.col("place").min().alias("start"))
        .with_columns(age=pl.lit(part.records) - pl.col("start").cast(pl.Int64))
        .sort("group")
        .collect()
    )
    return Shape(counts, steps, ages)


@dataclass(slots=True)
class Profile:
    """The history's statistics, over `n` groups."""

    n: int
    groups: dict[int, int]  # code: groups that have it
    lags: dict[int, float]  # code: records after the group's first one by which it has come in 99 of 100 groups
    irregular: set[int]  # codes whose number in a group varies
    patterns: dict[str, dict[str, int]]  # level: vector: groups
    steps: dict[int, int]  # step: groups
    closed: str | None  # the finest level at which a new vector would be news
    steps_closed: bool  # a new step would be news
    rare: dict[str, int] = field(default_factory=dict)  # level: at most so many groups makes a vector rare
    rare_step: int = 0


def profile(shapes: Sequence[Shape]) -> Profile:
    """Of one or more parts; empty ones are no history."""
    shapes = [one for one in shapes if one.ages.height]
    n = sum(one.ages.height for one in shapes)
    if not n:
        return Profile(0, {}, {}, set(), {level: {} for level in LEVELS}, {}, None, False)
    counts = pl.concat(
        one.counts.join(one.ages, on="group").select("code", "n", lag=pl.col("first") - pl.col("start"))
        for one in shapes
    )
    by_code = counts.group_by("code").agg(
        pl.len().alias("groups"),
        pl.col("lag").quantile(_LAG).alias("lag"),
        pl.col("n").value_counts(sort=True).first().struct.field("count").alias("commonest"),
    )
    irregular = {
        code for code, groups, commonest in by_code.select("code", "groups", "commonest").iter_rows()
        if commonest < _REGULAR * groups
    }  # fmt: skip
    vectored = pl.concat(vectors(one, irregular) for one in shapes)
    patterns = {level: dict(vectored.group_by(level).len().iter_rows()) for level in LEVELS}
    steps = dict(pl.concat(one.steps for one in shapes).group_by("step").len().iter_rows())
    closed = next((level for level in LEVELS if share_above(_singles(patterns[level]), n) <= NEWS), None)
    alone = pl.concat(
        one.steps.filter(pl.col("step").is_in([step for step, count in steps.items() if count == 1]))
        .select(pl.col("group").n_unique())
        for one in shapes
    )  # fmt: skip
    found = Profile(
        n=n,
        groups=dict(by_code.select("code", "groups").iter_rows()),
        lags=dict(by_code.select("code", "lag").iter_rows()),
        irregular=irregular,
        patterns=patterns,
        steps=steps,
        closed=closed,
        steps_closed=share_above(int(alone["group"].sum()), n) <= NEWS,
    )
    if closed:
        found.rare[closed] = _rare(patterns[closed].values(), NEWS * n)
    weakest = pl.concat(
        one.steps.with_columns(k=pl.col("step").replace_strict(steps, return_dtype=pl.Int64))
        .group_by("group").agg(pl.col("k").min())
        for one in shapes
    )  # fmt: skip
    found.rare_step = _rare_groups(weakest["k"], NEWS * n)
    return found


def vectors(one: Shape, irregular: set[int]) -> pl.DataFrame:
    """group, exact, coarse, set: each group's count vector at three levels, as text.

    `3:1 7:12`; the same with `+` for counts that vary anyway, `3:1 7:+`; and without counts, `3 7`.
    """
    code = pl.col("code").cast(pl.String)
    times = pl.col("n").cast(pl.String)
    coarse = pl.when(pl.col("code").is_in(list(irregular))).then(pl.lit("+")).otherwise(times)
    return (
        one.counts.lazy()
        .group_by("group", maintain_order=True)
        .agg(
            exact=pl.concat_str(code, times, separator=":").str.join(" "),
            coarse=pl.concat_str(code, coarse, separator=":").str.join(" "),
            set=code.str.join(" "),
        )
        .sort("group")
        .collect()
    )


def _singles(patterns: dict[str, int]) -> int:
    """Vectors seen in one group only. Their share estimates how often a group has a vector never seen (Good, 1953)."""
    return sum(count == 1 for count in patterns.values())


def _rare(counts: Iterable[int], room: float) -> int:
    """The largest k such that all vectors of at most k groups together have at most `room` groups; 0 for none."""
    total, largest = 0, 0
    for count, vectors_of in sorted(Counter(counts).items()):
        total += count * vectors_of
        if total > room:
            break
        largest = count
    return largest


def _rare_groups(weakest: pl.Series, room: float) -> int:
    """The same for groups by their rarest step."""
    total, largest = 0, 0
    for k, groups in weakest.value_counts().sort("k").iter_rows():
        total += groups
        if total > room:
            break
        largest = k
    return largest
