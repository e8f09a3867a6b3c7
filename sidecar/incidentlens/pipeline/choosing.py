"""How a query is read: all of it, or counted by Loki and fetched where something fails. Which, and why."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum

from incidentlens import logql
from incidentlens.config.loader import Project, Query
from incidentlens.intake import asking
from incidentlens.intake.errors import LokiError
from incidentlens.intake.loki import LokiClient
from incidentlens.model.clock import MINUTE

log = logging.getLogger(__name__)

_AGAIN = 5 * MINUTE  # so long a choice holds
_LOOK = 10 * MINUTE  # the stretch whose volume is asked for
_BACK = 0.5  # of the threshold: under this a query is read in full again, so that it does not change to and fro


class ReadMode(StrEnum):
    FULL = "full"
    PUSH_DOWN = "push_down"


@dataclass(frozen=True, slots=True)
class Choice:
    """How a query is read and why. `bytes_per_minute` is None where nothing was asked or Loki did not say."""

    mode: ReadMode
    why: str
    at: int
    bytes_per_minute: float | None = None


async def choose(client: LokiClient, project: Project, query: Query, now: int, before: Choice | None = None) -> Choice:
    """The mode of a log query at `now` (ns). Where Loki does not say how much there is, the mode stays as it was.

    Raises LokiError where Loki is away: then nothing can be read either.
    """
    if query.read != "auto":
        return Choice(ReadMode(query.read), "the configuration says so", now)
    if before is not None and 0 <= now - before.at < _AGAIN:
        return before
    try:
        volume, told_by = await _volume(client, query.logql, now - project.config.delay)
    except (LokiError, logql.LogQLError) as error:
        if isinstance(error, LokiError) and error.retry:
            raise
        log.warning("%s: Loki does not say how much %s reads: %s", project.name, query.name, error)
        mode = before.mode if before else ReadMode.FULL
        return Choice(mode, "Loki does not say how much there is", now)
    bound = project.config.push_down.above_mb_per_minute * 1e6
    least = bound * (_BACK if before is not None and before.mode is ReadMode.PUSH_DOWN else 1.0)
    mode = ReadMode.PUSH_DOWN if volume > least else ReadMode.FULL
    sign = "over" if volume > least else "not over"
    why = f"{volume / 1e6:.3g} MB a minute by Loki's {told_by}, {sign} {least / 1e6:g} MB"
    if before is not None and before.mode is not mode:
        log.info("%s: query %s is read by %s from now on: %s", project.name, query.name, mode.value, why)
    return Choice(mode, why, now, volume)


async def _volume(client: LokiClient, query: str, at: int) -> tuple[float, str]:
    """Bytes a minute of the query's streams, and who says so: the index where it knows, else a count of a minute."""
    selector = logql.selector_of(query)
    try:
        indexed = await client.index_volume(selector, at - _LOOK, at)
    except LokiError as error:
        if error.retry:
            raise
        indexed = 0.0
    if indexed > 0:
        return indexed * MINUTE / _LOOK, "index"
    series = await client.query_vector(asking.volume(query, MINUTE), at)
    return sum(float(one["value"][1]) for one in series), "count"
