"""The buckets of a series: as long as the panel's interval where that is not too many, in step with the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from incidentlens.grafana.frames import Field, FieldType
from incidentlens.model.clock import DAY, HOUR, MINUTE, SECOND
from incidentlens.model.times import duration
from incidentlens.store.pg.panels import SeriesCount

from .query import PanelQuery

_STEPS = (
    *(n * SECOND for n in (1, 2, 5, 10, 15, 30)),
    *(n * MINUTE for n in (1, 2, 5, 10, 15, 30)),
    *(n * HOUR for n in (1, 2, 3, 6, 12)),
    *(n * DAY for n in (1, 2, 7, 14, 28, 56)),
)
_MONDAY = 4 * DAY  # 1970 began on a Thursday: weeks begin on Mondays


class Buckets:
    """`starts` (ns, ascending) of buckets that cover the query's time range, up to `until`; days begin at midnight."""

    def __init__(self, query: PanelQuery) -> None:
        span = query.until - query.since
        step = max(query.interval, SECOND)
        if span > step * query.max_data_points:
            wanted = span / query.max_data_points
            step = next((each for each in _STEPS if each >= wanted), _STEPS[-1])
        self.step = step
        self.longer = step > max(query.interval, SECOND)
        zone = ZoneInfo(query.timezone) if query.timezone else None
        bounds = _days(query, step, zone) if zone and step % DAY == 0 else _even(query, step, zone)
        # Whole buckets, the last one too: the same figures whenever within a bucket one asks.
        self.starts, self.until = bounds[:-1], bounds[-1]

    def time(self) -> Field:
        """The column of times, which all series share."""
        return Field("time", FieldType.TIME, self.starts)

    def values(self, counted: SeriesCount | None) -> list[float]:
        """The counts a bucket; where nothing was counted there were none."""
        found = [0.0] * len(self.starts)
        if counted is not None:
            for slot, count in zip(counted.slots, counted.counts, strict=True):
                found[slot] = float(count)
        return found

    def note(self) -> str | None:
        """What to tell where they are longer than the panel's interval."""
        return f"one point stands for {duration(self.step)}: shorter ones would be too many" if self.longer else None


def _even(query: PanelQuery, step: int, zone: ZoneInfo | None) -> list[int]:
    """Buckets of one length, and the end of the last; they begin where a clock on the wall in the zone is even."""
    shift = _MONDAY if step % (7 * DAY) == 0 else 0
    if zone is not None:
        offset = _moment(query.since, zone).utcoffset() or timedelta()
        shift -= round(offset.total_seconds()) * SECOND
    first = (query.since - shift) // step * step + shift
    count = max(1, -(-(query.until - first) // step))
    return [first + number * step for number in range(count + 1)]


def _days(query: PanelQuery, step: int, zone: ZoneInfo) -> list[int]:
    """From midnight to midnight in the zone, the end included: a day may have 23 or 25 hours."""
    day = _moment(query.since, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    days = step // DAY
    day -= timedelta(days=(day.toordinal() - 1) % days)  # day 1 was a Monday
    bounds = [round(day.timestamp()) * SECOND]
    while bounds[-1] < query.until:
        day += timedelta(days=days)
        bounds.append(round(day.timestamp()) * SECOND)
    return bounds


def _moment(ns: int, zone: ZoneInfo) -> datetime:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ns // 1_000)).astimezone(zone)
