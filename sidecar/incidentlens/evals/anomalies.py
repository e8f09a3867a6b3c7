"""Groups of records that are not like the others: ours both ways, beside what others do, on public blocks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from incidentlens.detection.groups import DetectorError

from .blocks import Blocks, Outcome, as_it_reads, f1_interval, load, trained
from .intervals import share
from .section import Context, Failure, Figure, Section, Table

NAME = "anomalies"
GROUP_BY = r"(blk_-?\d+)"
_PEERS = ("count-vector", "isolation-forest", "local-outlier-factor", "one-class-svm", "pca")
_TEXT = """
A group is anomalous where something came that hardly ever comes, where something is missing that always comes, or where
its counts or its order are new (docs/detection.md). **As it reads**: the file alone, nothing said of any block.
**Trained**: a history without its anomalous blocks. **Mixed history**: with them, as in a log nobody has labelled.
Where the set has no blocks of its own to learn from, each fifth is scored by the other four. Peers get the same count
vectors in the same run, with the settings they come with; `incidentlens eval anomalies --detector NAME --sweep` tries
others.
"""


def dataset(context: Context) -> Blocks | str:
    """The labelled blocks, or why there are none."""
    folder = (context.data or Path("missing")) / "hdfs"
    logs = sorted(folder.glob("*.log"))
    labels = folder / "block_labels.csv"
    if not logs or not labels.is_file():
        return "the public HDFS blocks are not on this machine (--data)"
    return load(logs[0], labels, GROUP_BY)


def evaluate(context: Context) -> Section:
    """Ours as it reads, trained, and with a mixed history; peers both ways."""
    blocks = dataset(context)
    title = "Groups that are not like the others"
    if isinstance(blocks, str):
        return Section(NAME, title, skipped=blocks)
    reads, taught, mixed = as_it_reads(blocks), trained(blocks), trained(blocks, healthy=False)
    wordless = as_it_reads(replace(blocks, meaning=[replace(one, adverse=False) for one in blocks.meaning]))
    figures = [
        *_figures("reads", "as it reads", reads, aim=0.90),
        *_figures("trained", "trained", taught, aim=0.95),
        *_figures("mixed", "mixed history", mixed),
        Figure("rate", "lines read and signed", blocks.part.records / blocks.seconds, "lines/s", noise=0.3),
    ]
    rows = [
        _row("ours, as it reads", reads),
        _row("ours, as it reads, blind to words and levels", wordless),
        _row("ours, trained", taught),
        _row("ours, mixed history", mixed),
    ]
    text = _TEXT
    for peer in _PEERS:
        try:
            for way, outcome in (("as it reads", as_it_reads(blocks, peer)), ("trained", trained(blocks, peer))):
                rows.append(_row(f"{peer}, {way}", outcome))
                key = f"{peer}_{'reads' if way == 'as it reads' else 'trained'}_f1"
                low, high = f1_interval(outcome.pairs)
                n = len(outcome.pairs)
                figures.append(Figure(key, f"F1 {way}", outcome.f1, low=low, high=high, n=n, peer=peer))
        except DetectorError as error:
            text += f"\nNot measured: {error}."
    columns = ["detector", "F1", "precision", "recall", "wrongly called", "missed", "seconds"]
    return Section(
        NAME, title, text, figures, [Table("Side by side", columns, rows)], [*_failures("as it reads", reads),
        *_failures("trained", taught)],
    )  # fmt: skip


def _figures(key: str, name: str, outcome: Outcome, aim: float | None = None) -> list[Figure]:
    right, wrongly, missed = outcome.counts
    low, high = f1_interval(outcome.pairs)
    return [
        Figure(
            f"{key}_f1", f"F1 {name}", outcome.f1, low=low, high=high, n=len(outcome.pairs),
            aim=f"≥ {aim:.2f}" if aim else "", met=outcome.f1 >= aim if aim else None,
        ),
        share(f"{key}_precision", f"precision {name}", right, right + wrongly),
        share(f"{key}_recall", f"recall {name}", right, right + missed),
    ]  # fmt: skip


def _row(name: str, outcome: Outcome) -> list[str | float | int | None]:
    right, wrongly, missed = outcome.counts
    precision = right / (right + wrongly) if right + wrongly else 0.0
    recall = right / (right + missed) if right + missed else 0.0
    return [name, outcome.f1, precision, recall, wrongly, missed, outcome.seconds]


def _failures(way: str, outcome: Outcome) -> list[Failure]:
    return [
        Failure(
            f"{name}, {way}",
            "anomalous" if truth else "as usual",
            f"score {verdict.score:.2f}: {'; '.join(verdict.why[:2]) or 'nothing unusual'}",
            confident=verdict.anomalous and verdict.score >= 2,
        )
        for name, truth, verdict in outcome.wrong
    ]
