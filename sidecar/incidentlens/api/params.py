"""Reading what a request says: times, lists of terms, filters. Everything wrong is an ApiError with what is allowed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, TypeVar

from fastapi import Query
from fastapi.responses import Response
from pydantic import BaseModel

from incidentlens.config.types import parse_duration
from incidentlens.model.terms import Disposition, Severity, Status
from incidentlens.store.queries import IncidentFilter

from .errors import ApiError

E = TypeVar("E", bound=StrEnum)

_LATEST = 2**63 - 1
_TIME_HELP = "nanoseconds since 1970, an RFC 3339 time, or how long ago (`30m`, `24h`, `7d`)"

Limit = Annotated[int, Query(ge=1, le=500, description="At most so many items, 1 to 500.")]
Cursor = Annotated[
    str | None, Query(max_length=1000, description="`next_cursor` of the page before, with the same filters and sort.")
]
TimeText = Annotated[str | None, Query(max_length=64, description=f"A time: {_TIME_HELP}.")]


def read_time(text: str | int | None, now: int, name: str) -> int | None:
    """A time in ns out of ns, an RFC 3339 time, or a length of time before `now`; None for none. ApiError 400."""
    if text is None or text == "":
        return None
    said = str(text).strip()
    if said.lstrip("-").isdecimal() and len(said) <= 20:
        ns = int(said)
        # A number of seconds or milliseconds is a mistake that would silently find everything or nothing.
        if 0 < ns < 10**16:
            raise ApiError(400, f"{name}: {said} looks like seconds or milliseconds; give {_TIME_HELP}")
        if 0 <= ns <= _LATEST:
            return ns
    try:
        return max(0, now - parse_duration(said))
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(said)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        ns = math.floor(moment.timestamp()) * 10**9 + moment.microsecond * 1000
    except (ValueError, OverflowError):
        raise ApiError(400, f"{name}: {said[:64]!r} is no time; give {_TIME_HELP}") from None
    if not 0 <= ns <= _LATEST:
        raise ApiError(400, f"{name}: {said[:64]} is outside 1970 to 2262")
    return ns


def read_length(text: str | int | None, default: int, name: str) -> int:
    """A length of time in ns. ApiError 400."""
    if text is None or text == "":
        return default
    try:
        return parse_duration(int(text) if str(text).isdecimal() and len(str(text)) <= 19 else text)
    except ValueError as error:
        raise ApiError(400, f"{name}: {error}") from None


def read_terms(kind: type[E], values: Iterable[str], name: str) -> tuple[E, ...]:
    """Terms of a closed vocabulary, one a value or joined by commas. ApiError 400."""
    found: dict[E, None] = {}
    for value in values:
        for word in filter(None, (part.strip() for part in value.split(","))):
            match = next((term for term in kind if term.value.lower() == word.lower()), None)
            if match is None:
                raise ApiError(400, f"{name}: {word[:40]!r} is not known; allowed: {', '.join(kind)}")
            found[match] = None
    return tuple(found)


def read_term(kind: type[E], value: str | None, name: str) -> E | None:
    """One term or none. ApiError 400."""
    found = read_terms(kind, [value], name) if value else ()
    if len(found) > 1:
        raise ApiError(400, f"{name}: one of {', '.join(kind)} is wanted, not several")
    return found[0] if found else None


Text = Annotated[str | None, Query(max_length=300)]
Words = Annotated[list[str], Query(max_length=20)]


class IncidentQuery(BaseModel):
    """The filters of the list of incidents as they come."""

    status: list[str] = []
    severity: list[str] = []
    disposition: list[str] = []
    service: str | None = None
    signature: str | None = None
    runbook: str | None = None
    since: str | None = None
    until: str | None = None
    q: str | None = None

    def where(self, now: int) -> IncidentFilter:
        """The store's filter. ApiError 400."""
        return IncidentFilter(
            status=read_terms(Status, self.status, "status"),
            severity=read_terms(Severity, self.severity, "severity"),
            disposition=read_terms(Disposition, self.disposition, "disposition"),
            service=self.service or None,
            signature=self.signature or None,
            runbook=self.runbook or None,
            since=read_time(self.since, now, "since"),
            until=read_time(self.until, now, "until"),
            text=(self.q or "").strip() or None,
        )


def incident_query(
    status: Annotated[
        list[str], Query(max_length=20, description=f"One or several of {', '.join(Status)}; repeated or with commas.")
    ] = [],  # noqa: B006 (FastAPI copies it)
    severity: Annotated[list[str], Query(max_length=20, description=f"One or several of {', '.join(Severity)}.")] = [],  # noqa: B006
    disposition: Annotated[
        list[str], Query(max_length=20, description=f"One or several of {', '.join(Disposition)}.")
    ] = [],  # noqa: B006
    service: Annotated[str | None, Query(max_length=300, description="Any of its problems' services.")] = None,
    signature: Annotated[str | None, Query(max_length=300, description="Any of its problems' signatures.")] = None,
    runbook: Annotated[str | None, Query(max_length=300, description="Id of the matched runbook.")] = None,
    since: Annotated[str | None, Query(max_length=64, description=f"Last seen at or after: {_TIME_HELP}.")] = None,
    until: Annotated[str | None, Query(max_length=64, description=f"Last seen before: {_TIME_HELP}.")] = None,
    q: Annotated[
        str | None,
        Query(max_length=300, description="Words: each begins a word of its title, services, signatures or templates."),
    ] = None,
) -> IncidentQuery:
    """A dependency: the filters of a request."""
    return IncidentQuery(
        status=status,
        severity=severity,
        disposition=disposition,
        service=service,
        signature=signature,
        runbook=runbook,
        since=since,
        until=until,
        q=q,
    )


def as_json(value: BaseModel, status: int = 200) -> Response:
    """The value as it is: it was validated when it was read, and once is enough."""
    return Response(value.model_dump_json(), status, media_type="application/json")
