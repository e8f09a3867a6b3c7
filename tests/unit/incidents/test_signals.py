"""Each signal of the ranking by itself, in a few lines, with the words and the records it is explained by."""

from __future__ import annotations

from dataclasses import replace

from incidentlens.incidents import Circumstances, GroupingSettings, group, root_cause
from incidentlens.incidents.calibration import Support, confidence
from incidentlens.model.clock import MINUTE, SECOND
from incidentlens.model.decisions import Deploy
from incidentlens.model.terms import ProblemKind

START = 1_700_000_000 * SECOND
TRACES = ("t1", "t2", "t3")


def joined(problems, **settings):
    (incident,) = group(problems, [], START, GroupingSettings(**settings))
    return incident


def cited(cause):
    return {found for step in cause.chain for found in step.evidence}


def test_a_host_that_nobody_knows_and_two_services_name_is_the_cause(make_problem):
    said = "could not connect to ledger-db:5432: connection refused"
    problems = [
        make_problem("billing", said, 0, mentions=("ledger-db:5432",)),
        make_problem("mailer", said, 0.5, mentions=("ledger-db:5432",)),
    ]
    cause = root_cause(joined(problems))
    assert cause.service == "ledger-db"
    assert "billing, mailer name it" in cause.chain[0].because
    assert set(cause.chain[0].evidence) <= {sample.id for problem in problems for sample in problem.samples}


def test_a_host_that_one_service_names_is_left_in_its_words(make_problem):
    lone = make_problem("billing", "could not connect to ledger-db:5432: connection refused", 0)
    assert root_cause(joined([lone])).service == "billing"


def test_a_caller_that_quotes_another_service_is_joined_and_explained_by_it(make_problem):
    inner = make_problem("stock", "ERROR quota of tenant blue is used up", 1)
    outer = make_problem("report", "ERROR report 7 failed: remote error: quota of tenant blue is used up", 0)
    cause = root_cause(joined([outer, inner]))
    assert cause.service == "stock"
    assert "report's failing lines quote those of stock" in cause.chain[0].because


def test_two_services_that_say_the_same_do_not_quote_each_other(make_problem):
    said = "ERROR quota of tenant blue is used up"
    assert len(group([make_problem("a", said, 0), make_problem("b", said, 0)], [], START)) == 2


def test_calls_learnt_from_traces_point_to_what_is_called(make_problem):
    problems = [make_problem("shop", "cannot save", 0), make_problem("store", "bad block", 1)]
    incident = joined(problems, calls={"shop": ("store",)})
    cause = root_cause(incident, around=Circumstances(calls={"shop": ("store",)}))
    assert cause.service == "store"
    assert any("shop calls store" in step.because for step in cause.chain)


def test_a_platform_that_kills_a_silent_service_speaks_for_it(make_problem):
    problems = [
        make_problem("kubelet", "out of memory: Killed process 12 in pod images-5c9d8f7b6-aa1bb", 0,
                     mentions=("images",)),
        make_problem("gateway", "upstream images: connection reset by peer", 1, mentions=("images",)),
    ]  # fmt: skip
    cause = root_cause(joined(problems), known_services=["images"])
    assert cause.service == "images"
    assert problems[0].samples[0].id in cited(cause)


def test_a_platform_that_evicts_explains_those_it_names(make_problem):
    problems = [
        make_problem("kubelet", "evicted pod images-5c9d8f7b6-aa1bb: disk pressure", 0, mentions=("images",)),
        make_problem("images", "terminated while scaling", 1),
    ]
    assert root_cause(joined(problems)).service == "kubelet"


def test_a_named_service_that_goes_on_as_ever_is_less_of_a_suspect_than_one_that_fell_quiet(make_problem):
    problems = [make_problem("front", "no answer from upstream inner", 0, mentions=("inner",))]
    incident = joined(problems)
    lively = root_cause(incident, known_services=["inner"], around=Circumstances(liveliness={"inner": (40, 41.0)}))
    quiet = root_cause(incident, known_services=["inner"], around=Circumstances(liveliness={"inner": (1, 41.0)}))
    score = {entry.service: entry.score for entry in lively.ranking}
    assert score["inner"] < {entry.service: entry.score for entry in quiet.ranking}["inner"]
    assert quiet.service == "inner"
    assert "1 lines came where 41 are usual" in quiet.chain[0].because


