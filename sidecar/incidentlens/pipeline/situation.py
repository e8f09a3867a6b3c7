"""What is known of a project at the moment of a tick, read from the store once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from incidentlens.model.decisions import Alert, Decision, Deploy, Maintenance, Verification
from incidentlens.model.incidents import Incident


@dataclass(frozen=True, slots=True)
class Situation:
    """Times in ns. `live` are the active incidents and those that ended within the cooldown."""

    now: int
    live: list[Incident]
    decisions: list[Decision]
    deploys: list[Deploy]
    maintenance: list[Maintenance]
    alerts: list[Alert]
    watches: list[Verification]
    first_seen: Mapping[str, int]
    changed: list[Incident] = field(default_factory=list)  # in this tick
    known_services: frozenset[str] = field(default_factory=frozenset)
    calls: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # learnt from traces
    # since (ns) -> {service: (harmless lines since then, how many are usual)}
    liveliness: Callable[[int], Mapping[str, tuple[int, float]]] = lambda _: {}
