"""One decision in the making: what it is given, where it stands, and the reasons so far."""

from __future__ import annotations

from incidentlens.model.analysis import Analysis
from incidentlens.model.clock import MINUTE
from incidentlens.model.decisions import Reason
from incidentlens.model.incidents import Incident
from incidentlens.model.terms import Disposition, Mode
from incidentlens.runbooks.model import Runbook

from .history import History, Told
from .model import Policy


class Case:
    """Changed step by step; every step that settles something says so."""

    def __init__(
        self,
        analysis: Analysis,
        incident: Incident,
        history: History,
        policy: Policy,
        now: int,
        runbook: Runbook | None,
    ) -> None:
        self.analysis, self.incident, self.history = analysis, incident, history
        self.policy, self.now, self.runbook = policy, now, runbook
        self.disposition = analysis.disposition
        self.severity = analysis.severity
        self.confidence = analysis.confidence
        self.reasons: list[Reason] = []
        self.hold_until: int | None = None
        self.digest = False
        cause = incident.root_cause
        self.signature = cause.signature if cause and not cause.undetermined else next(iter(incident.signatures), "")
        self.episode = incident.reopened
        # In live, what shadow decided was never sent and counts for nothing.
        self.told = [item for item in history.told if item.mode is policy.mode or policy.mode is not Mode.LIVE]

    def say(self, code: str, text: str) -> None:
        self.reasons.append(Reason(code=code, text=text))

    def raise_to(self, disposition: Disposition, code: str, text: str) -> None:
        if disposition.rank > self.disposition.rank:
            self.say(code, f"{text}: raised from {self.disposition} to {disposition}")
            self.disposition = disposition

    def own(self) -> list[Told]:
        return [item for item in self.told if item.incident_id == self.incident.id]

    def hold(self, code: str, text: str, until: int | None = None) -> bool:
        self.say(code, text)
        self.hold_until = until if until is not None else self.now + MINUTE
        return True
