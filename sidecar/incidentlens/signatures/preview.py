"""What other rules would change, before they count: `incidentlens signatures --preview RULES`."""

from __future__ import annotations

from typing import Literal

import polars as pl

from incidentlens.model.base import Value
from incidentlens.model.signatures import SignatureRules

from .catalogue import Catalogue
from .rules import NOISE_FAMILY

MAX_EXAMPLES = 3
MAX_EXAMPLE = 300  # characters


class Change(Value):
    """One change: signatures that become one (merged), one that becomes several (split), another name (renamed),
    or known noise (noise)."""

    kind: Literal["merged", "split", "renamed", "noise"]
    before: tuple[str, ...]
    after: tuple[str, ...]
    count: int  # events concerned
    examples: tuple[str, ...]


def preview(before: SignatureRules, after: SignatureRules, events: pl.DataFrame) -> list[Change]:
    """What `after` would group otherwise than `before` does, over these EVENTS; the change that concerns most first.

    Both start from an empty catalogue, so that only the rules differ. RuleError where a rule cannot be used.
    """
    old = _signatures(before, events)
    new = _signatures(after, events)
    pairs = (
        pl.DataFrame({"old": old, "new": new, "message": events["message"]})
        .group_by("old", "new")
        .agg(pl.len().alias("n"), pl.col("message").first())
        .sort("old", "new")
    )
    changes: list[Change] = []
    for part in _components(pairs):
        olds, news = tuple(sorted(set(part["old"]))), tuple(sorted(set(part["new"])))
        if olds == news:
            continue
        kind: Literal["merged", "split", "renamed", "noise"]
        if all(name.startswith(f"{NOISE_FAMILY}:") for name in news):
            kind = "noise"
        elif len(olds) > len(news):
            kind = "merged"
        elif len(news) > len(olds):
            kind = "split"
        else:
            kind = "renamed"
        examples = [str(text or "")[:MAX_EXAMPLE] for text in part.sort("n", descending=True)["message"][:MAX_EXAMPLES]]
        changes.append(Change(kind=kind, before=olds, after=news, count=int(part["n"].sum()), examples=tuple(examples)))
    return sorted(changes, key=lambda change: (-change.count, change.before))


def _signatures(rules: SignatureRules, events: pl.DataFrame) -> pl.Series:
    catalogue = Catalogue(rules=rules)
    signed = catalogue.sign(events)["signature"]
    return signed.replace_strict({name: catalogue.resolve(name) for name in signed.unique()}, return_dtype=pl.String)


def _components(pairs: pl.DataFrame) -> list[pl.DataFrame]:
    """Pairs as groups that share an old or a new name."""
    group: dict[tuple[str, str], tuple[str, str]] = {}

    def find(node: tuple[str, str]) -> tuple[str, str]:
        group.setdefault(node, node)
        while group[node] != node:
            group[node] = group[group[node]]
            node = group[node]
        return node

    for old, new in pairs.select("old", "new").iter_rows():
        group[find(("old", old))] = find(("new", new))
    roots = [str(find(("old", old))) for old in pairs["old"]]
    return pairs.with_columns(pl.Series("root", roots)).partition_by("root", maintain_order=True, include_key=False)
