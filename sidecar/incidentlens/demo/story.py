"""Turns what the sidecar wrote into the store into the demo's story: nothing is shown that is not a row."""

from __future__ import annotations

from incidentlens.model.clock import SECOND
from incidentlens.model.decisions import Action
from incidentlens.model.incidents import Incident
from incidentlens.model.terms import ActionKind
from incidentlens.pipeline.report import TickReport
from incidentlens.store.base import Store, Transaction

from .screen import Screen

_PROOF_LINES = 3


class Story:
    """Follows the incidents of one project from tick to tick."""

    def __init__(self, store: Store, project: str, screen: Screen) -> None:
        self._store = store
        self._project = project
        self._screen = screen
        self._told: dict[str, int] = {}  # incident id: how many of its events were told
        self._proved: set[str] = set()
        self._chains: dict[str, list[tuple[str, str]]] = {}
        self.incidents: dict[str, Incident] = {}

    async def tell(self, report: TickReport) -> None:
        """Tell what a tick changed."""
        self._screen.status["problems"] = str(report.problems - report.suppressed)
        self._screen.status["open incidents"] = str(report.open_incidents)
        if report.changed:
            async with self._store.transaction(self._project) as tx:
                for incident in report.changed:
                    self.incidents[incident.id] = incident
                    if incident.disposition.notifies or incident.id in self._told:
                        await self._tell_incident(tx, incident)
        await self._watch_line()
        self._screen.refresh()

    async def _tell_incident(self, tx: Transaction, incident: Incident) -> None:
        events = await tx.events(incident.id)
        told = self._told.get(incident.id, 0)
        for event in events[told:]:
            self._screen.say(event.text, event.kind)
            if event.kind == "analysed":
                await self._tell_analysis(tx, incident)
            elif event.kind == "decided":
                await self._tell_decision(tx, incident)
        self._told[incident.id] = len(events)

    async def _tell_analysis(self, tx: Transaction, incident: Incident) -> None:
        root = incident.root_cause
        chain = [(step.service, step.signature) for step in root.chain] if root else []
        if root and chain != self._chains.get(incident.id):
            self._chains[incident.id] = chain
            for step in root.chain:
                self._screen.detail(f"{step.role:<8} {step.service}: {step.template[:90]}  ({step.because})", "cyan")
        if incident.id in self._proved:
            return
        self._proved.add(incident.id)
        records = [item for item in await tx.evidence(incident.id) if item.kind == "record"]
        for item in records[:_PROOF_LINES]:
            self._screen.detail(f"proof {item.id} {item.service}: {item.text[:120]}")

    async def _tell_decision(self, tx: Transaction, incident: Incident) -> None:
        decisions = await tx.decisions(incident.id)
        for reason in decisions[0].reasons if decisions else ():
            self._screen.detail(f"{reason.code}: {reason.text[:150]}", "magenta")
        for action in await tx.actions(incident.id):
            if action.kind is ActionKind.NOTIFY and action.decision_id == decisions[0].id:
                self._tell_notification(action)

    def _tell_notification(self, action: Action) -> None:
        labels = action.payload.get("labels", {})
        self._screen.detail(f"notification that would go out ({action.state}):", "bold magenta")
        for name in ("disposition", "severity", "service", "title", "runbook", "summary"):
            if labels.get(name):
                self._screen.detail(f"  {name}: {str(labels[name])[:160]}", "magenta")

    async def _watch_line(self) -> None:
        async with self._store.transaction(self._project) as tx:
            watches = await tx.open_verifications()
        notable = {watch.incident_id: watch for watch in watches if watch.incident_id in self._told}
        text = "; ".join(watch.why for watch in list(notable.values())[:2])
        self._screen.status["verifier"] = text[:100] if text else "nothing to watch"


def seconds_after(moment: int, start: int) -> float:
    """Seconds from `start` to `moment` (ns), for people."""
    return round((moment - start) / SECOND, 1)
