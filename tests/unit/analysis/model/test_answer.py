"""Reading a model's answer out of what it sent."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidentlens.analysis.model import ModelAnswer, Unreadable, answer_schema, parse_answer

GOOD = {
    "cause": {"service": "db", "text": "the pool ran out", "evidence": ["E1"]},
    "summary": "The pool ran out.",
    "severity": "high",
    "confidence": 0.7,
    "disposition": "NEEDS_DEV",
    "next_steps": [],
    "claims": [],
    "runbook_draft": {"name": "", "description": "", "steps": []},
}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(GOOD),
        f"```json\n{json.dumps(GOOD)}\n```",
        f"Let me think {{about}} this. {json.dumps(GOOD)} I hope it helps.",
        "\n\n" + json.dumps(GOOD, indent=2),
        json.dumps({**GOOD, "severity": "HIGH", "disposition": "needs_dev", "more": 1}),
    ],
)
def test_an_answer_is_read_out_of_what_stands_around_it(text):
    assert parse_answer(text).cause.service == "db"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no whole JSON"),
        ("I cannot help with that.", "no whole JSON"),
        (json.dumps(GOOD)[:-20], "no whole JSON"),
        (json.dumps({**GOOD, "confidence": 7}), "confidence"),
        (json.dumps({**GOOD, "disposition": "PANIC"}), "disposition"),
        (json.dumps({key: value for key, value in GOOD.items() if key != "summary"}), "summary"),
        ('{"cause": ' * 2000, "no whole JSON"),
        ("x" * 70_000, "characters"),
    ],
)
def test_what_is_no_answer_says_why(text, why):
    with pytest.raises(Unreadable, match=why):
        parse_answer(text)


@given(st.text(max_size=500) | st.binary(max_size=200).map(lambda raw: raw.decode("latin-1")))
def test_any_text_is_an_answer_or_unreadable(text):
    with contextlib.suppress(Unreadable):
        parse_answer(text)


def test_the_schema_names_every_key_of_the_answer_and_no_other():
    schema = answer_schema()
    assert set(schema["properties"]) == set(ModelAnswer.model_fields)
    assert set(schema["required"]) == set(schema["properties"])
    assert schema["additionalProperties"] is False
