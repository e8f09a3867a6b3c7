"""Logs whose lines people have put into groups (the loghub collections), and what a grouping got wrong on them."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from incidentlens.model.records import EVENTS

LABELS = {"original": "truth.csv", "corrected": "truth_corrected.csv"}


@dataclass(frozen=True, slots=True)
class LabelledLog:
    """One system's lines: `content` without header, `raw` as a shipper sees them (empty where there are none).

    `truth`: for each set of labels the group of every line; `templates` the text that each group is labelled with.
    """

    name: str
    content: list[str]
    raw: list[str]
    truth: dict[str, list[str]]
    templates: dict[str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class Wrong:
    """A true group that was not found as it is: split into `parts`, or joined with other groups (`joined`)."""

    log: str
    labels: str
    lines: int
    template: str
    parts: list[str]
    joined: list[str]


def logs_of(folder: Path) -> list[LabelledLog]:
    """All systems below a folder of `<System>/{content.log, raw.log, truth.csv, truth_corrected.csv}`, by name."""
    return [_read(one) for one in sorted(folder.glob("*")) if (one / LABELS["original"]).is_file()]


def _read(folder: Path) -> LabelledLog:
    truth, templates = {}, {}
    for labels, name in LABELS.items():
        if (folder / name).is_file():
            with (folder / name).open(newline="", encoding="utf-8") as file:
                rows = [(row["event_id"], row["template"]) for row in csv.DictReader(file)]
            truth[labels] = [event for event, _ in rows]
            templates[labels] = dict(rows)
    return LabelledLog(folder.name, _lines(folder / "content.log"), _lines(folder / "raw.log"), truth, templates)


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        return []
    return path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]


def events_of(lines: Sequence[str]) -> pl.DataFrame:
    """Lines as EVENTS: each is a message of unknown level."""
    columns: dict[str, object] = {name: [None] * len(lines) for name in EVENTS}
    for name in ("ts", "first", "last"):
        columns[name] = range(len(lines))
    for name, value in (("service", "unknown"), ("stream", "{}"), ("level", "unknown"), ("format", "plain")):
        columns[name] = [value] * len(lines)
    return pl.DataFrame(columns | {"line": lines, "message": lines}, schema=EVENTS)


def wrong_groups(log: LabelledLog, labels: str, answer: Sequence[str]) -> list[Wrong]:
    """The true groups that `answer` (a group for each line) did not find, those with most lines first."""
    found: dict[str, set[int]] = defaultdict(set)
    true: dict[str, set[int]] = defaultdict(set)
    for line, (mine, theirs) in enumerate(zip(answer, log.truth[labels], strict=True)):
        found[mine].add(line)
        true[theirs].add(line)
    wrong = []
    for event, lines in true.items():
        parts = sorted({answer[line] for line in lines}, key=lambda part: -len(found[part] & lines))
        if len(parts) == 1 and found[parts[0]] == lines:
            continue
        others = {log.truth[labels][line] for part in parts for line in found[part]} - {event}
        texts = log.templates[labels]
        wrong.append(
            Wrong(
                log.name,
                labels,
                len(lines),
                texts[event],
                [log.content[min(found[part] & lines)] for part in parts],
                sorted(texts[other] for other in others),
            )
        )
    return sorted(wrong, key=lambda one: (-one.lines, one.template))
