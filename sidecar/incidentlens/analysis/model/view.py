"""What a model is shown of a bundle: the informative first, masked, within a budget of tokens.

Never logs at large: signatures with their counts and times (templates, whose parameters are masked out), a few samples,
the chain, deploys, runbooks and similar incidents. Each thing has a short name (E1, E2, …) by which it is cited.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import re2
import xxhash

from incidentlens.model.analysis import Bundle, EvidenceItem, Finding, RunbookMatch
from incidentlens.model.base import Value
from incidentlens.model.incidents import Incident, Problem
from incidentlens.model.times import utc

Mask = Callable[[str, Counter[str]], str]
"""Masks a text and counts what it masked, by kind; see `actions.redaction.mask`."""

CHARACTERS_PER_TOKEN = 3.2  # a low guess for logs, which are full of digits, so that the budget holds
_MAX_LINE = 400
_MAX_PROBLEMS = 25
_SAMPLES_A_PROBLEM = 2
_IPV4 = re2.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b")


class Shown(Value):
    """One citable thing as it is shown: `name` is E1, E2, …; `evidence` the id in the bundle."""

    name: str
    evidence: str
    kind: str
    text: str


class View(Value):
    """What is sent. `digest` is the same for the same content; `left_out` counts what the budget cut off."""

    head: dict[str, Any]
    shown: tuple[Shown, ...]
    masked: dict[str, int]
    left_out: int
    digest: str

    def evidence_of(self, names: Sequence[str]) -> tuple[str, ...]:
        """The bundle's ids of those names that are shown, in their order, each once."""
        by_name = {entry.name: entry.evidence for entry in self.shown}
        found = (by_name.get(name.strip().strip("[]").upper()) for name in names)
        return tuple(dict.fromkeys(evidence for evidence in found if evidence is not None))


def tokens_of(text: str) -> int:
    """About how many tokens a text takes; high rather than low."""
    return int(len(text) / CHARACTERS_PER_TOKEN) + 1


def view_of(
    bundle: Bundle,
    findings: Sequence[Finding],
    runbooks: Sequence[RunbookMatch],
    mask: Mask,
    *,
    max_tokens: int = 6000,
    mask_addresses: bool = False,
) -> View:
    """Choose what is shown of `bundle` within `max_tokens`.

    Order is by what it tells: the chain's own records, one line a problem, what changed, alerts, runbooks, similar
    incidents and confirmed causes, then more samples, the most different first. A text is masked before it is cut.
    """
    masked: Counter[str] = Counter()

    def clean(text: str) -> str:
        text = mask(text, masked)
        if mask_addresses:
            found = len(_IPV4.findall(text))
            masked["address"] += found
            text = _IPV4.sub("[masked:address]", text) if found else text
        text = " ".join(text.split())
        return text if len(text) <= _MAX_LINE else f"{text[:_MAX_LINE]}…"

    head = _head(bundle.incident, findings, clean)
    budget = max_tokens - tokens_of(json.dumps(head, ensure_ascii=False))
    shown: list[Shown] = []
    left_out = bundle.dropped
    for item in _by_interest(bundle, runbooks):
        text = clean(_text(item, bundle.incident))
        cost = tokens_of(text) + 12
        if cost > budget:
            left_out += 1
            continue
        budget -= cost
        shown.append(Shown(name=f"E{len(shown) + 1}", evidence=item.id, kind=item.kind, text=text))
    content = json.dumps([head, [entry.model_dump() for entry in shown]], sort_keys=True, ensure_ascii=False)
    return View(
        head=head,
        shown=tuple(shown),
        masked={kind: count for kind, count in sorted(masked.items()) if count},
        left_out=left_out,
        digest=xxhash.xxh3_128_hexdigest(content.encode("utf-8", "replace")),
    )


def _head(incident: Incident, findings: Sequence[Finding], clean: Callable[[str], str]) -> dict[str, Any]:
    """What is known for sure, as plain values. Nothing of it is text of a log but templates and services."""
    cause = incident.root_cause
    determined = cause is not None and not cause.undetermined
    return {
        "since": utc(incident.onset),
        "until": utc(incident.last_seen),
        "records": incident.count,
        "services": [clean(service) for service in incident.services[:20]],
        "severity_by_counts": incident.severity.value,
        "reopened": incident.reopened,
        "cause_by_rules": clean(cause.summary) if cause is not None and determined else "undetermined",
        "confidence_by_rules": round(cause.confidence, 2) if cause is not None and determined else 0.0,
        "chain_by_rules": [
            {"service": clean(step.service), "role": step.role, "template": clean(step.template)}
            for step in (cause.chain[:8] if cause is not None else ())
        ],
        "findings_by_rules": [clean(finding.text) for finding in findings if finding.confidence >= 0.5][:8],
    }


def _by_interest(bundle: Bundle, runbooks: Sequence[RunbookMatch]) -> Iterator[EvidenceItem]:
    """The items in the order in which they are worth their tokens."""
    incident = bundle.incident
    by_id = {item.id: item for item in bundle.items}
    chain = incident.root_cause.chain if incident.root_cause is not None else ()
    first = [step.evidence[0] for step in chain if step.evidence]
    timelines = [item for item in bundle.items if item.kind == "timeline" and "problem_id" in item.data]
    timelines.sort(key=lambda item: (-float(item.data.get("score", 0.0)), item.ts))
    names = {match.runbook_id for match in runbooks[:3]}
    order = [
        *(by_id[found] for found in first if found in by_id),
        *timelines[:_MAX_PROBLEMS],
        *(item for item in bundle.items if item.kind in ("deploy", "maintenance", "alert")),
        *(item for item in bundle.items if item.kind == "runbook" and item.data.get("runbook_id") in names),
        *(item for item in bundle.items if item.kind in ("cause", "incident")),
        *_samples(bundle),
    ]
    yield from {item.id: item for item in order}.values()


def _samples(bundle: Bundle) -> Iterator[EvidenceItem]:
    """A few records a signature, the first of each before the second of any."""
    by_signature: dict[str, list[EvidenceItem]] = {}
    for item in bundle.items:
        if item.kind == "record":
            by_signature.setdefault(str(item.data.get("signature", "")), []).append(item)
    for index in range(_SAMPLES_A_PROBLEM):
        yield from (items[index] for items in by_signature.values() if index < len(items))


def _text(item: EvidenceItem, incident: Incident) -> str:
    if item.kind != "record":
        return item.text
    problem = _problem(incident, str(item.data.get("signature", "")), item.service)
    if problem is not None and not _adds(item, problem):
        # The template says as much as the line, and holds nothing that a stranger wrote into a parameter.
        return f"{utc(item.ts)} {item.service}: {problem.template}"
    return f"{utc(item.ts)} {item.service}: {item.text}"


def _problem(incident: Incident, signature: str, service: str) -> Problem | None:
    return next((p for p in incident.problems if p.signature == signature and p.service == service), None)


def _adds(item: EvidenceItem, problem: Problem) -> bool:
    """True where the line says more than its template: parameters worth seeing, or further lines such as a stack."""
    return "\n" in item.text or "<*>" in problem.template
