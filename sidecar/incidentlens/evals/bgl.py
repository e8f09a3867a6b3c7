"""Which FATAL lines are worth waking somebody for: learnt from the first part of a log, measured on the rest.

BGL's lines begin with an administrators' alert tag, or `-` for none. The tag is taken off before anything is read. In
the first half it stands for what people said of the lines; in the second it is the truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from incidentlens.detection.judged import Judged, Opinion
from incidentlens.model.records import LINES
from incidentlens.model.terms import Level
from incidentlens.signatures import Catalogue
from incidentlens.signatures.files import each_line

from .intervals import share
from .section import Context, Failure, Figure, Section, Table

NAME = "suppression-bgl"
_TITLE = "Which FATAL lines are alerts"
_TEXT = """
FATAL alone is what an alert on the level would send. Judged: the tags of the first half stand for what people said. A
signature that was called noise is held back; one that nobody has judged, only where its words were noise before.
Going on: besides, each line that is told in the second half is judged after it was told, as it would be in life.
"""


@dataclass(frozen=True, slots=True)
class _Line:
    level: str
    template: str
    alert: bool


@dataclass(frozen=True, slots=True)
class _Told:
    """How many of the told lines are alerts, how many were told, how many alerts there are."""

    right: int
    told: int
    alerts: int


def evaluate(context: Context) -> Section:
    """Precision and recall of what is told in the second half, three ways."""
    path = (context.data or Path("missing")) / "loghub2k" / "BGL" / "raw.log"
    if not path.is_file():
        return Section(NAME, _TITLE, skipped="the public BGL lines are not on this machine (--data)")
    lines = _read(path)
    half = len(lines) // 2
    judged = Judged()
    for line in lines[:half]:
        if line.level == Level.FATAL:
            judged.learn(line.template, acted=line.alert)
    later = lines[half:]
    failures: dict[str, Failure] = {}
    alone = _tell(later, None, failures)
    once = _tell(later, judged, failures)
    going = _tell(later, judged, {}, going_on=True)
    ways = [("alone", "FATAL alone", alone), ("judged", "judged", once), ("going_on", "judged, going on", going)]
    figures = [figure for key, name, told in ways for figure in _figures(key, name, told)]
    rows: list[list[str | float | int | None]] = [
        [name, told.told, told.right, told.told - told.right, told.alerts - told.right] for _, name, told in ways
    ]
    table = Table("The second half", ["way", "told", "of them alerts", "for nothing", "alerts missed"], rows)
    return Section(NAME, _TITLE, _TEXT, figures, [table], list(failures.values()))


def _read(path: Path) -> list[_Line]:
    tagged = [line.partition(" ") for line in path.read_text("utf-8", "replace").splitlines()]
    frame = pl.DataFrame(
        {
            "ts": range(len(tagged)),
            "service": ["unknown"] * len(tagged),
            "stream": ["{}"] * len(tagged),
            "metadata": [None] * len(tagged),
            "line": [rest for _, _, rest in tagged],
        },
        schema=LINES,
    )
    signed = Catalogue().sign(each_line()(frame))
    rows = signed.select("level", "template").iter_rows()
    return [_Line(level, template, tag != "-") for (level, template), (tag, _, _) in zip(rows, tagged, strict=True)]


def _tell(lines: list[_Line], judged: Judged | None, failures: dict[str, Failure], *, going_on: bool = False) -> _Told:
    right = told = 0
    for line in lines:
        if line.level != Level.FATAL:
            continue
        opinion = judged.opinion(line.template) if judged else Opinion(False, 0.0, "nobody asked")
        if not opinion.noise:
            told += 1
            right += line.alert
        if judged and going_on and not opinion.noise:
            judged.learn(line.template, acted=line.alert)
        if judged and line.alert == opinion.noise:
            got = f"{'held back' if opinion.noise else 'told'}: {opinion.why}"
            expected = "an alert" if line.alert else "no alert"
            failures.setdefault(line.template, Failure(line.template[:100], expected, got, confident=opinion.noise))
    return _Told(right, told, sum(line.alert for line in lines))


def _figures(key: str, name: str, told: _Told) -> list[Figure]:
    peer = "level alone" if key == "alone" else ""
    return [
        share(f"{key}_precision", f"told lines that are alerts, {name}", told.right, told.told, peer=peer),
        share(f"{key}_recall", f"alerts that are told, {name}", told.right, told.alerts, peer=peer),
    ]
