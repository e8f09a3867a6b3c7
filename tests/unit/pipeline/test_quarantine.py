"""Finding by halves which lines make a stage raise."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidentlens.model.records import LINES
from incidentlens.pipeline.quarantine import is_defect, search
from incidentlens.store.base import StoreError, StoreRefused


def lines(number):
    rows = [(n, "db", "{}", None, f"line {n}") for n in range(number)]
    return pl.DataFrame(rows, schema=LINES, orient="row")


class Stage:
    """Raises where any line of `bad` is there, or all lines of `together`."""

    def __init__(self, bad=(), together=()):
        self.bad, self.together = set(bad), set(together)
        self.trials = 0

    async def __call__(self, part):
        self.trials += 1
        raising = part["ts"].filter(part["ts"].is_in([*self.bad, *self.together]))
        if self.bad & set(raising) or (self.together and self.together <= set(raising)):
            return ValueError(f"cannot take {raising[0]}")
        return None


def found(aside):
    return sorted(ts for part, _ in aside.parts for ts in part["ts"])


@given(st.integers(1, 300), st.data())
async def test_exactly_the_lines_that_raise_are_put_aside(number, data):
    bad = data.draw(st.sets(st.integers(0, number - 1), max_size=6))
    good, aside = await search(Stage(bad), lines(number))
    assert found(aside) == sorted(bad)
    assert good["ts"].to_list() == [n for n in range(number) if n not in bad]
    assert all(error.startswith("ValueError: cannot take ") for _, error in aside.parts)


@given(st.integers(2, 200), st.data())
async def test_of_lines_that_only_raise_together_one_is_put_aside(number, data):
    together = data.draw(st.sets(st.integers(0, number - 1), min_size=2, max_size=4))
    good, aside = await search(Stage(together=together), lines(number))
    assert found(aside) == [max(together)]
    assert good.height == number - 1


async def test_one_line_among_half_a_million_is_found_in_a_bounded_number_of_trials():
    stage = Stage({377_123})
    _, aside = await search(stage, lines(500_000))
    assert found(aside) == [377_123]
    assert stage.trials < 45


async def test_fifty_bad_lines_of_a_thousand_are_found_one_by_one():
    good, aside = await search(Stage(range(0, 1_000, 20)), lines(1_000))
    assert found(aside) == list(range(0, 1_000, 20))
    assert good.height == 950


@pytest.mark.parametrize(
    ("number", "bad"), [(1_000, range(1_000)), (150, range(20, 150)), (50_000, range(0, 50_000, 250))]
)
async def test_where_too_many_lines_raise_the_search_gives_up_and_puts_none_aside(number, bad):
    stage, whole = Stage(bad), lines(number)
    good, aside = await search(stage, whole)
    assert aside.parts == []
    assert good.equals(whole)
    assert stage.trials <= 1_002


async def test_a_search_that_takes_longer_than_a_minute_gives_up():
    clock = iter(range(0, 1_000, 20))
    stage = Stage({500})
    assert (await search(stage, lines(1_000), lambda: next(clock)))[1].parts == []
    assert stage.trials < 8


async def test_a_tick_that_raises_without_lines_is_no_line_s_fault():
    async def trial(part):
        return RuntimeError("always")

    assert (await search(trial, lines(10)))[1].parts == []
    assert (await search(trial, lines(0)))[1].parts == []


async def test_what_raised_once_and_not_again_puts_nothing_aside():
    assert (await search(Stage(), lines(10)))[1].parts == []


def test_a_store_that_is_away_is_no_defect_and_one_that_refuses_is():
    assert not is_defect(StoreError("away"))
    assert is_defect(StoreRefused("a name is too long"))
    assert is_defect(pl.exceptions.PanicException("polars"))
    assert not is_defect(KeyboardInterrupt())
