"""Who explains whom: edges from an effect to what may have caused it, each with a strength and its proof."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from incidentlens.detection import Names
from incidentlens.model.clock import SECOND
from incidentlens.model.incidents import Problem, Sample

_SKEW = 5 * SECOND  # clocks of two services may differ by this; an order within it proves nothing
_MENTION, _TRACE, _DEPENDENCY = 0.85, 0.7, 0.55
_TOO_LATE = 0.35  # what is left of an edge whose cause began well after its effect
_MAX_SERVICES = 60


@dataclass(slots=True)
class Edge:
    """`effect` is explained by `cause` (services)."""

    effect: str
    cause: str
    strength: float = 0.0
    reasons: list[str] = field(default_factory=list)
    evidence: list[str] = field(default_factory=list)  # ids of records that show it

    def add(self, strength: float, reason: str, evidence: Sequence[str] = ()) -> None:
        """Independent reasons add up: what one leaves open, the next may settle."""
        self.strength = 1 - (1 - self.strength) * (1 - strength)
        self.reasons.append(reason)
        self.evidence.extend(evidence)


@dataclass(slots=True)
class Blame:
    """The services of an incident, those its lines name, and the edges between them."""

    problems: dict[str, list[Problem]]  # by service, in order of onset
    onsets: dict[str, int]
    edges: dict[tuple[str, str], Edge]
    silent: dict[str, list[Sample]]  # services that others name and that have no problem: the lines that name them
    alive: frozenset[str] = frozenset()  # services that write lines at the time

    def edge(self, effect: str, cause: str) -> Edge | None:
        return self.edges.get((effect, cause))

    def paths(self) -> dict[str, dict[str, float]]:
        """paths[effect][cause]: the strongest chain of edges between them, as the product of their strengths."""
        services = list(self.onsets)
        best = {service: {service: 1.0} for service in services}
        for (effect, cause), edge in self.edges.items():
            best[effect][cause] = max(best[effect].get(cause, 0.0), edge.strength)
        for middle in services:
            for effect in services:
                first = best[effect].get(middle, 0.0)
                if first <= 0 or effect == middle:
                    continue
                for cause, second in best[middle].items():
                    if first * second > best[effect].get(cause, 0.0):
                        best[effect][cause] = first * second
        return best


def blame(
    problems: Sequence[Problem],
    signed: pl.DataFrame | None,
    dependencies: Mapping[str, Sequence[str]],
    known_services: frozenset[str],
) -> Blame:
    """The graph over `problems`; `signed` may add the order within traces, `dependencies` says who calls whom."""
    by_service: dict[str, list[Problem]] = {}
    for problem in sorted(problems, key=lambda problem: (problem.onset, problem.id)):
        by_service.setdefault(problem.service, []).append(problem)
    if len(by_service) > _MAX_SERVICES:
        heaviest = sorted(by_service, key=lambda service: -max(problem.score for problem in by_service[service]))
        by_service = {service: by_service[service] for service in heaviest[:_MAX_SERVICES]}
    onsets = {service: own[0].onset for service, own in by_service.items()}
    alive = frozenset(signed["service"].unique().to_list()) if signed is not None else frozenset()
    graph = Blame(by_service, onsets, {}, {}, alive)
    _mentions(graph, known_services | frozenset(by_service))
    _dependencies(graph, dependencies)
    _traces(graph, signed)
    for edge in graph.edges.values():
        late = graph.onsets[edge.cause] - graph.onsets[edge.effect]
        if edge.cause not in graph.silent and late > _SKEW:
            edge.strength *= _TOO_LATE
    return graph


def _mentions(graph: Blame, known: frozenset[str]) -> None:
    names = Names(known)
    for service, problems in graph.problems.items():
        naming: dict[str, list[Sample]] = {}
        told = 0
        for problem in problems:
            for sample in problem.samples:
                told += 1
                for name in names.find(sample.line, service):
                    if name in known:
                        naming.setdefault(name, []).append(sample)
        for name, samples in naming.items():
            if name not in graph.problems:
                graph.silent.setdefault(name, []).extend(samples)
            share = len(samples) / max(told, 1)
            reason = f"{service}'s failing lines name {name} ({len(samples)} of {told} samples)"
            ids = [sample.id for sample in samples[:3]]
            _edge(graph, service, name).add(_MENTION * (0.5 + 0.5 * share), reason, ids)
    for name, samples in graph.silent.items():
        graph.onsets[name] = min(sample.ts for sample in samples)


def _dependencies(graph: Blame, dependencies: Mapping[str, Sequence[str]]) -> None:
    for service in graph.problems:
        for needed in dependencies.get(service, ()):
            if needed in graph.problems and needed != service:
                _edge(graph, service, needed).add(_DEPENDENCY, f"{service} depends on {needed}")


def _traces(graph: Blame, signed: pl.DataFrame | None) -> None:
    """Within a trace the deepest failure is written first: an error travels up to the caller."""
    first: dict[str, dict[str, tuple[int, str]]] = {}  # trace: service: (time, record id)
    for service, problems in graph.problems.items():
        for problem in problems:
            for sample in problem.samples:
                if sample.trace_id:
                    at = first.setdefault(sample.trace_id, {})
                    if service not in at or sample.ts < at[service][0]:
                        at[service] = (sample.ts, sample.id)
    for trace, service, ts in _failing_in_traces(graph, signed):
        at = first.setdefault(trace, {})
        if service not in at:
            at[service] = (ts, "")
    led: dict[tuple[str, str], int] = {}
    shared: dict[tuple[str, str], int] = {}
    proof: dict[tuple[str, str], list[str]] = {}
    for at in first.values():
        order = sorted(at, key=lambda service: at[service])
        for index, cause in enumerate(order):
            for effect in order[index + 1 :]:
                led[(effect, cause)] = led.get((effect, cause), 0) + 1
                shared[(effect, cause)] = shared.get((effect, cause), 0) + 1
                shared[(cause, effect)] = shared.get((cause, effect), 0) + 1
                ids = [at[name][1] for name in (cause, effect) if at[name][1]]
                proof.setdefault((effect, cause), []).extend(ids)
    for (effect, cause), times in led.items():
        both = shared[(effect, cause)]
        reason = f"{cause} fails before {effect} in {times} of {both} shared traces"
        _edge(graph, effect, cause).add(_TRACE * times / (both + 0.5), reason, proof[(effect, cause)][:4])


def _failing_in_traces(graph: Blame, signed: pl.DataFrame | None) -> list[tuple[str, str, int]]:
    """(trace, service, first time) of the incident's signatures in `signed`."""
    if signed is None or signed.height == 0:
        return []
    keys = {(problem.service, problem.signature) for own in graph.problems.values() for problem in own}
    wanted = pl.DataFrame(
        {"service": [service for service, _ in keys], "signature": [signature for _, signature in keys]},
        schema={"service": pl.String, "signature": pl.String},
    )
    rows = (
        signed.lazy()
        .filter(pl.col("trace_id").is_not_null())
        .select("trace_id", "service", "signature", "ts")
        .join(wanted.lazy(), on=["service", "signature"], how="semi")
        .group_by("trace_id", "service")
        .agg(pl.col("ts").min())
        .sort("ts")
        .head(20_000)
        .collect()
    )
    return list(rows.iter_rows())


def _edge(graph: Blame, effect: str, cause: str) -> Edge:
    return graph.edges.setdefault((effect, cause), Edge(effect, cause))
