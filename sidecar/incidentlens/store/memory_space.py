"""What one project holds in memory, and the log by which a transaction is taken back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from incidentlens.model.analysis import Analysis, EvidenceItem, PatternUse
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
from incidentlens.model.investigations import Investigation
from incidentlens.model.signatures import Template

from .base import Quarantined, Region

K = TypeVar("K")
V = TypeVar("V")


@dataclass
class Space:
    """All of one project."""

    cursors: dict[str, int] = field(default_factory=dict)
    # By slices of time, so that forgetting need not look at what stays.
    seen: dict[int, dict[str, int]] = field(default_factory=dict)
    quarantine: dict[str, Quarantined] = field(default_factory=dict)
    patterns: dict[tuple[str, str], PatternUse] = field(default_factory=dict)  # by runbook and pattern
    templates: dict[str, Template] = field(default_factory=dict)
    counts: dict[tuple[int, str, str, str], int] = field(default_factory=dict)  # bucket, signature, service, level
    hourly: dict[tuple[int, str, str, str], int] = field(default_factory=dict)
    detector: dict[str, bytes] = field(default_factory=dict)
    services: dict[str, int] = field(default_factory=dict)
    incidents: dict[str, Incident] = field(default_factory=dict)
    evidence: dict[str, dict[str, EvidenceItem]] = field(default_factory=dict)
    analyses: dict[str, list[tuple[int, Analysis]]] = field(default_factory=dict)
    decisions: dict[str, Decision] = field(default_factory=dict)
    decisions_of: dict[str, list[Decision]] = field(default_factory=dict)  # by incident
    actions: dict[str, Action] = field(default_factory=dict)
    actions_of: dict[str, list[Action]] = field(default_factory=dict)
    verifications: dict[str, Verification] = field(default_factory=dict)
    verifications_of: dict[str, dict[str, Verification]] = field(default_factory=dict)
    watching: dict[str, Verification] = field(default_factory=dict)  # without an outcome yet
    events: dict[str, list[IncidentEvent]] = field(default_factory=dict)
    feedback: dict[str, list[Feedback]] = field(default_factory=dict)
    deploys: dict[str, Deploy] = field(default_factory=dict)
    maintenance: dict[str, Maintenance] = field(default_factory=dict)
    alerts: dict[str, Alert] = field(default_factory=dict)
    regions: dict[tuple[str, str], Region] = field(default_factory=dict)  # by incident and place
    investigations: dict[str, Investigation] = field(default_factory=dict)


class Undo:
    """Changes to dicts and lists, and how to take them back in reverse order."""

    def __init__(self) -> None:
        self._steps: list[Callable[[], object]] = []

    def put(self, into: dict[K, V], key: K, value: V) -> None:
        if key in into:
            before = into[key]
            self._steps.append(lambda: into.__setitem__(key, before))
        else:
            self._steps.append(lambda: into.pop(key, None))
        into[key] = value

    def drop(self, out_of: dict[K, V], key: K) -> None:
        before = out_of.pop(key)
        self._steps.append(lambda: out_of.__setitem__(key, before))

    def append(self, to: list[V], value: V) -> None:
        to.append(value)
        self._steps.append(to.pop)

    def back(self) -> None:
        while self._steps:
            self._steps.pop()()
