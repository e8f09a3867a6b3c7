"""What one tick did, for the metrics and the demo's screen."""

from __future__ import annotations

from dataclasses import dataclass, field

from incidentlens.model.incidents import Incident, Problem


@dataclass(frozen=True, slots=True)
class Run:
    """How one look at Loki went, kept for a day or so by the process that did it."""

    at: int
    seconds: float  # of the tick
    lag: int | None  # ns; None where it failed
    failed: bool = False


@dataclass(slots=True)
class TickReport:
    """Counts of one tick; `changed` are the incidents it touched, as they stand after it."""

    until: int
    records: int = 0
    duplicates: int = 0
    stale: bool = False  # another sidecar was faster: nothing was taken in
    problems: int = 0
    suppressed: int = 0
    quarantined: int = 0  # records that made a stage raise
    left_out: int = 0  # new problems beyond what one tick takes up
    open_incidents: int = 0
    watching: int = 0  # verifications that go on
    seconds: float = 0.0
    decisions: list[str] = field(default_factory=list)
    notifications: list[str] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    found: list[Problem] = field(default_factory=list)  # all that began or went on
    changed: list[Incident] = field(default_factory=list)
