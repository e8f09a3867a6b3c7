"""The schedule: each project's queries, read from their cursors, taken in by the engine, again and again.

A Loki that is away leaves the cursors where they are, so what was missed is read later, in order and in bounded
steps. A database that is away does the same. Neither ends the process.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import polars as pl
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from incidentlens.config.loader import Loaded, Project, Query
from incidentlens.intake.errors import LokiError
from incidentlens.intake.loki import LokiClient
from incidentlens.intake.windows import Span, next_span
from incidentlens.model.analysis import Analysis
from incidentlens.model.clock import SECOND, Clock
from incidentlens.model.incidents import Incident
from incidentlens.model.records import LINES, empty
from incidentlens.model.times import utc
from incidentlens.store.base import Store, StoreError

from . import metrics
from .choosing import Choice, ReadMode, choose
from .engine import Engine, Intake, Position
from .memory import LEARNT
from .pushing import Pushed, Pushing
from .questions import Questions
from .report import Run, TickReport

log = logging.getLogger(__name__)

OnTick = Callable[[TickReport], Awaitable[None]]

# One run takes at most this many steps of catching up, so that other projects get their turn.
_STEPS_A_RUN = 20
_RUNS = 10_000  # remembered: somewhat more than a day at ten seconds each
_GRACE_S = 3.0  # a run has so long to finish when the sidecar stops
# Where a stage raises at more records than can be found one by one, less is read at once, down to this.
_LEAST_RECORDS = 1_000
_SAID = 1_000  # incidents of which the log remembers what it said last
_LEASE = 20 * SECOND  # of what a sidecar reads; renewed at every step
# The newest stretch is not learnt from at the first start: an outage that is under way must not become the baseline.
_UNLEARNT_WINDOWS = 5


@dataclass(slots=True)
class Health:
    """How a project stands, for /readyz, the pages and the metrics. Times in ns."""

    cursors: dict[str, int] = field(default_factory=dict)
    last_tick: int | None = None
    error: str | None = None
    failing_since: int | None = None
    records: int = 0
    cut: int = 0
    quarantined: int = 0  # since this process began; the store has them all
    runs: deque[Run] = field(default_factory=lambda: deque(maxlen=_RUNS))
    reading: dict[str, Choice] = field(default_factory=dict)  # query: how it is read, and why


class ProjectRunner:
    """Reads one project's queries and feeds its engine. One run at a time; `run` may be called by anyone."""

    def __init__(
        self,
        project: Project,
        store: Store,
        clock: Clock,
        client: LokiClient | None = None,
        on_tick: OnTick | None = None,
        me: str = "sidecar",
    ) -> None:
        self.project = project
        self._me = me
        self._mine: frozenset[str] = frozenset()
        self._on_tick = on_tick
        self.health = Health()
        self._store = store
        self._clock = clock
        self._questions = Questions(project, client)
        self._pushing = Pushing(project)
        self.engine = Engine(project, store, clock)
        self._turn = asyncio.Lock()
        self._next: Project | None = None
        self._at_once: int | None = None
        self._said: dict[str, tuple[str, str, str]] = {}
        self._running: asyncio.Task[None] | None = None
        self._closed = False

    async def close(self) -> None:
        """Let a run under way finish, then hang up. One that waits for Loki is cut off, its tick done again later."""
        self._closed = True
        try:
            async with asyncio.timeout(_GRACE_S):
                await self._turn.acquire()
        except TimeoutError:
            if self._running is not None:
                self._running.cancel()
            await self._turn.acquire()
        try:
            await self._questions.close()
            await self._store.release_queries(self.project.name, self._me)
        except StoreError as error:
            log.warning("%s: what this sidecar reads stays leased for a while: %s", self.project.name, error)
        finally:
            self._turn.release()

    async def run(self, *, alerted: bool = False) -> None:
        """Take in what is new, in as many bounded steps as it needs. Errors are counted and kept in `health`.

        `alerted`: an alert has come, so there is a tick even where Loki does not answer.
        """
        try:
            async with self._turn:
                if self._closed:
                    return
                self._running = asyncio.current_task()
                try:
                    await self._run(alerted)
                finally:
                    self._running = None
        except asyncio.CancelledError:
            if not self._closed:
                raise
            # `close` cut it off; APScheduler would log that as a defect, with a traceback.

    async def _run(self, alerted: bool) -> None:
        try:
            for _ in range(_STEPS_A_RUN):
                await self._take_over()
                if not await self._step(alerted=alerted):
                    break
            self._well()
        except (LokiError, StoreError) as error:
            self._pushing.taken_back()
            self._ill(error)
        except Exception as error:
            self._pushing.taken_back()
            log.exception("%s: a defect; nothing of this tick was kept, it is tried again", self.project.name)
            self._at_once = max(_LEAST_RECORDS, self._bound // 8)
            self._ill(error)

    async def conclude(self, incident_id: str, concluded: Callable[[Analysis], Analysis], text: str) -> bool:
        """See `Engine.conclude`; it waits for a run under way. Raises StoreError."""
        async with self._turn:
            return not self._closed and await self.engine.conclude(incident_id, concluded, text)

    def replace(self, project: Project) -> None:
        """A reloaded configuration: used from the next step on, never in the middle of one."""
        self._next = project

    @property
    def wanted(self) -> Project:
        """The configuration that is in force, or is about to be."""
        return self._next or self.project

    async def _take_over(self) -> None:
        if self._next is None:
            return
        project, self._next = self._next, None
        await self._questions.configure(project)
        self.project = project
        self.engine.configure(project)
        self._pushing = Pushing(project)
        self.health.reading = {}

    async def _step(self, *, alerted: bool = False) -> bool:
        """One step; True while there is more past to catch up."""
        config, now = self.project.config, self._clock.now()
        await self._claim(now)
        if not self._mine and not alerted:
            self.health.last_tick = now  # another sidecar reads this project
            return False
        position = await self._position(now)
        spans: dict[str, Span] = {}
        frames: list[pl.DataFrame] = []
        pushed: list[Pushed] = []
        problems: list[LokiError] = []
        for query in self.project.queries:
            if query.metric or query.name not in self._mine:
                continue
            cursor = self._start(position.cursors[query.name], position.newest, now)
            span = next_span(cursor, now, delay=config.delay, overlap=config.overlap, step=config.catch_up_step)
            if span is None:
                continue
            try:
                if await self._mode(query, now) is ReadMode.PUSH_DOWN:
                    found = await self._pushing.fetch(self._questions.client, query, span, cursor)
                    self.health.cut += found.cut
                    pushed.append(found)
                    read, reached = found.frames, span.end
                else:
                    read, reached = await self._fetch(query, span, cursor)
            except LokiError as error:
                problems.append(error)  # the other queries go on; this one is read again from where it stands
                continue
            frames.extend(read)
            spans[query.name] = Span(span.start, reached, reached, max(0, now - config.delay - reached))
        alerts = await self._questions.metric_alerts(now, problems, self._mine)
        deploys = await self._questions.deploys(now, problems)
        catching_up = any(span.catching_up for span in spans.values())
        stale = False
        if spans or alerts or deploys or alerted or not problems:
            until = min((span.end for span in spans.values()), default=now - config.delay)
            intake = Intake(
                lines=pl.concat(frames) if frames else empty(LINES),
                until=until if catching_up else max(until, now - config.delay),
                cursors={name: span.cursor for name, span in spans.items()},
                since={name: position.cursors[name] for name in spans},
                alerts=alerts,
                deploys=deploys,
                counts={} if catching_up or not self._verifies else await self._watched_counts(now, problems),
                unread=pl.concat([found.unread for found in pushed]) if pushed else None,
                histories=[history for found in pushed for history in found.histories],
            )
            report = await self.engine.tick(intake)
            stale = report.stale
            if stale:
                self._pushing.overtaken()
            elif pushed:
                self._pushing.kept(report.found, intake.until)
            if not stale:
                await self._ticked(intake, report, now, now - until)
        if problems:
            raise problems[0]
        return catching_up or stale

    async def _claim(self, now: int) -> None:
        """Agree with other sidecars on who reads what; renewed at every step."""
        names = [query.name for query in self.project.queries]
        lease = max(_LEASE, 4 * self.project.config.interval)
        mine = frozenset(await self._store.claim_queries(self.project.name, names, self._me, now, lease))
        if mine != self._mine:
            log.info("%s: reads %s", self.project.name, ", ".join(sorted(mine)) or "nothing; another sidecar does")
            self._pushing.overtaken()
        self._mine = mine

    @property
    def _verifies(self) -> bool:
        """One sidecar asks about what is watched: the one that has the project's first query."""
        return self.project.queries[0].name in self._mine

    async def _mode(self, query: Query, now: int) -> ReadMode:
        """How a query is read at this tick; told in `health`."""
        before = self.health.reading.get(query.name)
        chosen = await choose(self._questions.client, self.project, query, now, before)
        if before is not None and before.mode is not chosen.mode:
            self._pushing.overtaken()
        self.health.reading[query.name] = chosen
        metrics.observe_mode(self.project.name, query.name, chosen.mode.value)
        return chosen.mode

    @property
    def _bound(self) -> int:
        """How many records of a query one tick takes in."""
        most = self.project.config.max_records_per_tick
        return most if self._at_once is None else min(most, self._at_once)

    async def _ticked(self, intake: Intake, report: TickReport, now: int, lag: int) -> None:
        self.health.cursors.update(intake.cursors)
        self.health.last_tick = now
        if self._at_once is not None:
            self._at_once = None if self._at_once > self.project.config.max_records_per_tick else 2 * self._at_once
        self.health.runs.append(Run(now, report.seconds, max(0, lag)))
        self.health.records += report.records
        self._put_aside(report.quarantined)
        metrics.observe_tick(self.project.name, report, lag)
        for incident in report.changed:
            self._say(incident)
        if self._on_tick:
            await self._on_tick(report)

    def _say(self, incident: Incident) -> None:
        """One line in the sidecar's own log where an incident began, ended or is decided otherwise.

        It quotes no log text: this log may itself be sent to Loki.
        """
        stands = (incident.status.value, incident.severity.value, incident.disposition.value)
        if self._said.pop(incident.id, None) != stands:
            log.info("%s: incident %s in %s: %s", self.project.name, incident.id, incident.service, ", ".join(stands))
        self._said[incident.id] = stands
        while len(self._said) > _SAID:
            del self._said[next(iter(self._said))]

    def _put_aside(self, records: int) -> None:
        if records:
            self.health.quarantined += records
            metrics.count_quarantined(self.project.name, records)
            log.error("%s: %d records made a stage raise; they are kept at /quarantine", self.project.name, records)

    def _start(self, cursor: int, newest: int | None, now: int) -> int:
        """The cursor, or the newest record where the clock had run ahead and moved the cursor into the future.

        What is written between the two would never be read. While the clock is behind the newest record too, it is
        the one that is wrong, and nothing is read until it has passed the cursor.
        """
        config = self.project.config
        ahead = cursor - (now - config.delay) > config.overlap
        if ahead and newest is not None and newest < now - config.delay:
            log.warning("%s: the clock was set back; reading again from the newest record on", self.project.name)
            return newest
        return cursor

    async def _position(self, now: int) -> Position:
        """Where the queries stand; at the very first start learn from the past first, and tell nothing of it."""
        position = await self.engine.position()
        new = [
            query
            for query in self.project.queries
            if query.name in self._mine and not query.metric and query.name not in position.cursors
        ]
        if new:
            await self._learn(new, position.learnt, now)
            position = await self.engine.position()
        self.health.cursors = dict(position.cursors)
        return position

    async def _learn(self, queries: Sequence[Query], learnt: Mapping[str, int], now: int) -> None:
        """Learn from the past of new queries, step by step: what is broken off goes on where it was."""
        config = self.project.config
        names = [query.name for query in queries]
        end = now - config.delay - min(_UNLEARNT_WINDOWS * config.window, config.look_back // 2)
        at = max(0, min((learnt.get(name, now - config.look_back) for name in names), default=0))
        budget = 4 * config.max_records_per_tick
        log.info("%s: first start of %s, learning from %s on", self.project.name, ", ".join(names), utc(at))
        while True:
            await self._claim(self._clock.now())
            until = min(end, at + config.catch_up_step)
            frames, counted = [], []
            for query in queries:
                if await self._mode(query, now) is ReadMode.PUSH_DOWN:
                    found = await self._pushing.learn(self._questions.client, query, at, until)
                    counted.append(found.unread)
                    frames += found.frames
                    continue
                read, reached = await self._fetch(query, Span(at, until, until, 0), at)
                frames += read
                until = min(until, reached)
            lines = pl.concat(frames).filter(pl.col("ts") < until) if frames else empty(LINES)
            budget -= lines.height
            done = until >= end or budget <= 0
            moved = dict.fromkeys(names, end) if done else {LEARNT + name: until for name in names}
            unread = pl.concat(counted) if counted else None
            self._put_aside(await self.engine.learn(lines, moved, keep=end - config.overlap, unread=unread))
            if done:
                break
            at = until
        if until < end:
            log.warning("%s: too much to learn from all; nothing of %s to %s", self.project.name, utc(until), utc(end))

    async def _fetch(self, query: Query, span: Span, after: int) -> tuple[list[pl.DataFrame], int]:
        frames, reached, cut = await self._questions.fetch(query, span, after, self._bound)
        self.health.cut += cut
        return frames, reached

    async def _watched_counts(self, now: int, problems: Sequence[LokiError]) -> Mapping[str, int | None]:
        away = any(error.retry for error in problems)
        return await self._questions.watched_counts(await self.engine.watches(), now, away=away)

    def _well(self) -> None:
        if self.health.error is not None:
            log.info("%s: well again", self.project.name)
        self.health.error = self.health.failing_since = None

    def _ill(self, error: Exception) -> None:
        if self.health.error != str(error):
            log.error("%s: %s", self.project.name, error)
        self.health.error = str(error)
        self.health.runs.append(Run(self._clock.now(), 0.0, None, failed=True))
        self.health.failing_since = self.health.failing_since or self._clock.now()
        metrics.count_failure(self.project.name, type(error).__name__)


class Sidecar:
    """All projects on one schedule. `poke` runs a project at once, which is what an arriving alert does."""

    def __init__(
        self,
        loaded: Loaded,
        store: Store,
        clock: Clock,
        on_tick: OnTick | None = None,
    ) -> None:
        self.loaded = loaded
        # The same after a restart, so that it goes on at once with what it had.
        self._me = f"{socket.gethostname()}/{loaded.config.server.listen if loaded.config else ''}"
        self.store = store
        self.clock = clock
        self._on_tick = on_tick
        self._scheduler = AsyncIOScheduler(timezone="UTC")
        self.runners: dict[str, ProjectRunner] = {}

    async def start(self) -> None:
        for project in self.loaded.projects.values():
            self._add(project)
        self._scheduler.start()

    async def stop(self) -> None:
        """Stop the schedule and wait for the runs under way: nothing is cut in the middle."""
        if self._scheduler.running:
            # Shutting it down at once would cancel the runs under way: no more are begun, and those are waited for.
            self._scheduler.pause()
        await asyncio.gather(*(runner.close() for runner in self.runners.values()))
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    async def poke(self, project: str) -> None:
        """Run the project now, not at its next tick."""
        await self.runners[project].run(alerted=True)

    async def first_run(self, project: str) -> None:
        """Wait until the project has been read for the first time; its error stays in `health`."""
        await self.runners[project].run()

    async def reconfigure(self, loaded: Loaded) -> None:
        """Take over a reloaded configuration: projects come, go and change without a restart."""
        for name in self.runners.keys() - loaded.projects.keys():
            self._scheduler.remove_job(name)
            await self.runners.pop(name).close()
        for name, project in loaded.projects.items():
            runner = self.runners.get(name)
            if runner is None:
                self._add(project)
                continue
            changed = project.config.interval != runner.wanted.config.interval
            runner.replace(project)
            if changed:
                self._scheduler.reschedule_job(name, trigger="interval", seconds=project.config.interval / SECOND)
        self.loaded = loaded

    def _add(self, project: Project) -> None:
        runner = ProjectRunner(project, self.store, self.clock, on_tick=self._on_tick, me=self._me)
        self.runners[project.name] = runner
        # A run that takes longer than the interval is not doubled: the next one takes up all that came meanwhile.
        self._scheduler.add_job(
            runner.run,
            "interval",
            seconds=project.config.interval / SECOND,
            id=project.name,
            max_instances=1,
            coalesce=True,
            misfire_grace_time=None,
            next_run_time=datetime.now(UTC),
        )
