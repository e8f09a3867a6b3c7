"""What became of a notification in Grafana: whether its alert fired, and what the contact point's last attempt said.

Grafana tells of an alert which contact points it goes to, and of a contact point only its last attempt. An attempt
after the alert began counts as this alert's; with one message an incident the two can differ by seconds, not in kind.
Each outcome is an event of the incident, once.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import re2

from incidentlens.actions import redact
from incidentlens.config.loader import Loaded, Project
from incidentlens.model.clock import MINUTE, SECOND, Clock
from incidentlens.model.decisions import Action, IncidentEvent
from incidentlens.model.terms import ActionKind, Status
from incidentlens.model.times import duration
from incidentlens.store.base import IncidentLine, Store

from .grafana_http import GrafanaClient, GrafanaError
from .loki_events import event_payload

log = logging.getLogger(__name__)

ALERTS = "/api/alertmanager/grafana/api/v2/alerts"
RECEIVERS = "/api/alertmanager/grafana/config/api/v1/receivers"
SENT, FAILED, MISSING = "delivered", "undelivered", "undelivered"
_PATIENCE = 5 * MINUTE  # then it is said that Grafana has not told anybody
_FORGOTTEN = 60 * MINUTE  # a notification older than that is not asked for any more
_SLACK = 2 * SECOND  # Grafana's clock and ours
_LINES = 300
_ADDRESS = re2.compile(r"(?i)https?://[^\s\"']+")  # a webhook's address is a secret


@dataclass(frozen=True, slots=True)
class Waiting:
    """A notification of which no end is known."""

    line: IncidentLine
    action: Action
    said: frozenset[str]  # outcomes that are events already


@dataclass(frozen=True, slots=True)
class Outcome:
    kind: str
    code: str  # sent, failed, silenced, missing
    text: str
    final: bool


class Receipts:
    """Reads back for every project that is written to a Grafana."""

    def __init__(self, store: Store, clock: Clock, clients: dict[str, GrafanaClient] | None = None) -> None:
        self._store = store
        self._clock = clock
        self._clients = clients or {}
        self._settled: set[tuple[str, str]] = set()  # (project, action): nothing more to learn
        self._ill: set[str] = set()

    async def close(self) -> None:
        for client in self._clients.values():
            await client.close()
        self._clients.clear()

    async def run_once(self, loaded: Loaded) -> int:
        """How many outcomes were found. Raises StoreError."""
        found = 0
        for project in loaded.projects.values():
            if project.grafana is None or not project.grafana.read_back:
                continue
            waiting = await self._waiting(project.name)
            if not waiting:
                continue
            try:
                client = self._client(project)
                alerts = await client.get(ALERTS)
                receivers = await client.get(RECEIVERS)
            except GrafanaError as error:
                if project.name not in self._ill:
                    log.warning("%s: what became of notifications cannot be read back: %s", project.name, error)
                self._ill.add(project.name)
                continue
            self._ill.discard(project.name)
            for item in waiting:
                outcome = outcome_of(item, project.name, alerts or (), receivers or (), self._clock.now())
                if outcome is not None:
                    found += await self._keep(project, item, outcome)
        return found

    async def _waiting(self, project: str) -> list[Waiting]:
        """Notifications of open incidents that were handed to Grafana lately and have no final outcome yet."""
        now = self._clock.now()
        found = []
        async with self._store.transaction(project) as tx:
            for line in await tx.incident_lines(now, _LINES):
                if not line.disposition.notifies or line.status not in (Status.OPEN, Status.VERIFYING):
                    continue
                for action in await tx.actions(line.id):
                    if action.kind is not ActionKind.NOTIFY or action.state != "done":
                        continue
                    if (project, action.key) in self._settled or action.at < now - _FORGOTTEN:
                        continue
                    # Of this disposition and episode: what came back and was not told again has no alert.
                    if action.key != f"notify:{line.id}:{line.disposition.value}:{line.reopened}":
                        continue
                    events = [event for event in await tx.events(line.id) if event.data.get("action") == action.key]
                    if any(event.data.get("final") for event in events):
                        self._settled.add((project, action.key))
                        continue
                    found.append(Waiting(line, action, frozenset(str(event.data.get("code")) for event in events)))
        return found

    async def _keep(self, project: Project, item: Waiting, outcome: Outcome) -> int:
        key = (project.name, item.action.key)
        if outcome.final:
            if len(self._settled) > 10_000:
                self._settled.clear()  # they are read from the events again
            self._settled.add(key)
        if outcome.code in item.said:
            return 0
        event = IncidentEvent(
            incident_id=item.line.id,
            at=self._clock.now(),
            kind=outcome.kind,
            text=outcome.text,
            data={"action": item.action.key, "code": outcome.code, "final": outcome.final},
        )
        async with self._store.transaction(project.name) as tx:
            await tx.add_event(event)
            if project.loki_events and (incident := await tx.incident(item.line.id)) is not None:
                await tx.enqueue(
                    "loki", f"{item.action.key}:{outcome.code}", event_payload(event, incident, 0), event.at
                )
        return 1

    def _client(self, project: Project) -> GrafanaClient:
        settings = project.grafana
        client = self._clients.get(project.name)
        if client is None or (settings is not None and client.url != settings.url):
            assert settings is not None
            client = self._clients[project.name] = GrafanaClient(
                settings.url, settings.token, timeout_s=settings.timeout_s
            )
        return client


def outcome_of(
    item: Waiting, project: str, alerts: Iterable[dict[str, Any]], receivers: Iterable[dict[str, Any]], now: int
) -> Outcome | None:
    """What Grafana's answers say of one notification, None while it is too early to say. Times in ns."""
    late = now - item.action.at > _PATIENCE
    alert = _alert_of(item, project, alerts)
    if alert is None:
        text = "Grafana has no alert for it: see that the rule over open_alerts is there and its data source answers"
        return Outcome(MISSING, "missing", text, False) if late else None
    if (alert.get("status") or {}).get("silencedBy"):
        return Outcome(FAILED, "silenced", "not sent: somebody has silenced it in Grafana", False)
    began = _time(alert.get("startsAt"))
    names = [str(receiver.get("name")) for receiver in alert.get("receivers") or ()]
    sent, errors = [], []
    for receiver in receivers:
        if receiver.get("name") not in names:
            continue
        for integration in receiver.get("integrations") or ():
            attempt = _time(integration.get("lastNotifyAttempt"))
            if attempt < began - _SLACK:
                continue
            said = str(integration.get("lastNotifyAttemptError") or "")
            if said:
                errors.append(f"{receiver['name']}: {_harmless(said)}")
            else:
                sent.append(f"sent to {receiver['name']} {_after(item, min(attempt, now))}")
    if errors:
        return Outcome(FAILED, "failed", "; ".join(dict.fromkeys([*errors, *sent])), False)
    if sent:
        return Outcome(SENT, "sent", "; ".join(dict.fromkeys(sent)), True)
    if late:
        where = ", ".join(names) or "no contact point"
        return Outcome(MISSING, "untried", f"the alert fires in Grafana for {where}, which has not been tried", False)
    return None


def _after(item: Waiting, at: int) -> str:
    """How long it took: from the opening, or from the decision where that came much later."""
    if item.action.at - item.line.opened_at > MINUTE:
        return f"{duration(at - item.action.at)} after it was decided"
    return f"{duration(at - item.line.opened_at)} after opening"


def _alert_of(item: Waiting, project: str, alerts: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    wanted = {"incident_id": item.line.id, "project": project, "disposition": item.line.disposition.value}
    for alert in alerts:
        labels = alert.get("labels") or {}
        if all(labels.get(name) == value for name, value in wanted.items()):
            return alert
    return None


def _time(text: Any) -> int:
    """ns of Grafana's RFC 3339; 0 where it never was."""
    try:
        return int(datetime.fromisoformat(str(text)).timestamp() * 1000) * (SECOND // 1000)
    except (ValueError, OverflowError):
        return 0


def _harmless(text: str) -> str:
    """An error's text without secrets: webhooks carry theirs in the address."""
    return " ".join(redact(_ADDRESS.sub("[address]", text)).text.split())[:300]
