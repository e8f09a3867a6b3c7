from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentlens.api.errors import ApiError
from incidentlens.api.params import read_length, read_terms, read_time
from incidentlens.model.clock import HOUR, MINUTE, SECOND
from incidentlens.model.terms import Status

NOW = 1_750_000_000 * SECOND


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, None),
        ("", None),
        ("24h", NOW - 24 * HOUR),
        ("1h30m", NOW - 90 * MINUTE),
        (str(NOW), NOW),
        (NOW, NOW),
        ("2025-06-15T15:06:40Z", NOW),
        ("2025-06-15T17:06:40+02:00", NOW),
        ("2025-06-15T15:06:40", NOW),
        ("2025-06-15T15:06:40.5Z", NOW + SECOND // 2),
        ("999w", NOW - 999 * 7 * 24 * HOUR),
        ("99999w", 0),
    ],
)
def test_a_time_is_read_in_all_its_forms(text: str | int | None, found: int | None) -> None:
    assert read_time(text, NOW, "since") == found


@pytest.mark.parametrize(
    "text", ["yesterday", "1750000000", "1750000000000", "-5", "99999999999999999999", "1900-01-01", "9999-01-01", "5x"]
)
def test_what_is_no_time_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ApiError) as refused:
        read_time(text, NOW, "since")
    assert refused.value.status == 400
    assert refused.value.text.startswith("since: ")


@given(st.text(max_size=70))
@settings(deadline=None, max_examples=200)
def test_any_text_is_a_time_or_a_clear_error(text: str) -> None:
    try:
        found = read_time(text, NOW, "t")
    except ApiError:
        return
    assert found is None or 0 <= found < 2**63


def test_terms_come_repeated_or_with_commas_and_in_any_case() -> None:
    assert read_terms(Status, ["open,verifying", "OPEN", ""], "status") == (Status.OPEN, Status.VERIFYING)


def test_an_unknown_term_names_those_that_are_allowed() -> None:
    with pytest.raises(ApiError, match=r"opne.*allowed: open, verifying"):
        read_terms(Status, ["opne"], "status")


def test_a_length_of_time_is_refused_where_it_is_none() -> None:
    assert read_length("5m", 1, "bucket") == 5 * MINUTE
    assert read_length(None, 7, "bucket") == 7
    with pytest.raises(ApiError, match="bucket"):
        read_length("often", 1, "bucket")
