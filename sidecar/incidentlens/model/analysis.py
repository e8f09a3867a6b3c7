"""What is known of an incident and what is concluded from it; every conclusion cites evidence."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from .base import Value
from .incidents import Incident
from .terms import Disposition, Severity


class EvidenceItem(Value):
    """One citable thing: a record, a timeline, a past incident, a deploy, a runbook, an alert."""

    id: str
    kind: str  # record, timeline, incident, deploy, runbook, cause, alert
    service: str
    ts: int
    text: str  # the line as it stood, or one sentence
    data: dict[str, Any] = Field(default_factory=dict)


class Bundle(Value):
    """All that analysis may look at. An id not in `items` cannot be cited."""

    incident: Incident
    items: tuple[EvidenceItem, ...]
    dropped: int = 0  # items that the bound on the bundle cut off

    def item(self, evidence_id: str) -> EvidenceItem | None:
        return next((item for item in self.items if item.id == evidence_id), None)


class Finding(Value):
    """What one rule says."""

    rule: str
    severity: Severity
    confidence: float = Field(ge=0, le=1)
    text: str
    evidence: tuple[str, ...]


class Claim(Value):
    """One sentence and the evidence it rests on."""

    text: str
    evidence: tuple[str, ...]


class RunbookVotes(Value):
    """What people said of a runbook on incidents like this one: those it helped less those it did not, -3 to 3."""

    net: int
    why: str


class RunbookMatch(Value):
    """A runbook with its score (0 to 1; a match needs 0.5) and the reasons for it."""

    runbook_id: str
    name: str
    score: float
    reasons: tuple[str, ...]
    steps: tuple[str, ...] = ()
    problem_id: str = ""  # the problem of the incident it fits best
    by: str = "patterns"  # or "text": its words only, and it decides nothing


class Deterministic(Value):
    """What rules alone conclude, kept beside a model's analysis: policy's bounds and notifications rest on it."""

    cause: str
    summary: str
    severity: Severity
    disposition: Disposition
    confidence: float = Field(ge=0, le=1)


class PatternUse(Value):
    """One pattern of a runbook and when it last matched; times in ns."""

    runbook_id: str
    pattern: str
    since: int  # since when it has been looked for
    last_matched_at: int | None = None


class Analysis(Value):
    """The conclusion: `source` says whether a runbook, the rules or a model made it."""

    source: str  # "runbook", "rules" or "model"
    cause: str
    summary: str
    severity: Severity
    disposition: Disposition
    confidence: float = Field(ge=0, le=1)
    next_steps: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    findings: tuple[Finding, ...] = ()
    runbooks: tuple[RunbookMatch, ...] = ()  # best first
    details: dict[str, Any] = Field(default_factory=dict)  # a model's name, prompt version, tokens, cost
    rules: Deterministic | None = None  # where a model made it

    def without_model(self) -> Analysis:
        """What rules alone conclude; itself where no model made it."""
        if self.rules is None:
            return self
        return self.model_copy(update={"source": "rules", "rules": None, **dict(self.rules)})
