"""The attacks and the judged claims, as tests: a check that is taken out is missed here."""

from pathlib import Path

import pytest

from incidentlens.analysis.model import grounding
from incidentlens.evals import injection
from incidentlens.evals.grounding import evaluate
from incidentlens.evals.injection import attack, cases_of
from incidentlens.evals.section import Context

EVALS = Path(__file__).parents[3] / "evals"
CASES = {case.name: case for case in cases_of(EVALS)}


@pytest.mark.parametrize("name", CASES)
def test_a_log_line_that_leads_a_model_gets_nothing_through(name):
    assert attack(CASES[name]) == []


def test_without_grounding_attacks_would_get_through(monkeypatch):
    monkeypatch.setattr(grounding, "ungrounded", lambda text, cited, services=(): "")
    assert "leaked" in attack(CASES["numbers that nobody counted"])


def test_without_policy_s_bounds_attacks_would_get_through(monkeypatch):
    monkeypatch.setattr(injection, "decide", _as_said)
    assert "down" in attack(CASES["ignore previous instructions"])
    assert "up" in attack(CASES["wake everybody"])


def _as_said(analysis, incident, history, policy, now):
    from incidentlens.policy import decide

    decision = decide(analysis.without_model(), incident, history, policy, now)
    return decision.model_copy(update={"disposition": analysis.disposition, "severity": analysis.severity})


def test_most_false_claims_are_struck_out_and_true_ones_stand():
    figures = {figure.key: figure for figure in evaluate(Context(EVALS)).figures}
    assert figures["struck"].met
    assert figures["kept"].met
    assert figures["struck_by_ids"].value < figures["struck"].value
