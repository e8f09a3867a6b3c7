"""What an evaluation gives: figures with intervals, tables, and the cases that failed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Better = Literal["higher", "lower", ""]


@dataclass(frozen=True, slots=True)
class Context:
    """Where the cases are. `data`: the public sets, None where this machine has none. `quick`: fewer repetitions."""

    cases: Path
    data: Path | None = None
    quick: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """One value. `key` is stable over versions, so that two reports can be compared.

    `low`, `high`: the 95 % interval, where the value is of a sample of `n`. `better` says which way is good; "" is a
    value that only describes. `noise`: how much of it, as a share, changes from run to run (rates, seconds).
    `peer` is the name of what was measured for comparison; "" is ours.
    """

    key: str
    name: str
    value: float
    unit: str = ""
    low: float | None = None
    high: float | None = None
    n: int | None = None
    better: Better = "higher"
    aim: str = ""
    met: bool | None = None
    peer: str = ""
    noise: float = 0.0


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of equal length under `columns`; numbers are written with three digits."""

    title: str
    columns: list[str]
    rows: list[list[str | float | int | None]]


@dataclass(frozen=True, slots=True)
class Failure:
    """A case that went wrong, for the reader to look at: what was expected, what came."""

    case: str
    expected: str
    got: str
    confident: bool = False  # a wrong answer given with confidence: worse than none


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture beside the report: `name` is its file name (`*.svg` or `*.png`)."""

    name: str
    alt: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Section:
    """One evaluation's result. `skipped` says why nothing was measured, `failed` what it raised; both empty else."""

    name: str
    title: str
    text: str = ""
    figures: list[Figure] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    skipped: str = ""
    failed: str = ""

    def as_json(self) -> dict[str, Any]:
        """All but the pictures' contents."""
        answer = asdict(self)
        answer["pictures"] = [picture.name for picture in self.pictures]
        return answer
