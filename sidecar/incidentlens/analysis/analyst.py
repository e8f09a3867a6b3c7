"""The analyst: a runbook that fits the cause, then rules, then the reasoner."""

from __future__ import annotations

from collections.abc import Sequence

from incidentlens.model.analysis import Analysis, Bundle, Claim, Finding, RunbookMatch
from incidentlens.model.incidents import Incident
from incidentlens.model.terms import Disposition, Severity
from incidentlens.runbooks.matching import Matcher, problem_roles
from incidentlens.runbooks.model import Runbook

from .citing import anything, known, problem_records, refers_to
from .context import AnalysisContext
from .reasoning import (
    DeterministicReasoner,
    Reasoner,
    cause_text,
    claims_of,
    confidence_of,
    summary_text,
)
from .rules import DEFAULT_RULES, Rule
from .rules.base import cause_first

FAST_PATH = 0.7  # a runbook that fits the cause this well is the analysis


class Analyst:
    """`reasoner` None is the deterministic one. Nothing a rule or a reasoner does wrong gets out of `analyse`."""

    def __init__(
        self,
        matcher: Matcher,
        rules: Sequence[Rule] = DEFAULT_RULES,
        reasoner: Reasoner | None = None,
    ) -> None:
        self._matcher = matcher
        self._rules = tuple(rules)
        self._fallback = DeterministicReasoner()
        self._reasoner = reasoner or self._fallback

    def analyse(self, bundle: Bundle, context: AnalysisContext) -> Analysis:
        """The conclusion on the bundle's incident. Every finding and claim cites ids of the bundle.

        `source` is "runbook" where one fits the suspected cause with a score of at least 0.7 (the reasoner is then
        not asked), else what the reasoner says of itself.
        """
        findings = [finding for rule in self._rules if (finding := run_rule(rule, bundle, context)) is not None]
        matches = self._matcher.match(bundle.incident, context.runbook_votes)
        runbook = self._fast_path(bundle.incident, matches)
        if runbook is not None:
            return _by_runbook(bundle, findings, matches, runbook)
        try:
            analysis = self._reasoner.reason(bundle, findings, matches, context)
            return _checked(analysis, bundle)
        except Exception as error:  # a model's failure must not stop the incident
            analysis = self._fallback.reason(bundle, findings, matches, context)
            details = {**analysis.details, "reasoner_failed": f"{type(error).__name__}: {error}"[:300]}
            return _checked(analysis.model_copy(update={"details": details}), bundle)

    def _fast_path(self, incident: Incident, matches: Sequence[RunbookMatch]) -> Runbook | None:
        """The best runbook, where it is for the cause; one for a symptom is only listed."""
        if not matches or matches[0].score < FAST_PATH:
            return None
        role, _ = problem_roles(incident).get(matches[0].problem_id, ("symptom", 0.0))
        runbook = self._matcher.runbook(matches[0].runbook_id)
        if runbook is None or not runbook.decides or matches[0].by != "patterns":
            return None  # found by its text, or written to advise: it is shown, and the rules decide
        return runbook if role in ("cause", "undetermined") else None


def run_rule(rule: Rule, bundle: Bundle, context: AnalysisContext) -> Finding | None:
    """The rule's finding with only known ids cited. A rule that raises, or cites nothing known, is a LOW finding."""
    name = str(getattr(rule, "name", type(rule).__name__))
    try:
        finding = rule.check(bundle, context)
        if finding is None:
            return None
        cited = known(bundle, finding.evidence, limit=10)
    except Exception as error:  # one rule's mistake must not stop the others
        return _low(name, f"the rule {name} failed: {type(error).__name__}: {error}", bundle)
    if not cited:
        return _low(name, f"the rule {name} cites nothing that is in the evidence: {finding.text}", bundle)
    return finding.model_copy(update={"evidence": cited})


def _low(name: str, text: str, bundle: Bundle) -> Finding:
    return Finding(rule=name, severity=Severity.LOW, confidence=0.0, text=text[:500], evidence=anything(bundle))


def _by_runbook(
    bundle: Bundle, findings: Sequence[Finding], matches: Sequence[RunbookMatch], runbook: Runbook
) -> Analysis:
    incident, match = bundle.incident, matches[0]
    problem = next((p for p in incident.problems if p.id == match.problem_id), cause_first(incident)[0])
    shown = (*problem_records(bundle, problem), *refers_to(bundle, "runbook", runbook.id))
    reasons = "; ".join(match.reasons)
    claim = Claim(
        text=f"The runbook “{runbook.name}” fits: {reasons}", evidence=known(bundle, shown) or anything(bundle)
    )
    first = () if not claim.evidence else (claim,)
    return Analysis(
        source="runbook",
        cause=f"{runbook.name}: {cause_text(incident)}",
        summary=" ".join(part for part in (summary_text(incident, findings), runbook.description.strip()) if part),
        severity=_runbook_severity(runbook, incident),
        disposition=max(runbook.disposition, _cascade_floor(incident), key=lambda disposition: disposition.rank),
        confidence=round(min(0.99, max(match.score, confidence_of(incident, findings))), 3),
        next_steps=runbook.steps,
        claims=(*claims_of(bundle, findings), *first),
        findings=tuple(findings),
        runbooks=tuple(matches),
    )


def _runbook_severity(runbook: Runbook, incident: Incident) -> Severity:
    """The runbook's; but what the counts call heavier it lowers by one step at most."""
    rank = max(runbook.default_severity.rank, incident.severity.rank - 1)
    return next(severity for severity in Severity if severity.rank == rank)


def _cascade_floor(incident: Incident) -> Disposition:
    """A runbook speaks of its own fault; one that has spread to services that fail behind it concerns more people."""
    cause = incident.root_cause
    if cause is None or cause.undetermined:
        return Disposition.NO_ACTION
    failing = {problem.service for problem in incident.problems if problem.level.failing}
    spread = {step.service for step in cause.chain if step.service in failing} - {cause.service}
    if len(spread) >= 2:
        return Disposition.NEEDS_ONCALL
    return Disposition.NEEDS_DEV if spread else Disposition.NO_ACTION


def _checked(analysis: Analysis, bundle: Bundle) -> Analysis:
    """Drop citations that are not in the bundle, and claims that then rest on nothing; say how many."""
    claims = []
    for claim in analysis.claims:
        cited = known(bundle, claim.evidence, limit=20)
        if cited:
            claims.append(claim.model_copy(update={"evidence": cited}))
    dropped = len(analysis.claims) - len(claims)
    details = {**analysis.details, "claims_dropped": dropped} if dropped else analysis.details
    return analysis.model_copy(update={"claims": tuple(claims), "details": details})
