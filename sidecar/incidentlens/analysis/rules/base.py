"""What a rule is."""

from __future__ import annotations

from typing import Protocol

from incidentlens.model.analysis import Bundle, Finding
from incidentlens.model.incidents import Incident, Problem

from ..context import AnalysisContext


class Rule(Protocol):
    """Looks at one thing. `check` gives a finding that cites ids of the bundle, or None where it has nothing to say."""

    name: str

    def check(self, bundle: Bundle, context: AnalysisContext) -> Finding | None: ...


def cause_service(incident: Incident) -> str:
    """The suspected cause's service, or the incident's own where the cause is not determined."""
    cause = incident.root_cause
    return cause.service if cause and not cause.undetermined and cause.service else incident.service


def cause_first(incident: Incident) -> list[Problem]:
    """The incident's problems, those of the suspected cause first, then by their score."""
    cause = incident.root_cause
    target = (cause.service, cause.signature) if cause and not cause.undetermined else None
    return sorted(incident.problems, key=lambda p: ((p.service, p.signature) != target, -p.score, p.onset, p.id))


def readable(template: str, limit: int = 160) -> str:
    """A template as a sentence shows it: its first line, variable parts as `…`, cut at the limit."""
    text = " ".join(template.strip().partition("\n")[0].replace("<*>", "…").split())
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
