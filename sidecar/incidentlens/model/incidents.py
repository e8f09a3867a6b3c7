"""Problems and the incidents they become, with the reason for every step."""

from __future__ import annotations

from pydantic import Field

from .base import Value
from .terms import Disposition, Level, ProblemKind, Severity, Status


class Sample(Value):
    """A record kept as proof. `line` is the event as it stood, its lines joined by a line feed."""

    id: str  # model.records.record_id
    ts: int
    service: str
    stream: str
    level: Level
    line: str
    message: str
    trace_id: str | None = None
    signature: str | None = None


class ScoreParts(Value):
    """score = severity_weight × log1p(spike_ratio) × criticality."""

    severity_weight: float
    spike_ratio: float
    criticality: float
    baseline: str = ""  # what the ratio is to: "usual for a Monday 14:00 UTC, 5 weeks: 12/min at the most", or that …


class Suppression(Value):
    """Why something was held back: `maintenance`, `deploy`, `flapping`, `noise`, `learning`, `grace`, …"""

    reason: str
    detail: str


class Problem(Value):
    """One signature misbehaving in one service over one span of time."""

    id: str
    project: str
    service: str
    signature: str
    template: str
    level: Level
    kind: ProblemKind
    onset: int  # first record of the span, ns
    last_seen: int
    count: int
    baseline_per_minute: float
    rate_per_minute: float
    score: float
    parts: ScoreParts
    why: str  # one sentence with the numbers: "41 in 2 min where 0.3 is usual, p < 1e-9"
    suppressed: Suppression | None = None
    samples: tuple[Sample, ...] = ()  # up to 10, diverse
    trace_ids: tuple[str, ...] = ()  # up to 50
    unreached: bool = False  # a step that stays away because the whole service is not called: a victim, or down
    mentions: tuple[str, ...] = ()  # services, hosts and dependencies its failing lines name, up to 50


class Membership(Value):
    """Why a problem is in its incident."""

    problem_id: str
    why: str
    by: str = "rule"  # "rule" or the person who merged or split


class ServiceScore(Value):
    service: str
    score: float


class ChainStep(Value):
    """One step from the suspected cause to the symptoms, in order of onset."""

    service: str
    signature: str
    template: str
    onset: int
    role: str  # "cause", "link" or "symptom"
    because: str  # why it stands here: "named by payment's failing lines 12 times; began 4.1 s earlier"
    evidence: tuple[str, ...]  # ids of the records that show it; never empty


class RootCause(Value):
    """The suspected cause. `service` and `signature` are empty where `undetermined`."""

    service: str
    signature: str
    summary: str
    confidence: float = Field(ge=0, le=1)
    chain: tuple[ChainStep, ...] = ()
    ranking: tuple[ServiceScore, ...] = ()
    undetermined: bool = False


class Incident(Value):
    """One or more problems with one cause, and all that was decided of it."""

    id: str
    project: str
    title: str
    service: str  # the suspected cause's service, or the loudest where there is none
    status: Status
    severity: Severity
    disposition: Disposition
    confidence: float = Field(ge=0, le=1)
    onset: int  # first failing record, ns
    opened_at: int  # when it was found
    last_seen: int
    updated_at: int
    ended_at: int | None = None  # resolved, closed or ignored
    count: int
    analysed_count: int = 0  # the count when it was last analysed: re-analysis at 5, 10 and 20 times
    reopened: int = 0
    problems: tuple[Problem, ...]
    members: tuple[Membership, ...]
    root_cause: RootCause | None = None
    runbook: str | None = None  # id of the matched runbook
    summary: str = ""
    suppression: Suppression | None = None
    labels: dict[str, str] = Field(default_factory=dict)  # a person's labels
    pinned: bool = False  # a person merged, split or relabelled it: grouping keeps its hands off

    @property
    def signatures(self) -> tuple[str, ...]:
        """Distinct signatures, in order of onset."""
        ordered = sorted(self.problems, key=lambda problem: problem.onset)
        return tuple(dict.fromkeys(problem.signature for problem in ordered))

    @property
    def services(self) -> tuple[str, ...]:
        """Distinct services, in order of onset."""
        ordered = sorted(self.problems, key=lambda problem: problem.onset)
        return tuple(dict.fromkeys(problem.service for problem in ordered))
