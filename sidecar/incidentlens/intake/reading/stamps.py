"""Time stamps: the shapes they come in, and their reading over whole columns.

A stamp's pattern has the groups `ts` (what `layout` reads), and where it can have them `frac` (digits after the
second) and `zone`. Patterns keep to what the Rust crate `regex` and RE2 both know, and to ASCII classes, which both
run several times faster than `\\d` and `\\w`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl
import re2

from incidentlens.model.clock import DAY, SECOND

_FRAC = r"(?:[.,](?P<frac>[0-9]{1,9})[0-9]*)?"
_ZONE_NAME = r"(?:UTC|GMT|[ECMPJK]ST|[ECMP]DT|CES?T|EES?T|WES?T|BST|MSK|AE[SD]T|IST)"
# Names are listed, or INFO after a stamp would be a zone.
_ZONE = rf"(?P<zone>Z|[+-][0-9]{{2}}(?::?[0-9]{{2}})?| (?:[+-][0-9]{{2}}:?[0-9]{{2}}|{_ZONE_NAME}))?"
# PHP writes the zone as the tz database calls it.
_ZONE_PLACE = _ZONE.removesuffix("))?") + r"|[A-Z][A-Za-z]+(?:/[A-Z][A-Za-z_]+){1,2}))?"
_HMS = r"[0-9]{2}:[0-9]{2}:[0-9]{2}"
_MON = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_DOW = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"

# Zone names people log with; a name that is not here is read as UTC.
_ZONES = {
    "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
    "WET": 0, "WEST": 1, "BST": 1, "CET": 1, "CEST": 2, "EET": 2, "EEST": 3, "MSK": 3, "IST": 5.5, "JST": 9, "KST": 9,
    "AEST": 10, "AEDT": 11,
}  # fmt: skip
_ZONE_NS = {name: int(hours * 3600) * SECOND for name, hours in _ZONES.items()}

_MAX_PLACES = 50  # zones named by a place that are looked up a batch

# Years outside are no times of a log; reading them would overflow nanoseconds.
_MIN_NS, _MAX_NS = 0, 7_000_000_000 * SECOND


@dataclass(frozen=True)
class Stamp:
    """One shape of time stamp. `kind` says what the stamp leaves open: nothing (`full`, `epoch`), year or date."""

    name: str
    pattern: str
    layout: str  # strptime layout of `ts`, or for an epoch the unit's name
    kind: str = "full"

    def nanoseconds(self, found: pl.DataFrame, reference: pl.Series) -> pl.Series:
        """Read the columns `ts`, `frac` and `zone` of `found` to ns since the epoch, null where they make no time.

        `reference` (ns, same length) is when the source took the line in: it supplies a year or a date that the
        stamp leaves out, so that the result is the nearest to it.
        """
        ts = found["ts"]
        if ts.null_count() == len(ts):
            return pl.Series("event_ts", [None] * len(ts), dtype=pl.Int64)
        layout = self.layout
        if "year" in found.columns:
            ts, layout = ts + " " + found["year"], layout + " %Y"
        whole = _READERS[self.kind](layout, ts, reference)
        if "frac" in found.columns and self.kind != "tai64n":
            whole = whole + found["frac"].str.pad_end(9, "0").cast(pl.Int64, strict=False).fill_null(0)
        if "zone" in found.columns:
            whole = _of_places(whole - _offset(found["zone"]), found["zone"])
        frame = pl.DataFrame({"at": whole})
        return frame.select(
            pl.when(pl.col("at").is_between(_MIN_NS, _MAX_NS)).then(pl.col("at")).alias("event_ts")
        ).to_series()


def _offset(zone: pl.Series) -> pl.Series:
    """A zone column as its offset from UTC in ns; 0 where there is none or where the name is not known."""
    named = zone.is_not_null() & (zone != "Z")
    if not named.any():
        return pl.Series([0], dtype=pl.Int64).new_from_index(0, len(zone))
    text = pl.col("zone").str.strip_chars_start(" ")
    digits = text.str.replace(":", "", literal=True)
    hours = digits.str.slice(1, 2).cast(pl.Int64, strict=False)
    minutes = digits.str.slice(3, 2).cast(pl.Int64, strict=False).fill_null(0)
    ns = (hours * 60 + minutes) * (60 * SECOND)
    numeric = pl.when(text.str.starts_with("-")).then(-ns).otherwise(ns)
    by_name = text.replace_strict(_ZONE_NS, default=0, return_dtype=pl.Int64)
    signed = text.str.contains(r"^[+-]")
    return (
        pl.DataFrame({"zone": zone}).select(pl.when(signed).then(numeric).otherwise(by_name).fill_null(0)).to_series()
    )


def _of_places(at: pl.Series, zone: pl.Series) -> pl.Series:
    """Local times (ns) of zones named by a place (` Europe/Berlin`) as ns since the epoch; an unknown place is UTC."""
    if not zone.str.contains("/", literal=True).any():
        return at
    for place in zone.filter(zone.str.contains("/", literal=True)).unique().head(_MAX_PLACES):
        local = pl.from_epoch(at, time_unit="ns")
        try:
            there = local.dt.replace_time_zone(place.strip(), ambiguous="earliest", non_existent="null")
        except pl.exceptions.ComputeError:
            continue
        at = there.to_physical().zip_with((zone == place).fill_null(False), at)
    return at


def _parse(text: pl.Series, layout: str, cache: bool = False) -> pl.Series:
    """Read by strptime to ns; microseconds carry years that nanoseconds cannot.

    `cache` pays where the layout is not one of those that polars reads by itself.
    """
    read = text.str.to_datetime(layout, time_unit="us", strict=False, cache=cache)
    micro = read.to_physical()
    inside = micro.is_between(_MIN_NS // 1000, _MAX_NS // 1000)
    return pl.DataFrame({"at": micro, "in": inside}).select(pl.when("in").then(pl.col("at") * 1000)).to_series()


def _full(layout: str, ts: pl.Series, reference: pl.Series) -> pl.Series:
    return _parse(ts, layout)


def _yearless(layout: str, ts: pl.Series, reference: pl.Series) -> pl.Series:
    """The latest year that does not put the stamp more than two days after it was taken in."""
    taken = pl.from_epoch(reference, time_unit="ns")
    limit = reference + 2 * DAY
    years = taken.dt.year()
    first = years[0]
    uniform = bool((years == first).all())

    def reading(shift: int) -> pl.Series:
        frame = pl.DataFrame({"text": ts, "year": years})
        year = pl.lit(f"{first + shift} ") if uniform else (pl.col("year") + shift).cast(pl.String) + " "
        return _parse(frame.select(pl.concat_str(year, "text")).to_series(), "%Y " + layout, cache=True)

    same = reading(0)
    if same.null_count() == ts.null_count() and (same <= limit).all() and (taken.dt.ordinal_day() < 363).all():
        return same
    readings = pl.DataFrame({"next": reading(1), "same": same, "past": reading(-1), "limit": limit})
    return readings.select(
        pl.coalesce(*(pl.when(pl.col(name) <= pl.col("limit")).then(name) for name in ("next", "same", "past")))
    ).to_series()


def _timeonly(layout: str, ts: pl.Series, reference: pl.Series) -> pl.Series:
    of_day = _parse("2000-01-01 " + ts, "%Y-%m-%d " + layout) % DAY
    # The day that brings the time nearest to the moment it was taken in.
    return of_day + ((reference - of_day + DAY // 2) // DAY) * DAY


_UNIT = {"s": SECOND, "ms": 1_000_000, "us": 1000, "ns": 1}


def _epoch(layout: str, ts: pl.Series, reference: pl.Series) -> pl.Series:
    number = ts.cast(pl.Int64, strict=False)
    limit = _MAX_NS // _UNIT[layout]
    frame = pl.DataFrame({"n": number})
    return frame.select(pl.when(pl.col("n") <= limit).then(pl.col("n") * _UNIT[layout])).to_series()


def _tai64n(layout: str, ts: pl.Series, reference: pl.Series) -> pl.Series:
    # 2^62 is 1970 in TAI64; TAI was 10 s ahead of UTC then and daemontools keeps to that.
    seconds = ts.str.slice(2, 15).str.to_integer(base=16, strict=False, dtype=pl.Int64) - 10
    nanos = ts.str.slice(17, 8).str.to_integer(base=16, strict=False, dtype=pl.Int64)
    return seconds * SECOND + nanos


_READERS: dict[str, Callable[[str, pl.Series, pl.Series], pl.Series]] = {
    "full": _full,
    "year": _yearless,
    "date": _timeonly,
    "epoch": _epoch,
    "tai64n": _tai64n,
}


def _ymd(separator: str, between: str) -> str:
    return rf"(?P<ts>(?:19|20)[0-9]{{2}}{separator}[0-9]{{2}}{separator}[0-9]{{2}}{between}{_HMS})"


STAMPS: tuple[Stamp, ...] = (
    Stamp("iso_t", _ymd("-", "T") + _FRAC + _ZONE, "%Y-%m-%dT%H:%M:%S"),
    Stamp("iso_colon", _ymd("-", " ") + ":(?P<frac>[0-9]{3,9})" + _ZONE, "%Y-%m-%d %H:%M:%S"),
    Stamp("iso", _ymd("-", " ") + _FRAC + _ZONE, "%Y-%m-%d %H:%M:%S"),
    Stamp("iso_quoted", _ymd("-", '"[ \\t]"'), '%Y-%m-%d" "%H:%M:%S'),
    Stamp("iso_tab", _ymd("-", "\\t") + _FRAC, "%Y-%m-%d\t%H:%M:%S"),
    Stamp("slash", _ymd("/", " ") + _FRAC + _ZONE, "%Y/%m/%d %H:%M:%S"),
    Stamp("dots", _ymd("[.]", " ") + _FRAC + _ZONE, "%Y.%m.%d %H:%M:%S"),
    Stamp(
        "iso_dashed",
        r"(?P<ts>20[0-9]{2}-[0-9]{2}-[0-9]{2}-[0-9]{2}[.][0-9]{2}[.][0-9]{2})" + _FRAC,
        "%Y-%m-%d-%H.%M.%S",
    ),
    Stamp(
        "iso_minutes",
        r"(?P<ts>20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2})(?P<zone>Z|[+-][0-9]{2}:?[0-9]{2})",
        "%Y-%m-%dT%H:%M",
    ),
    Stamp("yday", rf"(?P<ts>20[0-9]{{2}}-[0-3][0-9]{{2}}T{_HMS})" + _FRAC + _ZONE, "%Y-%jT%H:%M:%S"),
    Stamp(
        "compact_dash",
        r"(?P<ts>20[0-9]{6}-[0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2})(?:[.,:](?P<frac>[0-9]{1,9}))?",
        "%Y%m%d-%H:%M:%S",
    ),
    Stamp("compact_space", rf"(?P<ts>20[0-9]{{6}} {_HMS})(?:[.,:](?P<frac>[0-9]{{1,9}}))?", "%Y%m%d %H:%M:%S"),
    Stamp("compact_dot", r"(?P<ts>20[0-9]{6}[.][0-9]{6})" + _FRAC, "%Y%m%d.%H%M%S"),
    Stamp("compact_t", r"(?P<ts>20[0-9]{6}T[0-9]{6})" + _FRAC + "(?P<zone>Z)?", "%Y%m%dT%H%M%S"),
    Stamp(
        "clf",
        rf"(?P<ts>[0-9]{{2}}/{_MON}/[0-9]{{4}}:{_HMS})(?:[.](?P<frac>[0-9]{{1,9}}))?(?P<zone> [+-][0-9]{{4}})?",
        "%d/%b/%Y:%H:%M:%S",
    ),
    Stamp("clf_space", rf"(?P<ts>[0-9]{{2}}/{_MON}/[0-9]{{4}} {_HMS})" + _FRAC + _ZONE, "%d/%b/%Y %H:%M:%S"),
    Stamp(
        "us_ampm",
        rf"(?P<ts>{_MON} [0-9]{{1,2}}, [0-9]{{4}} [0-9]{{1,2}}:[0-9]{{2}}:[0-9]{{2}} [AP]M)",
        "%b %d, %Y %I:%M:%S %p",
    ),
    Stamp(
        "mdy_ampm",
        r"(?P<ts>[0-9]{1,2}/[0-9]{1,2}/20[0-9]{2} [0-9]{1,2}:[0-9]{2}:[0-9]{2} [AP]M)",
        "%m/%d/%Y %I:%M:%S %p",
    ),
    Stamp("mdy", rf"(?P<ts>[0-9]{{2}}/[0-9]{{2}}/20[0-9]{{2}} {_HMS})" + _FRAC + _ZONE, "%m/%d/%Y %H:%M:%S"),
    Stamp("dmy_dots", rf"(?P<ts>[0-9]{{2}}[.][0-9]{{2}}[.]20[0-9]{{2}} {_HMS})" + _FRAC, "%d.%m.%Y %H:%M:%S"),
    Stamp("rfc1123", rf"{_DOW}, (?P<ts>[0-9]{{1,2}} {_MON} [0-9]{{4}} {_HMS})" + _FRAC + _ZONE, "%d %b %Y %H:%M:%S"),
    Stamp("d_mon_y", rf"(?P<ts>[0-9]{{1,2}} {_MON} [0-9]{{4}} {_HMS})" + _FRAC + _ZONE, "%d %b %Y %H:%M:%S"),
    Stamp("d-mon-y", rf"(?P<ts>[0-9]{{1,2}}-{_MON}-[0-9]{{4}} {_HMS})" + _FRAC + _ZONE_PLACE, "%d-%b-%Y %H:%M:%S"),
    Stamp("d-mon-y::", rf"(?P<ts>[0-9]{{1,2}}-{_MON}-[0-9]{{4}}::{_HMS})" + _FRAC, "%d-%b-%Y::%H:%M:%S"),
    Stamp("ctime", rf"{_DOW} (?P<ts>{_MON} {{1,2}}[0-9]{{1,2}} {_HMS} [0-9]{{4}})", "%b %d %H:%M:%S %Y"),
    Stamp(
        "ctime_frac",
        rf"{_DOW} (?P<ts>{_MON} {{1,2}}[0-9]{{1,2}} {_HMS})" + r"[.](?P<frac>[0-9]{1,9}) (?P<year>[0-9]{4})",
        "%b %d %H:%M:%S",
    ),
    Stamp(
        "ctime_zone",
        rf"{_DOW} (?P<ts>{_MON} {{1,2}}[0-9]{{1,2}} {_HMS})" + r" (?P<zone>[A-Z]{3,4}) (?P<year>[0-9]{4})",
        "%b %d %H:%M:%S",
    ),
    Stamp("mon_d_y", rf"(?P<ts>{_MON} {{1,2}}[0-9]{{1,2}} [0-9]{{4}} {_HMS})" + _FRAC + _ZONE, "%b %d %Y %H:%M:%S"),
    Stamp("ymd2", rf"(?P<ts>[0-9]{{2}}/[0-9]{{2}}/[0-9]{{2}} {_HMS})" + _FRAC, "%y/%m/%d %H:%M:%S"),
    Stamp("syslog", rf"(?P<ts>{_MON} {{1,2}}[0-9]{{1,2}} {_HMS})" + _FRAC, "%b %d %H:%M:%S", "year"),
    Stamp("md", rf"(?P<ts>[01][0-9]-[0-3][0-9] {_HMS})" + _FRAC, "%m-%d %H:%M:%S", "year"),
    Stamp("md_dots", rf"(?P<ts>[01][0-9][.][0-3][0-9] {_HMS})" + _FRAC, "%m.%d %H:%M:%S", "year"),
    Stamp("tai64n", r"(?P<ts>@4[0-9a-fA-F]{23})", "", "tai64n"),
    Stamp("epoch_ns", r"(?P<ts>1[0-9]{18})", "ns", "epoch"),
    Stamp("epoch_us", r"(?P<ts>1[0-9]{15})", "us", "epoch"),
    Stamp("epoch_ms", r"(?P<ts>1[0-9]{12})", "ms", "epoch"),
    Stamp("epoch", r"(?P<ts>1[0-9]{9})(?:[.](?P<frac>[0-9]{1,9}))?", "s", "epoch"),
    Stamp("ymd_hms", r"(?P<ts>[0-9]{2}[01][0-9][0-3][0-9] [0-2][0-9][0-5][0-9][0-5][0-9])", "%y%m%d %H%M%S"),
    Stamp("ymd_clock", r"(?P<ts>[0-9]{2}[01][0-9][0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-5][0-9])", "%y%m%d %H:%M:%S"),
    Stamp("time", rf"(?P<ts>{_HMS})(?:[.,:](?P<frac>[0-9]{{1,9}}))?", "%H:%M:%S", "date"),
)
# Shapes that only a format of their own gives away: anywhere else they are mere numbers.
_BOUND = (
    Stamp("klog", "", "%m%d %H:%M:%S", "year"),
    Stamp("redis_old", "", "%d %b %H:%M:%S", "year"),
)
BY_NAME = {stamp.name: stamp for stamp in (*STAMPS, *_BOUND)}
# One alternation of all shapes: of two that begin together the one listed first wins, so they go from narrow to wide.
# A time alone or a number must not be the tail of something longer, so colons and dots before them count.
_ANY = re2.compile(
    "|".join(
        (r"(?:^|[^0-9A-Za-z.:])(" if stamp.kind in ("date", "epoch") else r"(?:^|[^0-9A-Za-z.])(")
        + re.sub(r"\(\?P<[a-z]+>", "(?:", stamp.pattern)
        + r")(?:[^0-9A-Za-z]|$)"
        for stamp in STAMPS
    )
)


def find(text: str, begin: int = 0) -> tuple[Stamp, int, int] | None:
    """The first time stamp in a text from `begin` on: its shape, start and end. For samples, not for columns."""
    # One more character in front, so that a stamp's own boundary is seen where the search begins in the middle.
    match = _ANY.search(text, max(begin - 1, 0))
    while match is not None:
        for number, stamp in enumerate(STAMPS, 1):
            start, end = match.span(number)
            if start >= 0:
                if start >= begin:
                    return stamp, start, end
                break
        match = _ANY.search(text, match.start() + 1)
    return None
