"""Times and their layouts as Go writes them (`2006-01-02T15:04:05.000Z07:00`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

_MONTHS = (
    "January February March April May June July August September October November December".split()  # noqa: SIM905
)
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()  # noqa: SIM905
_CHUNK = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|2006|__2|_2(?!006)|002|02|01|03|04|05|06|15|PM|pm"
    r"|Z07:00:00|Z07:00|Z070000|Z0700|Z07|-07:00:00|-07:00|-070000|-0700|-07|[.,](?:0+|9+)(?!\d)|[1-5]"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZERO_NS = -62_135_596_800_000_000_000  # Go's zero time


@dataclass(frozen=True, slots=True)
class GoTime:
    """A point in time: nanoseconds since the epoch, and the zone it is shown in."""

    ns: int
    zone: tzinfo = UTC

    def local(self) -> datetime:
        seconds = self.ns // 1_000_000_000
        try:
            return (_EPOCH + timedelta(seconds=seconds)).astimezone(self.zone)
        except (OverflowError, ValueError):
            return _EPOCH + timedelta(seconds=max(-62_135_596_800, min(seconds, 253_402_300_799)))

    def __str__(self) -> str:
        return self.format("2006-01-02 15:04:05.999999999 -0700 MST")

    def format(self, layout: str) -> str:
        """Write the time by a layout."""
        moment = self.local()
        fraction = f"{self.ns % 1_000_000_000:09d}"
        previous = [""]

        def chunk(found: re.Match[str]) -> str:
            text = _write(found[0], moment, fraction, after_second=previous[0] in ("05", "5"))
            previous[0] = found[0]
            return text

        return _CHUNK.sub(chunk, layout)


def _write(chunk: str, moment: datetime, fraction: str, *, after_second: bool) -> str:
    if chunk[0] in ".,":
        digits = chunk[1:]
        if digits[0] == "9":
            shown = fraction[: len(digits)].rstrip("0")
            return chunk[0] + shown if shown else ""
        return chunk[0] + fraction[: len(digits)] if after_second or len(digits) <= 9 else chunk
    if chunk[0] in "Z-" and "07" in chunk:
        return _offset(chunk, moment)
    hour12 = moment.hour % 12 or 12
    simple = {
        "January": _MONTHS[moment.month - 1],
        "Jan": _MONTHS[moment.month - 1][:3],
        "1": str(moment.month),
        "01": f"{moment.month:02d}",
        "Monday": _DAYS[moment.weekday()],
        "Mon": _DAYS[moment.weekday()][:3],
        "2": str(moment.day),
        "_2": f"{moment.day:2d}",
        "02": f"{moment.day:02d}",
        "__2": f"{moment.timetuple().tm_yday:3d}",
        "002": f"{moment.timetuple().tm_yday:03d}",
        "15": f"{moment.hour:02d}",
        "3": str(hour12),
        "03": f"{hour12:02d}",
        "4": str(moment.minute),
        "04": f"{moment.minute:02d}",
        "5": str(moment.second),
        "05": f"{moment.second:02d}",
        "2006": f"{moment.year:04d}",
        "06": f"{moment.year % 100:02d}",
        "PM": "PM" if moment.hour >= 12 else "AM",
        "pm": "pm" if moment.hour >= 12 else "am",
        "MST": moment.tzname() or "UTC",
    }
    return simple[chunk]


def _offset(chunk: str, moment: datetime) -> str:
    seconds = int((moment.utcoffset() or timedelta()).total_seconds())
    if chunk[0] == "Z" and seconds == 0:
        return "Z"
    sign = "-" if seconds < 0 else "+"
    hours, rest = divmod(abs(seconds), 3600)
    minutes, second = divmod(rest, 60)
    colon = ":" if ":" in chunk else ""
    size = len(chunk.replace(":", "")) - 1
    text = f"{sign}{hours:02d}"
    if size >= 4:
        text += f"{colon}{minutes:02d}"
    if size >= 6:
        text += f"{colon}{second:02d}"
    return text


def zone(name: str) -> tzinfo:
    """Find a time zone by name; UTC where there is none of it."""
    if name in ("", "UTC", "Local"):
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return UTC


_READ = {
    "2006": r"(?P<year>\d{4})",
    "06": r"(?P<short>\d{2})",
    "01": r"(?P<month>\d{2})",
    "1": r"(?P<month>\d{1,2})",
    "January": "(?P<name>" + "|".join(_MONTHS) + ")",
    "Jan": "(?P<name>" + "|".join(month[:3] for month in _MONTHS) + ")",
    "02": r"(?P<day>\d{2})",
    "_2": r" ?(?P<day>\d{1,2})",
    "2": r"(?P<day>\d{1,2})",
    "15": r"(?P<hour>\d{2})",
    "03": r"(?P<hour12>\d{2})",
    "3": r"(?P<hour12>\d{1,2})",
    "04": r"(?P<minute>\d{2})",
    "4": r"(?P<minute>\d{1,2})",
    "05": r"(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?",
    "5": r"(?P<second>\d{1,2})(?:[.,](?P<fraction>\d{1,9}))?",
    "Monday": "(?:" + "|".join(_DAYS) + ")",
    "Mon": "(?:" + "|".join(day[:3] for day in _DAYS) + ")",
    "PM": "(?P<half>AM|PM)",
    "pm": "(?P<half>am|pm)",
    "MST": r"(?P<zone>[A-Z]{3,5}|[+-]\d{2})",
}


def parse_time(layout: str, text: str, default: tzinfo) -> GoTime | None:
    """Read a time by a layout; None where the text does not fit it."""
    pattern, position = "", 0
    seen: set[str] = set()
    for found in _CHUNK.finditer(layout):
        pattern += re.escape(layout[position : found.start()])
        position = found.end()
        chunk = found[0]
        if chunk[0] in ".,":
            continue  # a fraction may follow the seconds in any case
        part = r"(?P<offset>Z|[+-]\d{2}:?(?:\d{2})?)" if "07" in chunk else _READ.get(chunk, r"\d+")
        for name in re.findall(r"\?P<(\w+)>", part):
            if name in seen:
                part = part.replace(f"?P<{name}>", "?:")
            seen.add(name)
        pattern += part
    pattern += re.escape(layout[position:])
    match = re.fullmatch(pattern, text[:200], re.ASCII)
    return _assemble({key: value for key, value in match.groupdict().items() if value}, default) if match else None


def _assemble(parts: dict[str, str], default: tzinfo) -> GoTime | None:
    year = int(parts["year"]) if "year" in parts else 0
    if "short" in parts:
        year = int(parts["short"]) + (1900 if int(parts["short"]) >= 69 else 2000)
    month = int(parts.get("month", 1))
    if "name" in parts:
        month = next(index for index, name in enumerate(_MONTHS, 1) if name.startswith(parts["name"]))
    hour = int(parts.get("hour", 0))
    if "hour12" in parts:
        hour = int(parts["hour12"]) % 12 + (12 if parts.get("half", "").lower() == "pm" else 0)
    tz = default
    if offset := parts.get("offset"):
        tz = UTC
        if offset != "Z":
            digits = offset[1:].replace(":", "").ljust(4, "0")
            delta = timedelta(hours=int(digits[:2]), minutes=int(digits[2:4]))
            tz = timezone(-delta if offset[0] == "-" else delta)
    try:
        clock = (hour, int(parts.get("minute", 0)), int(parts.get("second", 0)))
        moment = datetime(max(year, 1), month, int(parts.get("day", 1)), *clock, tzinfo=tz)
    except ValueError:
        return None
    delta = moment - _EPOCH
    ns = (delta.days * 86_400 + delta.seconds) * 1_000_000_000 + int(parts.get("fraction", "0").ljust(9, "0"))
    if year == 0:
        ns -= 366 * 86_400 * 1_000_000_000
    return GoTime(ns, tz)
