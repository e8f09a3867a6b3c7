"""One query of a panel, an alert rule or a program, read out of its JSON. What Grafana adds besides is passed over."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator
from pydantic.alias_generators import to_camel

from incidentlens.model.clock import DAY, SECOND
from incidentlens.model.terms import Disposition, Level, Outcome, Severity, Status

from .errors import QueryError

MAX_LIMIT = 1_000
MAX_RANGE = 3 * 366 * DAY
MAX_POINTS = 2_000  # of one series
MAX_VALUES = 500  # of one filter
MAX_TEXT = 500
LATEST = 2**62  # ns: the year 2116, with room for a bucket beyond
_ALL = {"$__all", "*", ".*", "__all__"}

E = TypeVar("E", bound=StrEnum)


def _texts(value: Any) -> tuple[str, ...]:
    """One text or several, as a multi-value variable gives them: a list, or `{a,b}`. Everything is no condition."""
    if value is None:
        return ()
    if isinstance(value, str):
        braces = value.startswith("{") and value.endswith("}") and "," in value
        value = value[1:-1].split(",") if braces else [value]
    if not isinstance(value, list | tuple):
        raise ValueError("a text or a list of texts is wanted")
    if len(value) > MAX_VALUES:
        raise ValueError(f"at most {MAX_VALUES} values are taken")
    found = []
    for entry in value:
        if isinstance(entry, bool) or not isinstance(entry, str | int | float):
            raise ValueError("a text or a list of texts is wanted")
        found.append(str(entry)[:MAX_TEXT])
    if any(entry in _ALL for entry in found):
        return ()
    return tuple(dict.fromkeys(entry for entry in found if entry.strip()))


def _terms(value: Any) -> tuple[str, ...]:
    """As `_texts`, and several joined by commas: for closed vocabularies."""
    parts = [part.strip() for text in _texts(value) for part in text.split(",")]
    return tuple(dict.fromkeys(part for part in parts if part and part.lower() != "all"))


def _words(value: Any) -> str:
    """A word of a closed set that its query type checks."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError("a text is wanted")
    return value.strip()[:MAX_TEXT]


def _whole(value: Any) -> Any:
    """A whole number, also one written as text or with a fraction of zero."""
    if isinstance(value, str) and not value.strip():
        return None
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a whole number is wanted")
    return value


Texts = Annotated[tuple[str, ...], BeforeValidator(_texts)]
Terms = Annotated[tuple[str, ...], BeforeValidator(_terms)]
Word = Annotated[str, BeforeValidator(_words)]
Whole = Annotated[int | None, BeforeValidator(_whole)]


class AdHoc(BaseModel):
    """One ad hoc filter: `operator` is = != =~ !~ or, with `values`, =| and !=|."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    key: str = Field(max_length=MAX_TEXT)
    operator: str = Field(default="=", max_length=10)
    value: str = Field(default="", max_length=MAX_TEXT)
    values: Texts = ()


class PanelQuery(BaseModel):
    """A query. Times in ns; `interval` is the panel's, in ns. In JSON its keys are in camel case (`incidentId`)."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, alias_generator=to_camel)

    ref_id: str = Field(default="A", max_length=100)
    query_type: Word = ""
    since: int
    until: int
    cut_range: bool = False  # a longer time was asked for
    interval: int = SECOND
    max_data_points: int = Field(default=1_000, ge=1, le=MAX_POINTS)
    timezone: Word = ""

    incident_id: Texts = ()
    service: Texts = ()
    signature: Texts = ()
    runbook: Texts = ()
    status: Terms = ()
    severity: Terms = ()
    disposition: Terms = ()
    outcome: Terms = ()
    text: Word = ""
    adhoc_filters: tuple[AdHoc, ...] = Field(default=(), max_length=50)

    group_by: Terms = ()
    sort: Word = ""
    order: Word = ""
    limit: Whole = None
    format: Word = ""  # of the answer, where a query type knows several
    kind: Terms = ()  # of evidence or action
    state: Terms = ()  # of action
    level: Terms = ()  # of signature
    family: Word = ""  # of signature
    variable: Word = ""
    empty: Word = ""  # what to show in place of nothing, where a panel has no words of its own

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value.lower() in ("", "utc", "browser"):
            return ""
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError("not a time zone; give a name such as Europe/Berlin") from None
        return value

    def rows(self, default: int, most: int = MAX_LIMIT) -> int:
        """How many rows to give: what was asked for, within the bound."""
        if self.limit is None or self.limit <= 0:
            return min(default, most)
        return min(self.limit, most)

    def cut_limit(self, most: int = MAX_LIMIT) -> str | None:
        """What to tell where more rows were asked for than are ever given."""
        if self.limit is not None and self.limit > most:
            return f"{self.limit:,} rows were asked for; at most {most:,} are given"
        return None

    @property
    def descending(self) -> bool:
        """Raises QueryError for an order that is none."""
        return one_of(self.order.lower() or "desc", ("desc", "asc"), "order") == "desc"


