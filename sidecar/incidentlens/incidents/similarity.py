"""Which earlier incidents are like this one, how much, why, and what ended them.

The likeness is a weighted mean of four comparisons, each 0 to 1: signatures (Jaccard's index with the inverse document
frequency as weight, so that what every incident has says little), services (Jaccard), the chain's edges from service to
service (Jaccard), and the words of titles, causes and signatures (Jaccard, weighted likewise). What one of the two does
not have is left out of the mean. Inverse document frequency: Sparck Jones 1972, smoothed.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise

from incidentlens.model.incidents import Incident, RootCause
from incidentlens.model.past import PastIncident, SimilarIncident
from incidentlens.model.terms import Outcome, Status

WEIGHTS = {"signatures": 0.5, "services": 0.15, "chain": 0.15, "text": 0.2}
ALIKE = 0.25  # less is no likeness: the same services alone give .18
CONFIRMED = 0.05  # added where a person confirmed or corrected the cause, or found that the runbook helped
_WORD = re.compile(r"[a-z]{3,30}")
_SHOWN = 3


def similar(incident: Incident, past: Sequence[PastIncident], limit: int = 3) -> list[SimilarIncident]:
    """The `limit` most like `incident`, best first, of equal ones the latest. Pure.

    `incident` itself may be among `past`; it is left out.
    """
    here = PastIncident.of(incident)
    others = [other for other in past if other.id != incident.id]
    everything = [here, *others]
    words = {one.id: _words(one) for one in everything}
    rare_words = _rarity(words.values())
    rare_signatures = _rarity(set(one.signatures) for one in everything)
    found = []
    for other in others:
        parts = {
            "signatures": _overlap(here.signatures, other.signatures, rare_signatures),
            "services": _overlap(here.services, other.services),
            "text": _overlap(words[here.id], words[other.id], rare_words),
        }
        mine, theirs = _edges(here.root_cause), _edges(other.root_cause)
        if mine and theirs:
            parts["chain"] = _overlap(mine, theirs)
        likeness = sum(WEIGHTS[name] * value for name, value in parts.items()) / sum(WEIGHTS[name] for name in parts)
        if likeness < ALIKE:
            continue
        reasons = _reasons(here, other, words, rare_words)
        if said := _confirmed(other):
            likeness = min(1.0, likeness + CONFIRMED)
            reasons.append(f"ranked up: {said}")
        found.append(
            SimilarIncident(
                past=other,
                score=round(likeness, 3),
                parts={name: round(value, 3) for name, value in parts.items()},
                reasons=tuple(reasons),
                resolved_by=resolved_by(other),
            )
        )
    found.sort(key=lambda entry: (-entry.score, -entry.past.last_seen, entry.past.id))
    return found[:limit]


def resolved_by(past: PastIncident) -> str:
    """What ended it: the runbook that helped, the person who closed it and why, or that it went quiet."""
    said = []
    helped = [entry for entry in past.feedback if entry.verdict == "helped"]
    if helped:
        named = f"runbook {past.runbook}" if past.runbook else "what it advised"
        note = f": {helped[-1].text}" if helped[-1].text else ""
        said.append(f"{named} helped ({helped[-1].by}{note})")
    if past.ended_by and past.status in (Status.CLOSED, Status.IGNORED):
        note = f": {past.ended_note}" if past.ended_note else ""
        said.append(f"{past.status.value} by {past.ended_by}{note}")
    elif past.outcome is Outcome.RESOLVED:
        said.append(f"verified as resolved{f': {past.outcome_why}' if past.outcome_why else ''}")
    elif past.ended_at is not None and not said:
        said.append(past.status.value)
    return "; ".join(said)[:1000]


def known_cause(past: PastIncident) -> str:
    """What a person confirmed or corrected, the latest word first; a cause nobody confirmed is no known cause."""
    for said in sorted(past.feedback, key=lambda said: -said.at):
        if said.verdict == "wrong_cause" and (said.service or said.text):
            named = f"{said.service}: " if said.service else ""
            return f"{said.by} named the cause of that incident: {named}{said.text}".rstrip(": ")
        if said.verdict == "right_cause" and past.root_cause and not past.root_cause.undetermined:
            return f"{said.by} confirmed the cause of that incident: {past.root_cause.summary}"
    return ""


def _confirmed(past: PastIncident) -> str:
    persons = dict.fromkeys(
        entry.by for entry in past.feedback if entry.verdict in ("right_cause", "wrong_cause", "helped")
    )
    return f"{', '.join(list(persons)[:_SHOWN])} said what it was" if persons else ""


def _overlap(one: Collection[str], other: Collection[str], weight: Mapping[str, float] | None = None) -> float:
    left, right = set(one), set(other)
    both, either = left & right, left | right
    if not either:
        return 0.0
    if weight is None:
        return len(both) / len(either)
    return math.fsum(weight[item] for item in both) / math.fsum(weight[item] for item in either)


def _rarity(documents: Iterable[Collection[str]]) -> dict[str, float]:
    counts: Counter[str] = Counter()
    total = 0
    for document in documents:
        counts.update(set(document))
        total += 1
    return {item: 1 + math.log((total + 1) / (count + 1)) for item, count in counts.items()}


def _words(one: PastIncident) -> frozenset[str]:
    """What it says, without the services' names, which are compared by themselves."""
    texts = [one.title, *(name.partition("#")[0] for name in one.signatures)]
    if one.root_cause is not None:
        texts += [one.root_cause.summary, *(step.template for step in one.root_cause.chain)]
    names = set(_WORD.findall(" ".join(one.services).lower()))
    return frozenset(_WORD.findall(" ".join(texts).lower().replace("_", " "))) - names


def _edges(cause: RootCause | None) -> frozenset[str]:
    """The chain's steps from service to service; empty where there is no chain of two."""
    if cause is None or cause.undetermined:
        return frozenset()
    services = list(dict.fromkeys(step.service for step in cause.chain))
    return frozenset(f"{one} → {other}" for one, other in pairwise(services))


def _reasons(
    here: PastIncident,
    other: PastIncident,
    words: Mapping[str, frozenset[str]],
    rare: Mapping[str, float],
) -> list[str]:
    reasons = []
    if common := [name for name in here.signatures if name in set(other.signatures)]:
        reasons.append(f"{len(common)} of {len(here.signatures)} signatures in common: {_listed(common)}")
    if _cause(here) and _cause(here) == _cause(other):
        reasons.append(f"the same suspected cause, {here.root_cause.service if here.root_cause else ''}")
    if edges := sorted(_edges(here.root_cause) & _edges(other.root_cause)):
        reasons.append(f"the same chain: {_listed(edges)}")
    if services := [name for name in here.services if name in set(other.services)]:
        reasons.append(f"in the same services: {_listed(services)}")
    said = words[here.id] & words[other.id]
    if telling := sorted(said, key=lambda word: (-rare[word], -len(word), word))[:5]:
        reasons.append(f"the same words: {', '.join(telling)}")
    return reasons


def _cause(one: PastIncident) -> tuple[str, str] | None:
    cause = one.root_cause
    return None if cause is None or cause.undetermined else (cause.service, cause.signature)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
