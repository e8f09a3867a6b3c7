"""Baselines by hour of day and kind of day, over simulated weeks; times are UTC, START is a Tuesday evening."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentlens.detection import DetectionSettings, Detector
from incidentlens.detection.seasons import Hours, Season
from incidentlens.model.clock import DAY, HOUR, MINUTE, SECOND
from incidentlens.model.terms import ProblemKind

START = 1_700_000_000 * SECOND
MONDAY = int(datetime(2023, 11, 20, tzinfo=UTC).timestamp()) * SECOND


class Weeks:
    """A project watched hour by hour, restarted every day."""

    def __init__(self, make_signed):
        self._make = make_signed
        self._state: dict[str, bytes] = {}
        self.now = MONDAY

    def until(self, end, batch=lambda day, hour: 0):
        """Go on to `end` (ns); `batch(day, hour)`: errors in the first five minutes of that hour. Problems found."""
        found = {}
        detector = Detector(DetectionSettings(), self._state)
        while self.now < end:
            day, hour = (self.now - MONDAY) // DAY, (self.now - MONDAY) % DAY // HOUR
            base = (self.now - START) / SECOND
            rows = [{"at": base + 60 * minute, "signature": "served"} for minute in range(60)]
            count = batch(day, hour)
            rows += [
                {"at": base + 300 * i / count, "level": "error", "signature": "row rejected"} for i in range(count)
            ]
            self.now += HOUR
            frame = self._make(sorted(rows, key=lambda row: row["at"]))
            found |= {problem.id: problem for problem in detector.observe(frame, self.now)}
            if hour == 23:
                self._state |= detector.changed_state()
                detector = Detector(DetectionSettings(), self._state)
        self._state |= detector.changed_state()
        return list(found.values())


def test_a_nightly_batch_is_no_spike_after_two_weeks_and_its_count_at_another_hour_is(make_signed):
    weeks = Weeks(make_signed)
    weeks.until(MONDAY + 14 * DAY, lambda day, hour: (190 + day) * (hour == 2))
    night = weeks.until(MONDAY + 14 * DAY + 13 * HOUR, lambda day, hour: 210 * (hour == 2))
    assert night == []
    (spike,) = weeks.until(MONDAY + 14 * DAY + 15 * HOUR, lambda day, hour: 210 * (hour == 14))
    assert spike.kind == ProblemKind.SPIKE
    assert spike.onset == MONDAY + 14 * DAY + 14 * HOUR
    assert spike.parts.baseline == "usual for weekdays 14:00 UTC, 5 days: none"
    assert spike.parts.spike_ratio > 50


def test_three_times_the_nightly_batch_is_a_spike_against_what_is_usual_at_night(make_signed):
    weeks = Weeks(make_signed)
    weeks.until(MONDAY + 14 * DAY, lambda day, hour: 200 * (hour == 2))
    (spike,) = weeks.until(MONDAY + 14 * DAY + 4 * HOUR, lambda day, hour: 2000 * (hour == 2))
    assert spike.parts.baseline.startswith("usual for weekdays 02:00 UTC, 5 days: 40/min")


def test_a_batch_that_comes_on_mondays_only_is_usual_on_mondays_only(make_signed):
    weeks = Weeks(make_signed)
    weeks.until(MONDAY + 28 * DAY, lambda day, hour: 200 * (day % 7 == 0 and hour == 6))
    assert weeks.until(MONDAY + 29 * DAY, lambda day, hour: 200 * (hour == 6)) == []
    (spike,) = weeks.until(MONDAY + 30 * DAY, lambda day, hour: 200 * (hour == 6))
    assert spike.onset == MONDAY + 29 * DAY + 6 * HOUR


def test_one_outage_in_an_hour_does_not_become_what_is_usual_there(make_signed):
    weeks = Weeks(make_signed)
    weeks.until(MONDAY + 10 * DAY, lambda day, hour: 3 + 300 * (day == 8 and hour == 14))
    found = weeks.until(MONDAY + 12 * DAY, lambda day, hour: 3 + 300 * (day == 10 and hour == 14))
    assert [problem.onset for problem in found] == [MONDAY + 10 * DAY + 14 * HOUR]


def test_where_there_is_no_history_of_the_hour_the_score_says_so(make_signed):
    weeks = Weeks(make_signed)
    weeks.until(MONDAY + DAY, lambda day, hour: 1)
    (spike,) = weeks.until(MONDAY + DAY + 3 * HOUR, lambda day, hour: 300 * (hour == 2))
    assert "no history of this hour yet" in spike.parts.baseline


def test_hours_nobody_watched_are_no_hours_without_errors():
    hours, season = Hours(), Season()
    for day in (0, 1):
        hours.watch(MONDAY + day * DAY, MONDAY + day * DAY + 3 * HOUR)
    assert season.usual(MONDAY + 2 * DAY + HOUR, hours, MONDAY) is None
    hours.watch(MONDAY + 2 * DAY, MONDAY + 2 * DAY + 3 * HOUR)
    assert season.usual(MONDAY + 3 * DAY + HOUR, hours, MONDAY).hours == 3
    assert season.usual(MONDAY + 3 * DAY + HOUR, hours, MONDAY + 2 * DAY) is None
    assert season.usual(MONDAY + 3 * DAY + 9 * HOUR, hours, MONDAY) is None


@pytest.mark.parametrize("early", [0, 10])
def test_a_batch_that_begins_a_little_before_its_hour_is_still_itself(early):
    hours, season = Hours(), Season()
    hours.watch(MONDAY, MONDAY + 10 * DAY)
    for day in range(5):
        season.add(MONDAY + day * DAY + 2 * HOUR, 40)
    season.close()
    usual = season.usual(MONDAY + 7 * DAY + 2 * HOUR - early * MINUTE, hours, MONDAY)
    assert usual.peak == 40


@given(st.lists(st.tuples(st.integers(0, 100 * 24 * 60), st.integers(1, 1000)), max_size=400))
@settings(deadline=None, max_examples=50)
def test_what_is_remembered_is_bounded_and_survives_being_written(records):
    hours, season = Hours(), Season()
    for minute, count in records:
        hours.watch(MONDAY + minute * MINUTE, MONDAY + minute * MINUTE)
        season.add(MONDAY + minute * MINUTE, count)
    assert len(season.slots) <= 48
    assert all(len(kept) <= 8 for kept in season.slots.values())
    assert len(hours.ranges) <= 60
    again = Season.decode(season.encode())
    at = MONDAY + 101 * DAY
    assert again.usual(at, hours, MONDAY) == season.usual(at, hours, MONDAY)
