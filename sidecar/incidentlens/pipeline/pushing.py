"""A project's queries that are read by push-down: which services stand out, and what is fetched for them.

A service stands out where a problem of it was found, where a trace of such a problem leads to it, or where Loki counts
unusually many warnings of it. Of those the warnings are fetched, from a little before the onset on; what they usually
are is learnt from a sample of the time before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import polars as pl

from incidentlens.config.loader import Project, Query
from incidentlens.detection.statistics import count_tail
from incidentlens.intake.loki import LokiClient
from incidentlens.intake.pushdown import Bounds, Cell, History, PushDown, unread
from incidentlens.intake.windows import Span
from incidentlens.model.clock import MINUTE, SECOND
from incidentlens.model.incidents import Problem

from . import metrics
from .overlap import with_ids

_BEFORE = MINUTE  # of context before an onset
_LATE = 100 * SECOND  # records older than this say nothing to the detector any more
_QUIET = 5 * MINUTE  # a service without a problem for so long no longer stands out
_MOST = 20  # services that stand out at a time, the latest
_TRACES = 20  # traces followed in one read
_HISTORY_LINES = 300  # of a service that stands out
_WARN_P = 1e-6  # a count of warnings this improbable makes a service stand out
_WARN_MINUTES = 10.0  # of counting before it may
_LEAST_WARNINGS = 4
_SPREAD = 4.0  # variance over mean that counts of warnings are granted
_HALF_LIFE = 60.0  # minutes


@dataclass(slots=True)
class Standing:
    """A service that stands out. Times in ns."""

    onset: int
    last: int


@dataclass(slots=True)
class _Warnings:
    """Warnings of a service, as Loki counts them: a decayed count."""

    events: float = 0.0
    minutes: float = 0.0


@dataclass(slots=True)
class Pushed:
    """What one query's push-down gave a tick."""

    frames: list[pl.DataFrame]
    unread: pl.DataFrame
    histories: list[History] = field(default_factory=list)
    cut: int = 0


@dataclass(slots=True)
class _Pending:
    """What a tick was given, until it is known to be kept."""

    until: dict[tuple[str, str], int] = field(default_factory=dict)
    followed: dict[str, int] = field(default_factory=dict)
    given: dict[str, int] = field(default_factory=dict)


