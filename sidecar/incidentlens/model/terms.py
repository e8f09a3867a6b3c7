"""The closed vocabularies of DESIGN section 3, each with its order of weight."""

from __future__ import annotations

from enum import StrEnum


class Severity(StrEnum):
    """How bad it is. Heavier compares by `rank`, not by text."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    @property
    def rank(self) -> int:
        """4 for critical down to 1 for low."""
        return {"critical": 4, "high": 3, "medium": 2, "low": 1}[self.value]


class Disposition(StrEnum):
    """Who should know."""

    ESCALATE = "ESCALATE"
    NEEDS_ONCALL = "NEEDS_ONCALL"
    NEEDS_DEV = "NEEDS_DEV"
    OBSERVE = "OBSERVE"
    NO_ACTION = "NO_ACTION"

    @property
    def rank(self) -> int:
        """5 for ESCALATE down to 1 for NO_ACTION."""
        return {"ESCALATE": 5, "NEEDS_ONCALL": 4, "NEEDS_DEV": 3, "OBSERVE": 2, "NO_ACTION": 1}[self.value]

    @property
    def notifies(self) -> bool:
        """True where somebody is told (ESCALATE, NEEDS_ONCALL, NEEDS_DEV)."""
        return self.rank >= 3


class Status(StrEnum):
    """Where an incident stands in its life."""

    OPEN = "open"
    VERIFYING = "verifying"
    RESOLVED = "resolved"
    CLOSED = "closed"
    IGNORED = "ignored"
    SUPPRESSED = "suppressed"

    @property
    def active(self) -> bool:
        """True while the incident can still gather problems (open, verifying, suppressed)."""
        return self in (Status.OPEN, Status.VERIFYING, Status.SUPPRESSED)


class Outcome(StrEnum):
    """What the verifier found."""

    RESOLVED = "resolved"
    STILL_FIRING = "still_firing"
    RE_ESCALATED = "re_escalated"
    INCONCLUSIVE = "inconclusive"


class Level(StrEnum):
    """A record's level, as Loki names detected levels."""

    FATAL = "fatal"
    ERROR = "error"
    WARN = "warn"
    INFO = "info"
    DEBUG = "debug"
    TRACE = "trace"
    UNKNOWN = "unknown"

    @property
    def failing(self) -> bool:
        """True for fatal and error."""
        return self in (Level.FATAL, Level.ERROR)


class ActionKind(StrEnum):
    """All that IncidentLens ever does."""

    ENRICH = "enrich"
    SUPPRESS = "suppress"
    NOTIFY = "notify"


class Mode(StrEnum):
    """How far a project trusts IncidentLens: only learn, decide without sending, or send."""

    LEARN = "learn"
    SHADOW = "shadow"
    LIVE = "live"


class ProblemKind(StrEnum):
    """Why a signature counts as misbehaving."""

    SPIKE = "spike"
    NEW = "new_signature"
    SILENCE = "silence"
    ERROR_SHARE = "error_share"
    LATENCY = "latency"
    SEQUENCE = "rare_sequence"
    ALERT = "alert"
