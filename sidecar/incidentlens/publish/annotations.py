"""Each incident as one region in Grafana: begun at its onset, extended while it fires, closed when it is over.

What Grafana has is kept in the store; what waits to be sent is the difference between that and the incidents. So only
an incident's newest state is ever sent, a Grafana that was away is caught up, and a restart sends nothing twice: the
intent is kept before Grafana is asked, and a region whose answer was lost is found again by its tags.
"""

from __future__ import annotations

import html
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import xxhash

from incidentlens.actions import redact
from incidentlens.config.grafana import ORGANISATION, GrafanaSettings
from incidentlens.config.loader import Loaded
from incidentlens.model.clock import MINUTE, SECOND, Clock
from incidentlens.model.terms import Disposition, Status
from incidentlens.store.base import IncidentLine, Region, Store

from .grafana_http import GrafanaClient, GrafanaError, GrafanaForbidden, GrafanaNotFound, GrafanaUnavailable, to_ms
from .publisher import pause

log = logging.getLogger(__name__)

STEP = 30 * SECOND  # a region that only grew is sent again no sooner
BATCH = 50  # changes a run and project
_LEASE = MINUTE
_REFUSED_PAUSE = 10 * MINUTE
_KNOWN_DASHBOARD = 5 * MINUTE
_REMOVED = 0  # in place of an id: somebody removed the region, and the incident is over
_TEXT = 1_000


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be done about one region; `line` None: take it away."""

    region: Region
    line: IncidentLine | None


class Annotator:
    """Brings Grafana's regions up to date. `sent` and `failed` count since the start, by project."""

    def __init__(self, store: Store, clock: Clock, clients: dict[str, GrafanaClient] | None = None) -> None:
        self._store = store
        self._clock = clock
        self._clients = clients or {}
        self._settings: dict[str, GrafanaSettings] = {}
        self._quiet_until: dict[str, int] = {}
        self._failures: dict[str, int] = {}
        self._dashboards: dict[tuple[str, str], tuple[bool, int]] = {}
        self.sent: dict[str, int] = {}
        self.failed: dict[str, int] = {}

    async def close(self) -> None:
        for client in self._clients.values():
            await client.close()
        self._clients.clear()

    async def run_once(self, loaded: Loaded) -> int:
        """Send what is due of every project; returns how many changes were dealt with. Raises StoreError."""
        done = 0
        for project in loaded.projects.values():
            if project.grafana is None or not project.grafana.url:
                continue
            if self._quiet_until.get(project.name, 0) > self._clock.now():
                continue
            done += await self._project(project.name, project.grafana)
        return done

    async def _project(self, project: str, settings: GrafanaSettings) -> int:
        changes = await self._claim(project, settings)
        if not changes:
            return 0
        client = await self._client(project, settings)
        for number, change in enumerate(changes):
            try:
                after = await self._carry_out(client, project, settings, change)
            except (GrafanaUnavailable, GrafanaForbidden) as error:
                await self._wait(project, changes[number:], error)
                return number
            except GrafanaError as error:
                self.failed[project] = self.failed.get(project, 0) + 1
                after = self._refused(project, change, error)
            else:
                self.sent[project] = self.sent.get(project, 0) + 1
            await self._keep(project, change.region, after)
        self._failures.pop(project, None)
        return len(changes)

    async def _claim(self, project: str, settings: GrafanaSettings) -> list[Change]:
        """What differs and is due, leased: the intent is in the store before Grafana is asked."""
        now = self._clock.now()
        async with self._store.transaction(project) as tx:
            lines = await tx.incident_lines(now - settings.max_age, settings.max_annotations)
            regions = await tx.regions()
            changes = plan(lines, regions, settings, now)[:BATCH]
            for number, change in enumerate(changes):
                leased = change.region.model_copy(update={"next_attempt_at": now + _LEASE})
                await tx.save_region(leased)
                changes[number] = Change(leased, change.line)
        return changes

    async def _carry_out(
        self, client: GrafanaClient, project: str, settings: GrafanaSettings, change: Change
    ) -> Region | None:
        """The region as it is afterwards, None where there is none. Raises GrafanaError."""
        region, line = change.region, change.line
        found = await self._find(client, project, region)
        if line is None:
            if found is not None:
                await client.ask("DELETE", f"/api/annotations/{found}")
            return None
        digest = digest_of(line)
        body = body_of(line, project, settings.public_url)
        if found is not None:
            await client.ask("PATCH", f"/api/annotations/{found}", body)
        elif region.sent and line.ended_at is not None:
            found = _REMOVED  # it was there, and is not any more: whoever removed it has seen it
        else:
            if region.place != ORGANISATION:
                if not await self._dashboard(client, region.place):
                    raise GrafanaNotFound(f"Grafana at {client.url} has no dashboard with the uid {region.place!r}")
                body["dashboardUID"] = region.place
            answer = await client.ask("POST", "/api/annotations", body)
            found = int(answer["id"])
        return region.model_copy(
            update={"annotation_id": found, "sent": digest, "attempts": 0, "next_attempt_at": 0, "error": ""}
        )

    @staticmethod
    async def _find(client: GrafanaClient, project: str, region: Region) -> int | None:
        """The id of the region in Grafana, None where it has none. It is asked for before it is changed or made anew.

        An id may belong to somebody else's annotation by now (a Grafana whose database was replaced), and an answer
        that was lost leaves a region whose id is not known: its tags tell.
        """
        if region.annotation_id == _REMOVED:
            return None
        tags = ["incidentlens", f"project:{project}", f"incident:{region.incident_id}"]
        if region.annotation_id is not None:
            try:
                there = await client.get(f"/api/annotations/{region.annotation_id}")
            except GrafanaNotFound:
                return None
            return region.annotation_id if set(tags) <= set(there.get("tags") or ()) else None
        params: dict[str, Any] = {"tags": tags, "limit": "100"}
        if region.place != ORGANISATION:
            params["dashboardUID"] = region.place
        for there in await client.get("/api/annotations", params) or ():
            if bool(there.get("dashboardUID") or there.get("dashboardId")) == (region.place != ORGANISATION):
                return int(there["id"])
        return None

    async def _dashboard(self, client: GrafanaClient, uid: str) -> bool:
        """Whether there is such a dashboard: Grafana itself takes an annotation for one that is not there."""
        now = self._clock.now()
        known, until = self._dashboards.get((client.url, uid), (False, 0))
        if not known or until <= now:
            try:
                await client.get(f"/api/dashboards/uid/{uid}")
                known = True
            except GrafanaNotFound:
                known = False
            self._dashboards[(client.url, uid)] = (known, now + _KNOWN_DASHBOARD)
        return known

    async def _keep(self, project: str, before: Region, after: Region | None) -> None:
        async with self._store.transaction(project) as tx:
            if after is None:
                await tx.drop_region(before.incident_id, before.place)
            else:
                await tx.save_region(after)

    def _refused(self, project: str, change: Change, error: GrafanaError) -> Region:
        log.warning("%s: the region of %s was not sent: %s", project, change.region.incident_id, error)
        return change.region.model_copy(
            update={
                "attempts": change.region.attempts + 1,
                "next_attempt_at": self._clock.now() + _REFUSED_PAUSE,
                "error": str(error)[:500],
            }
        )

    async def _wait(self, project: str, changes: Iterable[Change], error: GrafanaError) -> None:
        """Grafana is away, or the token is: everything waits, ever longer, and nothing is asked meanwhile."""
        self.failed[project] = self.failed.get(project, 0) + 1
        failures = self._failures.get(project, 0)
        if failures == 0:
            log.warning("%s: regions wait: %s", project, error)
        self._failures[project] = failures + 1
        until = self._clock.now() + min(pause(failures), MINUTE)
        self._quiet_until[project] = until
        async with self._store.transaction(project) as tx:
            for change in changes:
                waiting = {"attempts": change.region.attempts + 1, "next_attempt_at": until, "error": str(error)[:500]}
                await tx.save_region(change.region.model_copy(update=waiting))

    async def _client(self, project: str, settings: GrafanaSettings) -> GrafanaClient:
        client = self._clients.get(project)
        known = self._settings.setdefault(project, settings)
        if client is None or (known.url, known.token) != (settings.url, settings.token):
            if client is not None:
                await client.close()
            client = self._clients[project] = GrafanaClient(settings.url, settings.token, timeout_s=settings.timeout_s)
        self._settings[project] = settings
        return client


