"""Who explains whom: edges from an effect to what may have caused it, each with a strength and its proof."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl
import re2

from incidentlens.detection import Names
from incidentlens.model.clock import MINUTE, SECOND
from incidentlens.model.incidents import Problem, Sample

from .circumstances import Circumstances
from .relations import origin_quoted
from .trace_order import trace_order

_SKEW = 5 * SECOND  # clocks of two services may differ by this; an order within it proves nothing
_NAMED_LATE = 2 * MINUTE  # a name in a failing line still counts for most where its service began to fail so much later
_MENTION, _QUOTE, _TRACE, _DEPENDENCY, _CALL, _QUIET = 0.85, 0.8, 0.7, 0.55, 0.5, 0.45
_TOO_LATE, _NAMED_TOO_LATE = 0.35, 0.8  # what is left of a reason whose cause began well after its effect
_MAX_SERVICES = 60
# What a platform does to those it names: it explains them, not they it.
_DONE_TO = re2.compile(
    r"(?i)\b(evict(ed|ing|ion)|preempt(ed|ing)|drain(ed|ing)|cordon(ed|ing)?|"
    r"node\S* (is )?(not ?ready|unreachable|down))\b"
)
# What a platform finds wrong with those it names: as good as a failing line of their own.
_FOUND_WRONG = re2.compile(
    r"(?i)\b(oom[- ]?kill(ed|ing)?|out of memory|(liveness|readiness|startup) probe|crash ?loop ?back ?off|"
    r"back-off restarting|image ?pull ?back ?off|err ?image ?pull|failed to pull image|killed process|"
    r"terminated with exit code|exited with code)\b"
)


@dataclass(slots=True)
class Edge:
    """`effect` is explained by `cause` (services)."""

    effect: str
    cause: str
    strength: float = 0.0
    reasons: list[str] = field(default_factory=list)
    evidence: list[str] = field(default_factory=list)  # ids of records that show it
    named: bool = False  # the failing lines of the effect name the cause

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
    around: Circumstances = field(default_factory=Circumstances)
    unnamed: dict[str, str] = field(default_factory=dict)  # silent ones that nobody names: why they are here
    reported: dict[str, list[Sample]] = field(default_factory=dict)  # what a platform found wrong with a service

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
    around: Circumstances | None = None,
) -> Blame:
    """The graph over `problems`; `signed` may add the order within traces, `dependencies` says who calls whom."""
    by_service: dict[str, list[Problem]] = {}
    for problem in sorted(problems, key=lambda problem: (problem.onset, problem.id)):
        by_service.setdefault(problem.service, []).append(problem)
    if len(by_service) > _MAX_SERVICES:
        heaviest = sorted(by_service, key=lambda service: -max(problem.score for problem in by_service[service]))
        by_service = {service: by_service[service] for service in heaviest[:_MAX_SERVICES]}
    onsets = {service: own[0].onset for service, own in by_service.items()}
    graph = Blame(by_service, onsets, {}, {}, around or Circumstances())
    _mentions(graph, known_services | frozenset(by_service))
    _quotes(graph)
    _dependencies(graph, dependencies, _DEPENDENCY, "depends on")
    _dependencies(graph, graph.around.calls, _CALL, "calls")
    _gone_quiet(graph)
    for (effect, cause), led in trace_order(by_service, signed).items():
        reason = f"{cause} fails before {effect} in {led.times} of {led.both} shared traces"
        _edge(graph, effect, cause).add(_TRACE * led.times / (led.both + 0.5), reason, led.proof)
    return graph


def _mentions(graph: Blame, known: frozenset[str]) -> None:
    """Services that failing lines name, and hosts nobody knows that the lines of several services name."""
    names = Names(known)
    naming: dict[tuple[str, str], list[Sample]] = {}  # (who writes, who is named)
    told: dict[str, int] = {}
    for service, problems in graph.problems.items():
        for sample in (sample for problem in problems for sample in problem.samples):
            told[service] = told.get(service, 0) + 1
            for name in dict.fromkeys(_host(name, known) for name in names.find(sample.line, service)):
                if name != service:
                    naming.setdefault((service, name), []).append(sample)
    writers: dict[str, set[str]] = {}
    for service, name in naming:
        writers.setdefault(name, set()).add(service)
    for (_, name), samples in naming.items():
        if name not in known and len(writers[name]) < 2:
            continue
        if name not in graph.problems:
            graph.silent.setdefault(name, []).extend(samples)
            graph.onsets[name] = min(graph.onsets.get(name, samples[0].ts), *(sample.ts for sample in samples))
        if any(_FOUND_WRONG.search(sample.line[:2_000]) for sample in samples):
            graph.reported.setdefault(name, []).extend(samples)
    for (service, name), samples in naming.items():
        if name not in graph.onsets:
            continue
        ids = [sample.id for sample in samples[:3]]
        done_to = sum(bool(_DONE_TO.search(sample.line[:2_000])) for sample in samples)
        if 2 * done_to > len(samples):
            reason = f"{service} says what was done to {name} ({done_to} lines)"
            _edge(graph, name, service).add(_MENTION, reason, ids)
            continue
        share = len(samples) / max(told[service], 1)
        reason = f"{service}'s failing lines name {name} ({len(samples)} of {told[service]} samples)"
        late = _NAMED_TOO_LATE if _late(graph, service, name) <= _NAMED_LATE else _TOO_LATE
        strength = _MENTION * (0.5 + 0.5 * share) * (late if _late(graph, service, name) > _SKEW else 1.0)
        edge = _edge(graph, service, name)
        edge.add(strength, reason, ids)
        edge.named = 2 * len(samples) > told[service]


def _host(name: str, known: frozenset[str]) -> str:
    """A host without its port, unless a service is called so."""
    host, colon, _ = name.rpartition(":")
    return host if colon and name not in known else name


def _quotes(graph: Blame) -> None:
    """A caller that repeats what the called service said."""
    pairs = [(effect, cause) for effect in graph.problems for cause in graph.problems if effect != cause]
    for effect, cause in pairs[:600]:
        for outer in graph.problems[effect][:5]:
            inner = next((one for one in graph.problems[cause][:5] if origin_quoted(outer, one)), None)
            if inner is not None:
                ids = [problem.samples[0].id for problem in (outer, inner) if problem.samples]
                _edge(graph, effect, cause).add(_QUOTE, f"{effect}'s failing lines quote those of {cause}", ids)
                break


def _dependencies(graph: Blame, calls: Mapping[str, Sequence[str]], strength: float, verb: str) -> None:
    for service in graph.problems:
        for needed in calls.get(service, ()):
            if needed not in graph.problems or needed == service:
                continue
            if all(problem.unreached for problem in graph.problems[needed]):
                _edge(graph, needed, service).add(
                    strength, f"{service} {verb} {needed}, and fails before it gets there"
                )
            else:
                late = _TOO_LATE if _late(graph, service, needed) > _SKEW else 1.0
                _edge(graph, service, needed).add(strength * late, f"{service} {verb} {needed}")


def _gone_quiet(graph: Blame) -> None:
    """Services that fell quiet, called by failing ones: down, or no longer reached; the failing lines do not say."""
    for service, problems in list(graph.problems.items()):
        for called in graph.around.calls.get(service, ()):
            if called in graph.problems or not graph.around.quiet(called):
                continue
            reason = f"{service} calls {called}, of which {graph.around.said_of(called)}"
            if called not in graph.silent:
                graph.silent[called] = list(problems[0].samples[:3])
                graph.onsets[called] = problems[0].onset
                graph.unnamed[called] = reason
            _edge(graph, service, called).add(_QUIET, reason, [sample.id for sample in problems[0].samples[:2]])


def _late(graph: Blame, effect: str, cause: str) -> int:
    """By how much the cause began after its effect (ns), 0 for one without failing lines of its own."""
    return 0 if cause in graph.silent else graph.onsets[cause] - graph.onsets[effect]


def _edge(graph: Blame, effect: str, cause: str) -> Edge:
    return graph.edges.setdefault((effect, cause), Edge(effect, cause))
