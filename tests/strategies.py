"""Hypothesis strategies for the values of the model: any text, any time, consistent with themselves."""

from __future__ import annotations

from hypothesis import strategies as st

from incidentlens.model.analysis import Analysis, Claim, EvidenceItem, Finding, RunbookMatch
from incidentlens.model.decisions import Action, Alert, Check, Decision, IncidentEvent, Reason, Verification
from incidentlens.model.incidents import (
    ChainStep,
    Incident,
    Membership,
    Problem,
    RootCause,
    Sample,
    ScoreParts,
    ServiceScore,
    Suppression,
)
from incidentlens.model.terms import (
    ActionKind,
    Disposition,
    Level,
    Mode,
    Outcome,
    ProblemKind,
    Severity,
    Status,
)

PROJECT = "shop"

texts = st.text(st.characters(), max_size=12)  # NUL and lone surrogates included
names = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), min_size=1, max_size=12)
times = st.integers(0, 2**62)
counts = st.integers(0, 2**62)
finite = st.floats(allow_nan=False, allow_infinity=False)
rates = st.floats(allow_nan=False)  # infinity is a rate over nothing
shares = st.floats(0, 1)
text_maps = st.dictionaries(texts, texts, max_size=3)
# A float beyond 2**53 without a type to hold it comes back from jsonb as the integer of the same digits.
json_floats = st.floats(-(2.0**53), 2.0**53)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | json_floats | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
json_objects = st.dictionaries(texts, json_values, max_size=3)
severities = st.sampled_from(Severity)
dispositions = st.sampled_from(Disposition)
levels = st.sampled_from(Level)


def tuples_of(items: st.SearchStrategy, most: int = 3) -> st.SearchStrategy:
    return st.lists(items, max_size=most).map(tuple)


suppressions = st.builds(Suppression, reason=texts, detail=texts)
samples = st.builds(
    Sample, id=names, ts=times, service=texts, stream=texts, level=levels, line=texts, message=texts,
    trace_id=st.none() | texts, signature=st.none() | texts,
)  # fmt: skip
problems = st.builds(
    Problem, id=names, project=st.just(PROJECT), service=texts, signature=texts, template=texts, level=levels,
    kind=st.sampled_from(ProblemKind), onset=times, last_seen=times, count=counts, baseline_per_minute=rates,
    rate_per_minute=rates, score=rates,
    parts=st.builds(ScoreParts, severity_weight=rates, spike_ratio=rates, criticality=rates, baseline=texts), why=texts,
    suppressed=st.none() | suppressions, samples=tuples_of(samples), trace_ids=tuples_of(texts),
    mentions=tuples_of(texts),
)  # fmt: skip
root_causes = st.builds(
    RootCause, service=texts, signature=texts, summary=texts, confidence=shares,
    chain=tuples_of(
        st.builds(ChainStep, service=texts, signature=texts, template=texts, onset=times, role=texts, because=texts,
                  evidence=tuples_of(names)),
    ),
    ranking=tuples_of(st.builds(ServiceScore, service=texts, score=finite)), undetermined=st.booleans(),
)  # fmt: skip


@st.composite
def incidents(draw: st.DrawFn) -> Incident:
    """Any incident that may be: ended exactly when it is over, with memberships of its own problems."""
    held = draw(st.lists(problems, max_size=4, unique_by=lambda problem: problem.id))
    members: list[Membership] = []
    if held:
        ids = st.sampled_from([problem.id for problem in held])
        members = draw(st.lists(st.builds(Membership, problem_id=ids, why=texts, by=texts), max_size=4))
    status = draw(st.sampled_from(Status))
    over = status in (Status.RESOLVED, Status.CLOSED, Status.IGNORED)
    return draw(
        st.builds(
            Incident, id=names, project=st.just(PROJECT), title=texts, service=texts, status=st.just(status),
            severity=severities, disposition=dispositions, confidence=shares, onset=times, opened_at=times,
            last_seen=times, updated_at=times, ended_at=times if over else st.none(), count=counts,
            analysed_count=counts, reopened=counts, problems=st.just(tuple(held)), members=st.just(tuple(members)),
            root_cause=st.none() | root_causes, runbook=st.none() | texts, summary=texts,
            suppression=st.none() | suppressions, labels=text_maps, pinned=st.booleans(),
        )
    )  # fmt: skip


evidence_items = st.builds(
    EvidenceItem, id=names, kind=texts, service=texts, ts=times, text=texts, data=json_objects
)  # fmt: skip
analyses = st.builds(
    Analysis, source=texts, cause=texts, summary=texts, severity=severities, disposition=dispositions,
    confidence=shares, next_steps=tuples_of(texts),
    claims=tuples_of(st.builds(Claim, text=texts, evidence=tuples_of(names))),
    findings=tuples_of(
        st.builds(Finding, rule=texts, severity=severities, confidence=shares, text=texts, evidence=tuples_of(names))
    ),
    runbooks=tuples_of(
        st.builds(RunbookMatch, runbook_id=names, name=texts, score=finite, reasons=tuples_of(texts),
                  steps=tuples_of(texts))
    ),
    details=json_objects,
)  # fmt: skip


def decisions(incident_id: str) -> st.SearchStrategy[Decision]:
    return st.builds(
        Decision, id=names, incident_id=st.just(incident_id), at=times, mode=st.sampled_from(Mode),
        disposition=dispositions, severity=severities, actions=tuples_of(st.sampled_from(ActionKind)),
        tell=st.booleans(), reasons=tuples_of(st.builds(Reason, code=texts, text=texts)), policy=json_objects,
        inputs=json_objects,
    )  # fmt: skip


def actions(incident_id: str, decision_id: str) -> st.SearchStrategy[Action]:
    return st.builds(
        Action, key=names, incident_id=st.just(incident_id), decision_id=st.just(decision_id),
        kind=st.sampled_from(ActionKind), at=times, state=st.sampled_from(("done", "shadow", "digest", "failed")),
        payload=json_objects,
    )  # fmt: skip


@st.composite
def verifications(draw: st.DrawFn, incident_id: str) -> Verification:
    outcome = draw(st.none() | st.sampled_from(Outcome))
    return draw(
        st.builds(
            Verification, id=names, incident_id=st.just(incident_id), started_at=times, quiet_ns=times,
            quiet_since=st.none() | times, query=texts,
            checks=tuples_of(st.builds(Check, at=times, count=counts, note=texts)), outcome=st.just(outcome),
            ended_at=times if outcome else st.none(), why=texts,
        )
    )  # fmt: skip


def events(incident_id: str) -> st.SearchStrategy[IncidentEvent]:
    return st.builds(
        IncidentEvent, incident_id=st.just(incident_id), at=times, kind=names, text=texts, by=texts, data=json_objects
    )


alerts = st.builds(
    Alert, fingerprint=names, project=st.just(PROJECT), name=texts, starts_at=times, ends_at=st.none() | times,
    labels=text_maps, annotations=text_maps, generator_url=texts, query=texts,
)  # fmt: skip
