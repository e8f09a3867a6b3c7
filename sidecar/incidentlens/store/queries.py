"""The reading side: what the HTTP API, the pages and Grafana's queries ask of the store.

Every call is about one project. Lists come in pages with a cursor (`paging`), never with a total count; what another
bound cut off is counted in the answer. Times are ns since the epoch. Errors: StoreError where the database cannot be
reached, BadPage for a wrong cursor or limit.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Protocol

from incidentlens.model.analysis import Analysis, EvidenceItem, PatternUse
from incidentlens.model.base import Value
from incidentlens.model.decisions import (
    Action,
    Decision,
    Deploy,
    Feedback,
    IncidentEvent,
    Maintenance,
    Verification,
)
from incidentlens.model.incidents import Incident
from incidentlens.model.investigations import Investigation
from incidentlens.model.past import PastIncident
from incidentlens.model.signatures import Template
from incidentlens.model.terms import ActionKind, Disposition, Level, Outcome, Severity, Status

from .base import Quarantined
from .paging import Page


class IncidentSort(StrEnum):
    LAST_SEEN = "last_seen"
    OPENED_AT = "opened_at"
    SEVERITY = "severity"  # then last_seen
    COUNT = "count"


class SignatureSort(StrEnum):
    TOP = "top"  # by count of all time
    NEW = "new"  # by first_seen
    GROWING = "growing"  # by how much the last hour exceeds what the day before would lead one to expect


class IncidentFilter(Value):
    """What an incident must fulfil; empty means any. `since`/`until` bound last_seen (until excluded)."""

    ids: tuple[str, ...] = ()
    status: tuple[Status, ...] = ()
    severity: tuple[Severity, ...] = ()
    disposition: tuple[Disposition, ...] = ()
    service: str | None = None  # any of its problems' services
    signature: str | None = None  # any of its problems' signatures
    runbook: str | None = None
    since: int | None = None
    until: int | None = None
    text: str | None = None  # every word begins a word of its title, summary, services, signatures, templates, labels


class IncidentRow(Value):
    """An incident as a list shows it."""

    id: str
    project: str
    title: str
    service: str
    status: Status
    severity: Severity
    disposition: Disposition
    confidence: float
    onset: int
    opened_at: int
    last_seen: int
    updated_at: int
    ended_at: int | None
    count: int
    reopened: int
    runbook: str | None
    summary: str
    services: tuple[str, ...]
    signatures: tuple[str, ...]
    cause_service: str | None  # of the suspected root cause, None where there is none
    cause_signature: str | None
    cause: str | None  # its summary
    cause_confidence: float | None
    suppression: str | None  # its reason
    outcome: Outcome | None  # of the latest verification that ended
    pinned: bool


class IncidentDetail(Value):
    """Everything about one incident. Lists are bounded; `cut` says how many entries of which are not shown."""

    incident: Incident
    outcome: Outcome | None
    evidence: tuple[EvidenceItem, ...]
    analysis: Analysis | None
    analysed_at: int | None
    decisions: tuple[Decision, ...]  # newest first
    actions: tuple[Action, ...]
    verifications: tuple[Verification, ...]
    events: tuple[IncidentEvent, ...]
    feedback: tuple[Feedback, ...]
    investigations: tuple[Investigation, ...]  # newest first, without their runs
    cut: dict[str, int]


class SignatureRow(Value):
    """A signature as a list shows it."""

    signature: str
    template: str
    family: str
    level: Level
    label: str | None
    alias_of: str | None
    first_seen: int
    last_seen: int
    count: int
    recent: int  # in the hour before now
    expected: float  # an hour's mean over the 24 hours before that, or over what there is of them; see `pg.growth`
    spark: tuple[int, ...]  # counts of the last 24 full or begun hours, oldest first
    growth: float | None = None  # how far it exceeds what is usual, where a list is sorted by that


class ServiceCount(Value):
    service: str
    count: int


class Point(Value):
    """A count in a bucket that starts at `at`."""

    at: int
    count: int


class SignatureDetail(Value):
    """A signature with where it comes from, how it went, and the incidents it was part of."""

    template: Template
    aliases: tuple[Template, ...]
    services: tuple[ServiceCount, ...]  # within the time asked for, the loudest first
    series: tuple[Point, ...]  # buckets without records are left out
    bucket: int  # ns
    incidents: tuple[IncidentRow, ...]  # latest first


class RunbookStats(Value):
    """How a runbook did: what it matched and what became of that."""

    runbook: str
    matches: int
    last_match: int
    dispositions: dict[Disposition, int]
    outcomes: dict[Outcome, int]  # of verifications; the rest has none yet
    statuses: dict[Status, int]
    feedback: dict[str, int]  # by verdict
    reopened: int  # incidents that came back at least once


class Spread(Value):
    """Of durations in ns; None where there are none. Mean exact, median and p95 within 5 %."""

    count: int
    mean: float | None
    median: int | None
    p95: int | None


class Bucket(Value):
    """Incidents that were opened in a bucket of time."""

    at: int
    opened: int
    by_severity: dict[Severity, int]


class Stats(Value):
    """Figures over the incidents opened from `since` to `until` (excluded), both moved outwards to whole buckets."""

    since: int
    until: int
    opened: int
    open_now: int  # active at the moment, whenever opened
    time_to_detect: Spread  # first failing record until found
    time_to_resolve: Spread  # found until over, of those that are over by resolution or by a person's closing
    by_status: dict[Status, int]
    by_severity: dict[Severity, int]
    by_disposition: dict[Disposition, int]
    outcomes: dict[Outcome, int]
    suppressed: int
    suppression_rate: float | None  # suppressed of opened
    resolution_rate: float | None  # verified as resolved, of those with an outcome
    notified: int  # incidents somebody was told of, at once or in a digest
    bucket: int
    series: tuple[Bucket, ...]  # every bucket, empty ones too


class ActionRow(Value):
    """An action with its incident's title."""

    action: Action
    title: str


