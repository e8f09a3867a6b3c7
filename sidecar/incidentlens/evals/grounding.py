"""Does the checker strike out what is not in the citations, and leave what is?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from incidentlens.analysis.model import ModelAnswer, check, view_of
from incidentlens.model.analysis import Bundle, EvidenceItem
from incidentlens.model.base import Value
from incidentlens.model.yamlfile import load

from .incidents import an_incident
from .intervals import share
from .section import Context, Failure, Figure, Section


class Entry(Value):
    service: str
    text: str


class JudgedClaim(Value):
    text: str
    cites: tuple[str, ...]
    stands: bool


class GroundingCase(Value):
    """Entries by the name they are shown under, in that order (E1, E2, …), and claims about them."""

    evidence: dict[str, Entry] = Field(min_length=1)
    claims: tuple[JudgedClaim, ...] = Field(min_length=1)


class GroundingFile(Value):
    cases: tuple[GroundingCase, ...] = Field(min_length=1)


def evaluate(context: Context) -> Section:
    """Figures on `grounding/cases.yaml`; beside it, taking every claim that cites something that is there."""
    judged = list(_judged(context.cases / "grounding" / "cases.yaml"))
    false = [one for one in judged if not one[0].stands]
    true = [one for one in judged if one[0].stands]
    failures = [
        Failure(claim.text, "stands" if claim.stands else "struck out", "stands" if kept else f"struck out: {why}")
        for claim, kept, why, _ in judged
        if kept is not claim.stands
    ]
    struck = sum(not kept for _, kept, _, _ in false)
    kept = sum(stands for _, stands, _, _ in true)
    by_ids = sum(not known for *_, known in false)
    figures: list[Figure] = [
        share(
            "struck", "false claims that are struck out", struck, len(false),
            aim="≥ 0.95", met=struck >= 0.95 * len(false),
        ),
        share("kept", "true claims that stand", kept, len(true), aim="≥ 0.9", met=kept >= 0.9 * len(true)),
        share(
            "struck_by_ids", "false claims that are struck out", by_ids, len(false),
            peer="only: does it cite what is there",
        ),
    ]  # fmt: skip
    text = (
        "Claims written by hand beside what they cite. A claim is struck out where it cites nothing, cites what was not"
        " shown, or names a service, number, host, error or quotation that its citations do not contain."
    )
    return Section("grounding", "Grounding of a model's claims", text, figures, failures=failures)


def _judged(path: Path) -> Iterator[tuple[JudgedClaim, bool, str, bool]]:
    """Each claim, whether it stands, why not, and whether all that it cites is there."""
    for case in load(path, GroundingFile).cases:
        items = tuple(
            EvidenceItem(id=f"r_{name}", kind="alert", service=entry.service, ts=0, text=entry.text)
            for name, entry in case.evidence.items()
        )
        bundle = Bundle(incident=an_incident(*(entry.service for entry in case.evidence.values())), items=items)
        view = view_of(bundle, (), (), lambda text, counter: text)
        for claim in case.claims:
            answer = ModelAnswer.model_validate(
                {
                    "cause": {"text": "undetermined"},
                    "summary": "x",
                    "severity": "low",
                    "confidence": 0.1,
                    "disposition": "OBSERVE",
                    "claims": [{"text": claim.text, "evidence": list(claim.cites)}],
                }
            )
            verdict = check(answer, view, bundle)
            why = next((struck.why for struck in verdict.struck if struck.part == "claim"), "")
            known = bool(claim.cites) and all(name in case.evidence for name in claim.cites)
            yield claim, bool(verdict.claims), why, known
