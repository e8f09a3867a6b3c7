"""What is usual at this hour: a nightly batch's errors are no spike at two in the morning, and are one at noon.

For each failing signature the hours in which it came are remembered, by hour of day on weekdays and weekends, with how
many records and the busiest minute of each; hours in which it did not come cost nothing. Compared with are the medians
over the same weekday, where three weeks of it were watched, or over the same kind of day, where three days were.
Medians, so that one outage does not become the norm. Hours are UTC.
"""

from __future__ import annotations

import statistics
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any

from incidentlens.model.clock import HOUR, MINUTE

_KEPT = 8  # hours kept of each slot, the latest: eight weeks of a Monday's batch, eight days of a daily one
_LEAST = 3  # watched hours like this one, before anything is said of it
_MOST = 5  # and at most so many are compared with
_STRAY = 2  # hours out of the ordinary that do not make a signature unpunctual
_RANGES = 60  # stretches of watched time that are remembered
_EDGE = 15 * MINUTE  # so near to the next or last hour that one's habits count too: batches are not punctual
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_DAY, _WEEK = 24, 168  # in hours


@dataclass(slots=True)
class Hours:
    """Which hours were watched, as ranges of hours since the epoch; shared by all signatures."""

    ranges: list[list[int]] = field(default_factory=list)  # [first, last], in order

    def watch(self, since: int, until: int) -> None:
        """Everything from `since` to `until` (ns) was watched."""
        first, last = since // HOUR, until // HOUR
        if self.ranges and self.ranges[-1][0] <= first <= self.ranges[-1][1] + 1:
            self.ranges[-1][1] = max(self.ranges[-1][1], last)
            return
        if self.ranges and first < self.ranges[-1][0]:
            return  # records of an earlier time than what is known: nothing is learnt of hours that way
        self.ranges.append([first, last])
        del self.ranges[:-_RANGES]

    def watched(self, hour: int) -> bool:
        index = bisect_right(self.ranges, [hour, 1 << 62]) - 1
        return index >= 0 and hour <= self.ranges[index][1]


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual at an hour. Rates a minute: on average over the hour, and in its busiest minute."""

    rate: float
    peak: float
    deviation: float  # of the peaks: 1.4826 × the median deviation from their median
    hours: int  # how many were compared with
    label: str

    def __str__(self) -> str:
        amount = f"{self.peak:.3g}/min at the most" if self.peak else "none"
        return f"usual for {self.label}: {amount}"


@dataclass(slots=True)
class Season:
    """The hours in which one signature came."""

    hour: int = -1  # the one going on, since the epoch
    total: int = 0
    peak: int = 0
    minute: int = -1
    count: int = 0  # of that minute
    slots: dict[str, list[list[int]]] = field(default_factory=dict)  # slot: [hour, total, peak], oldest first

    def add(self, at: int, count: int) -> None:
        """Count records of a bucket that begins at `at` (ns). Records of an hour that is over are left out."""
        hour = at // HOUR
        if hour < self.hour:
            return
        if hour != self.hour:
            self.close()
            self.hour = hour
        self.total += count
        minute = at // MINUTE
        self.count = self.count + count if minute == self.minute else count
        self.minute = minute
        self.peak = max(self.peak, self.count)

    def close(self) -> None:
        """The hour is over."""
        if self.total:
            kept = self.slots.setdefault(_slot(self.hour), [])
            if not kept or kept[-1][0] < self.hour:
                kept.append([self.hour, self.total, self.peak])
                del kept[:-_KEPT]
        self.total = self.peak = self.count = 0
        self.minute = -1

    @property
    def punctual(self) -> bool:
        """True where it came at hours of its own, and hardly ever at others."""
        return sum(len(kept) for kept in self.slots.values() if len(kept) < _LEAST) <= _STRAY

    def usual(self, at: int, hours: Hours, since: int) -> Usual | None:
        """What is usual at the hour of `at` (ns), for a service known since `since` (ns); None: nothing is known."""
        here = self._of_hour(at // HOUR, hours, since)
        if here is None:
            return None
        for near in (at - _EDGE, at + _EDGE):
            if near // HOUR != at // HOUR:
                beside = self._of_hour(near // HOUR, hours, since)
                if beside is not None and beside.peak > here.peak:
                    here = Usual(here.rate, beside.peak, beside.deviation, here.hours, here.label)
        return here

    def _of_hour(self, hour: int, hours: Hours, since: int) -> Usual | None:
        weekday = _weekday(hour)
        clock = f"{hour % _DAY:02d}:00 UTC"
        first = since // HOUR
        same = [hour - week * _WEEK for week in range(1, _MOST + 1)]
        same = [one for one in same if one >= first and hours.watched(one)]
        if len(same) >= _LEAST:
            label = f"a {_DAYS[weekday]} {clock}, {len(same)} weeks"
            if (found := self._median(same, label)).peak > 0:
                return found
        alike = (hour - day * _DAY for day in range(1, 2 * 7 + 1))
        days = [one for one in alike if one >= first and _weekend(one) == _weekend(hour) and hours.watched(one)]
        if len(days) >= _LEAST:
            kind = "weekends" if _weekend(hour) else "weekdays"
            return self._median(days[:_MOST], f"{kind} {clock}, {min(len(days), _MOST)} days")
        return None

    def _median(self, wanted: list[int], label: str) -> Usual:
        known = {hour: (total, peak) for hour, total, peak in self.slots.get(_slot(wanted[0]), ())}
        found = [known.get(hour, (0, 0)) for hour in wanted]
        peaks = [peak for _, peak in found]
        middle = statistics.median(peaks)
        apart = 1.4826 * statistics.median(abs(peak - middle) for peak in peaks)
        return Usual(statistics.median(total for total, _ in found) / 60, middle, apart, len(found), label)

    def encode(self) -> list[Any]:
        return [self.hour, self.total, self.peak, self.minute, self.count, self.slots]

    @classmethod
    def decode(cls, data: list[Any]) -> Season:
        return cls(*data)


def _weekday(hour: int) -> int:
    """0 for Monday: the epoch began on a Thursday."""
    return (hour // _DAY + 3) % 7


def _weekend(hour: int) -> bool:
    return _weekday(hour) >= 5


def _slot(hour: int) -> str:
    return f"{'e' if _weekend(hour) else 'd'}{hour % _DAY}"