def plan(lines: Iterable[IncidentLine], regions: Iterable[Region], settings: GrafanaSettings, now: int) -> list[Change]:
    """What is to be done so that Grafana agrees with the incidents: what is new first, then what changed, then what
    is to be taken away. Nothing that somebody is at or that waits for its next attempt."""
    here = {(region.incident_id, region.place): region for region in regions if region.grafana == settings.url}
    new: list[Change] = []
    changed: list[Change] = []
    for line in lines:
        if not shown(line, settings.least):
            continue
        for place in settings.places:
            region = here.pop((line.id, place), None)
            if region is None:
                new.append(Change(Region(incident_id=line.id, place=place, grafana=settings.url), line))
            elif region.next_attempt_at <= now and region.sent != digest_of(line):
                (changed if region.sent else new).append(Change(region, line))
    gone = [Change(region, None) for region in here.values() if region.next_attempt_at <= now]
    return [*new, *changed, *gone]


def shown(line: IncidentLine, least: Disposition) -> bool:
    """Whether an incident has a region: not what is held back, ignored, merged into another or lighter than `least`."""
    if line.status in (Status.SUPPRESSED, Status.IGNORED) or line.disposition.rank < least.rank:
        return False
    return not (line.status is Status.CLOSED and "merged_into" in line.labels)


def digest_of(line: IncidentLine) -> str:
    """Changes with whatever a region shows, but with its growth only every STEP."""
    end = line.last_seen // STEP if line.ended_at is None else line.ended_at
    parts = (line.title, line.severity, line.disposition, line.ended_at is None, end, line.onset, line.cause)
    return xxhash.xxh3_64("\n".join(map(str, parts)).encode("utf-8", "replace")).hexdigest()


def body_of(line: IncidentLine, project: str, public_url: str = "") -> dict[str, Any]:
    """What Grafana is sent. It checks neither times nor text: the end is after the beginning, the text is masked and
    holds no HTML but our own link."""
    begin = to_ms(line.onset)
    end = to_ms(line.last_seen if line.ended_at is None else line.ended_at)
    return {
        "time": begin,
        "timeEnd": max(end, begin + 1),
        "tags": [
            "incidentlens",
            f"project:{project}",
            f"incident:{line.id}",
            f"disposition:{line.disposition.value}",
        ],
        "text": _text(line, public_url),
    }


def _text(line: IncidentLine, public_url: str) -> str:
    ended = {Status.RESOLVED: "resolved", Status.CLOSED: "closed"}.get(line.status, "going on")
    said = [line.title, f"{line.severity.value}, {line.service}, {line.count} failing records, {ended}", line.cause]
    shown = [html.escape(" ".join(redact(part).text.split())[: _TEXT // 3]) for part in said if part]
    if public_url:
        link = html.escape(f"{public_url}/incidents/{line.id}", quote=True)
        shown.append(f'<a href="{link}" target="_blank" rel="noopener">Open the incident</a>')
    return "\n".join(shown)
