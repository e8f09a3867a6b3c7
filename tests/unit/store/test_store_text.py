"""Text as a store can hold it, and words to search by."""

from __future__ import annotations

import math

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import make_incident, make_sample
from incidentlens.model.incidents import Incident
from incidentlens.store.text import BIGGEST, WORD_LENGTH, WORDS, clean, clean_json, clean_text, prefix_query, words
from strategies import incidents

any_text = st.text(st.characters(), max_size=50)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=10,
)


@given(any_text)
@settings(deadline=None)
def test_clean_text_can_be_stored_and_is_as_long_as_before(text: str) -> None:
    cleaned = clean_text(text)
    assert "\x00" not in cleaned
    assert len(cleaned) == len(text)
    cleaned.encode()
    assert clean_text(cleaned) is cleaned


@given(incidents())
@settings(deadline=None, max_examples=40)
def test_a_clean_value_comes_through_as_the_same_object(incident: Incident) -> None:
    cleaned = clean(incident)
    assert clean(cleaned) is cleaned
    cleaned.model_dump_json()


def test_only_what_must_change_does() -> None:
    incident = make_incident(title="a\x00b")
    cleaned = clean(incident)
    assert cleaned == incident.model_copy(update={"title": "a␀b"})
    assert cleaned.problems is incident.problems
    assert clean(make_sample()) == make_sample()


@given(anything)
@settings(deadline=None)
def test_clean_json_is_json(value: object) -> None:
    cleaned = clean_json(value)
    text = orjson.dumps(cleaned)
    assert b"\\u0000" not in text
    assert clean_json(cleaned) == cleaned


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (math.inf, BIGGEST),
        (-math.inf, -BIGGEST),
        (math.nan, 0.0),
        (2**64, str(2**64)),
        (True, True),
        (2**63 - 1, 2**63 - 1),
    ],
)
def test_numbers_beyond_json_become_the_nearest_it_has(value: object, kept: object) -> None:
    assert clean_json([value]) == [kept]


def test_words_are_letters_and_digits_in_lower_case() -> None:
    assert words(["db:ERROR:pool_exhausted#1f3a", None, "Überlauf-42"]) == [
        "1f3a", "42", "db", "error", "exhausted", "pool", "überlauf",
    ]  # fmt: skip


@given(st.lists(any_text, max_size=5))
@settings(deadline=None)
def test_words_are_bounded(texts: list[str]) -> None:
    found = words([*texts, " ".join(str(number) for number in range(300)), "x" * 1_000])
    assert len(found) <= WORDS
    assert all(0 < len(word) <= WORD_LENGTH for word in found)


@given(any_text)
@settings(deadline=None)
def test_a_search_is_made_of_quoted_words_only(text: str) -> None:
    query = prefix_query(text)
    if query is None:
        assert words([text]) == []
    else:
        assert [part.removeprefix("'").removesuffix("':*") for part in query.split(" & ")] == words([text])
        assert query.count("'") == 2 * len(words([text]))
