"""Incident events as a Loki stream of their own, so LogQL can chart and alert on them without any plugin.

Few labels (`job`, `project`, `kind`), the rest structured metadata. An event's time is its own and its text never
changes, so Loki itself drops what is pushed twice: at least once becomes exactly once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import orjson
import xxhash

from incidentlens.actions import redact
from incidentlens.intake.loki import LokiClient, LokiSettings
from incidentlens.model.decisions import IncidentEvent
from incidentlens.model.incidents import Incident

JOB = "incidentlens"
# In an event's data and its metadata: what it was for the first time in its incident's life (`escalated`, `told`,
# `resolved`). So Loki counts incidents by counting lines, and needs no series for each of them.
FIRST = "first"


def event_key(event: IncidentEvent) -> str:
    """Of the outbox: the same event has the same, so that it is sent once."""
    digest = xxhash.xxh3_64(f"{event.kind}\n{event.text}".encode("utf-8", "replace")).hexdigest()
    return f"{event.incident_id}:{event.at}:{digest}"


def event_payload(event: IncidentEvent, incident: Incident, sequence: int) -> dict[str, Any]:
    """What is kept in the outbox. `sequence` tells events of one moment apart: Loki keeps times apart by ns."""
    line = {
        "incident": incident.id,
        "kind": event.kind,
        "title": incident.title,
        "service": incident.service,
        "severity": incident.severity.value,
        "disposition": incident.disposition.value,
        "status": incident.status.value,
        "count": incident.count,
        "text": event.text,
    }
    text = redact(orjson.dumps(line).decode()).text
    metadata = {
        "incident_id": incident.id,
        "service": incident.service,
        "severity": incident.severity.value,
        "disposition": incident.disposition.value,
        "status": incident.status.value,
    }
    if first := event.data.get(FIRST):
        metadata[FIRST] = str(first)
    return {
        "stream": {"job": JOB, "project": incident.project, "kind": event.kind, "service_name": JOB},
        "ts": event.at + sequence,
        "line": text,
        "metadata": metadata,
    }


class LokiEvents:
    """Pushes event payloads to one Loki."""

    def __init__(self, settings: LokiSettings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.settings = settings
        self._client = LokiClient(settings, transport)

    async def send(self, payloads: Sequence[Mapping[str, Any]]) -> None:
        """All in one request. Raises LokiError; Loki may have taken some of them then."""
        streams = [
            {"stream": one["stream"], "values": [[str(one["ts"]), one["line"], one["metadata"]]]} for one in payloads
        ]
        await self._client.push(streams)

    async def close(self) -> None:
        await self._client.close()
