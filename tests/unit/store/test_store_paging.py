"""Cursors: opaque, checked, of one list only."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentlens.model.terms import Level, Status
from incidentlens.store.paging import BadPage, check_limit, cut, decode, encode, list_key

KEY = list_key("incidents", project="shop")


@given(st.integers(-(2**63), 2**63 - 1), st.text(st.characters(exclude_categories=("Cs",))))
@settings(deadline=None)
def test_a_cursor_gives_back_the_position(number: int, text: str) -> None:
    cursor = encode(KEY, [number, text])
    assert cursor.isascii()
    assert decode(cursor, KEY, (int, str)) == [number, text]


@given(st.text(st.characters()) | st.binary().map(lambda raw: raw.decode("latin-1")))
@settings(deadline=None)
def test_any_other_text_is_refused_and_never_a_crash(cursor: str) -> None:
    with pytest.raises(BadPage):
        decode(cursor, KEY, (int, str))


@pytest.mark.parametrize("position", [["1", "a"], [1, 2], [1], [1, "a", 2], [True, "a"], [1.0, "a"], [2**63, "a"]])
def test_a_position_of_another_shape_is_refused(position: list[int | float | str]) -> None:
    with pytest.raises(BadPage):
        decode(encode(KEY, position), KEY, (int, str))


def test_no_cursor_is_the_first_page() -> None:
    assert decode(None, KEY, (int, str)) is None


def test_the_key_of_a_list_changes_with_every_filter() -> None:
    keys = {
        list_key("incidents", project="shop"),
        list_key("incidents", project="other"),
        list_key("signatures", project="shop"),
        list_key("incidents", project="shop", status=(Status.OPEN,)),
        list_key("incidents", project="shop", status=(Status.OPEN, Status.CLOSED)),
        list_key("incidents", project="shop", level=Level.ERROR),
    }
    assert len(keys) == 6


def test_a_page_is_cut_from_one_row_more() -> None:
    assert cut([1, 2, 3], 2) == ([1, 2], True)
    assert cut([1, 2], 2) == ([1, 2], False)
    assert check_limit(500) == 500
