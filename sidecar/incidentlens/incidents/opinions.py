"""What people said of earlier incidents, as far as it bears on this one: bounded, and with who said it.

Only words in force count (a withdrawn one is none), and only of incidents that share a signature. What they do is small
on purpose: three words at most sway anything, a score by 30 % at most; nothing here changes a severity.
"""

from __future__ import annotations

from collections.abc import Sequence

from incidentlens.model.base import Value
from incidentlens.model.decisions import Feedback
from incidentlens.model.incidents import ChainStep, Incident, RootCause, ServiceScore
from incidentlens.model.past import PastIncident

MOST = 3  # words on one thing that count
SWAY = 0.1  # of a score, a word
SWAYED_CONFIDENCE = 0.7  # at most, where people's words and not the records put a service first


class Opinion(Value):
    """One thing that people said: `for_` says of what (a service, a runbook, or the leading signature)."""

    kind: str  # "cause", "runbook" or "noise"
    about: str
    votes: int  # for it less against it, from -3 to 3
    said: tuple[Feedback, ...]  # the words that count, the latest first

    @property
    def persons(self) -> str:
        """Who said it, each once."""
        return ", ".join(dict.fromkeys(entry.by for entry in self.said))

    @property
    def factor(self) -> float:
        """What a score is multiplied by: 0.7 to 1.3."""
        return 1 + SWAY * self.votes

    @property
    def text(self) -> str:
        """As it is shown where it acts."""
        times = _times(len(self.said))
        if self.kind == "noise":
            return f"called noise {times} by {self.persons}"
        which = "up" if self.votes > 0 else "down"
        return f"ranked {which}: people said so {times} ({self.persons})"


def opinions(incident: Incident, past: Sequence[PastIncident]) -> tuple[Opinion, ...]:
    """What people's words on earlier incidents mean for `incident`; its own words count like the others'. Pure."""
    mine, lead = set(incident.signatures), _lead(PastIncident.of(incident))
    votes: dict[tuple[str, str], list[tuple[int, Feedback]]] = {}

    def vote(kind: str, about: str, by: int, said: Feedback) -> None:
        if about:
            votes.setdefault((kind, about), []).append((by, said))

    for other in past:
        if not mine & set(other.signatures):
            continue
        cause = other.root_cause.service if other.root_cause and not other.root_cause.undetermined else ""
        for said in other.feedback:
            if said.verdict == "right_cause":
                vote("cause", cause, 1, said)
            elif said.verdict == "wrong_cause":
                vote("cause", cause, -1, said)
                vote("cause", said.service or "", 1, said)
            elif said.verdict in ("helped", "not_helped"):
                vote("runbook", other.runbook or "", 1 if said.verdict == "helped" else -1, said)
            if lead and _lead(other) == lead:
                # Whoever found a cause or a use for it says that it was no noise.
                real = said.verdict in ("right_cause", "wrong_cause", "helped", "not_helped")
                if said.verdict == "noise" or real:
                    vote("noise", lead[1], -1 if real else 1, said)
    found = []
    for (kind, about), cast in votes.items():
        net = sum(by for by, _ in cast)
        if net == 0 or (kind == "noise" and net < 0):
            continue
        agreeing = sorted((said for by, said in cast if by * net > 0), key=lambda said: (-said.at, said.id))
        found.append(Opinion(kind=kind, about=about, votes=max(-MOST, min(MOST, net)), said=tuple(agreeing)))
    return tuple(sorted(found, key=lambda opinion: (opinion.kind, -abs(opinion.votes), opinion.about)))


def swayed(cause: RootCause, incident: Incident, said: Sequence[Opinion]) -> RootCause:
    """The suspected cause with its ranking swayed by what people said of services; the chain says so. Pure.

    A service takes the first place only where it fails in this incident, and its swayed score is the greatest; the
    confidence is then 0.7 at most. An undetermined cause stays so: words about other incidents are no proof of this.
    """
    about = {opinion.about: opinion for opinion in said if opinion.kind == "cause"}
    if not about or cause.undetermined or not any(entry.service in about for entry in cause.ranking):
        return cause
    scores = {
        entry.service: entry.score * (about[entry.service].factor if entry.service in about else 1.0)
        for entry in cause.ranking
    }
    ranking = tuple(
        ServiceScore(service=service, score=round(score, 6))
        for service, score in sorted(scores.items(), key=lambda pair: -pair[1])
    )
    chain = tuple(_noted(step, about) for step in cause.chain)
    changed = cause.model_copy(update={"ranking": ranking, "chain": chain})
    first = ranking[0].service
    step = next((step for step in chain if step.service == first), None)
    if first == cause.service or step is None or first not in about or about[first].votes < 0:
        return changed
    moved = (
        step.model_copy(update={"role": "cause"}),
        *(one.model_copy(update={"role": "link"}) if one.role == "cause" else one for one in chain if one is not step),
    )
    summary = f"{first}: {step.template} ({about[first].text}; without that {cause.service} comes first)"
    return changed.model_copy(
        update={
            "service": first,
            "signature": step.signature,
            "summary": summary,
            "confidence": min(cause.confidence, SWAYED_CONFIDENCE),
            "chain": moved,
        }
    )


def _noted(step: ChainStep, about: dict[str, Opinion]) -> ChainStep:
    opinion = about.get(step.service)
    return step if opinion is None else step.model_copy(update={"because": f"{step.because}; {opinion.text}"})


def _lead(one: PastIncident) -> tuple[str, str] | None:
    """Service and signature an incident stands for: the suspected cause's, else its first signature's."""
    cause = one.root_cause
    if cause is not None and not cause.undetermined and cause.signature:
        return cause.service, cause.signature
    return (one.service, one.signatures[0]) if one.signatures else None


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
