"""Where the demo's messages go instead of to Discord and to a mailbox, and what of them to tell afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from incidentlens.model.clock import SECOND
from incidentlens.model.incidents import Incident
from incidentlens.provision.catcher import Catcher, listening

ONCALL = "oncall@example.com"
_RESOLVED = "Resolved"  # how the title of the message templates begins when an alert is over


@dataclass(frozen=True, slots=True)
class StandIns:
    """Both listen on 127.0.0.1."""

    web_port: int
    mail_port: int
    catcher: Catcher = field(repr=False)

    @property
    def url(self) -> str:
        """The page that shows what came."""
        return f"http://127.0.0.1:{self.web_port}/"

    def webhook(self, name: str) -> str:
        """A Discord webhook's address; messages to it carry its name."""
        return f"{self.url}api/webhooks/{name}"


@asynccontextmanager
async def stand_ins(heard: Callable[[dict[str, Any]], None]) -> AsyncIterator[StandIns]:
    """Listen on free ports until the block ends; `heard` is called with every message."""
    catcher = Catcher(heard)
    async with listening(catcher, "127.0.0.1:0", "127.0.0.1:0") as (web, mail):
        yield StandIns(web, mail, catcher)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message that arrived. `incident` is None for one that names none of ours."""

    to: str
    kind: str  # discord, email, or refused: the stand-in would not take it, as Discord would not
    at: int  # ns
    title: str
    resolved: bool
    incident: Incident | None

    @property
    def after_s(self) -> float | None:
        """Seconds since the incident was opened; for a resolution since it ended. None where there is no such time."""
        since = None if self.incident is None else self.incident.ended_at if self.resolved else self.incident.opened_at
        return None if since is None else round((self.at - since) / SECOND, 1)

    def in_words(self) -> str:
        """`sent to discord-escalate 14 s after opening`."""
        if self.kind == "refused":
            return f"refused for {self.to}: {self.title}"
        after = (
            "" if self.after_s is None else f" {self.after_s:.0f} s after {'its end' if self.resolved else 'opening'}"
        )
        return f"{'resolution ' if self.resolved else ''}sent to {self.to}{after}"

    def as_json(self) -> dict[str, Any]:
        return {
            "to": self.to,
            "kind": self.kind,
            "at": self.at,
            "incident": None if self.incident is None else self.incident.id,
            "title": self.title,
            "state": "resolved" if self.resolved else "firing",
            "after_s": self.after_s,
            "text": self.in_words(),
        }


def deliveries(messages: Iterable[dict[str, Any]], incidents: Iterable[Incident]) -> list[Delivery]:
    """What came, as deliveries, the first first. An incident is known by the link to it that each message has."""
    known = {incident.id: incident for incident in incidents}
    found = []
    for message in messages:
        title = _title(message)
        text = f"{title}\n{message.get('content', '')}"
        incident = next((known[name] for name in known if f"/incidents/{name}" in text), None)
        to = "email-oncall" if message["kind"] == "email" else str(message["to"])
        at = int(datetime.fromisoformat(message["at"]).timestamp() * 1_000) * (SECOND // 1_000)
        found.append(Delivery(to, message["kind"], at, title, title.startswith(_RESOLVED), incident))
    return found


def awaited(delivered: Iterable[Delivery], told: Iterable[Incident]) -> list[Incident]:
    """The incidents of which a message is still to come: the first one, or, of those that are over, the resolution."""
    first = {each.incident.id for each in delivered if each.incident is not None and not each.resolved}
    last = {each.incident.id for each in delivered if each.incident is not None and each.resolved}
    return [
        incident
        for incident in told
        if incident.id not in first or (not incident.status.active and incident.id not in last)
    ]


def _title(message: dict[str, Any]) -> str:
    titles = message.get("titles") or []
    return str(message.get("subject") or (titles[0] if titles else "") or message.get("why") or "")
