"""Why was that decided, and why was nobody told?"""

from __future__ import annotations

from builders import T0, make_action, make_analysis, make_decision, make_event, make_incident
from incidentlens.model.clock import MINUTE
from incidentlens.model.terms import ActionKind, Disposition, Mode
from incidentlens.policy import History, Policy, Told, decide, explain, why_nobody_was_told


def test_a_telling_is_named_with_its_time_and_every_reason_has_its_number() -> None:
    text = explain([make_decision()], [make_action(payload={"disposition": "NEEDS_ONCALL"})], [make_event()])
    assert text.startswith("Who was told?\n  2025-06-15 15:06:52 UTC  NEEDS_ONCALL told")
    assert "  1. critical is at least NEEDS_ONCALL  [floor]" in text
    assert "opened: it was opened" in text


def test_nobody_because_nothing_was_decided_yet() -> None:
    assert "No decision has been made" in explain([])


def test_nobody_because_of_shadow() -> None:
    decision = decide(make_analysis(), make_incident(), History(), Policy(mode=Mode.SHADOW), T0)
    text = explain([decision], [make_action(state="shadow", decision_id=decision.id)])
    assert text.startswith("Why was nobody told?\n  The project is in mode shadow")
    assert "-> decided, not sent (shadow)" in text


def test_nobody_because_of_a_cooldown_and_when_it_is_decided_again() -> None:
    told = Told(incident_id="i0", at=T0, mode=Mode.LIVE, disposition=Disposition.ESCALATE, episode=0, signature="s")
    incident = make_incident()
    told = told.model_copy(update={"signature": incident.signatures[0]})
    decision = decide(make_analysis(), incident, History(told=(told,)), Policy(mode=Mode.LIVE), T0 + MINUTE)
    text = why_nobody_was_told([decision], [], now=T0 + 2 * MINUTE)
    assert text is not None
    assert "held back: the same signature (incident i0) was told" in text
    assert "decided again at" in text


def test_nobody_because_it_was_not_sure_enough() -> None:
    decision = decide(make_analysis(confidence=0.2), make_incident(), History(), Policy(mode=Mode.LIVE), T0)
    text = why_nobody_was_told([decision], [])
    assert text is not None
    assert text.startswith("OBSERVE tells nobody: confidence 0.20 is below")


def test_nobody_because_sending_failed_or_waits_or_is_in_the_digest() -> None:
    decision = make_decision()
    failed = make_action(state="failed", payload={"error": "413 too large"})
    assert "413 too large" in str(why_nobody_was_told([decision], [failed]))
    assert "digest" in str(why_nobody_was_told([decision], [make_action(state="digest")]))
    assert "still waiting" in str(why_nobody_was_told([decision], []))


def test_log_text_cannot_steer_the_terminal_and_much_is_cut_with_a_count() -> None:
    events = [make_event(text=f"evil \x1b[31m\u202e{number}\r\n") for number in range(80)]
    decisions = [make_decision(f"d{number}", at=T0 + number) for number in range(30)]
    enrich = make_action("e", kind=ActionKind.ENRICH)
    text = explain(decisions, [enrich], events)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "(30 earlier entries are not shown)" in text
    assert "(10 earlier decisions are not shown)" in text
