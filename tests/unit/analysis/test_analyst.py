"""From a bundle to a conclusion: runbook, rules, reasoner; and nothing that nothing shows."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from builders import T0, make_evidence, make_incident, make_problem, make_sample
from incidentlens.analysis import DEFAULT_RULES, AnalysisContext, Analyst, DeterministicReasoner
from incidentlens.model.analysis import Analysis, Bundle, Claim, Finding, RunbookMatch
from incidentlens.model.incidents import ChainStep, Incident, RootCause
from incidentlens.model.terms import Disposition, Level, Severity
from incidentlens.runbooks import Matcher, Runbook

CONTEXT = AnalysisContext(now=T0)
POOL = Runbook(
    id="pool",
    name="Pool exhausted",
    description="All connections are in use.",
    default_severity=Severity.MEDIUM,
    disposition=Disposition.NEEDS_DEV,
    patterns=("connection pool exhausted",),
    steps=("Look at who holds them.",),
)


def cascade(count: int = 3, confidence: float = 0.8) -> Incident:
    names = ["db", "payment", "checkout", "gateway"][:count]
    problems = tuple(
        make_problem(
            n,
            service=name,
            template=f"{name} is broken <*>" if n > 1 else "connection pool exhausted (<*>)",
            signature=f"{name}:ERROR:x#{n}",
            samples=(make_sample(n, service=name, message="m", line="l"),),
        )
        for n, name in enumerate(names, 1)
    )
    chain = tuple(
        ChainStep(
            service=p.service,
            signature=p.signature,
            template=p.template,
            onset=p.onset,
            role="cause" if n == 1 else "symptom",
            because="named 12 times",
            evidence=(f"r_{n:016x}",),
        )
        for n, p in enumerate(problems, 1)
    )
    root = RootCause(
        service="db",
        signature="db:ERROR:x#1",
        summary="db ran out of connections",
        confidence=confidence,
        chain=chain,
    )
    return make_incident(problems=problems, root_cause=root)


def bundle(incident: Incident | None = None) -> Bundle:
    return Bundle(incident=incident or make_incident(), items=tuple(make_evidence(n) for n in range(1, 5)))


def cites_only_known(analysis: Analysis, given: Bundle) -> bool:
    ids = {item.id for item in given.items}
    cited = [*analysis.claims, *analysis.findings]
    return all(statement.evidence and set(statement.evidence) <= ids for statement in cited)


def test_a_runbook_for_the_cause_is_the_analysis() -> None:
    given = bundle()
    analysis = Analyst(Matcher([POOL])).analyse(given, CONTEXT)
    assert analysis.source == "runbook"
    assert analysis.disposition is Disposition.NEEDS_DEV
    assert analysis.next_steps == POOL.steps
    assert analysis.runbooks[0].runbook_id == "pool"
    assert "Pool exhausted" in analysis.cause
    assert analysis.summary.endswith("All connections are in use.")
    assert cites_only_known(analysis, given)


def test_a_runbook_that_only_fits_a_symptom_is_listed_and_not_the_analysis() -> None:
    book = POOL.model_copy(update={"id": "sym", "patterns": ("payment is broken",)})
    incident = cascade()
    chain = incident.root_cause.chain if incident.root_cause else ()
    links = tuple(step.model_copy(update={"role": "link" if n == 1 else step.role}) for n, step in enumerate(chain))
    assert incident.root_cause is not None
    incident = incident.model_copy(update={"root_cause": incident.root_cause.model_copy(update={"chain": links})})
    analysis = Analyst(Matcher([book])).analyse(bundle(incident), CONTEXT)
    assert analysis.source == "rules"
    assert [match.runbook_id for match in analysis.runbooks] == ["sym"]


def test_a_runbook_lowers_what_the_counts_call_heavy_by_one_step_at_most() -> None:
    low = POOL.model_copy(update={"default_severity": Severity.LOW})
    analysis = Analyst(Matcher([low])).analyse(bundle(make_incident(severity=Severity.CRITICAL)), CONTEXT)
    assert analysis.severity is Severity.HIGH


def test_a_fault_that_has_spread_over_services_needs_somebody_on_call_whatever_its_runbook_says() -> None:
    for count, expected in ((1, "NEEDS_DEV"), (2, "NEEDS_DEV"), (3, "NEEDS_ONCALL")):
        analysis = Analyst(Matcher([POOL])).analyse(bundle(cascade(count)), CONTEXT)
        assert analysis.disposition == expected


def test_without_a_runbook_the_rules_conclude_with_chain_claims_and_steps() -> None:
    given = bundle(cascade())
    analysis = Analyst(Matcher([])).analyse(given, CONTEXT)
    assert analysis.source == "rules"
    assert analysis.cause == "db ran out of connections"
    assert "Chain: db (connection pool exhausted (…)) → payment" in analysis.summary
    assert analysis.disposition is Disposition.NEEDS_ONCALL
    assert any("Begin at the first service" in step for step in analysis.next_steps)
    assert any(claim.text.startswith("payment (payment is broken …) is a symptom") for claim in analysis.claims)
    assert cites_only_known(analysis, given)


def test_the_same_evidence_gives_the_same_words() -> None:
    one, two = (Analyst(Matcher([])).analyse(bundle(cascade()), CONTEXT) for _ in range(2))
    assert one == two


def test_what_only_warns_is_observed() -> None:
    warning = make_incident(problems=(make_problem(level=Level.WARN),), severity=Severity.HIGH)
    assert Analyst(Matcher([])).analyse(bundle(warning), CONTEXT).disposition is Disposition.OBSERVE


class Raises:
    name = "raises"

    def check(self, bundle: Bundle, context: AnalysisContext) -> Finding | None:
        raise KeyError("nothing there")


class Invents:
    name = "invents"

    def check(self, bundle: Bundle, context: AnalysisContext) -> Finding | None:
        return Finding(rule="invents", severity=Severity.CRITICAL, confidence=1, text="aliens", evidence=("r_none",))


def test_a_rule_that_raises_or_invents_evidence_is_a_low_finding_and_the_others_go_on() -> None:
    given = bundle()
    analysis = Analyst(Matcher([]), rules=(Raises(), Invents(), *DEFAULT_RULES)).analyse(given, CONTEXT)
    first, second, *others = analysis.findings
    assert (first.severity, first.confidence) == (Severity.LOW, 0.0)
    assert "KeyError" in first.text
    assert (second.severity, "cites nothing" in second.text) == (Severity.LOW, True)
    assert others
    assert cites_only_known(analysis, given)


class Model:
    def __init__(self, *claims: Claim, error: Exception | None = None) -> None:
        self.claims, self.error, self.asked = claims, error, 0

    def reason(
        self,
        bundle: Bundle,
        findings: Sequence[Finding],
        matches: Sequence[RunbookMatch],
        context: AnalysisContext,
    ) -> Analysis:
        self.asked += 1
        if self.error:
            raise self.error
        base = DeterministicReasoner().reason(bundle, findings, matches, context)
        return base.model_copy(update={"source": "model", "claims": self.claims})


def test_a_reasoner_is_asked_only_where_no_runbook_fits_and_its_invented_citations_are_dropped() -> None:
    good, bad = Claim(text="so", evidence=("r_0000000000000001", "r_x")), Claim(text="not so", evidence=("r_x",))
    model = Model(good, bad)
    assert Analyst(Matcher([POOL]), reasoner=model).analyse(bundle(), CONTEXT).source == "runbook"
    assert model.asked == 0
    analysis = Analyst(Matcher([]), reasoner=model).analyse(bundle(), CONTEXT)
    assert analysis.source == "model"
    assert [(claim.text, claim.evidence) for claim in analysis.claims] == [("so", ("r_0000000000000001",))]
    assert analysis.details["claims_dropped"] == 1


def test_a_reasoner_that_fails_leaves_the_rules_conclusion_and_says_so() -> None:
    analysis = Analyst(Matcher([]), reasoner=Model(error=TimeoutError("30 s"))).analyse(bundle(), CONTEXT)
    assert analysis.source == "rules"
    assert analysis.details["reasoner_failed"] == "TimeoutError: 30 s"


def test_a_bundle_without_items_gives_an_analysis_without_claims() -> None:
    analysis = Analyst(Matcher([POOL])).analyse(Bundle(incident=make_incident(), items=()), CONTEXT)
    assert analysis.claims == ()


@settings(deadline=None, max_examples=60)
@given(
    st.text(max_size=60),
    st.sampled_from(Severity),
    st.floats(0, 1),
    st.integers(1, 4),
    st.lists(st.text(max_size=60), min_size=1, max_size=4),
)
def test_whatever_the_logs_say_there_is_an_analysis_that_cites_only_the_bundle(
    template: str, severity: Severity, confidence: float, services: int, lines: list[str]
) -> None:
    base = cascade(services, confidence)
    problems = tuple(problem.model_copy(update={"template": template}) for problem in base.problems)
    incident = base.model_copy(update={"problems": problems, "severity": severity, "confidence": confidence})
    items = tuple(make_evidence(n, text=text) for n, text in enumerate(lines, 1))
    given_bundle = Bundle(incident=incident, items=items)
    analysis = Analyst(Matcher([POOL])).analyse(given_bundle, CONTEXT)
    assert cites_only_known(analysis, given_bundle)
