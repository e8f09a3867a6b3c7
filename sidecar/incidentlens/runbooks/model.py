"""A runbook, as a value."""

from __future__ import annotations

from pydantic import Field, model_validator

from incidentlens.model.base import Value
from incidentlens.model.terms import Disposition, Severity


class ObserveThreshold(Value):
    """Below `count` records in `window_minutes` the runbook's own disposition holds; from there on `escalate_to`."""

    count: int = Field(ge=1)
    window_minutes: float = Field(gt=0, allow_inf_nan=False)
    escalate_to: Disposition


class RunbookVerification(Value):
    """How to see that it is over: how long quiet, and a LogQL query where the incident's own will not do."""

    quiet_minutes: float | None = Field(default=None, gt=0, allow_inf_nan=False)  # None: the policy's
    query: str | None = None


class Runbook(Value):
    """One runbook. `patterns` are RE2 expressions, or plain words, searched for without regard to case."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    name: str = Field(min_length=1)
    description: str = ""
    default_severity: Severity
    disposition: Disposition
    patterns: tuple[str, ...] = ()  # a Markdown runbook may have none: it is found by its text alone
    steps: tuple[str, ...] = ()
    observe_threshold: ObserveThreshold | None = None
    cooldown_minutes: float = Field(default=15, ge=0, allow_inf_nan=False)
    services: tuple[str, ...] = ()  # empty: any; globs allowed
    labels: dict[str, str] = Field(default_factory=dict)
    links: tuple[str, ...] = ()
    verification: RunbookVerification = RunbookVerification()
    source: str = ""  # the file it came from
    body: str = ""  # the Markdown of a runbook that is written in it
    decides: bool = True  # False: it only advises, whatever it matches (a Markdown one without patterns, …)

    @model_validator(mode="after")
    def _threshold_goes_up(self) -> Runbook:
        threshold = self.observe_threshold
        if threshold and threshold.escalate_to.rank < self.disposition.rank:
            raise ValueError(
                f"observe_threshold.escalate_to is {threshold.escalate_to}, "
                f"which weighs less than the runbook's own disposition {self.disposition}"
            )
        return self


class YamlRunbook(Runbook):
    """What a runbook's YAML file must have."""

    patterns: tuple[str, ...] = Field(min_length=1)
    steps: tuple[str, ...] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _not_by_hand(cls, given: object) -> object:
        if isinstance(given, dict) and (set_by_us := sorted({"body", "decides"} & set(given))):
            raise ValueError(f"{set_by_us[0]} is no key of a YAML runbook")
        return given
