from __future__ import annotations

from incidentlens.incidents import apply_root_cause, group, overall_ranking, root_cause
from incidentlens.model.clock import SECOND
from incidentlens.model.terms import Level

START = 1_700_000_000 * SECOND


def one_incident(problems):
    (incident,) = group(problems, [], START)
    return incident


def db_cascade(make_problem):
    traces = ("t1", "t2", "t3")
    return [
        make_problem("orders", "connection pool exhausted: 50 of 50 in use", 0, traces=traces, score=12.0),
        make_problem("payment", "payment timeout: orders did not answer POST http://orders:8080/x", 2.5, traces=traces,
                     mentions=("orders",), score=12.0),
        make_problem("checkout", "NullPointerException: result is null", 4, traces=traces, score=12.0),
        make_problem("web-gateway", "Unhandled exception: upstream checkout answered 500", 5, traces=traces,
                     mentions=("checkout",), score=15.0),
    ]  # fmt: skip


def test_the_chain_of_a_cascade_begins_with_its_cause_and_cites_records(make_problem):
    incident = one_incident(db_cascade(make_problem))
    cause = root_cause(incident)
    assert cause.service == "orders"
    assert not cause.undetermined
    assert "connection pool exhausted" in cause.summary
    assert [step.service for step in cause.chain] == ["orders", "payment", "checkout", "web-gateway"]
    assert [step.role for step in cause.chain] == ["cause", "link", "link", "symptom"]
    ids = {sample.id for problem in incident.problems for sample in problem.samples}
    assert all(step.evidence and set(step.evidence) <= ids for step in cause.chain)
    assert cause.ranking[0].service == "orders"
    assert sum(entry.score for entry in cause.ranking) > 0.99


def test_a_cause_whose_clock_is_late_is_still_found_by_who_names_whom(make_problem):
    problems = db_cascade(make_problem)
    late = make_problem("orders", "connection pool exhausted: 50 of 50 in use", 4, traces=("t1",), score=12.0)
    assert root_cause(one_incident([late, *problems[1:]])).service == "orders"


def test_a_service_that_logs_nothing_but_is_named_by_all_is_ranked(make_problem):
    problems = [
        make_problem("web", "call to session-store failed: refused", 0, mentions=("session-store",)),
        make_problem("api", "session-store is unavailable", 1, mentions=("session-store",), traces=("t",)),
        make_problem("mobile", "session-store is unavailable", 1, mentions=("session-store",), traces=("t",)),
    ]
    (incident, *rest) = group(problems, [], START)
    assert rest == [] or len(rest) == 1
    ranking = root_cause(incident, known_services=["session-store"]).ranking
    assert "session-store" in {entry.service for entry in ranking[:2]}


def test_nothing_that_sets_one_apart_is_undetermined(make_problem):
    problems = [
        make_problem("a", "request failed", 0, traces=("t",)),
        make_problem("b", "request failed", 0, traces=("t",)),
    ]
    tied = [p.model_copy(update={"samples": tuple(s.model_copy(update={"trace_id": None}) for s in p.samples)})
            for p in problems]  # fmt: skip
    cause = root_cause(one_incident(tied))
    assert cause.undetermined
    assert (cause.service, cause.signature) == ("", "")
    assert cause.confidence <= 0.3
    assert {entry.service for entry in cause.ranking} == {"a", "b"}


def test_the_order_within_shared_traces_decides_between_services_that_began_together(make_problem):
    first = make_problem("inner", "x failed", 0, traces=("t1", "t2", "t3"))
    second = make_problem("outer", "y failed", 0.05, traces=("t1", "t2", "t3"))
    cause = root_cause(one_incident([first, second]))
    assert cause.service == "inner"
    assert "inner fails before outer in 3 of 3 shared traces" in cause.chain[0].because


def test_configured_dependencies_point_to_what_is_called(make_problem):
    down = make_problem("store", "no space left on device", 1, level=Level.ERROR, traces=("t",))
    up = make_problem("shop", "cannot save", 0, traces=("t",))
    cause = root_cause(one_incident([up, down]), dependencies={"shop": ["store"]})
    assert cause.service == "store"


def test_a_title_follows_the_cause_unless_pinned(make_problem):
    incident = one_incident(db_cascade(make_problem))
    cause = root_cause(incident)
    told = apply_root_cause(incident, cause)
    assert told.service == "orders"
    assert told.title.startswith("orders: connection pool exhausted")
    pinned = apply_root_cause(incident.model_copy(update={"pinned": True, "title": "mine"}), cause)
    assert pinned.title == "mine"
    assert overall_ranking([told])[0].service == "orders"