class Pushing:
    """Remembers what stands out and what of its context was given. It can be thrown away: the next tick's problems name
    the services again, and context is read from there on only, so nothing is taken in twice."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.standing: dict[str, Standing] = {}
        self._began: dict[str, int] = {}  # query: since when this process reads it so
        self._until: dict[tuple[str, str], int] = {}  # (query, service): up to when its context was read
        self._warned: dict[tuple[str, str], _Warnings] = {}
        self._followed: dict[str, int] = {}  # trace id: up to when it was read, 0 for not yet
        self._given: dict[str, int] = {}  # record id: ts, of the last minutes
        self._pending = _Pending()

    async def fetch(self, client: LokiClient, query: Query, span: Span, after: int) -> Pushed:
        """Count and fetch [span.start, span.end), of which what is before `after` is the overlap. Raises LokiError."""
        asked = client.bytes_read
        reader = self._reader(client, query)
        began = self._began.setdefault(query.name, after)
        read, cells = await reader.read(span.start, after, span.end)
        self._by_warnings(query.name, cells, after, span.end)
        context, histories = await self._context(reader, query.name, began, span.end)
        for frame in read.frames:
            self._pending.given.update(with_ids(frame).select("id", "ts").iter_rows())
        frames = [*read.frames, *context]
        left = unread(cells, frames, bool(read.sampled), after, span.end)
        cut = sum(read.sampled.values())
        metrics.observe_fetch(self.project.name, query.name, reader.fetched)
        metrics.observe_push_down(
            self.project.name, query.name, read.counted, int(left["count"].sum()), cut, client.bytes_read - asked
        )
        return Pushed(frames, left, histories, cut)

    async def learn(self, client: LokiClient, query: Query, start: int, end: int) -> Pushed:
        """The same of a span of the past, which nothing stands out of."""
        reader = self._reader(client, query)
        read, cells = await reader.read(start, start, end)
        for cell in cells:
            self._count_warnings((query.name, cell.service), cell.count if cell.kind == "warn" else 0, 0)
        for service in {cell.service for cell in cells}:
            self._count_warnings((query.name, service), 0, (end - start) / MINUTE)
        left = unread(cells, read.frames, bool(read.sampled), start, end)
        return Pushed(read.frames, left, [], sum(read.sampled.values()))

    def _reader(self, client: LokiClient, query: Query) -> PushDown:
        config = self.project.config
        bounds = Bounds(config.push_down.failing_per_minute, config.push_down.context_per_minute)
        return PushDown(client, query.logql, config.service_label, self.project.page_limit, bounds)

    def kept(self, problems: Iterable[Problem], now: int) -> None:
        """The tick was kept, and these problems were found or went on in it."""
        pending, self._pending = self._pending, _Pending()
        self._until |= pending.until
        self._followed |= pending.followed
        oldest = now - _LATE - MINUTE
        self._given = {known: ts for known, ts in (self._given | pending.given).items() if ts >= oldest}
        for problem in problems:
            self._stands_out(problem.service, problem.onset, now)
            for trace in problem.trace_ids:
                self._followed.setdefault(trace, 0)
        for name in [name for name, one in self.standing.items() if now - one.last > _QUIET]:
            del self.standing[name]
            self._until = {pair: at for pair, at in self._until.items() if pair[1] != name}
        if not self.standing:
            self._followed.clear()

    def taken_back(self) -> None:
        """The tick was not kept: what it was given is given again."""
        self._pending = _Pending()

    def overtaken(self) -> None:
        """Another sidecar reads this project, or a query is read in full again: go on from where the cursors are."""
        self.standing.clear()
        self._began.clear()
        self._until.clear()
        self._followed.clear()
        self._given.clear()
        self._pending = _Pending()

    # -- what stands out -------------------------------------------------------------------------------------------

    def _by_warnings(self, query: str, cells: Sequence[Cell], start: int, end: int) -> None:
        """Services of which Loki counts unusually many warnings."""
        minutes = (end - start) / MINUTE
        counts: dict[str, int] = {}
        for cell in cells:
            counts[cell.service] = counts.get(cell.service, 0) + (cell.count if cell.kind == "warn" else 0)
        for service, count in counts.items():
            known = self._warned.setdefault((query, service), _Warnings())
            if known.minutes >= _WARN_MINUTES and count >= _LEAST_WARNINGS:
                often = count > 3 * known.events / known.minutes * minutes
                if often and count_tail(count, known.events, known.minutes, minutes, _SPREAD) <= _WARN_P:
                    self._stands_out(service, start, end)
            self._count_warnings((query, service), count, minutes)

    def _count_warnings(self, place: tuple[str, str], count: int, minutes: float) -> None:
        known = self._warned.setdefault(place, _Warnings())
        decay = 0.5 ** (minutes / _HALF_LIFE)
        known.events = known.events * decay + count
        known.minutes = known.minutes * decay + minutes

    def _stands_out(self, service: str, onset: int, now: int) -> None:
        known = self.standing.get(service)
        self.standing[service] = Standing(min(onset, known.onset) if known else onset, now)

    async def _context(
        self, reader: PushDown, query: str, began: int, end: int
    ) -> tuple[list[pl.DataFrame], list[History]]:
        """Traces and warnings of what stands out, and the histories of what newly does."""
        frames: list[pl.DataFrame] = []
        histories: list[History] = []
        wanted = [trace for trace, read in self._followed.items() if not read][-_TRACES:]
        if wanted:
            first = max(min((one.onset for one in self.standing.values()), default=end) - _BEFORE, end - _LATE, began)
            found = self._new(await reader.traces(wanted, first, end))
            self._pending.followed.update(dict.fromkeys(wanted, end))
            frames += found
            self._led_to(found, end)
        for service in sorted(self.standing, key=lambda name: -self.standing[name].last)[:_MOST]:
            first = max(self.standing[service].onset - _BEFORE, end - _LATE, began)
            place = (query, service)
            if place in self._until:
                first = max(first, self._until[place])
            elif service in reader.groups:
                before = min(first, self.standing[service].onset - _BEFORE)
                length = max(MINUTE, self.project.config.look_back)
                histories.append(await reader.history(service, before, length, _HISTORY_LINES))
            else:
                continue
            frames += self._new(await reader.context([service], first, end))
            self._pending.until[place] = end
        return frames, histories

    def _new(self, frames: Sequence[pl.DataFrame]) -> list[pl.DataFrame]:
        """Without what was given before: context reaches further back than what the store remembers as seen."""
        fresh = []
        for frame in frames:
            known = with_ids(frame)
            known = known.filter(~pl.col("id").is_in(list(self._given)))
            self._pending.given.update(known.select("id", "ts").iter_rows())
            fresh.append(known.drop("id"))
        return fresh

    def _led_to(self, frames: Sequence[pl.DataFrame], end: int) -> None:
        """A trace that fails leads to other services: those that warn in it stand out too."""
        if not frames:
            return
        warns = pl.col("metadata").str.contains(r'"detected_level":"warn(?:ing)?"').fill_null(value=False)
        warned = pl.concat(frames).filter(warns).group_by("service").agg(pl.col("ts").min())
        for service, ts in warned.iter_rows():
            self._stands_out(service, ts, end)