_FILTERS = ("service", "signature", "runbook", "status", "severity", "disposition", "outcome")


def read_query(
    body: Mapping[str, Any],
    *,
    since: int,
    until: int,
    ref_id: str | None = None,
    query_type: str | None = None,
    interval_ms: int | None = None,
    max_data_points: int | None = None,
) -> PanelQuery:
    """A query out of its JSON object. `since` and `until` in ns; what is given besides comes before the JSON's own.

    `filters` is an object of lists by the same names as the filters beside it, or a list of ad hoc filters. A time
    longer than three years is cut to its last three, too many points to 2,000. Raises QueryError naming the key.
    """
    given = dict(body)
    filters = given.pop("filters", None)
    if isinstance(filters, Mapping):
        given |= {name: value for name, value in filters.items() if name in _FILTERS and not given.get(name)}
    elif isinstance(filters, list | tuple):
        given["adhocFilters"] = [*_list(given.get("adhocFilters")), *filters]
    elif filters is not None:
        raise QueryError("filters: an object of lists, or a list of ad hoc filters is wanted")
    if not query_type:
        query_type = given.get("queryType")
    interval_ms = _number(interval_ms or given.get("intervalMs"), "intervalMs") or 1_000
    points = _number(max_data_points or given.get("maxDataPoints"), "maxDataPoints") or 1_000
    since, until = (min(max(0, bound), LATEST) for bound in (since, until))
    if until < since:
        raise QueryError("the time range ends before it begins; choose another")
    cut = until - since > MAX_RANGE
    given |= {
        "refId": ref_id or given.get("refId") or "A",
        "queryType": query_type,
        "since": until - MAX_RANGE if cut else since,
        "until": max(until, since + 1),
        "cutRange": cut,
        "interval": min(max(interval_ms, 1) * 1_000_000, MAX_RANGE),
        "maxDataPoints": min(max(points, 1), MAX_POINTS),
    }
    known = {to_camel(name) for name in PanelQuery.model_fields}
    try:
        # Null stands for a key that is not there: a query editor leaves one where a field was cleared.
        return PanelQuery(**{name: value for name, value in given.items() if name in known and value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "query"
        said = str(first["msg"]).removeprefix("Value error, ")
        raise QueryError(f"{where}: {said[:1].lower()}{said[1:]}") from None


def read_terms(kind: type[E], values: tuple[str, ...], name: str) -> tuple[E, ...]:
    """Terms of a closed vocabulary. Raises QueryError with what is allowed."""
    found = []
    for value in values:
        match = next((term for term in kind if term.value.lower() == value.lower()), None)
        if match is None:
            raise QueryError(f"{name}: {value[:40]!r} is not known; allowed: {', '.join(kind)}")
        found.append(match)
    return tuple(dict.fromkeys(found))


def one_of(value: str, allowed: tuple[str, ...], name: str) -> str:
    """The value where it is allowed. Raises QueryError."""
    if value not in allowed:
        raise QueryError(f"{name}: {value[:40]!r} is not known; allowed: {', '.join(allowed)}")
    return value


VOCABULARIES: dict[str, type[StrEnum]] = {
    "status": Status,
    "severity": Severity,
    "disposition": Disposition,
    "outcome": Outcome,
    "level": Level,
}


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _number(value: Any, name: str) -> int | None:
    """Raises QueryError."""
    if value is None or value == "":
        return None
    try:
        if isinstance(value, bool):
            raise ValueError
        number = float(value)
        return int(min(max(number, 0.0), 1e15)) if math.isfinite(number) else None
    except (TypeError, ValueError):
        raise QueryError(f"{name}: a number is wanted") from None
