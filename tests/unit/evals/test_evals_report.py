"""Figures with intervals, the page, and the comparison of two runs."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidentlens.evals import intervals, regression, report
from incidentlens.evals.section import Failure, Figure, Section, Table

MACHINE = {"at": "2026-11-28T00:00:00+00:00", "cores": 2, "cpu": "a processor", "python": "3.11"}


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_of_a_share_holds_the_share_and_stays_within_zero_and_one(counts):
    right, n = counts
    low, high = intervals.wilson(right, n)
    assert 0 <= low <= right / n <= high <= 1


def test_the_interval_of_nine_of_twelve_is_wilson_s():
    assert intervals.wilson(9, 12) == pytest.approx((0.4677, 0.9111), abs=1e-4)


def test_a_share_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="no share"):
        intervals.wilson(3, 2)


def test_a_bootstrap_interval_is_the_same_at_every_run_and_holds_the_mean():
    values = [0.0, 1.0, 1.0, 0.5, 0.25] * 4
    low, high = intervals.bootstrap(values)
    assert (low, high) == intervals.bootstrap(values)
    assert low < sum(values) / len(values) < high


def section(*figures, **more):
    return Section("demo", "A demo", figures=list(figures), **more)


def earlier(*figures):
    return orjson.loads(report.as_json([section(*figures)], MACHINE, "incidentlens eval demo"))


def test_a_share_that_falls_out_of_the_earlier_interval_is_a_regression():
    before = earlier(intervals.share("first", "first", 50, 60))
    (change,) = regression.changes(before, [section(intervals.share("first", "first", 35, 60))])
    assert change.worse
    assert change.regression


def test_one_case_of_sixty_is_worse_and_no_regression():
    before = earlier(intervals.share("first", "first", 50, 60))
    (change,) = regression.changes(before, [section(intervals.share("first", "first", 49, 60))])
    assert change.worse
    assert not change.regression


def test_three_of_the_very_same_cases_are_a_regression():
    before = earlier(intervals.share("first", "first", 50, 60))
    (change,) = regression.changes(before, [section(intervals.share("first", "first", 47, 60))])
    assert change.regression


def test_more_confident_wrong_answers_are_worse_where_lower_is_better():
    before = earlier(Figure("wrong", "confident wrong", 0.0, better="lower"))
    (change,) = regression.changes(before, [section(Figure("wrong", "confident wrong", 3.0, better="lower"))])
    assert change.regression


def test_a_rate_may_change_by_its_noise():
    before = earlier(Figure("rate", "rate", 1000.0, noise=0.2))
    assert not regression.changes(before, [section(Figure("rate", "rate", 850.0, noise=0.2))])[0].regression
    assert regression.changes(before, [section(Figure("rate", "rate", 700.0, noise=0.2))])[0].regression


def test_a_figure_that_is_no_longer_measured_is_named():
    before = earlier(Figure("rate", "rate", 1.0), Figure("gone", "gone", 1.0), Figure("peer", "p", 1.0, peer="Drain3"))
    assert regression.missing(before, [section(Figure("rate", "rate", 1.0))]) == ["demo/gone"]


def test_the_page_names_missed_aims_first_and_defuses_what_stands_in_cells():
    page = report.markdown(
        [
            section(
                Figure("rate", "the rate", 0.5, aim=">= 0.9", met=False),
                tables=[Table("A table", ["a"], [["x|y <b>\nz"]])],
                failures=[Failure("case 1", "this", "that", confident=True)],
            ),
            Section("other", "Another", skipped="there is no data"),
        ],
        MACHINE,
        "incidentlens eval all",
    )
    assert page.index("Aims that are not reached") < page.index("## A demo")
    assert "x\\|y &lt;b> z" in page
    assert "| case 1 | this | that | yes |" in page
    assert "Not measured: there is no data" in page
