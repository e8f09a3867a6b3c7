"""Which service the failure started in: a weight for each, and how sure one may be of the first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import re2

from incidentlens.detection import says_change
from incidentlens.model.clock import MINUTE, SECOND
from incidentlens.model.decisions import Deploy
from incidentlens.model.incidents import Incident, Problem, ServiceScore
from incidentlens.model.terms import ProblemKind

from .blame import Blame

# What runs out or breaks by itself; little stands behind it.
_ROOT = re2.compile(
    r"(?i)\b(pool (is )?exhausted|exhausted|out of memory|oom|memory (pressure|limit|leak)|heap|gc overhead|disk|"
    r"no space|quota|cpu|throttl|certificate|expired cert|deadlock|corrupt|segfault|panic|"
    r"too many (open files|connections)|"
    r"config(uration)?|migration|schema|undefined|no such host|connection refused|lost connection|connection reset|"
    r"replication|leader|quorum|oomkill|evicted|image ?pull|stack ?overflow)"
)
# What a caller says when what it called failed.
_SYMPTOM = re2.compile(
    r"(?i)\b(upstream|unhandled|null ?pointer|nonetype|undefined is not|bad gateway|"
    r"gateway time-?out|service unavailable|"
    r"(answered|returned|responded( with)?|status( code)?)[ :=]*(4|5)\d\d|dependency|downstream|fallback|"
    r"circuit breaker|"
    r"request processing failed|internal server error|did not answer|chain failure)"
)
_EARLY = 20 * SECOND  # being first by this much counts for most of what being first counts
_RECENT, _GRACE = 15 * MINUTE, 10 * SECOND  # how long before the failures (or after their first) a change may be
_TEMPERATURE = 0.32
_BROKEN_STEP = 2.5

# What each signal is worth; `incidentlens eval root-cause` shows what comes of it without, with half and twice of it.
WEIGHTS = {
    "reach": 1.4,  # what leads back to it: the strongest sign, but noise is led back too
    "unexplained": 1.4,  # a cause is not explained by another that fails
    "early": 0.6,  # clocks differ and a cause may log late: less than who names whom
    "growth": 0.2,  # the loudest is often a victim, and how loud depends on which history it is held against
    "own": 0.6,  # failing lines of its own, against being named only
    "hint": 0.35,  # words mislead easily
    "sequence": 0.5,  # nothing but a broken step says exactly where
    "changed": 0.3,  # most deploys are innocent
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A service with what speaks for it; every part between 0 and 1, `hint` between -1 and 1."""

    service: str
    reach: float  # share of the other services' failures that lead back to it
    unexplained: float  # 1 where nothing else explains it
    early: float
    growth: float
    own: (
        float  # 1 with failures of its own (or said of it by a platform), 0.5 gone quiet, 0 unknown, -2 goes on as ever
    )
    hint: float  # its words are those of a cause (1) or of a symptom (-1)
    sequence: float  # steps inside it broke off
    changed: float  # a deploy or change of it not long before
    probability: float = 0.0

    def weight(self) -> float:
        """All parts together; a difference of 0.3 makes one service more than twice as likely as another."""
        return sum(weight * float(getattr(self, name)) for name, weight in WEIGHTS.items())


def candidates(graph: Blame) -> list[Candidate]:
    """Every service of the graph with its probability of being the origin, best first."""
    paths = graph.paths()
    weights = {service: max(problem.score for problem in own) + 0.1 for service, own in graph.problems.items()}
    heaviest = max(weights.values(), default=1.0)
    earliest = min((graph.onsets[service] for service in graph.problems), default=0)
    found = []
    for service in graph.onsets:
        others = [other for other in graph.problems if other != service]
        whole = sum(weights[other] for other in others)
        own = graph.problems.get(service, [])
        found.append(
            Candidate(
                service=service,
                reach=sum(weights[o] * paths[o].get(service, 0.0) for o in others) / whole if whole else 1.0,
                unexplained=1 - max((paths[service].get(o, 0.0) for o in graph.onsets if o != service), default=0.0),
                early=math.exp(-(graph.onsets[service] - earliest) / _EARLY) if own else 0.5,
                growth=weights[service] / heaviest if own else 0.5,
                own=_own(graph, service),
                hint=_words(graph, service),
                sequence=1.0
                if any(problem.kind == ProblemKind.SEQUENCE and not problem.unreached for problem in own)
                else 0.0,
                changed=1.0 if change_before(graph, service, earliest) else 0.0,
            )
        )
    return _with_probabilities(found)


