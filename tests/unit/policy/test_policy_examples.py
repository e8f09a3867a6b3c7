"""Example cases of a policy, and its past under another one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from builders import T0, make_analysis, make_incident
from incidentlens.model.clock import HOUR, MINUTE
from incidentlens.model.terms import Disposition, Mode, Severity, Status
from incidentlens.policy import History, Policy, decide, load_policy
from incidentlens.policy.backtest import backtest, changed_policy
from incidentlens.policy.examples import load_examples, run_examples
from incidentlens.policy.history import told_by

DEFAULT = Path(__file__).parents[3] / "policies" / "default.yaml"
LIVE = Policy(mode=Mode.LIVE)


def incident(name: str = "i1", **changes):
    return make_incident(name, **{"status": Status.OPEN, "severity": Severity.MEDIUM, **changes})


def decided(name: str, at: int, policy: Policy, history: History | None = None, **changes):
    """A decision as the pipeline keeps it, and its incident."""
    found = incident(name, **changes)
    analysis = make_analysis(disposition=Disposition.NEEDS_DEV, severity=found.severity, confidence=0.5)
    return decide(analysis, found, history or History(), policy, at), found


def past(*pairs):
    return [decision for decision, _ in pairs], {found.id: found for _, found in pairs}


def test_the_default_policy_does_what_its_cases_say() -> None:
    cases, document = load_examples(DEFAULT.with_name("default.cases.yaml"))
    wrong = [out for out in run_examples(load_policy(DEFAULT), "default", cases, document) if out.wrong]
    assert len(cases) > 15
    assert wrong == []


def test_a_case_that_is_decided_otherwise_is_named_with_file_line_and_what_came(tmp_path: Path) -> None:
    path = tmp_path / "p.cases.yaml"
    path.write_text("cases:\n  - name: never told\n    expect: {told: false, disposition: OBSERVE, reason: floor}\n")
    cases, document = load_examples(path)
    (out,) = run_examples(LIVE, "p", cases, document)
    assert (out.file, out.line, out.name) == (str(path), 2, "never told")
    assert out.wrong[0] == "disposition is NEEDS_ONCALL, expected OBSERVE"
    assert out.wrong[1] == "told is true, expected false"
    assert out.wrong[2].startswith("no reason floor; there are analysis")


def test_the_same_policy_changes_nothing() -> None:
    decisions, incidents = past(decided("i1", T0, LIVE), decided("i2", T0 + HOUR, LIVE))
    found = backtest(decisions, incidents, LIVE)
    assert (found.decisions, found.incidents, found.told_before, found.told_after) == (2, 2, 2, 2)
    assert found.differences == ()


def test_a_higher_threshold_is_no_longer_sent_and_lower_and_says_why() -> None:
    decisions, incidents = past(decided("i1", T0, LIVE))
    found = backtest(decisions, incidents, changed_policy(LIVE, ["thresholds.NEEDS_DEV=0.9"]))
    (one,) = found.differences
    assert one.changes == ("not_sent", "lowered")
    assert one.after.reason.startswith("threshold: confidence 0.50 is below the 0.90")
    assert found.counts == {"not_sent": 1, "lowered": 1}


def test_who_was_told_before_is_told_anew_by_the_new_policy() -> None:
    first, one = decided("i1", T0, LIVE)
    held, two = decided("i2", T0 + 5 * MINUTE, LIVE, History(told=(told_by(first),)))
    assert (first.tell, held.tell) == (True, False)  # the same signature, within the cooldown
    found = backtest([held, first], {"i1": one, "i2": two}, changed_policy(LIVE, ["cooldown_minutes=1"]))
    assert [(one.incident_id, one.changes) for one in found.differences] == [("i2", ("sent",))]


def test_a_hold_of_the_new_policy_that_runs_out_is_decided_again_then() -> None:
    lasting = {"last_seen": T0 + 2 * HOUR}
    decisions, incidents = past(
        decided("i1", T0, LIVE, History(first_seen={"db": T0 - MINUTE}, watched_since=T0 - 9 * HOUR), **lasting)
    )
    assert not decisions[0].tell
    found = backtest(decisions, incidents, changed_policy(LIVE, ["new_service_grace_minutes=5"]))
    (one,) = found.differences
    assert one.changes == ("sent",)
    assert one.after.told_at == T0 + 4 * MINUTE


def test_nothing_of_the_past_is_changed_and_an_unreadable_snapshot_is_counted() -> None:
    decision, found = decided("i1", T0, LIVE)
    broken = decision.model_copy(update={"id": "d-old", "inputs": {"now": 1}})
    before = (decision.model_dump_json(), found.model_dump_json())
    result = backtest([decision, broken, decision.model_copy(update={"incident_id": "gone"})], {"i1": found}, Policy())
    assert (result.decisions, result.skipped) == (1, 2)
    assert before == (decision.model_dump_json(), found.model_dump_json())


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("cooldwn_minutes=3", "did you mean 'cooldown_minutes'"),
        ("cooldown_minutes", "write key=value"),
        ("cooldown_minutes=-1", "cooldown_minutes"),
        ("suppress.enabled.x=1", "has no"),
        ("thresholds.OBSERVE=0.5", "tells nobody"),
    ],
)
def test_a_setting_that_is_none_is_refused_in_words(setting: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        changed_policy(LIVE, [setting])


def test_settings_reach_into_the_policy() -> None:
    changed = changed_policy(LIVE, ["suppress.enabled=false", "storm.notifications=3", "max_quiet_minutes=10"])
    assert (changed.suppress.enabled, changed.storm.notifications, changed.max_quiet_minutes) == (False, 3, 10)
