"""Is what a model says in what it cites? Decided by code, and it fails closed.

A claim is struck out where it cites nothing, cites what is not shown, or names a service, number, host, error or
quoted text that its citations do not contain. What is compared are names and numbers, not meanings: a claim that stands
may still be wrong, but it speaks of things that are there, and the reader can look.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import re2

from incidentlens.model.analysis import Bundle, Claim
from incidentlens.model.base import Value

from .answer import ModelAnswer
from .view import View

_REFERENCE = re2.compile(r"\[?\bE\d{1,4}\b\]?")
_URL = re2.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,15}://[^\s\"'<>)\]]+")
_MAIL = re2.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*")
_HOST = re2.compile(r"\b[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_-]+)+(?::\d{1,5})?\b")
_QUOTED = re2.compile(r"`([^`]{2,200})`|\"([^\"]{2,200})\"|“([^”]{2,200})”|'([^']{3,200})'")
_IDENTIFIER = re2.compile(r"\b(?:[A-Za-z]+(?:_[A-Za-z0-9]+)+|(?:[A-Z][a-z0-9]+){2,}|[a-z]+(?:[A-Z][a-z0-9]+)+)\b")
_CODE = re2.compile(r"\b[A-Z]{2,}[A-Z0-9]*\b")  # OOM, ECONNREFUSED, SIGKILL
_NUMBER = re2.compile(r"\d+(?:[.,]\d+)*")
_DIGITS_IN_NAME = re2.compile(r"\b[A-Za-z]+(?:-[A-Za-z0-9]+)*-?\d+[A-Za-z0-9-]*\b")
# A name beside a word for what it is: `the billing-gateway service`, `pod cart-7f`.
_THING = r"(?:service|services|pod|container|host|node|deployment|database|queue|topic|cluster|server|broker)"
_NAMED_THING = re2.compile(
    rf"\b([A-Za-z][\w.-]*[-_.][\w.-]*\w)\s+{_THING}\b|\b{_THING}\s+([A-Za-z][\w.-]*[-_.][\w.-]*\w)\b"
)
_COMMAND = re2.compile(
    r"(?i)(?:\$\(|\|\s*(?:ba)?sh\b|&&|;\s*\w+\s|\b(?:sudo|curl|wget|kubectl|helm|rm|chmod|chown|eval|exec|bash|nc|ssh|scp|"
    r"docker|systemctl|python|powershell|base64)\s+\S)"
)
_ORDINARY = frozenset(
    ("IT", "ID", "IDS", "OK", "UTC", "API", "CPU", "HTTP", "HTTPS", "TCP", "SQL", "DNS", "URL", "JSON")
)


class Struck(Value):
    """What was taken out of an answer, and why."""

    part: str  # claim, cause, summary, next_step, runbook_step
    text: str
    why: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What of an answer stands. `cause` is None where the cause fell: the deterministic analysis then stands."""

    cause: Claim | None
    cause_service: str
    claims: tuple[Claim, ...]
    summary: str | None
    steps: tuple[str, ...]
    runbook_steps: tuple[str, ...]
    struck: tuple[Struck, ...]
    undetermined: bool


def check(answer: ModelAnswer, view: View, bundle: Bundle) -> Verdict:
    """Compare each part of `answer` with what it cites. Never raises for anything that an answer can hold."""
    struck: list[Struck] = []
    services = _services(bundle)
    texts = {entry.name: _evidence_text(entry.text, entry.evidence, bundle) for entry in view.shown}

    def stands(part: str, text: str, names: Sequence[str], *, everywhere: bool = False) -> tuple[str, ...] | None:
        """The cited ids, or None where it is struck out."""
        known = [name.strip().strip("[]").upper() for name in names]
        cited = known if not everywhere else list(texts)
        why = _citations(known, texts) if not everywhere else ""
        why = why or ungrounded(text, [texts[name] for name in cited if name in texts], services)
        if why:
            struck.append(Struck(part=part, text=text[:300], why=why))
            return None
        return view.evidence_of(cited)

    claims = [
        Claim(text=claim.text, evidence=cited)
        for claim in answer.claims
        if (cited := stands("claim", claim.text, claim.evidence)) is not None
    ]
    cause, service, undetermined = None, "", _is_undetermined(answer)
    if not undetermined:
        said = f"{answer.cause.text} (service {answer.cause.service})" if answer.cause.service else answer.cause.text
        cited = stands("cause", said, answer.cause.evidence)
        why = _unknown_service(answer.cause.service, services)
        if cited is not None and why:
            struck.append(Struck(part="cause", text=said[:300], why=why))
        elif cited is not None:
            cause, service = Claim(text=answer.cause.text, evidence=cited), answer.cause.service
    summary: str | None = answer.summary
    if stands("summary", answer.summary, (), everywhere=True) is None:
        summary = None
    elif why := risky(answer.summary):
        struck.append(Struck(part="summary", text=answer.summary[:300], why=why))
        summary = None
    if cause is not None and (why := risky(cause.text)):
        struck.append(Struck(part="cause", text=cause.text[:300], why=why))
        cause, service = None, ""
    steps = _harmless("next_step", answer.next_steps, struck)
    draft = answer.runbook_draft
    runbook_steps = _harmless("runbook_step", draft.steps if draft is not None else (), struck)
    return Verdict(cause, service, tuple(claims), summary, steps, runbook_steps, tuple(struck), undetermined)


