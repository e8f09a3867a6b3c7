from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from builders import T0, make_verification
from incidentlens.api.pages import charts
from incidentlens.model.clock import HOUR, MINUTE, SECOND
from incidentlens.model.decisions import Check
from incidentlens.model.terms import Severity
from incidentlens.store.queries import Bucket, Point

NUMBER = re.compile(r'(?:x|y|width|height)="(-?[0-9.]+)"')


def inside(svg: str, width: float, height: float) -> bool:
    """All rectangles lie in the drawing."""
    return all(-0.01 <= float(value) <= max(width, height) + 0.01 for value in NUMBER.findall(svg))


@given(st.lists(st.integers(0, 10**12), max_size=40))
@settings(deadline=None, max_examples=100)
def test_a_sparkline_stays_in_its_drawing(values: list[int]) -> None:
    assert inside(charts.spark(values, "x"), 160, 24)


def test_a_sparklines_label_is_text() -> None:
    assert "<script>" not in charts.spark([1], "<script>")


def test_severities_are_stacked() -> None:
    series = [
        Bucket(at=T0, opened=3, by_severity={Severity.CRITICAL: 1, Severity.LOW: 2}),
        Bucket(at=T0 + HOUR, opened=0, by_severity={}),
    ]
    drawn = charts.opened(series, "opened")
    assert "fill-critical" in drawn
    assert "fill-low" in drawn
    assert inside(drawn, 16, 44)


def test_a_series_leaves_empty_buckets_empty() -> None:
    drawn = charts.series([Point(at=T0, count=5), Point(at=T0 + HOUR, count=1)], T0, T0 + 2 * HOUR, HOUR, "x")
    assert drawn.count('class="bar"') == 2
    assert inside(drawn, 720, 90)


def test_a_watch_shows_what_fired_and_the_quiet_since() -> None:
    checks = (Check(at=T0 + 20 * SECOND, count=40, note="40 records"), Check(at=T0 + MINUTE, count=0, note="quiet"))
    watch = make_verification(started_at=T0, quiet_since=T0 + 30 * SECOND, checks=checks)
    drawn = charts.watch(watch, T0 + 2 * MINUTE)
    assert 'class="quiet"' in drawn
    assert "bar firing" in drawn
    assert "target" in drawn
    assert inside(drawn, 720, 72)


def test_a_watch_that_has_just_begun_can_be_drawn() -> None:
    assert "0 looks" in charts.watch(make_verification(started_at=T0), T0)
    assert inside(charts.watch(make_verification(started_at=T0), T0 - MINUTE), 720, 72)
