"""The contract of a store.

All writes of one tick happen in one transaction that also moves the cursors, so a process killed at any point has
either done the tick or not begun it. A transaction holds its project's lock: two sidecars never work on the same
project at once, and the second one finds the first one's cursors when its turn comes. Which of them asks Loki is
agreed on before, by leases (`sharing`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from incidentlens.model.analysis import Analysis, EvidenceItem
from incidentlens.model.base import Value
from incidentlens.model.decisions import (
    Action,
    Alert,
    Decision,
    Deploy,
    Feedback,
    IncidentEvent,
    Maintenance,
    Verification,
)
from incidentlens.model.incidents import Incident
from incidentlens.model.investigations import Investigation, Spending
from incidentlens.model.past import PastIncident
from incidentlens.model.signatures import SignatureCount, Template
from incidentlens.model.terms import Disposition, Severity, Status

# How many earlier incidents are looked at for those like one: the latest with a common signature, the latest with a
# common service, and of what people said last (so many words) those with a common signature.
PAST_SIGNATURE, PAST_SERVICE, PAST_JUDGED, PAST_SAID = 200, 100, 100, 2_000


class StoreError(Exception):
    """The store cannot be reached or refuses; the message says what to do. Always safe to try again later."""


class StoreRefused(StoreError):
    """The store refuses what it was given: a state that cannot be, or a reference to nothing. Trying again is no use.

    Nothing of the transaction is kept. It shows a defect in the caller, or a request for what does not exist.
    """


class NotFound(StoreRefused):
    """There is no such incident (template, window, …) in this project."""


class OutboxItem(Value):
    """Something to publish: at least once, made idempotent by `key`."""

    id: int
    project: str
    target: str  # "notification", "annotation", "loki", ...
    key: str
    payload: dict[str, Any]
    attempts: int
    next_attempt_at: int


class Quarantined(Value):
    """A record that made a stage raise, as it came, and what was raised. `ts` is its time, `at` when it happened."""

    id: str  # see `model.records.record_id`
    ts: int
    service: str
    stream: str  # labels as canonical JSON
    metadata: str | None
    line: str
    error: str
    at: int


class Pruned(Value):
    """How many rows `Store.prune` removed."""

    counts: int = 0  # per minute
    hourly: int = 0
    seen: int = 0
    samples: int = 0
    outbox: int = 0
    quarantined: int = 0


class Region(Value):
    """What Grafana has of an incident's region in one place."""

    incident_id: str
    place: str  # a dashboard's uid; empty: the whole organisation
    grafana: str  # whose ids these are: Grafana's address
    annotation_id: int | None = None  # None until Grafana's answer is kept; 0: somebody removed it there
    sent: str = ""  # digest of what Grafana took last; empty: nothing yet
    attempts: int = 0
    next_attempt_at: int = 0  # also the lease of the sidecar that is at it
    error: str = ""


class IncidentLine(Value):
    """An incident without its problems: what a list or a region shows. Times in ns."""

    id: str
    title: str
    service: str
    status: Status
    severity: Severity
    disposition: Disposition
    onset: int
    opened_at: int
    last_seen: int
    ended_at: int | None
    count: int
    reopened: int
    cause: str  # the suspected cause in a sentence; may be empty
    labels: dict[str, str]


