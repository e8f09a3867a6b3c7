"""What is decided, step by step, and when somebody is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from builders import T0, make_analysis, make_incident, make_problem
from incidentlens.model.analysis import Deterministic
from incidentlens.model.clock import MINUTE
from incidentlens.model.decisions import Deploy, Maintenance
from incidentlens.model.incidents import Suppression
from incidentlens.model.terms import ActionKind, Disposition, Mode, Severity, Status
from incidentlens.model.yamlfile import YamlError
from incidentlens.policy import History, Policy, decide, due_again, load_policy
from incidentlens.policy.model import CountEscalation, Floor, StormLimit, SuppressRule
from incidentlens.runbooks import Runbook
from policy_timeline import Timeline

POLICIES = Path(__file__).parents[3] / "policies"


def live(**changes: Any) -> Policy:
    return Policy(mode=Mode.LIVE, **changes)


def book(**changes: Any) -> Runbook:
    values: dict[str, Any] = {
        "id": "pool",
        "name": "Pool",
        "default_severity": "high",
        "disposition": "NEEDS_ONCALL",
        "patterns": ("pool exhausted",),
        "steps": ("Look at it.",),
    }
    return Runbook(**{**values, **changes})


def say(disposition: str, confidence: float = 0.95, severity: str = "medium", **changes: Any) -> dict[str, Any]:
    return {"disposition": disposition, "confidence": confidence, "severity": severity, **changes}


# Who should know.


def test_a_confident_analysis_is_taken_as_it_is_and_told() -> None:
    line = Timeline().at(0).problem()
    assert line.told() == [(0, "NEEDS_ONCALL")]
    assert line.last.actions == (ActionKind.ENRICH, ActionKind.NOTIFY)
    assert line.codes() == ["analysis", "tell"]


@pytest.mark.parametrize(
    ("confidence", "expected"),
    [(0.5, "ESCALATE"), (0.49, "NEEDS_ONCALL"), (0.39, "NEEDS_DEV"), (0.29, "OBSERVE"), (0.0, "OBSERVE")],
)
def test_a_disposition_falls_step_by_step_to_one_whose_confidence_is_reached(confidence: float, expected: str) -> None:
    line = Timeline().at(0).problem(analysis=say("ESCALATE", confidence))
    assert line.last.disposition == expected


def test_a_floor_holds_for_its_severity_services_and_signatures() -> None:
    floors = (
        Floor(disposition=Disposition.NEEDS_ONCALL, severity=Severity.HIGH, services=("d*",)),
        Floor(disposition=Disposition.ESCALATE, signatures=("*double_charge*",)),
    )
    for analysis, changes, expected in (
        (say("OBSERVE", severity="high"), {}, "NEEDS_ONCALL"),
        (say("OBSERVE", severity="medium"), {}, "OBSERVE"),
        (say("OBSERVE", severity="high"), {"problems": (make_problem(service="x"),)}, "OBSERVE"),
        (say("OBSERVE"), {"problems": (make_problem(signature="pay:ERROR:double_charge#1"),)}, "ESCALATE"),
    ):
        line = Timeline(live(floors=floors)).at(0).problem(analysis=analysis, **changes)
        assert line.last.disposition == expected


def test_a_floor_lifts_what_a_low_confidence_had_lowered() -> None:
    line = Timeline().at(0).problem(analysis=say("ESCALATE", 0.1, "critical"))
    assert line.last.disposition == "NEEDS_ONCALL"
    assert line.codes() == ["analysis", "threshold", "threshold", "threshold", "floor", "tell"]


def test_the_policys_count_raises_the_disposition_in_its_window_only() -> None:
    policy = live(count_escalations=(CountEscalation(count=100, window_minutes=5, to=Disposition.NEEDS_ONCALL),))
    old = ((T0 - 30 * MINUTE, 500), (T0, 99))
    line = Timeline(policy, counts=old).at(0).problem(analysis=say("OBSERVE"))
    assert line.last.disposition == "OBSERVE"
    line = Timeline(policy, counts=((T0 - MINUTE, 50), (T0, 50))).at(0).problem(analysis=say("OBSERVE"))
    assert line.last.disposition == "NEEDS_ONCALL"
    assert "100 records in 5 minutes" in line.last.reasons[1].text


def test_a_runbooks_threshold_raises_and_says_when_it_does_not() -> None:
    threshold = {"count": 50, "window_minutes": 10, "escalate_to": "NEEDS_ONCALL"}
    runbook = book(disposition="OBSERVE", observe_threshold=threshold)
    line = Timeline(runbook=runbook, counts=((T0, 49),)).at(0).problem(analysis=say("OBSERVE"))
    assert line.last.disposition == "OBSERVE"
    assert "below its threshold of 50" in line.last.reasons[1].text
    line = Timeline(runbook=runbook, counts=((T0, 50),)).at(0).problem(analysis=say("OBSERVE"))
    assert line.last.disposition == "NEEDS_ONCALL"


def test_without_counts_an_old_incidents_records_in_a_window_are_estimated_and_called_so() -> None:
    policy = live(count_escalations=(CountEscalation(count=30, window_minutes=2, to=Disposition.ESCALATE),))
    old = {"onset": T0 - 60 * MINUTE, "last_seen": T0, "count": 1000}
    line = (
        Timeline(policy)
        .at(0)
        .problem(analysis=say("OBSERVE"), **old, problems=(make_problem(last_seen=T0 - 3 * MINUTE),))
    )
    assert line.last.disposition == "OBSERVE"
    fresh = (make_problem(last_seen=T0, rate_per_minute=20),)
    line = Timeline(policy).at(0).problem(analysis=say("OBSERVE"), **old, problems=fresh)
    assert line.last.disposition == "ESCALATE"
    assert "about 40 records" in line.last.reasons[1].text


def test_a_model_cannot_lower_the_severity_that_the_counts_say() -> None:
    line = Timeline().at(0).problem(analysis=say("OBSERVE", severity="low", source="model"), severity=Severity.CRITICAL)
    assert line.last.severity is Severity.CRITICAL
    assert line.last.disposition == "NEEDS_ONCALL"


def test_a_model_cannot_lower_the_severity_that_the_rules_found_nor_what_follows_from_it() -> None:
    rules = Deterministic(cause="c", summary="s", severity="critical", disposition="OBSERVE", confidence=0.5)
    said = say("OBSERVE", severity="high", source="model", rules=rules)
    floors = (Floor(severity=Severity.CRITICAL, disposition=Disposition.ESCALATE),)
    line = Timeline(live(floors=floors)).at(0).problem(analysis=said, severity=Severity.HIGH)
    assert line.last.severity is Severity.CRITICAL
    assert line.last.disposition == "ESCALATE"


def test_what_the_verifier_found_under_triaged_goes_up_a_step_each_time() -> None:
    for times, expected in ((1, "NEEDS_DEV"), (2, "NEEDS_ONCALL"), (9, "ESCALATE")):
        line = Timeline(re_escalated=times).at(0).problem(analysis=say("OBSERVE"))
        assert line.last.disposition == expected


# Suppressing.


def test_suppressing_needs_confidence_and_a_mild_severity() -> None:
    line = Timeline().at(0).problem(analysis=say("NO_ACTION", 0.95, "low"))
    assert line.last.actions == (ActionKind.ENRICH, ActionKind.SUPPRESS)
    line = Timeline().at(0).problem(analysis=say("NO_ACTION", 0.89, "low"))
    assert (line.last.disposition, line.codes()[1]) == ("OBSERVE", "suppress_confidence")
    line = Timeline().at(0).problem(analysis=say("NO_ACTION", 0.99, "high"))
    assert (line.last.disposition, line.codes()[1]) == ("OBSERVE", "suppress_severity")
    off = live(suppress=SuppressRule(enabled=False))
    assert ActionKind.SUPPRESS not in Timeline(off).at(0).problem(analysis=say("NO_ACTION")).last.actions


# Whether to tell now.


def test_an_incident_is_told_once_an_episode_and_again_when_it_weighs_more() -> None:
    line = Timeline().at(0).problem(analysis=say("NEEDS_DEV")).at(1).problem(analysis=say("NEEDS_DEV"))
    assert line.codes()[-1] == "already_told"
    line.at(2).problem(analysis=say("ESCALATE")).at(3).problem(analysis=say("NEEDS_DEV"))
    assert line.told() == [(0, "NEEDS_DEV"), (2, "ESCALATE")]
    assert line.last.disposition == "ESCALATE"  # it stays until it is over
    assert "ratchet" in line.codes()


def test_a_recurrence_within_the_cooldown_is_not_told_and_after_it_is() -> None:
    line = Timeline().at(0).problem().at(10).reopen()
    assert line.codes()[-1] == "cooldown"
    assert line.last.inputs["hold_until"] == T0 + 15 * MINUTE
    assert not due_again(line.last, T0 + 14 * MINUTE)
    assert due_again(line.last, T0 + 15 * MINUTE)
    line.at(15).problem()
    assert line.told() == [(0, "NEEDS_ONCALL"), (15, "NEEDS_ONCALL")]


def test_a_runbooks_cooldown_comes_before_the_policys() -> None:
    line = Timeline(runbook=book(cooldown_minutes=60)).at(0).problem().at(20).reopen()
    assert line.codes()[-1] == "cooldown"
    assert "pool's cooldown is 60 minutes" in line.last.reasons[-1].text
    line = Timeline(runbook=book(cooldown_minutes=0)).at(0).problem().at(1).reopen()
    assert len(line.told()) == 2


def test_another_incident_of_the_same_signature_waits_for_the_cooldown_and_a_heavier_one_does_not() -> None:
    line = Timeline().at(0).problem("i1").at(5).problem("i2")
    assert line.codes()[-1] == "cooldown"
    assert "incident i1" in line.last.reasons[-1].text
    line.at(6).problem("i3", analysis=say("ESCALATE"))
    assert line.told() == [(0, "NEEDS_ONCALL"), (6, "ESCALATE")]
    line.at(7).problem("i4", problems=(make_problem(signature="other:ERROR:x#9"),))
    assert line.told("i4") == [(7, "NEEDS_ONCALL")]


def test_a_flapping_fault_is_told_once_in_its_window() -> None:
    line = Timeline(live(cooldown_minutes=0)).at(0).problem()
    for minute in (1, 2, 3, 4, 5):
        line.at(minute).reopen()
    assert [minute for minute, _ in line.told()] == [0, 1, 2]  # the third re-opening makes it flapping
    assert line.codes()[-1] == "flapping"
    line.at(6).problem(analysis=say("ESCALATE"))
    assert line.told()[-1] == (6, "ESCALATE")


def test_a_maintenance_window_holds_whatever_the_severity_and_ends() -> None:
    window = Maintenance(id="m1", project="shop", services=("db",), starts_at=T0, ends_at=T0 + 30 * MINUTE, reason="up")
    line = Timeline(maintenance=(window,)).at(1).problem(analysis=say("ESCALATE", severity="critical"))
    assert line.told() == []
    assert line.codes()[-1] == "maintenance"
    assert line.last.inputs["hold_until"] == window.ends_at
    assert line.at(30).problem(analysis=say("ESCALATE", severity="critical")).told() == [(30, "ESCALATE")]


def test_what_detection_held_back_for_maintenance_is_held() -> None:
    held = Suppression(reason="maintenance", detail="until 10:00")
    assert Timeline().at(0).problem(suppression=held).codes()[-1] == "maintenance"


@pytest.mark.parametrize("reason", ["deploy", "grace", "noise", "learning"])
def test_automatic_holds_give_way_to_a_severity_that_is_never_held_back(reason: str) -> None:
    held = Suppression(reason=reason, detail="because")
    line = Timeline().at(0).problem(analysis=say("NEEDS_DEV", severity="medium"), suppression=held)
    assert (line.told(), line.codes()[-1]) == ([], reason)
    line = Timeline().at(0).problem(analysis=say("NEEDS_DEV", severity="high"), suppression=held)
    assert line.told() == [(0, "NEEDS_DEV")]
    assert f"{reason}_overruled" in line.codes()


def test_a_deploy_and_a_new_service_have_a_time_to_settle() -> None:
    deploy = Deploy(id="d", project="shop", service="db", at=T0 - MINUTE, version="2")
    line = Timeline(deploys=(deploy,)).at(0).problem(analysis=say("NEEDS_DEV"))
    assert line.codes()[-1] == "deploy"
    assert line.at(4).problem(analysis=say("NEEDS_DEV")).told() == [(4, "NEEDS_DEV")]
    line = Timeline(first_seen={"db": T0 - MINUTE}, watched_since=T0 - MINUTE).at(0).problem(analysis=say("NEEDS_DEV"))
    assert line.told() == [(0, "NEEDS_DEV")]  # where all is new, nothing is
    line = (
        Timeline(first_seen={"db": T0 - MINUTE}, watched_since=T0 - 600 * MINUTE)
        .at(0)
        .problem(analysis=say("NEEDS_DEV"))
    )
    assert line.codes()[-1] == "grace"
    assert line.at(9).problem(analysis=say("NEEDS_DEV")).told() == [(9, "NEEDS_DEV")]


def test_too_few_records_wait() -> None:
    line = Timeline(live(min_count=50)).at(0).problem()
    assert line.codes()[-1] == "min_count"
    assert line.at(1).problem(count=50).told() == [(1, "NEEDS_ONCALL")]


@pytest.mark.parametrize("status", [Status.CLOSED, Status.IGNORED, Status.RESOLVED])
def test_what_is_over_is_not_told(status: Status) -> None:
    assert Timeline().at(0).problem(status=status).codes()[-1] == "closed"


# Modes and storms.


def test_learn_tells_nobody_and_shadow_decides_the_same_as_live() -> None:
    assert Timeline(Policy(mode=Mode.LEARN)).at(0).problem().codes()[-1] == "learn"
    shadow = Timeline(Policy(mode=Mode.SHADOW)).at(0).problem().at(1).problem()
    real = Timeline().at(0).problem().at(1).problem()
    assert shadow.told() == real.told()
    assert shadow.last.mode is Mode.SHADOW


def test_what_shadow_decided_does_not_keep_anybody_from_being_told_once_it_is_live() -> None:
    line = Timeline(Policy(mode=Mode.SHADOW)).at(0).problem()
    line.policy = live()
    assert line.at(1).problem().told() == [(0, "NEEDS_ONCALL"), (1, "NEEDS_ONCALL")]


def signature(number: int) -> dict[str, Any]:
    return {"problems": (make_problem(number, signature=f"db:ERROR:n{number}#{number:04x}"),)}


def test_a_storm_goes_into_a_digest_and_escalations_have_a_limit_of_their_own() -> None:
    line = Timeline(live(storm=StormLimit(notifications=3, window_minutes=10)))
    for number in range(6):
        line.at(number / 10).problem(f"i{number}", **signature(number))
    assert len(line.told()) == 6
    assert [decision.inputs["digest"] for decision in line.decisions] == [False] * 3 + [True] * 3
    line.at(1).problem("big", analysis=say("ESCALATE"), **signature(99))
    assert line.last.inputs["digest"] is False
    line.at(11).problem("later", **signature(98))
    assert line.last.inputs["digest"] is False


# The record of it.


def test_a_decision_keeps_its_policy_and_inputs_and_is_the_same_for_the_same_inputs() -> None:
    incident, analysis, history = make_incident(), make_analysis(), History(counts=((T0, 41),))
    one = decide(analysis, incident, history, live(), T0, book())
    assert one == decide(analysis, incident, history, live(), T0, book())
    assert one.id != decide(analysis, incident, history, live(min_count=2), T0, book()).id
    assert Policy.model_validate(one.policy) == live()
    assert one.inputs["analysis"]["cause"] == analysis.cause
    assert one.inputs["runbook"]["id"] == "pool"
    assert one.inputs["history"]["counts"] == [[T0, 41]]
    json.dumps(one.model_dump(mode="json"))


def test_decisions_in_a_history_do_not_nest() -> None:
    line = Timeline(live(cooldown_minutes=0))
    sizes = []
    for minute in range(40):
        line.at(minute).reopen()
        sizes.append(len(line.last.model_dump_json()))
    assert sizes[-1] < 2 * sizes[5]


# Files.


@pytest.mark.parametrize(
    "path",
    sorted(path for path in POLICIES.glob("*.yaml") if not path.stem.endswith(".cases")),
    ids=lambda path: path.name,
)
def test_the_shipped_policies_load(path: Path) -> None:
    assert load_policy(path).thresholds[Disposition.ESCALATE] > 0


def test_the_default_policy_file_says_what_the_defaults_are_apart_from_its_count_limit() -> None:
    assert load_policy(POLICIES / "default.yaml").model_copy(update={"count_escalations": ()}) == Policy()


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("mode: lve\n", 1, "did you mean 'live'"),
        ("mode: live\nfloors:\n  - disposition: NEEDS_ONCAL\n", 3, "did you mean 'NEEDS_ONCALL'"),
        ("thresholds:\n  ESCALATE: 1.5\n", 2, "less than or equal to 1"),
        ("thresholds:\n  OBSERVE: 0.5\n", 1, "needs no confidence"),
        ("storm: {notification: 3}\n", 1, "did you mean 'notifications'"),
        ("reanalyse_at: [20, 5]\n", 1, "the smaller first"),
        ("cooldown_minutes: -1\n", 1, "greater than or equal to 0"),
    ],
)
def test_a_mistake_in_a_policy_is_named_with_its_line(tmp_path: Path, text: str, line: int, message: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with pytest.raises(YamlError) as caught:
        load_policy(path)
    assert message in caught.value.message
    assert caught.value.line in (line, 1)


def test_a_threshold_that_is_left_out_keeps_its_default(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("thresholds: {ESCALATE: 0.8}\n")
    assert load_policy(path).thresholds == {
        Disposition.ESCALATE: 0.8,
        Disposition.NEEDS_ONCALL: 0.4,
        Disposition.NEEDS_DEV: 0.3,
    }
