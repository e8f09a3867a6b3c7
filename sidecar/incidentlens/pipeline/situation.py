"""What is known of a project at the moment of a tick, read from the store once, and what the stages need of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import polars as pl

from incidentlens.config.loader import Project
from incidentlens.detection import DetectionContext
from incidentlens.incidents import GroupingSettings
from incidentlens.model.clock import HOUR, MINUTE
from incidentlens.model.decisions import Alert, Decision, Deploy, Maintenance, Verification
from incidentlens.model.incidents import Incident
from incidentlens.model.terms import Mode
from incidentlens.signatures import Catalogue
from incidentlens.store.base import Transaction

from .memory import Memory

# Ended incidents are looked at for likeness this far back.
_SIMILAR = 24 * HOUR


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
    observed: float = math.inf  # minutes


async def read_situation(tx: Transaction, project: Project, memory: Memory, now: int) -> Situation:
    """How things stand at `now` (ns)."""
    policy, config = project.policy, project.config
    cooldown = round(policy.cooldown_minutes * MINUTE)
    storm = round(2 * policy.storm.window_minutes * MINUTE) + config.catch_up_step
    back = max(cooldown, storm, round(policy.flapping.window_minutes * MINUTE))
    called = {service for callees in config.dependencies.values() for service in callees}
    return Situation(
        now=now,
        live=await tx.live_incidents(now - max(cooldown, _SIMILAR)),
        decisions=await tx.recent_decisions(now - back),
        deploys=await tx.deploys(now - 2 * HOUR),
        maintenance=await tx.maintenance(now),
        # `now` lags the clock by the delay, an alert does not: one that was just sent is firing.
        alerts=await tx.active_alerts(now + config.delay),
        watches=await tx.open_verifications(),
        first_seen=memory.first_seen,
        known_services=frozenset({*config.criticality, *config.dependencies, *config.owners, *called}),
        calls=memory.detector.calls(),
        liveliness=memory.detector.liveliness,
        observed=memory.detector.observed_minutes,
    )


def detection_context(
    project: Project, situation: Situation, signed: pl.DataFrame, *, partial: bool = False
) -> DetectionContext:
    """What the detector is told beside the records. `partial`: only what fails was read."""
    noise = signed.filter(pl.col("template").str.starts_with("noise rule: "))["signature"].unique()
    policy = project.policy
    return DetectionContext(
        project=project.name,
        known_services=situation.known_services,
        criticality=project.config.criticality,
        alerts=tuple(situation.alerts),
        deploys=tuple(situation.deploys),
        maintenance=tuple(situation.maintenance),
        noise=frozenset(noise.to_list()),
        service_first_seen=situation.first_seen,
        partial=partial,
        learning=policy.mode is Mode.LEARN,
        new_service_grace=round(policy.new_service_grace_minutes * MINUTE),
        deploy_grace=round(policy.deploy_grace_minutes * MINUTE),
    )


def grouping_settings(project: Project, situation: Situation, catalogue: Catalogue) -> GroupingSettings:
    """How problems are joined, with the names that the live incidents' signatures have by now."""
    signatures = {problem.signature for incident in situation.live for problem in incident.problems}
    return GroupingSettings(
        aliases={old: new for old in signatures if (new := catalogue.resolve(old)) != old},
        window=project.config.window,
        cooldown=round(project.policy.cooldown_minutes * MINUTE),
        dependencies=project.config.dependencies,
        calls=situation.calls,
    )
