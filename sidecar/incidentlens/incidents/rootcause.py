"""The suspected cause of an incident, and the chain from it to the symptoms, every step with its records."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import polars as pl

from incidentlens.model.clock import SECOND
from incidentlens.model.decisions import Deploy
from incidentlens.model.incidents import ChainStep, Incident, Problem, RootCause, ServiceScore
from incidentlens.model.terms import ProblemKind
from incidentlens.model.times import duration

from .blame import Blame, blame
from .calibration import Support, confidence
from .circumstances import Circumstances
from .describe import title_of
from .ranking import Candidate, candidates, change_before, hint, normalised
from .relations import headline

_MAX_STEPS = 12
_MAX_EVIDENCE = 6
_SURE_ENOUGH = 0.5  # below this confidence no cause is named: it would more often be wrong than right
_MARGIN = 0.12  # nor where the second is this near
_NEAR = 15 * SECOND  # within this, words decide over order in one service


def root_cause(
    incident: Incident,
    signed: pl.DataFrame | None = None,
    dependencies: Mapping[str, Sequence[str]] | None = None,
    known_services: Collection[str] = (),
    around: Circumstances | None = None,
) -> RootCause:
    """The suspected cause with its chain; `undetermined` where nothing sets one service apart.

    `signed` (SIGNED, optional) are records of the incident's time, used for the order within traces. `dependencies`
    says which services each service calls. `known_services` are names to recognise in lines besides the incident's,
    `around` what else was known at the time.
    """
    problems = [p for p in incident.problems if p.suppressed is None] or list(incident.problems)
    graph = blame(problems, signed, dependencies or {}, frozenset(known_services), around)
    ranked = candidates(graph)
    ranking = normalised({candidate.service: candidate.probability for candidate in ranked})
    best = ranked[0]
    sure = confidence(support_of(graph, ranked))
    second = ranked[1].probability if len(ranked) > 1 else 0.0
    if sure < _SURE_ENOUGH or best.probability - second < _MARGIN:
        return _undetermined(graph, ranked, ranking, sure)
    cause = _cause_in(graph.problems[best.service]) if best.service in graph.problems else None
    chain = _chain(graph, best, cause)
    return RootCause(
        service=best.service,
        signature=cause.signature if cause else "",
        summary=_summary(best.service, cause, graph, chain),
        confidence=sure,
        chain=chain,
        ranking=ranking,
    )


def apply_root_cause(incident: Incident, cause: RootCause) -> Incident:
    """The incident with its cause; its title and service follow the cause unless a person has pinned it.

    The title stays the same as long as the cause does: it is a label of the alert.
    """
    update: dict[str, object] = {"root_cause": cause, "confidence": cause.confidence}
    before = incident.root_cause
    same = before is not None and (before.service, before.signature) == (cause.service, cause.signature)
    if not incident.pinned and not cause.undetermined and not same:
        problem = next(
            (p for p in incident.problems if (p.service, p.signature) == (cause.service, cause.signature)), None
        )
        update["service"] = cause.service
        if problem:
            update["title"] = title_of(incident.problems, problem)
    return incident.model_copy(update=update)


def evidence_of(problem: Problem) -> tuple[str, ...]:
    """Ids that prove a problem: its first records, or its alert."""
    if problem.samples:
        return tuple(sample.id for sample in problem.samples[:3])
    return (problem.id.removeprefix("p_"),)  # `alert_<fingerprint>`; only an alert has no records


def _cause_in(problems: Sequence[Problem]) -> Problem:
    """The problem of one service to begin with: the earliest, unless one that began as good as then says more."""
    earliest = problems[0].onset
    near = [problem for problem in problems if problem.onset - earliest <= _NEAR]
    rated = [problem for problem in near if problem.kind not in (ProblemKind.SEQUENCE, ProblemKind.ERROR_SHARE)]
    return min(rated or near, key=lambda problem: (-hint(problem), problem.onset, -problem.score))


def support_of(graph: Blame, ranked: Sequence[Candidate]) -> Support:
    """What there is to go by for the first of a ranking."""
    best = ranked[0]
    own = graph.problems.get(best.service, [])
    return Support(
        probability=best.probability,
        alone=len(ranked) == 1,
        rivals=bool(graph.around.rivals),
        silent=not own and best.service not in graph.reported,
        lively=not own and graph.around.lively(best.service),
        symptom=bool(own) and hint(_cause_in(own)) < 0,
        blames=any(edge.named for edge in graph.edges.values() if edge.effect == best.service),
        loudest=max(_loudness(problem) for own in graph.problems.values() for problem in own),
        history=graph.around.history,
    )


def _loudness(problem: Problem) -> float:
    """Its score, however critical its service is; an alert has been set by people and is never faint."""
    if problem.kind is ProblemKind.ALERT:
        return math.inf
    return problem.parts.severity_weight * math.log1p(problem.parts.spike_ratio)


def _chain(graph: Blame, best: Candidate, cause: Problem | None) -> tuple[ChainStep, ...]:
    steps: list[ChainStep] = []
    if cause is None:
        steps.append(_silent_step(graph, best.service))
    blamed = {edge.cause for edge in graph.edges.values()}
    order = sorted(
        (problem for problems in graph.problems.values() for problem in problems),
        key=lambda problem: (problem is not cause, problem.onset, -problem.score),
    )
    if len(order) > _MAX_STEPS:
        kept = {id(problem) for problem in sorted(order[1:], key=lambda problem: -problem.score)[: _MAX_STEPS - 1]}
        order = [problem for problem in order if problem is cause or id(problem) in kept][:_MAX_STEPS]
    for problem in order:
        if problem is cause:
            role, because = "cause", _because_cause(graph, best, problem)
            extra: list[str] = []
        else:
            start = graph.onsets[best.service]
            passed_on = problem.service in blamed or _leads_on(problem, order)
            role = "link" if problem.service == best.service or passed_on else "symptom"
            because, extra = _because(graph, best, problem, start)
        ids = dict.fromkeys([*evidence_of(problem), *extra])
        steps.append(
            ChainStep(
                service=problem.service,
                signature=problem.signature,
                template=problem.template,
                onset=problem.onset,
                role=role,
                because=because,
                evidence=tuple(ids)[:_MAX_EVIDENCE],
            )
        )
    if len(steps) > 1 and not any(step.role == "symptom" for step in steps):
        steps[-1] = steps[-1].model_copy(update={"role": "symptom"})
    return tuple(steps)


def _leads_on(problem: Problem, order: Sequence[Problem]) -> bool:
    """True where a later problem of another service failed in the same traces."""
    traces = set(problem.trace_ids)
    later = (other for other in order if other.service != problem.service and other.onset > problem.onset)
    return any(not traces.isdisjoint(other.trace_ids) for other in later)


def _silent_step(graph: Blame, service: str) -> ChainStep:
    """A cause that has no failing line of its own: the lines that name it stand for it."""
    samples = sorted(graph.silent[service], key=lambda sample: sample.ts)
    callers = sorted({sample.service for sample in samples})
    return ChainStep(
        service=service,
        signature="",
        template="",
        onset=graph.onsets[service],
        role="cause",
        because=_because_silent(graph, service, callers),
        evidence=tuple(dict.fromkeys(sample.id for sample in samples))[:_MAX_EVIDENCE],
    )


def _because_silent(graph: Blame, service: str, callers: Sequence[str]) -> str:
    if service in graph.unnamed:
        return f"has no failing line of its own, but {graph.unnamed[service]}"
    said = graph.around.said_of(service)
    named = f"has no failing line of its own, but those of {', '.join(callers[:4])} name it"
    return f"{named}; {said}" if said else named


def _because_cause(graph: Blame, best: Candidate, cause: Problem) -> str:
    others = sorted(
        (onset, service)
        for service, onset in graph.onsets.items()
        if service != best.service and service in graph.problems
    )
    parts = []
    if others:
        apart = others[0][0] - cause.onset
        if apart >= 0:
            parts.append(f"the first to fail, {duration(apart)} before {others[0][1]}")
        else:
            parts.append(f"began {duration(-apart)} after {others[0][1]}, which it explains")
    pointing = [edge for edge in graph.edges.values() if edge.cause == best.service]
    parts.extend(edge.reasons[0] for edge in sorted(pointing, key=lambda edge: -edge.strength)[:3])
    if deploy := change_before(graph, best.service, min(graph.onsets[service] for service in graph.problems)):
        parts.append(_deployed(deploy, cause.onset))
    parts.append(cause.why)
    return "; ".join(parts)


def _deployed(deploy: Deploy, onset: int) -> str:
    version = f" {deploy.version}" if deploy.version else ""
    apart = onset - deploy.at
    return f"deployed{version} {duration(abs(apart))} {'before' if apart >= 0 else 'after'}"


def _because(graph: Blame, best: Candidate, problem: Problem, start: int) -> tuple[str, list[str]]:
    """Why a problem follows, and the records that show it."""
    apart = problem.onset - start
    parts = [f"began {duration(abs(apart))} {'after' if apart >= 0 else 'before'} {best.service}"]
    extra: list[str] = []
    outgoing = [edge for edge in graph.edges.values() if edge.effect == problem.service]
    for edge in sorted(outgoing, key=lambda edge: -edge.strength)[:2]:
        parts.extend(edge.reasons[:2])
        extra.extend(edge.evidence[:2])
    if problem.service == best.service:
        parts.append("in the same service")
    return "; ".join(parts), extra


def _summary(service: str, cause: Problem | None, graph: Blame, chain: Sequence[ChainStep]) -> str:
    if cause is None:
        text = f"Probably began in {service}, which has no failing line of its own but is named by others."
    else:
        said = cause.samples[0].message if cause.samples else cause.template
        text = f'Probably began in {service}: "{headline(said, 300)}" ({cause.why}).'
    told = {service}
    then = []
    for step in chain:
        if step.service not in told:
            told.add(step.service)
            apart = duration(max(0, step.onset - graph.onsets[service]))
            then.append(f'{step.service} {apart} later ("{headline(step.template, 80)}")')
    if then:
        text += f" Then {'; '.join(then[:4])}{f'; and {len(then) - 4} more' if len(then) > 4 else ''}."
    return text


def _undetermined(
    graph: Blame, ranked: Sequence[Candidate], ranking: tuple[ServiceScore, ...], sure: float
) -> RootCause:
    names = " or ".join(candidate.service for candidate in ranked[:3])
    first = min((own[0] for own in graph.problems.values()), key=lambda problem: problem.onset)
    said = first.samples[0].message if first.samples else first.template
    chain = _chain(graph, ranked[0], _cause_in(graph.problems.get(ranked[0].service, [first])))
    steps = tuple(step.model_copy(update={"role": "link" if step.role == "cause" else step.role}) for step in chain)
    return RootCause(
        service="",
        signature="",
        summary=f'Undetermined: {names} may be the origin. First seen: {first.service}: "{headline(said, 300)}".',
        confidence=min(0.3, sure),
        chain=steps,
        ranking=ranking,
        undetermined=True,
    )