def change_before(graph: Blame, service: str, onset: int) -> Deploy | None:
    """The latest announced deploy of the service that came not long before the failures began (or just after)."""
    near = [d for d in graph.around.deploys if d.service == service and -_GRACE <= onset - d.at <= _RECENT]
    return max(near, key=lambda deploy: deploy.at, default=None)


def _broken(problem: Problem) -> bool:
    """True for a step that stays away inside a service that is called."""
    return problem.kind == ProblemKind.SEQUENCE and not problem.unreached


def _own(graph: Blame, service: str) -> float:
    if service in graph.problems or service in graph.reported:
        return 1.0
    if graph.around.quiet(service):
        return 0.5
    return -2.0 if graph.around.lively(service) else 0.0


def _words(graph: Blame, service: str) -> float:
    """The words of its own lines, or, without any, of those that name it; who says why another fails, is no cause."""
    own = graph.problems.get(service, [])
    if not own:
        named = service in graph.reported or any(_ROOT.search(one.line[:1_000]) for one in graph.silent[service])
        return 1.0 if named and service not in graph.unnamed else 0.0
    blames = any(edge.named for edge in graph.edges.values() if edge.effect == service)
    return max(min(hint(problem), 0.0) if blames else hint(problem) for problem in own[:3])


def hint(problem: Problem) -> float:
    """1 where its words are those of a cause, -1 of a symptom, 0 otherwise."""
    text = problem.template[:1_000]
    root = bool(_ROOT.search(text)) or says_change(text)
    symptom = bool(_SYMPTOM.search(text))
    return float(root) - float(symptom)


def overall_ranking(incidents: Iterable[Incident]) -> tuple[ServiceScore, ...]:
    """One ranking over several incidents: each gives its services' scores, weighed by how loud and how severe it is."""
    total: dict[str, float] = {}
    for incident in incidents:
        if incident.root_cause is None:
            continue
        loudest = max((_loudness(problem) for problem in incident.problems), default=0.0)
        weight = loudest * (3 + incident.severity.rank) * (0.1 if incident.suppression else 1.0)
        for entry in incident.root_cause.ranking:
            total[entry.service] = total.get(entry.service, 0.0) + entry.score * weight
    return normalised(total)


def _loudness(problem: Problem) -> float:
    """A problem's score; a step that stays away is never loud, but nothing else says so exactly where it broke."""
    return problem.score * (_BROKEN_STEP if _broken(problem) else 1.0)


def normalised(scores: Mapping[str, float]) -> tuple[ServiceScore, ...]:
    """Scores that add up to 1, best first."""
    whole = sum(scores.values())
    if whole <= 0:
        return ()
    order = sorted(scores, key=lambda service: (-scores[service], service))
    return tuple(ServiceScore(service=service, score=round(scores[service] / whole, 4)) for service in order)


def _with_probabilities(found: list[Candidate]) -> list[Candidate]:
    if not found:
        return []
    top = max(candidate.weight() for candidate in found)
    shares = [math.exp((candidate.weight() - top) / _TEMPERATURE) for candidate in found]
    whole = sum(shares)
    out = []
    for candidate, share in zip(found, shares, strict=True):
        out.append(replace(candidate, probability=share / whole))
    return sorted(out, key=lambda candidate: (-candidate.probability, candidate.service))