class Transaction(Protocol):
    """One project's reads and writes, all or nothing.

    Text is kept as it stands but for two things PostgreSQL cannot hold (`store.text`): NUL becomes `␀`, a lone
    surrogate becomes `�`.
    """

    project: str

    # Intake: where each query stands, and what the overlap has already seen.
    async def cursor(self, query: str) -> int | None: ...
    async def set_cursor(self, query: str, at: int) -> None: ...
    async def seen(self, since: int) -> set[str]:
        """Ids (`record_id`) of the records taken in with a time at or after `since` (ns)."""
        ...

    async def add_seen(
        self, records: Iterable[tuple[str, int]], forget_before: int, keep: Sequence[tuple[int, int]] = ()
    ) -> None:
        """Remember (id, ts) pairs; drop those before `forget_before`, but for the spans [from, to] of `keep`."""
        ...

    async def add_quarantined(self, records: Iterable[Quarantined]) -> None:
        """Keep records that made a stage raise; one that is there already stays as it was."""
        ...

    # Signatures and detection.
    async def templates(self) -> list[Template]: ...
    async def save_templates(self, templates: Iterable[Template]) -> None: ...
    async def add_counts(self, counts: Iterable[SignatureCount]) -> None:
        """Add to the counts per minute (adds, does not replace)."""
        ...

    async def detector_state(self) -> dict[str, bytes]:
        """The detector's own state, an opaque value a key."""
        ...

    async def save_detector_state(self, changed: Mapping[str, bytes]) -> None: ...

    async def know_patterns(self, patterns: Iterable[tuple[str, str]], at: int) -> None:
        """The (runbook, pattern) pairs there are: new ones are looked for since `at` (ns), others are forgotten."""
        ...

    async def patterns_matched(self, patterns: Iterable[tuple[str, str]], at: int) -> None:
        """The pairs matched at `at` (ns); an earlier time than the last is ignored, and so is an unknown pair."""
        ...

    # Incidents and everything that hangs on one.
    async def live_incidents(self, since: int) -> list[Incident]:
        """Every active incident, and those ended at or after `since` (ns), newest first."""
        ...

    async def incident(self, incident_id: str) -> Incident | None: ...
    async def save_incident(self, incident: Incident) -> None:
        """Insert or replace an incident with its problems, samples and members."""
        ...

    async def save_evidence(self, incident_id: str, items: Sequence[EvidenceItem]) -> None:
        """Add items; one already there under its id stays as it was (evidence is never rewritten)."""
        ...

    async def evidence(self, incident_id: str) -> list[EvidenceItem]: ...
    async def save_analysis(self, incident_id: str, at: int, analysis: Analysis) -> None: ...
    async def latest_analysis(self, incident_id: str) -> Analysis | None: ...
    async def add_decision(self, decision: Decision) -> None: ...
    async def decisions(self, incident_id: str) -> list[Decision]:
        """Newest first."""
        ...

    async def recent_decisions(self, since: int) -> list[Decision]:
        """Of the whole project, newest first: for cooldowns and storm limits."""
        ...

    async def add_action(self, action: Action) -> bool:
        """False where an action of that key is already there (then nothing is written)."""
        ...

    async def actions(self, incident_id: str) -> list[Action]: ...
    async def save_verification(self, verification: Verification) -> None: ...
    async def verifications(self, incident_id: str) -> list[Verification]: ...
    async def open_verifications(self) -> list[Verification]: ...
    async def add_event(self, event: IncidentEvent) -> None: ...
    async def events(self, incident_id: str) -> list[IncidentEvent]: ...
    async def add_feedback(self, feedback: Feedback) -> None: ...
    async def feedback(self, incident_id: str) -> list[Feedback]:
        """In order of time, with what was withdrawn."""
        ...

    async def withdraw_feedback(self, incident_id: str, feedback_id: str, by: str, at: int) -> bool:
        """Take back what a person said; False where there is none of that id, or it was withdrawn already."""
        ...

    async def past_incidents(self, incident: Incident) -> list[PastIncident]:
        """Other incidents that may be like it, the latest first: at most 400, see PAST_SIGNATURE and the others."""
        ...

    # Context.
    async def deploys(self, since: int) -> list[Deploy]: ...
    async def add_deploy(self, deploy: Deploy) -> None: ...
    async def maintenance(self, at: int) -> list[Maintenance]:
        """Windows that hold at `at` (ns)."""
        ...

    async def add_maintenance(self, window: Maintenance) -> None: ...
    async def delete_maintenance(self, window_id: str) -> bool: ...
    async def save_alert(self, alert: Alert) -> bool:
        """True where the alert is new or changed state (fired again, ended); False for the same set sent again."""
        ...

    async def active_alerts(self, at: int) -> list[Alert]: ...
    async def service_first_seen(self, services: Mapping[str, int]) -> dict[str, int]:
        """Remember when each service was first seen (the smaller time wins) and give the remembered times of all."""
        ...

    # Regions in Grafana.
    async def incident_lines(self, since: int, limit: int) -> list[IncidentLine]:
        """The incidents that are active or ended at or after `since` (ns), the latest onset first."""
        ...

    async def regions(self) -> list[Region]: ...
    async def save_region(self, region: Region) -> None:
        """Insert or replace."""
        ...

    async def drop_region(self, incident_id: str, place: str) -> None: ...

    # What a language model is asked about.
    async def want_investigation(self, wanted: Investigation) -> None:
        """Once an id; a second wish is ignored."""
        ...

    async def save_investigation(self, investigation: Investigation) -> None:
        """Insert or replace."""
        ...

    async def due_investigations(self, at: int, limit: int) -> list[Investigation]:
        """Wanted ones, and running ones whose lease has run out, the oldest first."""
        ...

    async def investigations(self, incident_id: str) -> list[Investigation]:
        """Newest first, at most 50."""
        ...

    async def answered_investigation(self, digest: str, prompt_version: str) -> Investigation | None:
        """The latest that was done with the very same content and prompt."""
        ...

    async def last_asked(self, signature: str, since: int) -> Investigation | None:
        """The latest for which a model was called about that signature at or after `since` (ns)."""
        ...

    async def spending(self, since: int) -> Spending:
        """What was called at or after `since` (ns), with the estimates of what is running."""
        ...

    # Outbox.
    async def enqueue(self, target: str, key: str, payload: dict[str, Any], at: int) -> None:
        """Once a (target, key); a second call is ignored."""
        ...