def ungrounded(text: str, cited: Sequence[str], services: Iterable[str] = ()) -> str:
    """What `text` names that none of `cited` contains, as a sentence; empty where everything is there."""
    plain = _REFERENCE.sub(" ", text)
    have = "\n".join(cited).lower()
    for service in services:
        if _names(plain.lower(), service.lower()) and service.lower() not in have:
            return f"names the service {service}, which its citations do not"
    rest = plain
    for kind, pattern in (("address", _URL), ("address", _MAIL), ("host", _HOST)):
        for found in pattern.findall(rest):
            word = found.rstrip(".,;:)").lower()
            if kind == "host" and _NUMBER.fullmatch(word):
                continue
            if word not in have:
                return f"names the {kind} {found[:80]}, which its citations do not"
        rest = pattern.sub(lambda match: match.group(0) if _NUMBER.fullmatch(match.group(0)) else " ", rest)
    for groups in _QUOTED.findall(rest):
        quoted = next(group for group in groups if group)
        if " ".join(quoted.lower().split()) not in " ".join(have.split()):
            return f"quotes {quoted[:80]!r}, which its citations do not contain"
    for pattern in (_IDENTIFIER, _DIGITS_IN_NAME):
        for found in pattern.findall(rest):
            if found.lower() not in have:
                return f"names {found[:80]}, which its citations do not"
    for found in _CODE.findall(rest):
        if found not in _ORDINARY and found.lower() not in have:
            return f"names {found[:80]}, which its citations do not"
    for groups in _NAMED_THING.findall(rest):
        name = next(group for group in groups if group)
        if name.lower() not in have:
            return f"names {name[:80]}, which its citations do not"
    numbers = {_value(number) for number in _NUMBER.findall(have)}
    for number in _NUMBER.findall(_DIGITS_IN_NAME.sub(" ", rest)):
        if _value(number) not in numbers:
            return f"says {number}, which its citations do not"
    return ""


def risky(text: str) -> str:
    """Why a sentence must not be shown as the tool's own: it holds an address or something to be run."""
    if _URL.search(text) or _MAIL.search(text):
        return "holds an address, which a model's sentence may not"
    if _COMMAND.search(text):
        return "holds a command, which a model's sentence may not"
    return ""


def _harmless(part: str, steps: Sequence[str], struck: list[Struck]) -> tuple[str, ...]:
    kept = []
    for step in steps:
        text = " ".join(step.split())[:400]
        if why := risky(text):
            struck.append(Struck(part=part, text=text[:300], why=why))
        elif text:
            kept.append(text)
    return tuple(kept)


def _citations(names: Sequence[str], texts: dict[str, str]) -> str:
    if not names:
        return "cites nothing"
    missing = [name for name in names if name not in texts]
    return f"cites {missing[0][:20]}, which was not shown" if missing else ""


def _unknown_service(service: str, services: frozenset[str]) -> str:
    if service and service.lower() not in {known.lower() for known in services}:
        return f"blames {service[:80]}, a service that the evidence does not know"
    return ""


def _is_undetermined(answer: ModelAnswer) -> bool:
    said = answer.cause.text.strip().lower()
    return not answer.cause.service.strip() and (
        said.startswith(("undetermined", "unknown")) or not answer.cause.evidence
    )


def _services(bundle: Bundle) -> frozenset[str]:
    incident = bundle.incident
    named = {mention for problem in incident.problems for mention in problem.mentions}
    chain = {step.service for step in incident.root_cause.chain} if incident.root_cause is not None else set()
    return frozenset({*incident.services, *named, *chain, *(item.service for item in bundle.items)} - {""})


def _evidence_text(shown: str, evidence: str, bundle: Bundle) -> str:
    """What counts as contained in an entry: what was shown of it, and its service. Not what was masked or cut."""
    item = bundle.item(evidence)
    return f"{shown}\n{item.service}" if item is not None else shown


def _names(text: str, service: str) -> bool:
    """True where a text has a service's name as a word of its own."""
    at = text.find(service)
    while at >= 0:
        before, after = text[at - 1 : at], text[at + len(service) : at + len(service) + 1]
        if not (before.isalnum() or before in ("-", "_")) and not (after.isalnum() or after in ("-", "_")):
            return True
        at = text.find(service, at + 1)
    return False


def _value(number: str) -> str:
    """A number in one form: without thousands separators, leading zeros and trailing zeros of a fraction."""
    whole = (
        number.replace(",", "") if all(len(part) == 3 for part in number.split(",")[1:]) else number.replace(",", ".")
    )
    head, dot, tail = whole.partition(".")
    tail = tail.rstrip("0") if dot and "." not in tail else tail
    return f"{head.lstrip('0') or '0'}.{tail}" if tail else head.lstrip("0") or "0"
