"""Which runbooks fit an incident, and why."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import T0, make_incident, make_problem, make_sample
from incidentlens.model.clock import SECOND
from incidentlens.model.incidents import ChainStep, Incident, Problem, RootCause
from incidentlens.runbooks import Matcher, PatternError, Runbook
from incidentlens.runbooks.patterns import PatternSet, compile_pattern


def runbook(runbook_id: str, *patterns: str, **changes: Any) -> Runbook:
    values: dict[str, Any] = {
        "id": runbook_id,
        "name": runbook_id.title(),
        "default_severity": "high",
        "disposition": "NEEDS_ONCALL",
        "patterns": patterns,
        "steps": ("Look at the pool's users.",),
    }
    return Runbook(**{**values, **changes})


def problem(number: int, service: str, text: str, **changes: Any) -> Problem:
    samples = tuple(
        make_sample(number * 100 + i, service=service, message=text, line=f"2026 ERROR {text}", stream='{"env":"prod"}')
        for i in range(4)
    )
    values = {"service": service, "signature": f"x:ERROR:n{number}#{number:04x}", "template": text, "samples": samples}
    return make_problem(number, **{**values, "onset": T0 + number * SECOND, **changes})


def with_cause(cause: Problem, *others: Problem, roles: tuple[str, ...] = ()) -> Incident:
    steps = [(cause, "cause"), *zip(others, roles, strict=False)]
    chain = tuple(
        ChainStep(
            service=p.service,
            signature=p.signature,
            template=p.template,
            onset=p.onset,
            role=role,
            because="earlier",
            evidence=(p.samples[0].id,) if p.samples else ("x",),
        )
        for p, role in steps
    )
    root = RootCause(service=cause.service, signature=cause.signature, summary="", confidence=0.8, chain=chain)
    return make_incident(problems=(cause, *others), root_cause=root)


POOL = runbook("pool", "connection pool exhausted")
NULL = runbook("null", "NullPointerException")


def test_a_pattern_in_the_template_matches_without_regard_to_case_and_says_why() -> None:
    found = Matcher([POOL]).match(with_cause(problem(1, "orders", "Connection POOL exhausted: <*> of <*> in use")))
    assert [match.runbook_id for match in found] == ["pool"]
    assert 0.7 <= found[0].score <= 1
    assert "Connection POOL exhausted" in found[0].reasons[0]
    assert "the template" in found[0].reasons[0]
    assert found[0].reasons[-1] == "orders is the suspected cause"
    assert found[0].problem_id == "p1"
    assert found[0].steps == POOL.steps


def test_the_runbook_of_the_cause_comes_before_that_of_a_symptom() -> None:
    cause = problem(1, "orders", "connection pool exhausted")
    symptom = problem(2, "checkout", "java.lang.NullPointerException: x is null", count=9_999, score=99)
    found = Matcher([NULL, POOL]).match(with_cause(cause, symptom, roles=("symptom",)))
    assert [match.runbook_id for match in found] == ["pool"]
    found = Matcher([NULL, POOL]).match(with_cause(cause, symptom, roles=("link",)))
    assert [match.runbook_id for match in found] == ["pool", "null"]


def test_without_a_cause_the_earliest_problem_weighs_most() -> None:
    incident = make_incident(
        problems=(problem(2, "b", "NullPointerException"), problem(1, "a", "connection pool exhausted"))
    )
    found = Matcher([NULL, POOL]).match(incident)
    assert [match.runbook_id for match in found] == ["pool", "null"]
    assert "not determined" in found[0].reasons[-1]


def test_a_word_in_one_sample_of_ten_is_no_match() -> None:
    samples = tuple(make_sample(i, message="all well", line="all well") for i in range(9))
    stray = make_sample(10, message="connection pool exhausted", line="connection pool exhausted")
    incident = with_cause(make_problem(template="<*>", signature="x:ERROR:y#1", samples=(*samples, stray)))
    assert Matcher([POOL]).match(incident) == []


def test_a_pattern_only_in_the_header_of_a_line_weighs_less_than_one_in_the_message() -> None:
    line = tuple(make_sample(i, message="it failed", line="ERROR FraudCheckRunner it failed") for i in range(4))
    text = tuple(make_sample(i, message="FraudCheckRunner failed", line="FraudCheckRunner failed") for i in range(4))
    book = runbook("fraud", "FraudCheckRunner")
    scores = [
        Matcher([book]).match(with_cause(make_problem(template="<*>", signature="x#1", samples=samples)))[0].score
        for samples in (line, text)
    ]
    assert scores[0] < scores[1]


def test_the_signatures_readable_name_is_searched() -> None:
    bare = make_problem(template="<*>", samples=(), signature="db:ERROR:connection_pool_exhausted#1f3a")
    assert Matcher([POOL]).match(with_cause(bare))[0].reasons[0].endswith("the signature's name")


def test_several_patterns_raise_the_score() -> None:
    text = "connection pool exhausted: timeout waiting"
    one = Matcher([POOL]).match(with_cause(problem(1, "db", text)))[0]
    two = Matcher([runbook("two", "connection pool exhausted", "timeout waiting")]).match(
        with_cause(problem(1, "db", text))
    )[0]
    assert two.score > one.score


def test_a_runbook_for_other_services_does_not_apply_and_one_for_this_weighs_more() -> None:
    incident = with_cause(problem(1, "orders-eu", "connection pool exhausted"))
    other = runbook("other", "connection pool exhausted", services=("payment",))
    own = runbook("own", "connection pool exhausted", services=("orders-*",))
    found = Matcher([other, own, POOL]).match(incident)
    assert [match.runbook_id for match in found] == ["own", "pool"]
    assert any("orders-eu" in reason for reason in found[0].reasons[:-1])


def test_labels_must_be_on_a_stream_or_on_the_incident() -> None:
    incident = with_cause(problem(1, "orders", "connection pool exhausted"))
    fits = runbook("fits", "connection pool exhausted", labels={"env": "pro*"})
    other = runbook("other", "connection pool exhausted", labels={"env": "staging"})
    absent = runbook("absent", "connection pool exhausted", labels={"team": "x"})
    assert [match.runbook_id for match in Matcher([fits, other, absent]).match(incident)] == ["fits"]
    labelled = incident.model_copy(update={"labels": {"team": "x"}})
    assert "absent" in [match.runbook_id for match in Matcher([absent]).match(labelled)]


def test_broken_stream_labels_and_odd_text_do_not_stop_matching() -> None:
    sample = make_sample(stream="not json", message="connection pool exhausted \x00 é", line="x")
    incident = with_cause(make_problem(samples=(sample,)))
    assert Matcher([runbook("l", "pool exhausted", labels={"a": "b"}), POOL]).match(incident)[0].runbook_id == "pool"


def test_no_runbooks_match_nothing_and_equal_scores_stand_in_order_of_id() -> None:
    incident = with_cause(problem(1, "db", "connection pool exhausted"))
    assert Matcher([]).match(incident) == []
    twins = [runbook("b", "pool exhausted"), runbook("a", "pool exhausted")]
    assert [match.runbook_id for match in Matcher(twins).match(incident)] == ["a", "b"]


def test_the_use_of_patterns_can_be_counted() -> None:
    book = runbook("two", "connection pool exhausted", "never said")
    hits = Matcher([book]).pattern_hits(with_cause(problem(1, "db", "connection pool exhausted")))
    assert hits == {"two": ("connection pool exhausted",)}


@pytest.mark.parametrize("pattern", ["(", "(?=a)", r"(a)\1", "a" * 2000, " ", "x{9999}"])
def test_a_pattern_re2_does_not_take_is_a_clear_error(pattern: str) -> None:
    with pytest.raises(PatternError):
        compile_pattern(pattern)


def test_a_pattern_that_kills_backtracking_engines_takes_no_time() -> None:
    assert compile_pattern("(a+)+$").search("a" * 5000 + "b") is None


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(["pool", "Exhausted", "É", "null", "1 = 1", "timeout", "\x00"]), max_size=12))
def test_the_filter_finds_the_same_as_each_pattern_alone(words: list[str]) -> None:
    patterns = ["pool exhausted", r"\bnull\b", "time-?out", r"1\s*=\s*1", ".{3}", "é", "(?:pool|null) (?:null|pool)"]
    text = " ".join(random.Random(len(words)).choice((word, word.upper(), word.lower())) for word in words)
    alone = {i for i, pattern in enumerate(patterns) if text and compile_pattern(pattern).search(text) is not None}
    assert set(PatternSet(patterns).hits(text)) == alone
