"""Earlier incidents like one at hand: how much, why, and what ended them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from builders import T0, make_incident, make_problem
from incidentlens.incidents import known_cause, similar
from incidentlens.model.clock import HOUR
from incidentlens.model.decisions import Feedback
from incidentlens.model.past import PastIncident
from incidentlens.model.terms import Outcome, Status
from incidents_in_store import a_cause, two_problems


def incident(name="now", **changes):
    return make_incident(name, **{"problems": two_problems(), "root_cause": a_cause(), **changes})


def past(name="past", feedback=(), **changes):
    ends = {key: changes.pop(key) for key in ("outcome", "outcome_why", "ended_by", "ended_note") if key in changes}
    return PastIncident.of(incident(name, **changes), feedback=tuple(feedback), **ends)


def said(verdict, text="", by="ann", at=T0, **more):
    return Feedback(incident_id="past", at=at, by=by, verdict=verdict, text=text, **more)


def other_problem(number=9, **changes):
    values = {"service": "mail", "signature": f"mail:ERROR:smtp_refused#{number:04x}", "template": "smtp refused"}
    return make_problem(number, **{**values, **changes})


def test_the_same_incident_again_is_wholly_alike_and_says_why():
    (found,) = similar(incident(), [past()])
    assert found.score == 1
    assert found.parts == {"signatures": 1, "services": 1, "chain": 1, "text": 1}
    assert found.reasons[0].startswith("2 of 2 signatures in common: db:ERROR:")
    assert "the same suspected cause, db" in found.reasons
    assert "the same chain: db → payment" in found.reasons


def test_an_incident_of_other_services_and_words_is_none():
    stranger = past("other", problems=(other_problem(),), root_cause=None, title="mail is refused", service="mail")
    assert similar(incident(), [stranger]) == []


def test_the_same_services_with_other_faults_are_not_enough():
    elsewhere = tuple(other_problem(number, service=service) for number, service in ((8, "db"), (9, "payment")))
    assert similar(incident(), [past(problems=elsewhere, root_cause=None, title="mail is refused")]) == []


def test_a_signature_that_every_incident_has_weighs_less_than_a_rare_one():
    common, rare = (
        make_problem(1, signature="gw:ERROR:request_failed#1"),
        make_problem(2, signature="db:ERROR:deadlock#2"),
    )
    now = make_incident("now", problems=(common, rare))
    pasts = [
        PastIncident.of(make_incident(f"c{n}", problems=(common, make_problem(50 + n, signature=f"x:ERROR:y#{n}"))))
        for n in range(20)
    ]
    pasts.append(PastIncident.of(make_incident("r", problems=(rare, make_problem(99, signature="x:ERROR:z#9")))))
    assert similar(now, pasts)[0].past.id == "r"


def test_the_incident_itself_is_left_out_and_equal_ones_come_latest_first():
    found = similar(incident(), [past("a"), past("b", last_seen=T0 + HOUR), past("now")])
    assert [entry.past.id for entry in found] == ["b", "a"]


def test_what_ended_it_names_the_runbook_that_helped_and_the_person_who_closed_it():
    closed = {"status": Status.CLOSED, "ended_at": T0 + HOUR, "ended_by": "bob", "ended_note": "pool raised to 40"}
    (found,) = similar(incident(), [past(runbook="db-pool", feedback=[said("helped", "as written")], **closed)])
    assert found.resolved_by == "runbook db-pool helped (ann: as written); closed by bob: pool raised to 40"
    quiet = {
        "status": Status.RESOLVED,
        "ended_at": T0 + HOUR,
        "outcome": Outcome.RESOLVED,
        "outcome_why": "quiet for 5 min",
    }
    assert similar(incident(), [past(**quiet)])[0].resolved_by == "verified as resolved: quiet for 5 min"
    assert similar(incident(), [past()])[0].resolved_by == ""


def test_one_that_people_confirmed_comes_before_one_that_nobody_looked_at_and_says_so():
    less = (*two_problems(), other_problem())
    plain, confirmed = past("a", problems=less), past("b", problems=less, feedback=[said("right_cause")])
    first, second = similar(incident(), [plain, confirmed])
    assert (first.past.id, second.past.id) == ("b", "a")
    assert first.score - second.score < 0.051
    assert "ranked up: ann said what it was" in first.reasons


def test_a_corrected_cause_is_known_by_the_latest_word():
    words = [said("right_cause"), said("wrong_cause", "dns was down", by="bob", at=T0 + 1, service="dns")]
    assert known_cause(past(feedback=words)) == "bob named the cause of that incident: dns: dns was down"
    assert known_cause(past()) == ""


SERVICES = st.sampled_from(["db", "payment", "mail", ""])


@given(st.lists(st.lists(st.tuples(SERVICES, st.text(max_size=12)), min_size=1, max_size=4), min_size=1, max_size=5))
def test_scores_are_shares_in_order_whatever_the_texts_are(incidents):
    made = [
        make_incident(
            f"i{n}",
            title=problems[0][1],
            problems=tuple(
                make_problem(m, service=service, signature=text) for m, (service, text) in enumerate(problems)
            ),
        )
        for n, problems in enumerate(incidents)
    ]
    found = similar(made[0], [PastIncident.of(one) for one in made], limit=10)
    scores = [entry.score for entry in found]
    assert scores == sorted(scores, reverse=True)
    assert all(0.25 <= score <= 1 for score in scores)
    assert all(entry.past.id != "i0" and entry.reasons for entry in found)
