"""A wish to have a model look at an incident, and everything that became of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import Field

from .base import Value


class InvestigationState(StrEnum):
    """How far a wish has come."""

    WANTED = "wanted"
    RUNNING = "running"  # leased by one sidecar; its estimated cost counts already
    DONE = "done"
    HELD = "held"  # a cap, a budget or a cooldown kept it back; `why` says which
    FAILED = "failed"


class Investigation(Value):
    """One wish. Times in ns, cost in the currency of the configured prices, as a rule US dollars."""

    id: str
    incident_id: str
    signature: str  # the cause's, or the loudest's: one call a signature and cooldown
    state: InvestigationState
    wanted_at: int
    updated_at: int
    leased_until: int | None = None
    attempts: int = Field(default=0, ge=0)
    digest: str = ""  # of what the model was shown
    prompt_version: str = ""
    why: str = ""
    model: str = ""  # that answered
    calls: int = Field(default=0, ge=0)
    tokens: int = Field(default=0, ge=0)  # in and out; an estimate while it runs
    cost: float = Field(default=0, ge=0)
    # The whole run: view, messages, answers, verdict, and what each endpoint said.
    run: dict[str, Any] = Field(default_factory=dict)


class Spending(Value):
    """What a project's calls came to over a time."""

    calls: int
    tokens: int
    cost: float
