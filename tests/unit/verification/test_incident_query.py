"""The LogQL that finds an incident's own records, whatever its logs say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import make_incident, make_problem, make_sample
from incidentlens.logql import parse
from incidentlens.model.incidents import Problem
from incidentlens.model.terms import ProblemKind
from incidentlens.verification import incident_query
from incidentlens.verification.constants import constants
from incidentlens.verification.query import quote_regex


def problem(template: str, *lines: str, number: int = 1, service: str = "db", **changes: Any) -> Problem:
    samples = tuple(make_sample(number * 100 + i, line=line, message=line) for i, line in enumerate(lines))
    return make_problem(
        number, template=template, samples=samples, service=service, signature=f"{service}:x#{number}", **changes
    )


def query(*problems: Problem, label: str = "service") -> str:
    return incident_query(make_incident(problems=problems), label)


def test_one_problem_is_looked_for_by_the_longest_constants_of_its_template() -> None:
    found = query(problem("connection pool exhausted: <*> of <*> connections in use, waited <*> ms"))
    assert found == '{service="db"} |= "connections in use, waited" |= "connection pool exhausted"'


def test_several_problems_are_alternatives_of_one_filter() -> None:
    found = query(
        problem("pool exhausted (<*>)"),
        problem("payment timeout: <*> did not answer", number=2, service="payment"),
    )
    assert found == '{service=~"db|payment"} |~ "pool exhausted|did not answer"'.replace(
        "did not answer", "payment timeout"
    )


def test_the_projects_service_label_is_used_and_a_bad_one_refused() -> None:
    assert query(problem("pool exhausted"), label="app") == '{app="db"} |= "pool exhausted"'
    with pytest.raises(ValueError, match="cannot be the name"):
        query(problem("pool exhausted"), label='a="b"} or {x')


def test_only_parts_that_stand_in_every_sample_are_used() -> None:
    found = constants(problem("Pool <*> exhausted at last <*>", "pool x exhausted at last", "pool y exhausted at last"))
    assert found == ["exhausted at last"]


def test_parts_that_json_would_escape_are_not_used() -> None:
    text = 'cannot read "<*>" of user\\name in füllung here'
    assert constants(problem(text)) == ["cannot read", "llung here", "name in f"]


def test_filters_come_from_one_line_of_a_stack_trace() -> None:
    found = constants(problem("checkout of order <*> failed\njava.lang.NullPointerException: <*>\n\tat a.b.C"))
    assert found == ["checkout of order", "failed"]


def test_a_template_without_constants_is_looked_for_by_what_failing_lines_say() -> None:
    assert query(problem("<*> <*>")) == '{service="db"} |~ "(?i)(error|fatal|panic|exception|critical)"'
    mixed = query(problem("<*>"), problem("pool exhausted", number=2))
    assert mixed == '{service="db"} |~ "pool exhausted|(?i)(error|fatal|panic|exception|critical)"'


def test_without_a_service_the_labels_of_a_stream_are_the_selector() -> None:
    sample = make_sample(stream='{"job":"x\\"y","detected_level":"error","empty":"","bad-name":"z"}')
    found = query(make_problem(service="unknown", template="pool exhausted", samples=(sample,)))
    assert found.startswith('{job="x\\"y"} ')
    assert query(make_problem(service="unknown", samples=())) == ""


@pytest.mark.parametrize(
    "service", ['"', "\\", '"} or {x="', "`", "\n", "\x00", "é", "\U0001f600", "$(x)", "a|b", ".*"]
)
def test_a_hostile_service_name_stays_a_string(service: str) -> None:
    other = problem("payment timeout", number=2, service="payment")
    for found in (query(problem("pool exhausted", service=service)), query(problem("pool", service=service), other)):
        parsed = parse(found)
        assert len(parsed.matchers) == 1
        assert parsed.matchers[0].matches({"service": service})
        assert not parsed.matchers[0].matches({"service": "elsewhere"})


@settings(deadline=None, max_examples=150)
@given(st.text(max_size=30))
def test_an_escaped_text_matches_itself_and_nothing_shorter(text: str) -> None:
    import re2

    text = text.encode("utf-8", "replace").decode()
    assert re2.fullmatch(quote_regex(text), text) is not None
    if text:
        assert re2.fullmatch(quote_regex(text), text[:-1]) is None


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.tuples(st.text(max_size=40), st.text(max_size=20)), min_size=1, max_size=4),
    st.sampled_from(['{"job":"a"}', "{", '{"a b":"c"}', '{"x":"\\" } | y"}']),
)
def test_whatever_the_logs_say_the_query_is_a_log_query_of_a_selector_and_line_filters(
    given_problems: list[tuple[str, str]], stream: str
) -> None:
    problems = tuple(
        make_problem(
            n,
            template=template,
            service=service.encode("utf-8", "replace").decode(),
            samples=(make_sample(n, stream=stream, line=template),),
        )
        for n, (template, service) in enumerate(given_problems)
    )
    found = incident_query(make_incident(problems=problems))
    if found:
        parse(found)


def test_what_no_count_of_lines_shows_is_not_asked_for() -> None:
    silent = make_problem(1, kind=ProblemKind.SILENCE, template="beat")
    assert incident_query(make_incident(problems=(silent,))) == ""
    both = make_incident(problems=(silent, make_problem(2, template="pool exhausted")))
    assert "beat" not in incident_query(both)
