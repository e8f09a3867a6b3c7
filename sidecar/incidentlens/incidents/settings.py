"""What grouping and ranking may be told."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from incidentlens.model.base import Value
from incidentlens.model.clock import MINUTE, SECOND


class GroupingSettings(Value):
    """How near and how related problems must be. Times in ns."""

    window: int = Field(default=2 * MINUTE, gt=0)  # spans further apart than this are not joined
    onset_window: int = Field(default=5 * MINUTE, gt=0)  # nor are onsets, where no trace is shared
    together: int = Field(default=30 * SECOND, ge=0)  # onsets in one service this near belong together
    cooldown: int = Field(default=15 * MINUTE, ge=0)  # a recurrence sooner than this re-opens the incident
    dependencies: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)  # service: what it calls
    calls: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)  # the same, learnt from traces
    aliases: Mapping[str, str] = Field(default_factory=dict)  # signature: the one it turned out to be part of
    max_problems: int = Field(default=300, ge=1)  # an incident keeps so many; the count still counts the rest