def test_a_step_broken_inside_a_service_outweighs_one_that_is_merely_not_reached(make_problem):
    broken = make_problem("inner", "read 1 from the table", 0, kind=ProblemKind.SEQUENCE, traces=TRACES, score=4.0)
    beyond = broken.model_copy(
        update={"id": "p_x", "service": "leaf", "unreached": True, "samples": (), "onset": broken.onset}
    )
    victim = make_problem("middle", "answer is null", 0.01, traces=TRACES)
    incident = joined([broken, beyond, victim])
    around = Circumstances(calls={"middle": ("inner", "leaf")})
    assert root_cause(incident, around=around).service == "inner"


def test_a_recent_deploy_of_the_cause_is_told_and_one_elsewhere_is_not(make_problem):
    incident = joined([make_problem("stock", "KeyError: 'warehouse'", 0)])
    own = Deploy(id="d1", project="p", service="stock", at=START - MINUTE, version="2.4")
    other = Deploy(id="d2", project="p", service="search", at=START - MINUTE, version="9")
    assert "deployed 2.4 1 min before" in root_cause(incident, around=Circumstances(deploys=(own,))).chain[0].because
    assert "deployed" not in root_cause(incident, around=Circumstances(deploys=(other,))).chain[0].because


def test_a_cause_whose_clock_is_a_minute_late_is_still_the_one_that_is_named(make_problem):
    problems = [
        make_problem("core", "PUT http://disk:9000/block: 507", 0, mentions=("disk",), lasts=120.0),
        make_problem("edge", "core answered 507", 1, mentions=("core",), lasts=120.0),
        make_problem("disk", "quota exceeded on /data", 60, lasts=60.0),
    ]
    assert root_cause(joined(problems)).service == "disk"


def test_confidence_rises_with_the_ranking_and_falls_with_rivals_silence_and_a_victims_words():
    plain = Support(0.9, alone=False, rivals=False, silent=False, lively=False, symptom=False)
    assert confidence(plain) > confidence(
        Support(0.6, alone=False, rivals=False, silent=False, lively=False, symptom=False)
    )
    for worse in ("rivals", "silent", "lively", "symptom"):
        assert confidence(replace(plain, **{worse: True})) < confidence(plain)


def test_rivals_of_the_same_minute_make_a_lone_cause_less_sure(make_problem):
    incident = joined([make_problem("a", "assertion failed", 0)])
    alone = root_cause(incident)
    doubted = root_cause(incident, around=Circumstances(rivals=frozenset({"b"})))
    assert doubted.confidence < alone.confidence


def test_a_cause_whose_own_lines_blame_another_one_that_is_faint_and_a_young_history_are_less_sure():
    plain = Support(0.9, alone=False, rivals=False, silent=False, lively=False, symptom=False, loudest=14, history=60)
    for worse in ({"blames": True}, {"loudest": 4.0}, {"history": 2.0}):
        assert confidence(replace(plain, **worse)) < confidence(plain)
    for same in ({"loudest": 30.0}, {"history": 1e5}):
        assert confidence(replace(plain, **same)) == confidence(plain)


def test_one_faint_problem_after_a_minute_of_history_names_no_cause_with_confidence(make_problem):
    faint = make_problem("stock", "order 7 has a wrong state", 0)
    faint = faint.model_copy(
        update={"parts": faint.parts.model_copy(update={"severity_weight": 1.5, "spike_ratio": 2})}
    )
    grown = root_cause(joined([faint]), around=Circumstances(history=24 * 60.0))
    young = root_cause(joined([faint]), around=Circumstances(history=1.0))
    assert young.confidence < grown.confidence < 0.86
    assert young.confidence < 0.7
