"""What each rule sees, and what it cites."""

from __future__ import annotations

from typing import Any

import pytest

from builders import T0, make_evidence, make_incident, make_problem
from incidentlens.analysis import DEFAULT_RULES, AnalysisContext
from incidentlens.analysis.rules import (
    DependencyCascade,
    DuplicateIncident,
    ErrorSpike,
    NewSignature,
    OomKill,
    RecentDeploy,
    ServiceOwner,
    TailLatency,
)
from incidentlens.analysis.rules.tail_latency import stated_ms
from incidentlens.model.analysis import Bundle, EvidenceItem
from incidentlens.model.clock import MINUTE, SECOND
from incidentlens.model.decisions import Deploy
from incidentlens.model.incidents import ChainStep, Incident, RootCause, ScoreParts
from incidentlens.model.terms import Level, ProblemKind, Severity, Status


def bundle(incident: Incident | None = None, *items: EvidenceItem) -> Bundle:
    return Bundle(incident=incident or make_incident(), items=items or (make_evidence(1), make_evidence(2)))


def context(**known: Any) -> AnalysisContext:
    return AnalysisContext(now=T0 + 2 * MINUTE, **known)


def deploy(minutes_before: float, service: str = "db", **changes: Any) -> Deploy:
    return Deploy(
        id="d7", project="shop", service=service, at=T0 - round(minutes_before * MINUTE), version="2.1", **changes
    )


def caused(*services: str, confidence: float = 0.8) -> Incident:
    problems = tuple(
        make_problem(number, service=service, onset=T0 + number * SECOND) for number, service in enumerate(services, 1)
    )
    chain = tuple(
        ChainStep(
            service=p.service,
            signature=p.signature,
            template=p.template,
            onset=p.onset,
            role="cause" if p is problems[0] else "symptom",
            because="it is named",
            evidence=(f"r_{number:016x}", "unknown"),
        )
        for number, p in enumerate(problems, 1)
    )
    cause = RootCause(
        service=services[0], signature=problems[0].signature, summary="", confidence=confidence, chain=chain
    )
    return make_incident(problems=problems, root_cause=cause)


def test_a_healthy_context_gives_only_what_the_incident_itself_shows() -> None:
    found = [rule.name for rule in DEFAULT_RULES if rule.check(bundle(), context())]
    assert found == ["error_spike"]


def test_a_deploy_just_before_the_onset_is_found_and_cited() -> None:
    item = make_evidence(id="e_deploy", kind="deploy", data={"id": "d7"})
    finding = RecentDeploy().check(bundle(None, item, make_evidence(1)), context(deploys=(deploy(2),)))
    assert finding is not None
    assert finding.evidence == ("e_deploy", "r_0000000000000001")
    assert finding.severity is Severity.HIGH
    assert finding.confidence == pytest.approx(0.87)
    assert finding.text == "db was deployed (2.1) 2 min before its first failing record"


@pytest.mark.parametrize(
    ("given", "found"),
    [(deploy(31), False), (deploy(29), True), (deploy(-0.5), True), (deploy(-2), False), (deploy(1, "other"), False)],
)
def test_a_deploy_counts_up_to_half_an_hour_before_or_a_minute_after(given: Deploy, found: bool) -> None:
    assert (RecentDeploy().check(bundle(), context(deploys=(given,))) is not None) is found


def test_the_deploy_of_the_cause_comes_before_a_nearer_one_elsewhere() -> None:
    near = Deploy(id="d8", project="shop", service="checkout", at=T0, version="9")
    finding = RecentDeploy().check(bundle(caused("db", "checkout")), context(deploys=(near, deploy(10))))
    assert finding is not None
    assert finding.text.startswith("db was deployed")


def test_a_spike_tells_its_numbers_and_cites_its_records_and_the_timeline() -> None:
    timeline = make_evidence(id="t1", kind="timeline")
    finding = ErrorSpike().check(bundle(None, make_evidence(1), timeline), context())
    assert finding is not None
    assert "41 times, 20.5 a minute where 0.3 is usual" in finding.text
    assert finding.evidence == ("r_0000000000000001", "t1")
    assert finding.severity is Severity.HIGH


