"""Times as people read them."""

from __future__ import annotations

import pytest

from incidentlens.model.clock import DAY, HOUR, MINUTE, SECOND
from incidentlens.model.times import duration


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 s"), (19, "0 s"), (1_000_000, "0.001 s"), (4_100_000_000, "4.1 s"), (125 * SECOND, "2 min 5 s"),
        (3 * HOUR + 20 * MINUTE, "3 h 20 min"), (2 * DAY + HOUR, "2 d 1 h"), (-5, "0 s"),
    ],
)  # fmt: skip
def test_a_length_of_time_is_told_in_its_two_largest_units_and_never_as_a_power_of_ten(ns: int, text: str) -> None:
    assert duration(ns) == text
