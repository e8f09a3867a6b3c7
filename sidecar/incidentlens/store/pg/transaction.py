"""One transaction: all parts over one connection, under the project's lock."""

from __future__ import annotations

import orjson

from .context import ContextPart
from .incidents import IncidentsPart
from .intake import IntakePart
from .investigations import InvestigationsPart
from .records import RecordsPart
from .regions import RegionsPart
from .session import Session

CHANNEL = "incidentlens"
PAYLOAD_BYTES = 7_900  # PostgreSQL refuses 8,000


class PgTransaction(IntakePart, IncidentsPart, RecordsPart, ContextPart, RegionsPart, InvestigationsPart):
    """See `base.Transaction`."""

    def __init__(self, session: Session, project: str) -> None:
        self.session = session
        self.project = project
        self.changed: dict[str, None] = {}

    async def lock(self) -> None:
        """Wait for the project: two sidecars never work on it at once. The end of the transaction releases it."""
        await self.session.run(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"incidentlens:{self.project}",)
        )

    async def announce(self) -> None:
        """Tell listeners which incidents changed; PostgreSQL passes it on when the transaction is committed."""
        if not self.changed:
            return
        payloads = [change_payload(self.project, incident) for incident in self.changed]
        await self.session.run("SELECT pg_notify(%s, payload) FROM unnest(%s::text[]) AS payload", (CHANNEL, payloads))


def change_payload(project: str, incident: str) -> str:
    """What goes over the channel; an id too long for it becomes "look again"."""
    payload = orjson.dumps({"project": project, "incident": incident})
    if len(payload) > PAYLOAD_BYTES:
        payload = orjson.dumps({"project": project, "incident": ""})
    return payload.decode()