def test_a_spike_of_warnings_is_milder_and_a_small_ratio_none() -> None:
    warning = make_incident(problems=(make_problem(level=Level.WARN),))
    finding = ErrorSpike().check(bundle(warning), context())
    assert finding is not None
    assert finding.severity is Severity.MEDIUM
    small = ScoreParts(severity_weight=3, spike_ratio=2, criticality=1)
    assert ErrorSpike().check(bundle(make_incident(problems=(make_problem(parts=small),))), context()) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("request took 1.5 s", 1500.0),
        ("duration=250ms", 250.0),
        ('"latency": "12 ms"', 12.0),
        ("timed out after 5000 ms, retried in 20 ms", 5000.0),
        ("in 3 steps", None),
        ("id=1234", None),
    ],
)
def test_a_stated_duration_is_read(text: str, expected: float | None) -> None:
    assert stated_ms(text) == expected


def test_growing_durations_are_found_and_one_odd_record_is_not() -> None:
    def timed(*values: int) -> Bundle:
        return bundle(None, *(make_evidence(i, text=f"GET / took {ms} ms") for i, ms in enumerate(values, 1)))

    finding = TailLatency().check(timed(40, 50, 45, 48, 900, 2000, 1800, 1500), context())
    assert finding is not None
    assert "1,800 ms" in finding.text
    assert TailLatency().check(timed(40, 50, 45, 48, 44, 9000, 46, 43), context()) is None
    assert TailLatency().check(timed(40, 5000), context()) is None


def test_a_latency_problem_is_told_as_it_is() -> None:
    slow = make_incident(problems=(make_problem(kind=ProblemKind.LATENCY, why="p95 is 4 s where 0.2 s is usual"),))
    finding = TailLatency().check(bundle(slow), context())
    assert finding is not None
    assert "p95 is 4 s" in finding.text


def test_a_new_signature_is_surer_when_it_fails() -> None:
    for level, confidence, severity in (
        (Level.ERROR, 0.75, Severity.MEDIUM),
        (Level.WARN, 0.5, Severity.MEDIUM),
        (Level.FATAL, 0.75, Severity.HIGH),
    ):
        new = make_incident(problems=(make_problem(kind=ProblemKind.NEW, level=level),))
        finding = NewSignature().check(bundle(new), context())
        assert finding is not None
        assert (finding.confidence, finding.severity) == (confidence, severity)
        assert "connection pool exhausted (…)" in finding.text


def test_a_cascade_names_the_services_in_order_and_cites_only_what_is_there() -> None:
    finding = DependencyCascade().check(bundle(caused("db", "payment", "checkout")), context())
    assert finding is not None
    assert "db → payment → checkout" in finding.text
    assert finding.severity is Severity.HIGH
    assert finding.evidence == ("r_0000000000000001", "r_0000000000000002")
    assert DependencyCascade().check(bundle(caused("db")), context()) is None
    assert DependencyCascade().check(bundle(), context()) is None


def test_an_older_open_incident_of_the_same_cause_is_a_duplicate() -> None:
    incident = caused("db", "payment")
    older = incident.model_copy(update={"id": "i0", "opened_at": T0 - MINUTE})
    finding = DuplicateIncident().check(bundle(incident), context(related=(older,)))
    assert finding is not None
    assert "incident i0" in finding.text
    for other in (
        older.model_copy(update={"status": Status.RESOLVED}),
        older.model_copy(update={"opened_at": T0 + MINUTE}),
        older.model_copy(update={"project": "other"}),
        make_incident("i0", opened_at=T0, problems=(make_problem(signature="x#1"),)),
    ):
        assert DuplicateIncident().check(bundle(incident), context(related=(other,))) is None


@pytest.mark.parametrize(
    "text",
    [
        "Memory cgroup out of memory: Killed process 4711 (web) anon-rss:9kB",
        "Last State: Terminated, Reason: OOMKilled, Exit Code: 137",
        "java invoked oom-killer: gfp_mask=0x1",
        "container exited with code 137",
    ],
)
def test_a_kill_for_memory_is_found(text: str) -> None:
    finding = OomKill().check(bundle(None, make_evidence(text=text)), context())
    assert finding is not None
    assert finding.severity is Severity.HIGH


@pytest.mark.parametrize("text", ["java.lang.OutOfMemoryError: heap", "room 137", "zoom killed the mood"])
def test_what_only_looks_like_a_kill_is_none(text: str) -> None:
    assert OomKill().check(bundle(None, make_evidence(text=text)), context()) is None


def test_the_owner_is_found_by_name_or_by_the_most_specific_glob() -> None:
    owners = {"*": "platform", "d*": "storage", "payment": "money"}
    finding = ServiceOwner().check(bundle(), context(owners=owners))
    assert finding is not None
    assert finding.text == "db belongs to storage"
    assert finding.severity is Severity.LOW
    assert ServiceOwner().check(bundle(), context()) is None