class OutboxState(Value):
    """What waits to be published, and what was given up."""

    waiting: int
    oldest: int | None  # created_at of the oldest that waits
    given_up: int
    last_error: str | None


class Queries(Protocol):
    """See the module."""

    async def list_incidents(
        self,
        project: str,
        where: IncidentFilter = ...,
        *,
        sort: IncidentSort = ...,
        descending: bool = True,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[IncidentRow]: ...

    async def incident_detail(self, project: str, incident_id: str) -> IncidentDetail | None: ...

    async def past_incidents(self, incident: Incident) -> list[PastIncident]:
        """As `base.Transaction.past_incidents`."""
        ...

    async def investigations(self, project: str, incident_id: str) -> list[Investigation]:
        """A language model's, with all that was shown and said, newest first, at most 50."""
        ...

    async def list_signatures(
        self,
        project: str,
        *,
        now: int,
        sort: SignatureSort = ...,
        level: Level | None = None,
        family: str | None = None,
        service: str | None = None,
        text: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[SignatureRow]:
        """`service`: seen in that service within the last 24 hours."""
        ...

    async def signature_detail(
        self, project: str, signature: str, *, since: int, until: int, bucket: int
    ) -> SignatureDetail | None: ...

    async def templates(self, project: str, signatures: Iterable[str]) -> dict[str, Template]:
        """By signature; an alias gives the template it leads to, over any number of merges."""
        ...

    async def runbook_stats(self, project: str, *, since: int) -> list[RunbookStats]:
        """Of incidents opened on the day (UTC) of `since` or later, the one with most matches first."""
        ...

    async def stats(self, project: str, *, since: int, until: int, bucket: int) -> Stats: ...

    async def list_deploys(
        self, project: str, *, service: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[Deploy]: ...

    async def list_maintenance(
        self, project: str, *, now: int | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[Maintenance]:
        """Latest start first; with `now`, only windows that have not ended."""
        ...

    async def list_actions(
        self,
        project: str,
        *,
        kind: ActionKind | None = None,
        state: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[ActionRow]: ...

    async def list_events(
        self, project: str, *, since: int | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[IncidentEvent]:
        """Of all incidents, newest first."""
        ...

    async def services(self, project: str) -> list[str]:
        """Every service ever seen, by name."""
        ...

    async def outbox_state(self, project: str) -> OutboxState: ...

    async def list_quarantined(self, project: str, *, limit: int = 50, cursor: str | None = None) -> Page[Quarantined]:
        """Records that made a stage raise, the latest first."""
        ...

    async def count_quarantined(self) -> dict[str, int]:
        """By project, those that have any."""
        ...

    async def pattern_uses(self, project: str) -> list[PatternUse]:
        """Of the runbooks that are configured, by runbook and pattern."""
        ...
