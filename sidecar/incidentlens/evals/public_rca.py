"""The public root-cause cases (`rca/` of the evaluation data): read, disguised, judged by their own truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from incidentlens.intake.files import read_records
from incidentlens.model.records import LINES, empty

from .playing import Answer

_TOP = 3


@dataclass(frozen=True, slots=True)
class PublicCase:
    """`service`: the truth where a service is it, else empty. `all_of`: phrases, of each list one must be said."""

    id: str
    fault: str
    visible: bool  # the logs show it, says the collection
    service: str
    all_of: tuple[tuple[str, ...], ...]
    top: int
    quiet: bool
    folder: Path
    baseline_file: Path | None

    def records(self) -> pl.DataFrame:
        """LINES in order of time."""
        return _frame(self.folder / "records.jsonl.gz")

    def baseline(self) -> pl.DataFrame:
        """LINES of a time that is taken as free of faults; empty where there is none."""
        return _frame(self.baseline_file) if self.baseline_file else empty(LINES)


def public_cases(data: Path) -> list[PublicCase]:
    """Every case under `data`/rca, in order; none where the folder is not there."""
    found = []
    for file in sorted((data / "rca").glob("*/*/case.json")):
        case: dict[str, Any] = orjson.loads(file.read_bytes())
        truth = case.get("truth") or {}
        baseline = file.parent.parent / "baseline.jsonl.gz"
        found.append(
            PublicCase(
                id=case["id"],
                fault=case.get("fault") or case.get("kind") or "",
                visible=case.get("log_visible", True),
                service=truth.get("service", ""),
                all_of=tuple(tuple(phrases) for phrases in truth.get("all_of", ())),
                top=truth.get("top", _TOP),
                quiet=bool(truth.get("quiet")),
                folder=file.parent,
                baseline_file=baseline if baseline.exists() else None,
            )
        )
    return found


def says_all(case: PublicCase, answer: Answer) -> bool:
    """True where what the first incidents say (summary, evidence, templates) meets every list of phrases."""
    said = []
    for one in answer.incidents[: max(_TOP, case.top)]:
        said.append((one["root_cause"] or {}).get("summary", ""))
        said.extend(item["line"] for item in one["evidence"])
        said.extend(signature["template"] for signature in one["signatures"])
    text = "\n".join(said).lower()
    return all(any(phrase.lower() in text for phrase in phrases) for phrases in case.all_of)


def _frame(path: Path) -> pl.DataFrame:
    frames = list(read_records(path))
    return pl.concat(frames) if frames else empty(LINES)
