"""What detection may be told: its thresholds, and what else is known at the moment it looks."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from incidentlens.model.base import Value
from incidentlens.model.clock import HOUR, MINUTE, SECOND
from incidentlens.model.decisions import Alert, Deploy, Maintenance


class DetectionSettings(Value):
    """Thresholds of the detector. Times in ns. The defaults hold for every system we measured."""

    window: int = Field(default=2 * MINUTE, gt=0)  # what "now" means
    bucket: int = Field(default=10 * SECOND, gt=0)  # the window slides by this
    quiet: int = Field(default=5 * MINUTE, gt=0)  # a span without a record for this long is over
    spike_ratio: float = Field(default=3.0, gt=1)  # at least this many times the usual rate
    spike_count: int = Field(default=4, ge=1)  # and at least this many records
    spike_p: float = Field(default=1e-6, gt=0, lt=1)  # and a count this improbable
    new_p: float = Field(default=1e-4, gt=0, lt=1)  # a new signature where new ones are common
    new_rate: float = Field(default=0.2, gt=0)  # fewer new failing signatures a window than this: one is news
    warn_count: int = Field(default=3, ge=1)  # warnings must repeat to be a problem
    sequence_p: float = Field(default=1e-4, gt=0, lt=1)  # a follower that stays away this improbably often
    slow_seconds: float = Field(default=3.0, gt=0)  # a duration to look at where there is no history
    half_life: int = Field(default=24 * HOUR, gt=0)  # of the baseline, in observed time
    warm_up: int = Field(default=30 * MINUTE, ge=0)  # observed time after which a cold start is over
    ahead: int = Field(default=30 * MINUTE, gt=0)  # a `now` further ahead of the records than this is another clock
    max_keys: int = Field(default=50_000, ge=100)  # (service, signature) pairs kept; the longest unseen go first
    max_steps: int = Field(default=20_000, ge=100)  # steps of traces kept, and open traces kept
    samples: int = Field(default=10, ge=1)


class DetectionContext(Value):
    """What is known besides the records, at the moment of looking. Everything may be left out."""

    project: str = "default"
    known_services: frozenset[str] = frozenset()  # besides those the records name
    criticality: Mapping[str, float] = Field(default_factory=dict)  # by service; 1 where not named
    alerts: tuple[Alert, ...] = ()  # firing now
    deploys: tuple[Deploy, ...] = ()
    maintenance: tuple[Maintenance, ...] = ()
    noise: frozenset[str] = frozenset()  # signatures that users call noise
    service_first_seen: Mapping[str, int] = Field(default_factory=dict)
    skipped: int = 0  # ns of the time before these records that nobody read
    partial: bool = False  # only what fails was read: what needs every line is not looked for
    learning: bool = False  # the project is in mode learn
    new_service_grace: int = 10 * MINUTE
    deploy_grace: int = 5 * MINUTE
