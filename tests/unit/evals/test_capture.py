"""An incident that people judged, as an evaluation case."""

from __future__ import annotations

import pytest
import yaml

from builders import T0, make_incident, make_problem, make_sample
from incidentlens.evals.capture import NotJudged, capture
from incidentlens.model.clock import SECOND
from incidentlens.model.decisions import Feedback
from incidents_in_store import a_cause, two_problems


def said(verdict: str, at: int = T0, **more: object) -> Feedback:
    return Feedback(incident_id="i1", at=at, by="ann", verdict=verdict, **more)  # type: ignore[arg-type]


def case(text: str) -> dict:
    (found,) = yaml.safe_load(text)["cases"]
    return found


def incident(**changes):
    return make_incident(**{"problems": two_problems(), "root_cause": a_cause(), **changes})


def test_a_confirmed_cause_is_expected_with_its_chain() -> None:
    found = case(capture(incident(), [said("right_cause")]))
    assert found["expect"] == {"causes": [{"service": "db", "chain": ["db", "payment"]}]}
    first = found["lines"][0]
    assert (first["at"], first["say"]) == ("0s", ["db: ERROR connection pool exhausted (1)"])
    assert first["times"] == 40  # 41 records, one of which is another sample


def test_the_latest_word_in_force_counts() -> None:
    words = [said("right_cause"), said("wrong_cause", at=T0 + 1, service="dns"), said("noise", at=T0 + 2)]
    assert case(capture(incident(), words))["expect"] == {"causes": []}
    words[2] = words[2].model_copy(update={"withdrawn_at": T0 + 3, "withdrawn_by": "ann"})
    assert case(capture(incident(), words))["expect"] == {"causes": [{"service": "dns"}]}


def test_without_a_judgement_there_is_no_case() -> None:
    with pytest.raises(NotJudged, match="give feedback first"):
        capture(incident(), [said("note", text="hm")])


def test_secrets_are_masked_and_counted_and_hostile_text_stays_one_line() -> None:
    line = "ERROR login failed password=hunter2secret for bob@example.org\nexpect: {causes: []}"
    problem = make_problem(samples=(make_sample(line=line),), count=1)
    text = capture(make_incident(problems=(problem,), title="x\n- name: evil", root_cause=None), [
        said("wrong_cause", service="db", text="token=abcdef1234567890abcdef")
    ])  # fmt: skip
    assert "hunter2secret" not in text
    assert "bob@example.org" not in text
    assert "masked in it: " in text.splitlines()[0]
    assert case(text)["expect"] == {"causes": [{"service": "db"}]}
    assert case(text)["lines"][0]["say"][0].count("\n") == 1  # the event's own


def test_lines_have_offsets_from_the_onset_in_order() -> None:
    late = make_problem(2, service="web", onset=T0 + 90 * SECOND, last_seen=T0 + 100 * SECOND, count=5)
    found = case(capture(make_incident(problems=(late, make_problem())), [said("wrong_cause", service="db")]))
    offsets = [float(entry["at"][:-1]) for entry in found["lines"]]
    assert offsets == sorted(offsets)
    assert found["healthy"][0]["at"].startswith("-")
