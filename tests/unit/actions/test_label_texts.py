"""The labels that travel through Grafana to people: bounded once escaped, harmless before."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from builders import make_analysis, make_decision, make_incident
from incidentlens.actions.actor import Actor
from incidentlens.actions.markdown import escape
from incidentlens.model.analysis import Bundle

T0 = 1_763_000_000 * 10**9
HOSTILE = st.text(alphabet=st.sampled_from("*_`@<>[]()~|#! abc\n\u202e\u200b\ud83d\U0001f525"), max_size=800)


def labels(title: str, cause: str, steps: tuple[str, ...]) -> dict[str, str]:
    incident = make_incident(title=title or "t")
    analysis = make_analysis(cause=cause, next_steps=steps)
    decision = make_decision(inputs={"episode": 0})
    actions = Actor().act(decision, incident, analysis, Bundle(incident=incident, items=()), T0)
    found: dict[str, str] = next(a for a in actions if a.kind.value == "notify").payload["labels"]
    return found


@given(title=HOSTILE, cause=HOSTILE, steps=st.lists(HOSTILE, max_size=5).map(tuple))
@settings(deadline=None, max_examples=60)
def test_labels_fit_once_they_are_escaped(title: str, cause: str, steps: tuple[str, ...]) -> None:
    found = labels(title, cause, steps)
    assert len(escape(found["title"])) <= 200
    assert sum(len(escape(line)) + 1 for line in found["summary"].split("\n")) <= 900
    assert "@everyone" not in found["summary"]


def test_the_summary_says_what_why_and_what_to_do_first() -> None:
    lines = labels("db fails", "the pool is used up", ("raise the limit", "find the leak"))["summary"].split("\n")
    assert "failing records" in lines[0]
    assert lines[1].startswith("Suspected cause: the pool is used up")
    assert lines[2:] == ["1. raise the limit", "2. find the leak"]


def test_mentions_links_and_images_of_a_log_line_do_nothing() -> None:
    found = labels("@everyone <@&1> ![x](http://evil/x.png)", "[click](https://evil) www.evil.com @here", ())
    text = found["title"] + found["summary"]
    for live in ("@everyone", "@here", "<@&", "http://", "https://", "](", "www.e"):
        assert live not in text


def test_what_does_not_fit_is_left_out_from_the_end_and_never_cut() -> None:
    steps = ("_" * 200, "short")
    found = labels("t", "*" * 400, steps)["summary"].split("\n")
    assert found[1].startswith("Suspected cause: ")
    assert found[-1] == "2. short"
