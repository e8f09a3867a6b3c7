"""What goes to an assistant is masked first, then bounded, and what was taken out is counted."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from incidentlens.assistants.shaping import MAX_ANSWER, MAX_ITEMS, MAX_TEXT, shape

SECRET = "glsa_" + "a1" * 20
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=10), inner, max_size=5),
    max_leaves=30,
)


def test_a_secret_is_masked_wherever_it_stands_and_counted():
    shaped = shape({"line": f"token {SECRET}", SECRET: [{"deep": f"x {SECRET}"}]})
    assert SECRET not in orjson.dumps(shaped).decode()
    assert shaped["masked"] == {"token": 3}


def test_a_secret_that_a_cut_would_halve_is_masked_before_the_cut():
    line = "x" * (MAX_TEXT - 15) + " " + SECRET
    assert "glsa_" not in shape({"line": line})["line"]


def test_long_lists_and_texts_are_cut_and_counted():
    shaped = shape({"items": ["a"] * (MAX_ITEMS + 7), "line": "b" * (MAX_TEXT + 11)})
    assert len(shaped["items"]) == MAX_ITEMS
    assert shaped["cut"] == {"characters": 11, "items": 7}


def test_an_answer_of_many_long_texts_fits_by_cutting_deeper():
    shaped = shape({"items": [{"line": "word " * 400, "more": ["word " * 400] * 40} for _ in range(50)]})
    assert len(orjson.dumps(shaped)) <= MAX_ANSWER + 1_000
    assert shaped["items"]
    assert shaped["cut"]["items"] > 0


def test_an_answer_that_nothing_makes_fit_is_left_out_and_said_to_be():
    shaped = shape({f"key {number}": number for number in range(20_000)})
    assert shaped["cut"] == {"everything": 1}


def test_nesting_without_end_ends():
    value: dict = {}
    for _ in range(1_000):
        value = {"in": value}
    assert "nested too deep" in orjson.dumps(shape(value)).decode()


@given(st.dictionaries(st.text(max_size=10), JSON, max_size=5))
def test_every_answer_is_json_within_the_bound_and_has_the_notice(answer):
    shaped = shape(answer)
    assert len(orjson.dumps(shaped, option=orjson.OPT_NON_STR_KEYS)) <= MAX_ANSWER + 1_000
    assert "cut" in shaped
