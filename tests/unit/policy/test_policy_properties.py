"""What holds for every policy, analysis and history."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from builders import T0, make_analysis, make_incident, make_problem
from incidentlens.model.analysis import Analysis, Deterministic
from incidentlens.model.clock import MINUTE
from incidentlens.model.incidents import Incident, Suppression
from incidentlens.model.terms import ActionKind, Disposition, Mode, Severity, Status
from incidentlens.policy import History, Policy, Told, decide
from incidentlens.policy.model import CountEscalation, Flapping, Floor, StormLimit, SuppressRule

share = st.floats(0, 1, allow_nan=False)
minutes = st.floats(0.1, 120, allow_nan=False)
dispositions = st.sampled_from(Disposition)
severities = st.sampled_from(Severity)

policies = st.builds(
    Policy,
    mode=st.sampled_from(Mode),
    min_count=st.integers(1, 60),
    thresholds=st.dictionaries(st.sampled_from([d for d in Disposition if d.notifies]), share),
    floors=st.lists(
        st.builds(
            Floor,
            disposition=dispositions,
            severity=st.none() | severities,
            services=st.sampled_from([(), ("db",), ("x*",), ("*",)]),
            signatures=st.sampled_from([(), ("*pool*",), ("nothing",)]),
        ),
        max_size=3,
    ),
    cooldown_minutes=minutes,
    count_escalations=st.lists(
        st.builds(CountEscalation, count=st.integers(1, 100), window_minutes=minutes, to=dispositions), max_size=2
    ),
    storm=st.builds(StormLimit, notifications=st.integers(1, 5), window_minutes=minutes),
    flapping=st.builds(Flapping, reopened=st.integers(1, 4), window_minutes=minutes),
    suppress=st.builds(SuppressRule, enabled=st.booleans(), confidence=share, never_severity=severities),
)
analyses = st.builds(
    lambda **values: make_analysis(**values),
    source=st.sampled_from(["runbook", "rules", "model"]),
    severity=severities,
    disposition=dispositions,
    confidence=share,
)
incidents = st.builds(
    lambda **values: make_incident(**values),
    problems=st.sampled_from([(make_problem(),), (make_problem(service="xyz"),), (make_problem(1), make_problem(2))]),
    status=st.sampled_from(Status),
    severity=severities,
    count=st.integers(1, 500),
    reopened=st.integers(0, 4),
    suppression=st.none()
    | st.builds(
        Suppression, reason=st.sampled_from(["maintenance", "deploy", "noise", "grace", "odd"]), detail=st.just("x")
    ),
)
histories = st.builds(
    History,
    told=st.lists(
        st.builds(
            Told,
            incident_id=st.sampled_from(["i1", "i2", "i3"]),
            at=st.integers(T0 - 100 * MINUTE, T0),
            mode=st.sampled_from([Mode.SHADOW, Mode.LIVE]),
            disposition=st.sampled_from([d for d in Disposition if d.notifies]),
            episode=st.integers(0, 4),
            signature=st.sampled_from(["", "db:ERROR:connection_pool_exhausted#0001"]),
            digest=st.booleans(),
        ),
        max_size=8,
    ),
    counts=st.lists(st.tuples(st.integers(T0 - 60 * MINUTE, T0), st.integers(0, 200)), max_size=4),
    reopened_at=st.lists(st.integers(T0 - 60 * MINUTE, T0), max_size=5),
    re_escalated=st.integers(0, 3),
)
every = given(analyses, incidents, histories, policies)
many = settings(deadline=None, max_examples=200)


def fits(floor: Floor, incident: Incident, severity: Severity) -> bool:
    from fnmatch import fnmatchcase

    return (
        (floor.severity is None or severity.rank >= floor.severity.rank)
        and (not floor.services or any(fnmatchcase(s, g) for s in incident.services for g in floor.services))
        and (not floor.signatures or any(fnmatchcase(s, g) for s in incident.signatures for g in floor.signatures))
    )


@many
@every
def test_a_floor_is_never_undercut(analysis: Analysis, incident: Incident, history: History, policy: Policy) -> None:
    decision = decide(analysis, incident, history, policy, T0)
    for floor in policy.floors:
        if fits(floor, incident, decision.severity):
            assert decision.disposition.rank >= floor.disposition.rank


@many
@every
def test_nothing_severe_and_nothing_unsure_is_suppressed(
    analysis: Analysis, incident: Incident, history: History, policy: Policy
) -> None:
    decision = decide(analysis, incident, history, policy, T0)
    if ActionKind.SUPPRESS in decision.actions:
        assert decision.severity.rank < policy.suppress.never_severity.rank
        assert analysis.confidence >= policy.suppress.confidence
        assert decision.disposition is Disposition.NO_ACTION
        assert not decision.tell


@many
@every
def test_the_same_inputs_give_the_same_decision(
    analysis: Analysis, incident: Incident, history: History, policy: Policy
) -> None:
    one, two = (decide(analysis, incident, history, policy, T0) for _ in range(2))
    assert one == two
    again = decide(
        Analysis.model_validate_json(analysis.model_dump_json()),
        Incident.model_validate_json(incident.model_dump_json()),
        History.model_validate_json(history.model_dump_json()),
        Policy.model_validate_json(policy.model_dump_json()),
        T0,
    )
    assert again == one


@many
@every
def test_a_storm_changes_how_it_is_told_and_never_whether(
    analysis: Analysis, incident: Incident, history: History, policy: Policy
) -> None:
    calm = policy.model_copy(update={"storm": StormLimit(notifications=1_000)})
    assert decide(analysis, incident, history, policy, T0).tell == decide(analysis, incident, history, calm, T0).tell


@many
@every
def test_who_is_not_told_has_a_reason_and_a_time_to_decide_again_or_an_end(
    analysis: Analysis, incident: Incident, history: History, policy: Policy
) -> None:
    decision = decide(analysis, incident, history, policy, T0)
    last = decision.reasons[-1].code
    if decision.tell:
        assert decision.disposition.notifies
        assert ActionKind.NOTIFY in decision.actions
        assert last == "tell"
    else:
        assert ActionKind.NOTIFY not in decision.actions
        settled = {"not_notified", "closed", "learn", "already_told"}
        held = decision.inputs["hold_until"]
        assert last in settled or (isinstance(held, int) and held > T0)


@many
@every
def test_more_confidence_never_tells_fewer(
    analysis: Analysis, incident: Incident, history: History, policy: Policy
) -> None:
    sure = analysis.model_copy(update={"confidence": 1.0})
    if analysis.disposition.notifies:
        before = decide(analysis, incident, history, policy, T0).disposition
        assert decide(sure, incident, history, policy, T0).disposition.rank >= before.rank


rules_say = st.builds(
    Deterministic,
    cause=st.just("c"),
    summary=st.just("s"),
    severity=severities,
    disposition=dispositions,
    confidence=share,
)


@settings(max_examples=500)
@given(analyses, rules_say, incidents, histories, policies)
def test_a_model_moves_a_disposition_down_never_and_up_by_one_step_at_most(said, rules, incident, history, policy):
    model = said.model_copy(update={"source": "model", "rules": rules})
    alone = decide(model.without_model(), incident, history, policy, T0)
    with_model = decide(model, incident, history, policy, T0)
    assert with_model.disposition.rank >= alone.disposition.rank - _suppressed(alone, with_model)
    if not policy.floors and not policy.count_escalations and not history.told and not history.re_escalated:
        assert with_model.disposition.rank <= max(rules.disposition.rank + 1, alone.disposition.rank)
    worst = max(incident.severity.rank, rules.severity.rank)
    assert worst <= with_model.severity.rank <= max(worst, min(worst + 1, Severity.HIGH.rank))


def _suppressed(alone, with_model):
    """NO_ACTION that is suppressed and NO_ACTION that became OBSERVE differ by a confidence alone."""
    return int({alone.disposition, with_model.disposition} == {Disposition.NO_ACTION, Disposition.OBSERVE})
