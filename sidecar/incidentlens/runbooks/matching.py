"""Which runbooks fit an incident, how well, and why.

A runbook's score is the best over the incident's problems of

    quality of the match (where the pattern stood, in how many samples, how much text it took, how many patterns)
    x the problem's part in the incident (the suspected cause weighs 1, a link less, a symptom least)

so a runbook for the cause comes before one for a symptom, and a word in one stray sample is no match at all.

Where no pattern fits well, the text of the runbooks is compared with what the heaviest problems say (`likeness`). What
is found so comes after what patterns found, and never decides anything by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

import orjson

from incidentlens.model.analysis import RunbookMatch, RunbookVotes
from incidentlens.model.incidents import Incident, Problem

from .likeness import Likeness
from .model import Runbook
from .patterns import PatternSet

MATCH = 0.5  # a score below is no match
SURE = 0.7  # where a pattern fits so well, texts are not compared
TEXT_PROBLEMS = 3  # of an incident, whose texts are compared
TEXT_MATCHES = 3  # by text, at most
MAX_PROBLEMS = 50  # the incident's heaviest
ROLE_WEIGHT = {"cause": 1.0, "link": 0.7, "symptom": 0.6}

# What a hit is worth by where it stands. A template is every record of the problem; a line has the header too, where
# a logger's or a file's name can look like a failure.
_TEMPLATE, _MESSAGE, _NAME, _LINE = 0.78, 0.74, 0.7, 0.62
_MORE_PATTERNS = 0.06  # each further pattern that hits, three at most
_SPECIFIC = 0.10  # a hit of 40 characters or more; shorter ones by their length
_SHORT = 0.12  # taken off where the hit has fewer than 5 characters
_SERVICE = 0.04  # the runbook names the service
_HAS_PATTERNS = 0.7  # of a text's score, where the runbook says by patterns what it is for and none of them fits
_VOTE = 0.02  # a person's word on a runbook; three at most count
_WORDS = 3  # that a text and a runbook must share
_MESSAGE_TEXT = 1_000  # characters of a message that are compared with the runbooks' texts


class _Hit(NamedTuple):
    worth: float
    where: str
    pattern: int
    text: str


class Matcher:
    """Finds the runbooks that fit. Build it once per set of runbooks; matching is free of state.

    Raises PatternError (a ValueError) where a runbook has a pattern that RE2 does not take.
    """

    def __init__(
        self, runbooks: Sequence[Runbook], *, use_semantic: bool | None = None, background: bool = False
    ) -> None:
        self._runbooks = {runbook.id: runbook for runbook in runbooks}
        self._texts = Likeness(self.runbooks, use_semantic=use_semantic, background=background)
        owners: list[str] = []
        patterns: list[str] = []
        for runbook in self._runbooks.values():
            owners += [runbook.id] * len(runbook.patterns)
            patterns += runbook.patterns
        self._owners = owners
        self._patterns = PatternSet(patterns)

    @property
    def runbooks(self) -> tuple[Runbook, ...]:
        return tuple(self._runbooks.values())

    def runbook(self, runbook_id: str) -> Runbook | None:
        return self._runbooks.get(runbook_id)

    def match(self, incident: Incident, votes: Mapping[str, RunbookVotes] | None = None) -> list[RunbookMatch]:
        """The runbooks that score at least 0.5: those with a fitting pattern, best first, then those whose text fits.

        Equal scores come in the order of their ids. `RunbookMatch.by` says which way one was found. `votes`, what
        people said of runbooks on incidents like this one, move a score by 0.06 at most and never under 0.5: they
        change the order, not what is a match.
        """
        roles = problem_roles(incident)
        heaviest = sorted(incident.problems, key=lambda problem: (-roles[problem.id][1], -problem.score, problem.onset))
        best: dict[str, RunbookMatch] = {}
        for problem in heaviest[:MAX_PROBLEMS]:
            for match in self._problem(problem, *roles[problem.id], incident):
                known = best.get(match.runbook_id)
                if known is None or match.score > known.score:
                    best[match.runbook_id] = match
        found = _ranked(best, votes)
        if found and found[0].score >= SURE:
            return found
        by_text: dict[str, RunbookMatch] = {}
        for problem in heaviest[:TEXT_PROBLEMS]:
            for match in self._by_text(problem, *roles[problem.id], incident):
                known = by_text.get(match.runbook_id)
                if all(match.runbook_id != one.runbook_id for one in found) and (
                    known is None or match.score > known.score
                ):
                    by_text[match.runbook_id] = match
        return [*found, *_ranked(by_text, votes)[:TEXT_MATCHES]]

    def _by_text(self, problem: Problem, role: str, weight: float, incident: Incident) -> list[RunbookMatch]:
        matches = []
        for match in self._texts.match(problem_text(problem)):
            runbook = self.runbooks[match.runbook]
            fits = match.score * weight * (_HAS_PATTERNS if runbook.patterns else 1.0)
            if fits < MATCH or len(match.words) < _WORDS:
                continue
            if _fits_service(runbook, problem.service) is None or not _fits_labels(runbook, problem, incident):
                continue
            alike = f"its text fits what {problem.service} says: {', '.join(match.words)}"
            measured = f"words {match.lexical:.2f}"
            if match.cosine is not None:
                measured += f", meaning {match.cosine:.2f}"
            reasons = (f"{alike} ({measured})", _role_text(role, problem), "found by its text: it decides nothing")
            matches.append(
                RunbookMatch(
                    runbook_id=runbook.id,
                    name=runbook.name,
                    score=round(fits, 3),
                    reasons=reasons,
                    steps=runbook.steps,
                    problem_id=problem.id,
                    by="text",
                )
            )
        return matches

    def pattern_hits(self, incident: Incident) -> dict[str, tuple[str, ...]]:
        """By runbook id, its patterns that stand anywhere in the incident: for statistics of their use."""
        found: dict[str, dict[str, None]] = {}
        for problem in incident.problems[:MAX_PROBLEMS]:
            for runbook_id, hits in self._hits(problem).items():
                found.setdefault(runbook_id, {}).update(dict.fromkeys(self._patterns.patterns[h.pattern] for h in hits))
        return {runbook_id: tuple(patterns) for runbook_id, patterns in found.items()}

    def _problem(self, problem: Problem, role: str, weight: float, incident: Incident) -> list[RunbookMatch]:
        matches = []
        for runbook_id, hits in self._hits(problem).items():
            runbook = self._runbooks[runbook_id]
            named = _fits_service(runbook, problem.service)
            if named is None or not _fits_labels(runbook, problem, incident):
                continue
            quality, reasons = _quality(hits, self._patterns.patterns)
            if named:
                quality += _SERVICE
                reasons.append(f"the runbook names the service {problem.service}")
            if runbook.labels:
                reasons.append("labels fit: " + ", ".join(f"{key}={value}" for key, value in runbook.labels.items()))
            reasons.append(_role_text(role, problem))
            matches.append(
                RunbookMatch(
                    runbook_id=runbook_id,
                    name=runbook.name,
                    score=round(min(quality, 1.0) * weight, 3),
                    reasons=tuple(reasons),
                    steps=runbook.steps,
                    problem_id=problem.id,
                )
            )
        return matches

    def _hits(self, problem: Problem) -> dict[str, list[_Hit]]:
        """By runbook, the best hit of each of its patterns in this problem."""
        best: dict[int, _Hit] = {}

        def keep(found: dict[int, str], worth: float, where: str) -> None:
            for index, text in found.items():
                hit = _Hit(worth, where, index, text)
                if index not in best or hit.worth > best[index].worth:
                    best[index] = hit

        keep(self._patterns.hits(problem.template), _TEMPLATE, "the template")
        keep(self._patterns.hits(_readable(problem.signature)), _NAME, "the signature's name")
        total = len(problem.samples)
        for worth, part, texts in (
            (_MESSAGE, "messages", [sample.message for sample in problem.samples]),
            (_LINE, "lines", [sample.line for sample in problem.samples]),
        ):
            counts: dict[int, tuple[int, str]] = {}
            for text in texts:
                for index, matched in self._patterns.hits(text).items():
                    counts[index] = (counts.get(index, (0, ""))[0] + 1, matched)
            for index, (count, matched) in counts.items():
                keep({index: matched}, worth * (0.4 + 0.6 * count / total), f"{count} of {total} sample {part}")
        by_runbook: dict[str, list[_Hit]] = {}
        for hit in best.values():
            by_runbook.setdefault(self._owners[hit.pattern], []).append(hit)
        return by_runbook


def problem_text(problem: Problem) -> str:
    """What a problem says: its service, signature, template and the messages of three samples."""
    messages = [sample.message[:_MESSAGE_TEXT] for sample in problem.samples[:3]]
    return "\n".join([problem.service, _readable(problem.signature), problem.template[:_MESSAGE_TEXT], *messages])


def _ranked(matches: Mapping[str, RunbookMatch], votes: Mapping[str, RunbookVotes] | None) -> list[RunbookMatch]:
    """Those that match at all, best first, each with what people said of it."""
    found = [_voted(match, (votes or {}).get(match.runbook_id)) for match in matches.values() if match.score >= MATCH]
    return sorted(found, key=lambda match: (-match.score, match.runbook_id))


def _voted(match: RunbookMatch, votes: RunbookVotes | None) -> RunbookMatch:
    if votes is None:
        return match
    highest = 1.0 if match.score >= SURE else SURE - 0.001  # people's words alone make no runbook decide
    score = round(min(highest, max(MATCH, match.score + _VOTE * votes.net)), 3)
    return match.model_copy(update={"score": score, "reasons": (*match.reasons, votes.why)})


def problem_roles(incident: Incident) -> dict[str, tuple[str, float]]:
    """Each problem's part in the incident and the weight it gives a match.

    Without a determined cause no problem counts as a symptom: each weighs by how early it began, 1.0 down to 0.8.
    """
    cause = incident.root_cause
    if cause is None or cause.undetermined or not cause.signature:
        ordered = sorted(incident.problems, key=lambda problem: (problem.onset, -problem.score))
        steps = max(len(ordered) - 1, 1)
        return {problem.id: ("undetermined", 1.0 - 0.2 * index / steps) for index, problem in enumerate(ordered)}
    chain = {(step.service, step.signature): step.role for step in cause.chain}
    chain[cause.service, cause.signature] = "cause"
    roles = {}
    for problem in incident.problems:
        role = chain.get((problem.service, problem.signature), "symptom")
        role = role if role in ROLE_WEIGHT else "symptom"
        roles[problem.id] = (role, ROLE_WEIGHT[role])
    return roles


def _quality(hits: list[_Hit], patterns: Sequence[str]) -> tuple[float, list[str]]:
    hits = sorted(hits, key=lambda hit: (-hit.worth, -len(hit.text), hit.pattern))
    longest = max(len(hit.text) for hit in hits)
    quality = hits[0].worth + _MORE_PATTERNS * min(len(hits) - 1, 3) + _SPECIFIC * min(longest, 40) / 40
    if longest < 5:
        quality -= _SHORT
    reasons = [f"pattern {patterns[hit.pattern]!r} matches {hit.text[:80]!r} in {hit.where}" for hit in hits[:4]]
    return quality, reasons


def _fits_service(runbook: Runbook, service: str) -> bool | None:
    """True where the runbook names the service, False where it takes any, None where it is for others."""
    if not runbook.services:
        return False
    return True if any(fnmatchcase(service.lower(), glob.lower()) for glob in runbook.services) else None


def _fits_labels(runbook: Runbook, problem: Problem, incident: Incident) -> bool:
    """Every label of the runbook (globs allowed) is on the incident or on a stream of the problem's samples."""
    if not runbook.labels:
        return True
    streams = [incident.labels]
    for stream in {sample.stream for sample in problem.samples}:
        try:
            labels = orjson.loads(stream)
        except orjson.JSONDecodeError:
            continue
        if isinstance(labels, dict):
            streams.append({str(key): str(value) for key, value in labels.items()} | incident.labels)
    return any(
        all(key in labels and fnmatchcase(labels[key].lower(), glob.lower()) for key, glob in runbook.labels.items())
        for labels in streams
    )


def _readable(signature: str) -> str:
    """`db:ERROR:connection_pool_exhausted#1f3a` as words: `connection pool exhausted`."""
    return signature.partition("#")[0].rpartition(":")[2].replace("_", " ")


def _role_text(role: str, problem: Problem) -> str:
    match role:
        case "cause":
            return f"{problem.service} is the suspected cause"
        case "undetermined":
            return f"in {problem.service}; the cause is not determined"
        case _:
            return f"{problem.service} is only a {role} of the incident, so the match weighs {ROLE_WEIGHT[role]:.0%}"
