"""A time line for policy tests: `at(0).problem()`, `at(3).reopened()`, and then what was told when.

Minutes everywhere. Each event decides anew, with the history of all decisions before it.
"""

from __future__ import annotations

from typing import Any

from builders import T0, make_analysis, make_incident
from incidentlens.model.analysis import Analysis
from incidentlens.model.clock import MINUTE
from incidentlens.model.decisions import Decision
from incidentlens.model.incidents import Incident
from incidentlens.policy import History, Policy, decide
from incidentlens.runbooks import Runbook


class Timeline:
    """One project under one policy."""

    def __init__(self, policy: Policy | None = None, runbook: Runbook | None = None, **known: Any) -> None:
        self.policy = policy or Policy(mode="live")
        self.runbook = runbook
        self.known = known
        self.decisions: list[Decision] = []
        self.incidents: dict[str, Incident] = {}
        self.reopened: dict[str, list[int]] = {}
        self._now = T0

    def at(self, minute: float) -> Timeline:
        self._now = T0 + round(minute * MINUTE)
        return self

    @property
    def last(self) -> Decision:
        return self.decisions[-1]

    def problem(self, incident_id: str = "i1", analysis: dict[str, Any] | None = None, **changes: Any) -> Timeline:
        """The incident as it stands now (changes to it stay), analysed, and decided on."""
        known = self.incidents.get(incident_id) or make_incident(incident_id, onset=self._now, last_seen=self._now)
        self.incidents[incident_id] = known.model_copy(update=changes)
        return self._decide(incident_id, make_analysis(**(analysis or {})))

    def reopen(self, incident_id: str = "i1", analysis: dict[str, Any] | None = None) -> Timeline:
        times = self.reopened.setdefault(incident_id, [])
        times.append(self._now)
        return self.problem(incident_id, analysis, reopened=len(times))

    def _decide(self, incident_id: str, analysis: Analysis) -> Timeline:
        history = History.of(self.decisions, reopened_at=self.reopened.get(incident_id, ()), **self.known)
        incident = self.incidents[incident_id]
        self.decisions.append(decide(analysis, incident, history, self.policy, self._now, self.runbook))
        return self

    def told(self, incident_id: str | None = None) -> list[tuple[float, str]]:
        """(minute, disposition) of each telling."""
        return [
            ((decision.at - T0) / MINUTE, decision.disposition.value)
            for decision in self.decisions
            if decision.tell and incident_id in (None, decision.incident_id)
        ]

    def codes(self) -> list[str]:
        """Codes of the last decision's reasons."""
        return [reason.code for reason in self.last.reasons]