class Store(Protocol):
    """A place for what must last. Every method raises StoreError when the store cannot be reached."""

    async def open(self) -> None:
        """Connect, and bring the schema up to date under a lock."""
        ...

    async def close(self) -> None: ...
    def transaction(self, project: str) -> AbstractAsyncContextManager[Transaction]:
        """Begins, takes the project's lock, commits at the end, rolls back on any exception."""
        ...

    async def claim_outbox(self, at: int, limit: int) -> list[OutboxItem]:
        """Items due at `at`, oldest first, leased for a minute so that no other sidecar takes them meanwhile."""
        ...

    async def outbox_done(self, item_id: int, at: int) -> None: ...
    async def outbox_failed(self, item_id: int, at: int, error: str, retry_at: int | None) -> None:
        """`retry_at` None gives it up: it stays in the table with its error, counted and shown."""
        ...

    async def claim_queries(self, project: str, queries: Sequence[str], me: str, at: int, lease: int) -> list[str]:
        """Those of a project's queries that sidecar `me` is to read now, leased for `lease` ns from `at` (ns) on.

        Claimed again they are renewed. The sidecars that live share the queries of all projects evenly.
        """
        ...

    async def release_queries(self, project: str, me: str) -> None:
        """Give up what `me` holds of the project: it stops."""
        ...

    async def prune(self, project: str, before: int, *, hourly_before: int | None = None) -> Pruned:
        """Remove what is older than `before` (ns) and no longer needed.

        Counts per minute, seen records, samples of incidents that ended before then (their evidence stays), published
        outbox items, and records put aside. Counts per hour go only where `hourly_before` says so. In steps: never one
        long lock.
        """
        ...

    def changes(self, project: str) -> AsyncIterator[str]:
        """Ids of incidents as they change, after the commit, from any process. Never ends; close it to stop.

        An empty id means that changes may have been missed (the connection was lost, or the reader was slower than
        1,000 changes): look again at everything shown. The first item is an empty id, given once it listens.
        """
        ...
