"""From findings to a conclusion. The first reasoner writes deterministic text; a model takes the same place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from incidentlens.model.analysis import Analysis, Bundle, Claim, Finding, RunbookMatch
from incidentlens.model.clock import MINUTE
from incidentlens.model.incidents import Incident
from incidentlens.model.terms import Disposition, ProblemKind, Severity
from incidentlens.model.times import duration, utc

from .citing import anything, known, problem_records
from .context import AnalysisContext
from .rules.base import cause_first, cause_service, readable

_BY_SEVERITY = {
    Severity.CRITICAL: Disposition.ESCALATE,
    Severity.HIGH: Disposition.NEEDS_ONCALL,
    Severity.MEDIUM: Disposition.NEEDS_DEV,
    Severity.LOW: Disposition.OBSERVE,
}
_NEXT = {
    "recent_deploy": "Compare the deployed version with the one before; roll it back if the failure began with it.",
    "out_of_memory_kill": "Look at the process's memory over the last hours against its limit, and what it did last.",
    "dependency_cascade": "Begin at the first service of the chain; the later ones should recover with it.",
    "tail_latency": "Find the slowest requests' traces and what they waited for.",
    "new_signature": "Read the first record of the new message and find the code that writes it.",
    "duplicate_of_open_incident": "Read the older incident first, and merge them if it is one fault.",
}


class Reasoner(Protocol):
    """Concludes. It may be slow and may raise: the analyst then falls back to the deterministic one."""

    def reason(
        self,
        bundle: Bundle,
        findings: Sequence[Finding],
        matches: Sequence[RunbookMatch],
        context: AnalysisContext,
    ) -> Analysis:
        """Every claim cites ids of the bundle; the analyst drops what does not."""
        ...


class DeterministicReasoner:
    """The same evidence gives the same words."""

    def reason(
        self,
        bundle: Bundle,
        findings: Sequence[Finding],
        matches: Sequence[RunbookMatch],
        context: AnalysisContext,
    ) -> Analysis:
        incident = bundle.incident
        severity = severity_of(incident, findings)
        return Analysis(
            source="rules",
            cause=cause_text(incident),
            summary=summary_text(incident, findings),
            severity=severity,
            disposition=disposition_of(incident, severity),
            confidence=confidence_of(incident, findings),
            next_steps=next_steps(incident, findings),
            claims=claims_of(bundle, findings),
            findings=tuple(findings),
            runbooks=tuple(matches),
        )


def severity_of(incident: Incident, findings: Sequence[Finding]) -> Severity:
    """The incident's own, one step heavier where a sure finding (0.8 or more) weighs more than it."""
    heavier = [f for f in findings if f.confidence >= 0.8 and f.severity.rank > incident.severity.rank]
    if not heavier or not _fails(incident):
        return incident.severity
    return next(severity for severity in Severity if severity.rank == incident.severity.rank + 1)


def disposition_of(incident: Incident, severity: Severity) -> Disposition:
    """By severity; where nothing of it fails (warnings and less), it is observed at most."""
    return _BY_SEVERITY[severity] if _fails(incident) else Disposition.OBSERVE


def _fails(incident: Incident) -> bool:
    telling = (ProblemKind.ALERT, ProblemKind.SILENCE, ProblemKind.LATENCY)
    return any(problem.level.failing or problem.kind in telling for problem in incident.problems)


def confidence_of(incident: Incident, findings: Sequence[Finding]) -> float:
    """The cause's where one is determined, else four fifths of the incident's; sure findings add a little."""
    cause = incident.root_cause
    base = incident.confidence * 0.8
    if cause is not None and not cause.undetermined:
        base = max(cause.confidence, base)
    telling = {"recent_deploy", "out_of_memory_kill", "dependency_cascade", "error_spike"}
    support = sum(1 for finding in findings if finding.rule in telling and finding.confidence >= 0.7)
    return round(min(0.99, base + 0.05 * min(support, 3)), 3)


def cause_text(incident: Incident) -> str:
    """One sentence on the suspected cause."""
    cause = incident.root_cause
    if cause is not None and not cause.undetermined:
        if cause.summary:
            return cause.summary
        return f"{cause.service}: {readable(cause_first(incident)[0].template)}"
    if not incident.problems:
        return "not determined"
    loudest = cause_first(incident)[0]
    return f"not determined; the loudest is {loudest.service}: {readable(loudest.template)}"


def summary_text(incident: Incident, findings: Sequence[Finding]) -> str:
    """What, since when, how much, where from: a few sentences."""
    services = incident.services
    more = f" and {len(services) - 4} more" if len(services) > 4 else ""
    parts = [
        f"Since {utc(incident.onset)}, {incident.count:,} failing records in {', '.join(services[:4])}{more}, "
        f"the last {duration(incident.last_seen - incident.onset)} later.",
        _suspicion(incident),
    ]
    cause = incident.root_cause
    if cause is not None and not cause.undetermined and len(cause.chain) > 1:
        steps = [f"{step.service} ({readable(step.template, 60)})" for step in cause.chain[:6]]
        parts.append(f"Chain: {' → '.join(steps)}.")
    parts += [f"{finding.text[:1].upper()}{finding.text[1:]}." for finding in _tellable(findings)[:3]]
    return " ".join(parts)


def _suspicion(incident: Incident) -> str:
    """The suspected cause as a sentence; one that was found says itself that it is a suspicion."""
    cause = incident.root_cause
    text = f"{cause_text(incident).rstrip('.')}."
    return text if cause is not None and not cause.undetermined and cause.summary else f"Suspected cause: {text}"


def _tellable(findings: Sequence[Finding]) -> list[Finding]:
    return [f for f in findings if f.confidence >= 0.5 and f.rule not in ("dependency_cascade", "service_owner")]


def next_steps(incident: Incident, findings: Sequence[Finding]) -> tuple[str, ...]:
    """What to do where no runbook says it."""
    if not incident.problems:
        return ()
    first = cause_first(incident)[0]
    since = utc(incident.onset - 5 * MINUTE)
    steps = [_NEXT[f.rule] for f in sorted(findings, key=lambda f: -f.confidence) if f.rule in _NEXT]
    steps.append(f"Read {first.service}'s records since {since}, from before its first failing record.")
    steps += [f"Ask: {f.text}." for f in findings if f.rule == "service_owner"]
    steps.append("No runbook covers this cause: write one when it is understood (incidentlens runbooks new).")
    return tuple(dict.fromkeys(steps))


def claims_of(bundle: Bundle, findings: Sequence[Finding]) -> tuple[Claim, ...]:
    """The cause, each step of its chain, and each finding, with what shows them; nothing that nothing shows."""
    incident = bundle.incident
    claims: list[Claim] = []
    cause = incident.root_cause
    if incident.problems:
        shown = problem_records(bundle, cause_first(incident)[0])
        if cause is not None and not cause.undetermined:
            shown = known(bundle, (e for step in cause.chain[:1] for e in step.evidence)) or shown
        text = f"Suspected cause in {cause_service(incident)}: {cause_text(incident)}"
        claims.append(Claim(text=text, evidence=shown or anything(bundle)))
    if cause is not None and not cause.undetermined:
        for step in cause.chain[1:]:
            text = f"{step.service} ({readable(step.template, 80)}) is a {step.role}: {step.because}"
            claims.append(Claim(text=text, evidence=known(bundle, step.evidence)))
    claims += [Claim(text=finding.text, evidence=finding.evidence) for finding in findings]
    return tuple(claim for claim in claims if claim.evidence)
