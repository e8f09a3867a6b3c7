"""What people said of earlier incidents, and what little it may do."""

from __future__ import annotations

import pytest

from builders import T0, make_incident, make_problem
from incidentlens.incidents import opinions, swayed
from incidentlens.model.decisions import Feedback
from incidentlens.model.incidents import ServiceScore
from incidentlens.model.past import PastIncident
from incidents_in_store import a_cause, two_problems


def incident(name="now", **changes):
    return make_incident(name, **{"problems": two_problems(), "root_cause": a_cause(), **changes})


def past(*feedback, name="past", **changes):
    return PastIncident.of(incident(name, **changes), feedback=tuple(feedback))


def said(verdict, by="ann", at=T0, **more):
    return Feedback(incident_id="past", at=at, by=by, verdict=verdict, **more)


def only(found, kind):
    (one,) = [opinion for opinion in found if opinion.kind == kind]
    return one


def test_noise_is_counted_by_word_and_names_who_said_it():
    noise = only(opinions(incident(), [past(said("noise"), said("noise", by="bob", at=T0 + 1))]), "noise")
    assert (noise.votes, noise.text) == (2, "called noise twice by bob, ann")


def test_whoever_found_a_cause_in_it_takes_a_word_of_noise_back():
    assert opinions(incident(), [past(said("noise"), said("right_cause", by="bob"))])[0].kind == "cause"
    assert not [one for one in opinions(incident(), [past(said("noise"), said("helped"))]) if one.kind == "noise"]


def test_words_on_an_incident_of_other_signatures_say_nothing():
    other = make_incident("past", problems=(make_problem(7),))
    assert opinions(incident(), [PastIncident.of(other, feedback=(said("noise"),))]) == ()


def test_noise_of_another_cause_with_a_common_symptom_says_nothing_of_this_one():
    other = past(said("noise"), root_cause=a_cause().model_copy(update={"service": "payment", "signature": "x#1"}))
    assert opinions(incident(), [other]) == ()


@pytest.mark.parametrize(("words", "votes"), [(1, 1), (3, 3), (40, 3)])
def test_three_words_at_most_count(words, votes):
    cast = [said("right_cause", at=T0 + number) for number in range(words)]
    cause = only(opinions(incident(), [past(*cast)]), "cause")
    assert cause.votes == votes
    assert cause.factor == pytest.approx(1 + votes / 10)


def test_a_corrected_cause_ranks_the_named_service_up_and_the_other_down():
    wrong = said("wrong_cause", service="payment", text="it was their pool")
    found = {one.about: one for one in opinions(incident(), [past(wrong)])}
    assert found["payment"].text == "ranked up: people said so once (ann)"
    assert found["db"].text == "ranked down: people said so once (ann)"


def close_call():
    ranking = (ServiceScore(service="db", score=1.0), ServiceScore(service="payment", score=0.9))
    return a_cause().model_copy(update={"ranking": ranking})


def test_a_close_second_comes_first_by_peoples_words_and_the_chain_says_so():
    words = opinions(incident(), [past(said("wrong_cause", service="payment"))])
    cause = swayed(close_call(), incident(), words)
    assert (cause.service, cause.ranking[0].service) == ("payment", "payment")
    assert cause.confidence == 0.7
    assert [step.role for step in cause.chain] == ["cause", "link"]
    assert "people said so once" in cause.chain[0].because
    assert "without that db comes first" in cause.summary


def test_words_do_not_overturn_a_clear_ranking():
    words = opinions(incident(), [past(*(said("wrong_cause", at=T0 + n, service="payment") for n in range(9)))])
    cause = swayed(a_cause(), incident(), words)
    assert (cause.service, cause.confidence) == ("db", 0.9)
    assert cause.ranking[0].score == pytest.approx(2.5 * 0.7)


def test_a_service_that_does_not_fail_here_and_an_undetermined_cause_are_left_alone():
    words = opinions(incident(), [past(said("wrong_cause", service="dns"))])
    assert swayed(a_cause(), incident(), words).service == "db"
    undetermined = close_call().model_copy(update={"undetermined": True})
    assert swayed(undetermined, incident(), words) == undetermined


def test_runbooks_are_voted_for_and_against():
    helped = past(said("helped"), said("helped", by="bob", at=T0 + 1), said("not_helped", at=T0 + 2), runbook="pool")
    assert only(opinions(incident(), [helped]), "runbook").votes == 1
