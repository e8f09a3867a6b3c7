"""Earlier incidents as the next one sees them: what they were, how they ended, what people said."""

from __future__ import annotations

from pydantic import Field

from .base import Value
from .decisions import Feedback
from .incidents import Incident, RootCause
from .terms import Disposition, Outcome, Severity, Status


class PastIncident(Value):
    """An incident without its problems, with its end. Times in ns. What is not known is empty or None."""

    id: str
    title: str
    service: str
    services: tuple[str, ...]
    signatures: tuple[str, ...]
    status: Status
    severity: Severity
    disposition: Disposition
    onset: int
    last_seen: int
    ended_at: int | None = None
    count: int
    root_cause: RootCause | None = None
    runbook: str | None = None
    outcome: Outcome | None = None  # of the latest verification that ended
    outcome_why: str = ""
    ended_by: str = ""  # the person who closed or ignored it last
    ended_note: str = ""  # and what they wrote
    feedback: tuple[Feedback, ...] = ()  # in order of time, without what was withdrawn

    @classmethod
    def of(
        cls,
        incident: Incident,
        *,
        outcome: Outcome | None = None,
        outcome_why: str = "",
        ended_by: str = "",
        ended_note: str = "",
        feedback: tuple[Feedback, ...] = (),
    ) -> PastIncident:
        """A whole incident, reduced to what the next one needs of it."""
        kept = {name: getattr(incident, name) for name in cls.model_fields if hasattr(incident, name)}
        kept |= {"outcome": outcome, "outcome_why": outcome_why, "feedback": feedback}
        return cls(**kept, ended_by=ended_by, ended_note=ended_note)


class SimilarIncident(Value):
    """A past incident like the one at hand."""

    past: PastIncident
    score: float = Field(ge=0, le=1)
    parts: dict[
        str, float
    ]  # likeness by signatures, services, chain and text, each 0 to 1; what could not be compared is missing
    reasons: tuple[str, ...]
    resolved_by: str  # what ended it, in a sentence; empty where it has not ended
