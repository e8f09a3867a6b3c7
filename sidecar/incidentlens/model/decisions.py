"""Decisions, the actions they lead to, and whether it really went quiet."""

from __future__ import annotations

from typing import Any

import xxhash
from pydantic import Field, model_validator

from .base import Value
from .terms import ActionKind, Disposition, Mode, Outcome, ProblemKind, Severity


class Reason(Value):
    """One step of a decision, in the order it was taken."""

    code: str  # stable, for filters: "floor", "cooldown", "threshold", "count_escalation", "maintenance", ...
    text: str


class Decision(Value):
    """A policy's verdict on an incident, with everything needed to explain it years later."""

    id: str
    incident_id: str
    at: int
    mode: Mode
    disposition: Disposition
    severity: Severity
    actions: tuple[ActionKind, ...]
    tell: bool  # somebody is to be notified now
    reasons: tuple[Reason, ...]
    policy: dict[str, Any]  # the policy in force, whole
    inputs: dict[str, Any]  # what it was given: analysis, counts, history


class Action(Value):
    """Something done once. `key` makes it idempotent: the same key is never carried out twice."""

    key: str
    incident_id: str
    decision_id: str
    kind: ActionKind
    at: int
    state: str  # "done", "shadow" (decided, not sent), "digest" (held for the digest), "failed"
    payload: dict[str, Any] = Field(default_factory=dict)


class Check(Value):
    """One look of the verifier at the incident's own LogQL."""

    at: int
    count: int  # matching records since the last look
    note: str
    usual: int = 0  # records in this stretch of quiet that are no more than comes every day


class Verification(Value):
    """A watch after an action; `outcome` is None while it goes on."""

    id: str
    incident_id: str
    started_at: int
    quiet_ns: int  # how long it must be quiet
    quiet_since: int | None = None
    query: str  # the LogQL it watches
    checks: tuple[Check, ...] = ()  # the latest 50
    outcome: Outcome | None = None
    ended_at: int | None = None
    why: str = ""


class IncidentEvent(Value):
    """One entry of an incident's timeline."""

    incident_id: str
    at: int
    kind: str  # opened, problem_joined, reopened, analysed, decided, notified, suppressed, verified, closed, feedback
    text: str
    by: str = "incidentlens"
    data: dict[str, Any] = Field(default_factory=dict)


class Feedback(Value):
    """What a person said of an incident."""

    id: str = ""  # made of the rest where none is given: the same word said twice at one moment is one
    incident_id: str
    at: int
    by: str
    verdict: str  # right_cause, wrong_cause, noise, helped, not_helped, note
    text: str = ""
    service: str | None = None  # the true cause's service where the verdict is wrong_cause
    withdrawn_at: int | None = None  # taken back then: it counts for nothing since
    withdrawn_by: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _identified(cls, given: Any) -> Any:
        if not isinstance(given, dict) or given.get("id"):
            return given
        said = [str(given.get(name)) for name in ("incident_id", "at", "by", "verdict", "text", "service")]
        digest = xxhash.xxh3_64("\n".join(said).encode("utf-8", "surrogatepass")).hexdigest()
        return {**given, "id": f"f_{digest}"}


class Deploy(Value):
    """A deploy or configuration change that was announced."""

    id: str
    project: str
    service: str
    at: int
    version: str = ""
    text: str = ""
    planned_until: int | None = None  # problems of the service up to then are expected


class Maintenance(Value):
    """A window in which a project's (or some services') problems, or some kinds of them, are expected."""

    id: str
    project: str
    services: tuple[str, ...] = ()  # empty: all
    starts_at: int
    ends_at: int
    reason: str = ""
    by: str = ""
    kinds: tuple[ProblemKind, ...] = ()  # empty: all


MANAGED_BY = "managed_by"  # label of the rules that IncidentLens writes to Loki's ruler; its value is OURS
OURS = "incidentlens"


class Alert(Value):
    """An alert that Loki's ruler, Alertmanager or Grafana sent."""

    fingerprint: str
    project: str
    name: str
    starts_at: int
    ends_at: int | None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    generator_url: str = ""
    query: str = ""  # LogQL out of the generator URL, where there is one

    @property
    def problem_id(self) -> str:
        """The identity of the problem that it is while it fires; fired again, it is another one."""
        return f"p_alert_{self.fingerprint}_{self.starts_at}"

    @property
    def ours(self) -> bool:
        """True where one of IncidentLens's own rules fired: it asks for a look, and is no problem by itself."""
        return self.labels.get(MANAGED_BY) == OURS

    @property
    def told_by_ruler(self) -> bool:
        """True where Loki's ruler fires it for a rule of the team's: whoever gets the ruler's alerts knows of it."""
        return bool(self.generator_url and self.query) and not self.ours
