"""A project's policy, as users write it. Every field has a default that is safe on the first day."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from incidentlens.model.base import Value
from incidentlens.model.terms import Disposition, Mode, Severity


class Floor(Value):
    """Whatever analysis says, an incident that fits is at least this."""

    disposition: Disposition
    severity: Severity | None = None  # fits incidents of this severity or worse
    services: tuple[str, ...] = ()  # globs; empty: any
    signatures: tuple[str, ...] = ()  # globs on the signature; empty: any


class CountEscalation(Value):
    """At `count` records within `window_minutes` the disposition is at least `to`."""

    count: int = Field(ge=1)
    window_minutes: float = Field(gt=0, allow_inf_nan=False)
    to: Disposition


class StormLimit(Value):
    """More notifications than this in the window are gathered into one digest, never dropped."""

    notifications: int = Field(default=10, ge=1)
    window_minutes: float = Field(default=10, gt=0, allow_inf_nan=False)


class Flapping(Value):
    """An incident that re-opened this often in the window counts as one flapping incident and is told once."""

    reopened: int = Field(default=3, ge=1)
    window_minutes: float = Field(default=60, gt=0, allow_inf_nan=False)


class SuppressRule(Value):
    """`auto_suppress`: only at or above `confidence`, and never an incident at or above `never_severity`."""

    enabled: bool = True
    confidence: float = Field(default=0.9, ge=0, le=1)
    never_severity: Severity = Severity.HIGH


class NoiseRule(Value):
    """What people called noise so often is held back, below `suppress.never_severity`. 0: never."""

    times: int = Field(default=2, ge=0)


DEFAULT_THRESHOLDS = {Disposition.ESCALATE: 0.5, Disposition.NEEDS_ONCALL: 0.4, Disposition.NEEDS_DEV: 0.3}
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Policy(Value):
    """What turns an analysis into a decision. docs/policy.md tells the order in which its parts are applied."""

    mode: Mode = Mode.SHADOW
    min_count: int = Field(default=1, ge=1)  # an incident needs this many records before it is told
    # The confidence a disposition needs; below it falls step by step. One that is left out keeps its default.
    thresholds: dict[Disposition, Share] = Field(default_factory=lambda: dict(DEFAULT_THRESHOLDS))
    floors: tuple[Floor, ...] = (Floor(disposition=Disposition.NEEDS_ONCALL, severity=Severity.CRITICAL),)
    cooldown_minutes: float = Field(default=15, ge=0, allow_inf_nan=False)
    count_escalations: tuple[CountEscalation, ...] = ()
    reanalyse_at: tuple[int, ...] = (5, 10, 20)  # multiples of the count at the first analysis
    storm: StormLimit = StormLimit()
    flapping: Flapping = Flapping()
    suppress: SuppressRule = SuppressRule()
    noise: NoiseRule = NoiseRule()
    # An incident that holds an alert of the ruler's own is not told while that fires: the ruler has told it. Set to
    # false where the ruler's alerts reach nobody but IncidentLens.
    ruler_notifies: bool = True
    new_service_grace_minutes: float = Field(default=10, ge=0, allow_inf_nan=False)
    deploy_grace_minutes: float = Field(default=5, ge=0, allow_inf_nan=False)
    # The verifier's quiet time where a runbook gives none, and the longest it waits whatever a runbook says.
    quiet_minutes: float = Field(default=5, gt=0, allow_inf_nan=False)
    max_quiet_minutes: float | None = Field(default=None, gt=0, allow_inf_nan=False)

    @field_validator("thresholds")
    @classmethod
    def _every_threshold_has_a_value(cls, given: dict[Disposition, float]) -> dict[Disposition, float]:
        idle = [disposition for disposition in given if not disposition.notifies]
        if idle:
            raise ValueError(
                f"{idle[0]} tells nobody and needs no confidence; allowed: {', '.join(DEFAULT_THRESHOLDS)}"
            )
        return DEFAULT_THRESHOLDS | given

    @model_validator(mode="after")
    def _multiples_go_up(self) -> Policy:
        if any(multiple < 2 for multiple in self.reanalyse_at) or list(self.reanalyse_at) != sorted(self.reanalyse_at):
            raise ValueError("reanalyse_at must be multiples of at least 2, the smaller first, such as [5, 10, 20]")
        return self
