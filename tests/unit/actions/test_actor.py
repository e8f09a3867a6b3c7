"""From a decision to what is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import (
    T0,
    make_action,
    make_analysis,
    make_decision,
    make_event,
    make_evidence,
    make_incident,
    make_problem,
    make_sample,
    make_verification,
)
from incidentlens.actions import Actor, fit, render_report
from incidentlens.actions.actor import TEXT_LIMIT, TITLE_LIMIT
from incidentlens.model.analysis import Analysis, Bundle, Claim, Finding, RunbookMatch
from incidentlens.model.clock import MINUTE
from incidentlens.model.decisions import Action
from incidentlens.model.incidents import ChainStep, Incident, RootCause
from incidentlens.model.terms import ActionKind, Disposition, Mode, Outcome, Severity, Status

HOSTILE = "@everyone [x](https://evil.example) ![i](//evil.example/p.png) <script> {{ 7*7 }} `a` password=hunter2"


def analysis(**changes: Any) -> Analysis:
    values: dict[str, Any] = {
        "next_steps": ("Look at who holds the connections.", "End the oldest."),
        "claims": (Claim(text="It begins in db", evidence=("r_0000000000000001",)),),
        "findings": (
            Finding(
                rule="error_spike",
                severity=Severity.HIGH,
                confidence=0.9,
                text="41 times",
                evidence=("r_0000000000000001",),
            ),
        ),
        "runbooks": (RunbookMatch(runbook_id="pool", name="Pool exhausted", score=0.9, reasons=("it says so",)),),
    }
    return make_analysis(**{**values, **changes})


def caused(text: str = "connection pool exhausted (<*>)") -> Incident:
    problems = (
        make_problem(1, template=text, why=text, samples=(make_sample(line=text, message=text),)),
        make_problem(2, service="payment", signature="payment:ERROR:x#2", template=text),
    )
    chain = tuple(
        ChainStep(
            service=p.service,
            signature=p.signature,
            template=p.template,
            onset=p.onset,
            role=role,
            because=text,
            evidence=("r_0000000000000001",),
        )
        for p, role in zip(problems, ("cause", "symptom"), strict=True)
    )
    root = RootCause(service="db", signature=problems[0].signature, summary="db ran out", confidence=0.8, chain=chain)
    return make_incident(problems=problems, root_cause=root)


BUNDLE = Bundle(incident=make_incident(), items=(make_evidence(1), make_evidence(2)))


def act(
    decision: Any = None, incident: Incident | None = None, actor: Actor | None = None, **given: Any
) -> dict[str, Action]:
    found = (actor or Actor()).act(
        decision or make_decision(inputs={"episode": 0}),
        incident or caused(),
        given.get("analysis", analysis()),
        given.get("bundle", BUNDLE),
        T0,
    )
    return {action.kind.value: action for action in found}


def test_each_action_of_the_decision_is_made_and_none_else() -> None:
    assert list(act()) == ["enrich", "notify"]
    both = make_decision(actions=(ActionKind.ENRICH, ActionKind.SUPPRESS), disposition=Disposition.NO_ACTION)
    assert list(act(both)) == ["enrich", "suppress"]


def test_the_alerts_labels_are_those_that_grafana_is_promised() -> None:
    labels = act()["notify"].payload["labels"]
    assert list(labels) == [
        "incident_id",
        "project",
        "service",
        "severity",
        "disposition",
        "title",
        "runbook",
        "summary",
    ]
    assert labels["runbook"] == "pool"
    assert labels["disposition"] == "NEEDS_ONCALL"
    assert all(isinstance(value, str) for value in labels.values())


def test_the_same_disposition_and_episode_have_one_key_however_the_incident_grows() -> None:
    grown = caused().model_copy(update={"count": 9_999, "title": "worse"})
    later = make_decision("d2", at=T0 + MINUTE, inputs={"episode": 0})
    assert act()["notify"].key == act(later, grown)["notify"].key == "notify:i1:NEEDS_ONCALL:0"
    assert act(make_decision(inputs={"episode": 1}))["notify"].key == "notify:i1:NEEDS_ONCALL:1"
    heavier = make_decision(disposition=Disposition.ESCALATE, inputs={"episode": 0})
    assert act(heavier)["notify"].key == "notify:i1:ESCALATE:0"


def test_shadow_is_shown_with_a_key_of_its_own_and_a_digest_is_held_for_it() -> None:
    shadow = act(make_decision(mode=Mode.SHADOW, inputs={"episode": 0}))["notify"]
    assert (shadow.state, shadow.key) == ("shadow", "shadow:notify:i1:NEEDS_ONCALL:0")
    digest = act(make_decision(inputs={"episode": 0, "digest": True}))["notify"]
    assert digest.state == "digest"
    assert act()["notify"].state == "done"


def test_enriching_is_done_anew_when_the_conclusion_changes_and_only_then() -> None:
    first = act()["enrich"].key
    assert act(make_decision("d2", inputs={"episode": 0}))["enrich"].key == first
    assert act(analysis=analysis(severity=Severity.CRITICAL))["enrich"].key != first


def test_a_ticket_has_title_cause_steps_and_evidence() -> None:
    payload = act()["enrich"].payload
    assert payload["ticket_title"].startswith("[high] db: Connection pool exhausted in db")
    body = payload["ticket_body"]
    assert "- [ ] Look at who holds the connections." in body
    assert "1. **db** at 2025-06-15 15:06:40 UTC: `connection pool exhausted (…)` — cause" in body
    assert "ERROR connection pool exhausted (1)" in body
    assert "| Failing records | 41 |" in body
    assert "NEEDS\\_ONCALL" in payload["war_room"]
    assert "from the runbook" in payload["summary"]


def test_the_parts_of_a_message_stay_apart_and_its_text_fits_the_smallest_receiver() -> None:
    payload = act(analysis=analysis(cause="x" * 5_000, next_steps=("y" * 900,) * 9))["notify"].payload
    message = payload["message"]
    assert set(message) == {"title", "what", "cause", "chain", "steps", "link", "why", "evidence"}
    assert len(message["title"]) <= TITLE_LIMIT
    assert len(payload["text"]) <= TEXT_LIMIT
    assert payload["text"].startswith(message["title"])
    assert "41 failing records" in message["what"]
    assert message["chain"].startswith("Chain: db (connection pool exhausted")


def test_what_does_not_fit_is_left_out_whole() -> None:
    message = {"title": "T" * 20, "what": "W" * 50, "cause": "C" * 10}
    assert fit(message, 40) == "T" * 20 + "\n" + "C" * 10
    assert fit(message, 5) == ""


def test_hostile_log_text_is_text_everywhere() -> None:
    bundle = Bundle(incident=make_incident(), items=(make_evidence(1, text=HOSTILE),))
    given_analysis = analysis(cause=HOSTILE, summary=HOSTILE, next_steps=(HOSTILE,))
    incident = caused(HOSTILE).model_copy(update={"title": HOSTILE, "service": HOSTILE})
    actions = act(incident=incident, analysis=given_analysis, bundle=bundle)
    texts = [str(value) for action in actions.values() for value in _texts(action.payload)]
    report = render_report(incident, given_analysis, bundle, events=[make_event(text=HOSTILE, by=HOSTILE)], now=T0)
    labels = set(actions["notify"].payload["labels"].values())  # plain text: markup in it is shown as it is
    for text in (*texts, report):
        assert "hunter2" not in text
        assert "@everyone" not in text
        outside_code = _without_code(text)
        assert "](http" not in outside_code
        assert "](//" not in outside_code
        assert text in labels or "<script" not in outside_code.replace("\\<script", "")
        assert "://" not in outside_code
        assert "49" not in text.replace("2025", "")
    assert actions["notify"].payload["masked"]["secret"] >= 1


def _without_code(text: str) -> str:
    import re

    text = re.sub(r"(?ms)^(`{3,})$.*?^\1$", "", text)
    return re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", text)


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _texts(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in _texts(inner)]
    return [value] if isinstance(value, str) else []


# Users' templates.


def test_a_users_template_replaces_the_packages_and_cannot_forget_to_escape(tmp_path: Path) -> None:
    (tmp_path / "ticket_title.md.j2").write_text("OURS {{ incident.title }} {{ 'a' if cause else 'b' }}")
    payload = act(incident=caused().model_copy(update={"title": HOSTILE}), actor=Actor([tmp_path]))["enrich"].payload
    assert payload["ticket_title"].startswith("OURS @\u200beveryone \\[x\\]")
    assert "hunter2" not in payload["ticket_title"]
    assert "## What happens" in payload["ticket_body"]


@pytest.mark.parametrize(
    "template",
    [
        "{{ nothing_of_that_name }}",
        "{% if %}",
        "{{ ''.__class__.__mro__ }}",
        "{{ incident.clear() }}",
        "{{ 1 / 0 }}",
        "{% include 'none.j2' %}",
        "{% for i in range(999999999) %}x{% endfor %}",
    ],
)
def test_a_users_template_that_fails_is_replaced_by_the_packages_and_said(tmp_path: Path, template: str) -> None:
    (tmp_path / "ticket_title.md.j2").write_text(template)
    payload = act(actor=Actor([tmp_path]))["enrich"].payload
    assert payload["ticket_title"].startswith("[high] db")
    assert "ticket_title.md.j2" in payload["template_errors"][0]


def test_templates_are_checked_before_they_are_needed(tmp_path: Path) -> None:
    (tmp_path / "ticket_body.md.j2").write_text("fine\n{% if %}")
    (tmp_path / "tiket.md.j2").write_text("x")
    found = Actor([tmp_path, tmp_path / "none"]).check()
    assert len(found) == 3
    assert any("ticket_body.md.j2:2" in text for text in found)
    assert any("is not used" in text for text in found)
    assert any("is not a folder" in text for text in found)
    assert Actor().check() == []


# The report at the end.


def test_a_report_tells_the_whole_story() -> None:
    ended = caused().model_copy(update={"status": Status.RESOLVED, "ended_at": T0 + 10 * MINUTE})
    text = render_report(
        ended,
        analysis(),
        BUNDLE,
        decisions=[make_decision()],
        actions=[make_action(payload={"disposition": "NEEDS_ONCALL"})],
        verifications=[make_verification(outcome=Outcome.RESOLVED, ended_at=T0 + 9 * MINUTE, why="quiet for 5 min")],
        events=[make_event(text="found in db"), make_event("feedback", by="ann", text="right")],
        now=T0 + 20 * MINUTE,
    )
    for expected in (
        "# Connection pool exhausted in db",
        "(lasted 10 min)",
        "(10 s later)",
        "db ran out (confidence 0.8).",
        "- It begins in db (`r_0000000000000001`)",
        "NEEDS\\_ONCALL, done",
        "critical is at least NEEDS\\_ONCALL",
        "- resolved (2025-06-15 15:06:53 UTC to 2025-06-15 15:15:40 UTC): quiet for 5 min; watched",
        '`{service="db"} |= "pool exhausted"`',
        "(by ann)",
        "To be written by people",
    ):
        assert expected in text, expected


def test_a_report_of_an_incident_that_nothing_is_known_of_is_a_report_all_the_same() -> None:
    text = render_report(make_incident(), now=T0)
    assert "The cause was not determined." in text
    assert "- Nobody." in text
    assert "- It was not watched." in text
    assert "ERROR connection pool exhausted (1)" in text  # the problems' own samples


@settings(deadline=None, max_examples=40)
@given(st.text(max_size=120))
def test_whatever_the_logs_say_everything_renders_within_its_bounds(text: str) -> None:
    bundle = Bundle(incident=make_incident(), items=(make_evidence(1, text=text),))
    incident = caused(text).model_copy(update={"title": text})
    payload = act(incident=incident, analysis=analysis(cause=text), bundle=bundle)["notify"].payload
    assert len(payload["message"]["title"]) <= TITLE_LIMIT
    assert len(payload["text"]) <= TEXT_LIMIT
    assert render_report(incident, analysis(summary=text), bundle, now=T0)
