"""One tick: records in, and everything that follows from them written in one transaction with the cursors.

What is kept in memory (the reader's formats, the catalogue, the detector) can be thrown away at any moment: it is read
from the store again when another sidecar ticked in between, or when a tick failed half-way.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import polars as pl

from incidentlens.config.loader import Project
from incidentlens.detection import DetectionContext, DetectionSettings, Detector
from incidentlens.incidents import GroupingSettings, group
from incidentlens.intake.reading import EventReader
from incidentlens.model.clock import HOUR, MINUTE, SECOND, Clock
from incidentlens.model.decisions import Alert, Deploy, Verification
from incidentlens.model.incidents import Problem
from incidentlens.model.records import record_id
from incidentlens.model.signatures import SignatureCount
from incidentlens.model.terms import Mode
from incidentlens.signatures import Catalogue
from incidentlens.store.base import Store, Transaction

from .handling import Handling
from .report import TickReport
from .situation import Situation

# Cursor rows that are not a query's: `@` cannot begin a query's name.
_GENERATION = "@generation"
_NEWEST = "@newest"  # time of the newest record taken in
LEARNT = "@learnt:"  # up to where a new query has been learnt from
_TAIL = 1 * SECOND
_FRAGMENT = SECOND // 10  # lines of one event are nearer to each other than this
# Queries further apart than this no longer share what was seen, so that one that is refused for days costs nothing.
APART = 15 * MINUTE
_MAX_SERVICE = 200  # characters
# New problems that one tick takes up; fewer where so many incidents are active already, but always some.
_MOST_NEW, _LEAST_NEW, _MOST_ACTIVE = 200, 20, 1000
# Ended incidents are looked at for likeness this far back.
_SIMILAR = 24 * HOUR


async def outdate(tx: Transaction) -> None:
    """For whoever else changes what an engine remembers of its project (its templates): it reads them anew."""
    await tx.set_cursor(_GENERATION, (await tx.cursor(_GENERATION) or 0) + 1)


@dataclass(frozen=True, slots=True)
class Intake:
    """What a tick is given. `until` (ns) is the moment up to which the project has been read."""

    lines: pl.DataFrame  # LINES; may repeat records that were taken in before
    until: int
    cursors: Mapping[str, int] = field(default_factory=dict)
    alerts: Sequence[Alert] = ()
    deploys: Sequence[Deploy] = ()
    # Where the queries stood when the lines were read: a tick that finds them elsewhere takes in nothing.
    since: Mapping[str, int] = field(default_factory=dict)
    whole: bool = True  # the overlap was read too, so an event at the end may wait for the rest of its lines
    # What Loki counted for each verification that was asked about; None: count the tick's own records instead.
    counts: Mapping[str, int | None] | None = None


@dataclass(slots=True)
class _Memory:
    """What a project's stages remember between ticks, all of it out of the store."""

    generation: int
    reader: EventReader
    catalogue: Catalogue
    detector: Detector
    seen: dict[str, int]  # record id: ts, of the overlap
    cursors: dict[str, int]
    newest: int | None
    first_seen: dict[str, int]  # service: ns


@dataclass(frozen=True, slots=True)
class Position:
    """Where a project's queries stand. `newest` is the time of the newest record taken in (all ns)."""

    cursors: dict[str, int]
    learnt: dict[str, int]
    newest: int | None


class Engine:
    """Runs the stages for one project. Not for concurrent calls: the caller takes turns."""

    def __init__(self, project: Project, store: Store, clock: Clock) -> None:
        self.store = store
        self._clock = clock
        self._memory: _Memory | None = None
        self.project = project
        self.handling = Handling(project)

    def configure(self, project: Project) -> None:
        """A changed configuration, used from the next tick on."""
        self.project = project
        self.handling = Handling(project)
        self._memory = None

    async def tick(self, intake: Intake) -> TickReport:
        """Take in `intake`. Raises StoreError with nothing written; then the same intake may be given again.

        Where another sidecar has moved a cursor meanwhile, nothing is written and the report says `stale`.
        """
        began = time.perf_counter()
        async with self._turn() as tx:
            if await self._moved(tx, intake.since):
                return TickReport(until=intake.until, stale=True)
            memory = await self._remember(tx)
            report = await self._tick(tx, memory, intake)
            await self._advanced(tx, memory)
        report.seconds = time.perf_counter() - began
        return report

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[Transaction]:
        """A transaction; where it fails the stages have moved on and the store has not, so they are forgotten."""
        try:
            async with self.store.transaction(self.project.name) as tx:
                yield tx
        except BaseException:
            self._memory = None
            self.handling.forget()
            raise

    @staticmethod
    async def _moved(tx: Transaction, since: Mapping[str, int]) -> bool:
        for query, at in since.items():
            if await tx.cursor(query) != at:
                return True
        return False

    @staticmethod
    async def _advanced(tx: Transaction, memory: _Memory) -> None:
        memory.generation += 1
        await tx.set_cursor(_GENERATION, memory.generation)

    async def position(self) -> Position:
        """Where the project's queries stand in the store."""
        async with self.store.transaction(self.project.name) as tx:
            names = [query.name for query in self.project.queries if not query.metric]
            at = {name: await tx.cursor(name) for name in names}
            learnt = {name: await tx.cursor(LEARNT + name) for name in names if at[name] is None}
            return Position(
                cursors={name: cursor for name, cursor in at.items() if cursor is not None},
                learnt={name: cursor for name, cursor in learnt.items() if cursor is not None},
                newest=await tx.cursor(_NEWEST),
            )

    async def sign(self, lines: pl.DataFrame) -> pl.DataFrame:
        """Read and sign `lines` (LINES) in one go, for replay: the stages after it follow slice by slice."""
        async with self.store.transaction(self.project.name) as tx:
            memory = await self._remember(tx)
        return memory.catalogue.sign(memory.reader.read(_bounded(lines)))

    async def replay(self, signed: pl.DataFrame, intake: Intake) -> TickReport:
        """The stages from detection on, over a slice that `sign` gave."""
        report = TickReport(until=intake.until)
        async with self.store.transaction(self.project.name) as tx:
            return await self._advance(tx, await self._remember(tx), signed, intake, report)

    async def learn(self, lines: pl.DataFrame, cursors: Mapping[str, int] | None = None, keep: int = 0) -> None:
        """Take `lines` (LINES) into the baseline: nothing is found in them and nothing is told.

        `cursors` move with it, so that learning goes on where it was broken off. Records from `keep` (ns) on are
        remembered as seen: the first tick's overlap will bring them again.
        """
        async with self._turn() as tx:
            memory = await self._remember(tx)
            if cursors:
                lines = self._with_ids(lines).unique("id", keep="first", maintain_order=True)
                recent = lines.filter(pl.col("ts") >= keep)
                lines = lines.drop("id")
                memory.cursors.update({name: at for name, at in cursors.items() if not name.startswith("@")})
                await self._remember_seen(tx, memory, recent, min(keep, self._edge(memory, keep)))
            signed = memory.catalogue.sign(memory.reader.read(lines))
            memory.detector.learn(signed)
            await self._save_services(tx, memory, signed)
            await self._save_stages(tx, memory, memory.detector.counts())
            for name, at in (cursors or {}).items():
                await tx.set_cursor(name, at)
            await self._advanced(tx, memory)

    async def watches(self) -> list[Verification]:
        """The verifications under way."""
        async with self.store.transaction(self.project.name) as tx:
            return await tx.open_verifications()

    async def _remember(self, tx: Transaction) -> _Memory:
        generation = await tx.cursor(_GENERATION) or 0
        if self._memory is not None and self._memory.generation == generation:
            return self._memory
        config = self.project.config
        self._memory = _Memory(
            generation=generation,
            reader=EventReader(),
            catalogue=Catalogue(await tx.templates(), self.project.rules, max_templates=config.max_signatures),
            detector=Detector(DetectionSettings(window=config.window), await tx.detector_state()),
            seen={},
            cursors={},
            newest=await tx.cursor(_NEWEST),
            first_seen=await tx.service_first_seen({}),
        )
        for query in self.project.queries:
            cursor = await tx.cursor(query.name)
            if cursor is not None:
                self._memory.cursors[query.name] = cursor
        if self._memory.cursors:
            edge = self._edge(self._memory)
            self._memory.seen = dict.fromkeys(await tx.seen(edge), max(self._memory.cursors.values()))
        return self._memory

    async def _tick(self, tx: Transaction, memory: _Memory, intake: Intake) -> TickReport:
        report = TickReport(until=intake.until)
        lines = self._unseen(memory, intake, report)
        events = memory.reader.read(_bounded(lines.drop("id")))
        if intake.whole:
            lines, events = self._hold_back(lines, events, intake)
        signed = memory.catalogue.sign(events)
        memory.cursors.update(intake.cursors)
        past = lines.filter(pl.col("ts") <= intake.until)
        if past.height:
            memory.newest = max(memory.newest or 0, int(past["ts"][-1]))
            await tx.set_cursor(_NEWEST, memory.newest)
        await self._remember_seen(tx, memory, lines, self._edge(memory, intake.until))
        return await self._advance(tx, memory, signed, intake, report)

    async def _advance(
        self, tx: Transaction, memory: _Memory, signed: pl.DataFrame, intake: Intake, report: TickReport
    ) -> TickReport:
        """The stages from detection on, over `signed`, at `intake.until`."""
        now = intake.until
        await self._save_services(tx, memory, signed)
        await self._save_alerts(tx, intake.alerts, now)
        for deploy in intake.deploys:
            await tx.add_deploy(deploy)
        situation = await self._situation(tx, memory, now)
        report.records = signed.height
        problems = memory.detector.observe(signed, now, self._context(memory, situation, signed))
        counts = memory.detector.counts()
        await self._save_stages(tx, memory, counts)
        problems = self._bounded(problems, situation, report)
        report.problems = len(problems)
        report.suppressed = sum(problem.suppressed is not None for problem in problems)
        changed = group(problems, situation.live, now, self._grouping(memory, situation))
        await self.handling.handle(tx, changed, signed, situation, counts, intake.counts, report)
        for query, cursor in intake.cursors.items():
            await tx.set_cursor(query, cursor)
        return report

    # -- intake ----------------------------------------------------------------------------------------------------

    @staticmethod
    def _with_ids(lines: pl.DataFrame) -> pl.DataFrame:
        """The lines with what each is known by in the column `id`."""
        ids = [record_id(stream, ts, line) for stream, ts, line in lines.select("stream", "ts", "line").iter_rows()]
        return lines.with_columns(pl.Series("id", ids, dtype=pl.String))

    def _unseen(self, memory: _Memory, intake: Intake, report: TickReport) -> pl.DataFrame:
        """The lines that were not taken in before, in order of time, with their ids."""
        lines = self._with_ids(intake.lines)
        fresh = lines.unique("id", keep="first", maintain_order=True)
        if memory.seen:
            fresh = fresh.filter(~pl.col("id").is_in(list(memory.seen)))
        report.duplicates = lines.height - fresh.height
        return fresh.sort("ts", maintain_order=True)

    def _hold_back(
        self, lines: pl.DataFrame, events: pl.DataFrame, intake: Intake
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Leave an event at the very end of the span for the next tick: more lines of it may follow.

        It is not remembered as seen, so the overlap brings it again, whole. Only once: then it is old enough.
        """
        overlap = self.project.config.overlap
        if events.is_empty() or overlap < 2 * _TAIL:
            return lines, events
        again = max(intake.cursors.values(), default=intake.until) - overlap  # what is read again by every query
        many = (pl.col("last") > pl.col("first")) | pl.col("exception").is_not_null()
        open_ended = (
            (pl.col("ts") > intake.until - pl.when(many).then(_TAIL).otherwise(_FRAGMENT))
            & (pl.col("ts") < intake.until)
            & (pl.col("ts") >= again)
            & (pl.col("last") == pl.col("last").max().over("stream"))
        )
        held = events.filter(open_ended)
        if held.is_empty():
            return lines, events
        ranges = held.select(pl.int_ranges("first", pl.col("last") + 1).alias("row")).explode("row")["row"]
        streams = lines.with_row_index("row").filter(pl.col("row").is_in(ranges.to_list()))
        keep = lines.with_row_index("row").join(streams.select("row"), on="row", how="anti").drop("row")
        return keep, events.filter(~open_ended)

    def _edge(self, memory: _Memory, until: int = 0) -> int:
        """The time (ns) from which on records may come again: the overlap before the cursor that is furthest behind.

        Not after the newest record: a clock that ran ahead has moved the cursors past records that come only now.
        """
        newest = max(memory.cursors.values(), default=until)
        oldest = max(min(memory.cursors.values(), default=until), newest - APART)
        return min(oldest, memory.newest or oldest) - self.project.config.overlap

    async def _remember_seen(self, tx: Transaction, memory: _Memory, lines: pl.DataFrame, edge: int) -> None:
        """Keep the ids from `edge` (ns) on, and forget older ones."""
        recent = lines.filter(pl.col("ts") >= edge).select("id", "ts")
        pairs = [(str(found), int(ts)) for found, ts in recent.iter_rows()]
        await tx.add_seen(pairs, edge)
        memory.seen = {found: ts for found, ts in memory.seen.items() if ts >= edge}
        memory.seen.update(pairs)

    # -- what the stages need --------------------------------------------------------------------------------------

    async def _situation(self, tx: Transaction, memory: _Memory, now: int) -> Situation:
        policy = self.project.policy
        cooldown = round(policy.cooldown_minutes * MINUTE)
        storm = round(2 * policy.storm.window_minutes * MINUTE) + self.project.config.catch_up_step
        back = max(cooldown, storm, round(policy.flapping.window_minutes * MINUTE))
        return Situation(
            now=now,
            live=await tx.live_incidents(now - max(cooldown, _SIMILAR)),
            decisions=await tx.recent_decisions(now - back),
            deploys=await tx.deploys(now - 2 * HOUR),
            maintenance=await tx.maintenance(now),
            # `now` lags the clock by the delay, an alert does not: one that was just sent is firing.
            alerts=await tx.active_alerts(now + self.project.config.delay),
            watches=await tx.open_verifications(),
            first_seen=memory.first_seen,
            known_services=self._configured_services(),
        )

    @staticmethod
    def _bounded(problems: list[Problem], situation: Situation, report: TickReport) -> list[Problem]:
        """Those that have an incident, and of the new ones the heaviest: a flood must not hold up the next tick.

        What is left out is counted, and comes again at the next tick where it goes on.
        """
        known = {problem.id for incident in situation.live for problem in incident.problems}
        new = [problem for problem in problems if problem.id not in known]
        room = max(_LEAST_NEW, min(_MOST_NEW, _MOST_ACTIVE - sum(one.status.active for one in situation.live)))
        if len(new) <= room:
            return problems
        new.sort(key=lambda problem: (-problem.score, problem.onset, problem.id))
        left_out = {problem.id for problem in new[room:]}
        report.left_out = len(left_out)
        return [problem for problem in problems if problem.id not in left_out]

    def _configured_services(self) -> frozenset[str]:
        config = self.project.config
        called = {service for callees in config.dependencies.values() for service in callees}
        return frozenset({*config.criticality, *config.dependencies, *config.owners, *called})

    def _context(self, memory: _Memory, situation: Situation, signed: pl.DataFrame) -> DetectionContext:
        noise = signed.filter(pl.col("template").str.starts_with("noise rule: "))["signature"].unique()
        policy = self.project.policy
        return DetectionContext(
            project=self.project.name,
            known_services=situation.known_services,
            criticality=self.project.config.criticality,
            alerts=tuple(situation.alerts),
            deploys=tuple(situation.deploys),
            maintenance=tuple(situation.maintenance),
            noise=frozenset(noise.to_list()),
            service_first_seen=memory.first_seen,
            learning=policy.mode is Mode.LEARN,
            new_service_grace=round(policy.new_service_grace_minutes * MINUTE),
            deploy_grace=round(policy.deploy_grace_minutes * MINUTE),
        )

    def _grouping(self, memory: _Memory, situation: Situation) -> GroupingSettings:
        signatures = {problem.signature for incident in situation.live for problem in incident.problems}
        return GroupingSettings(
            aliases={old: new for old in signatures if (new := memory.catalogue.resolve(old)) != old},
            window=self.project.config.window,
            cooldown=round(self.project.policy.cooldown_minutes * MINUTE),
            dependencies=self.project.config.dependencies,
        )

    @staticmethod
    async def _save_alerts(tx: Transaction, alerts: Sequence[Alert], now: int) -> None:
        """A metric that stays above its bound is one alert: it keeps the time at which it began."""
        if not alerts:
            return
        began = {alert.fingerprint: alert.starts_at for alert in await tx.active_alerts(now)}
        for alert in alerts:
            starts_at = min(alert.starts_at, began.get(alert.fingerprint, alert.starts_at))
            await tx.save_alert(alert.model_copy(update={"starts_at": starts_at}))

    async def _save_services(self, tx: Transaction, memory: _Memory, signed: pl.DataFrame) -> None:
        if signed.is_empty():
            return
        firsts = dict(signed.group_by("service").agg(pl.col("ts").min()).iter_rows())
        unknown = {name: ts for name, ts in firsts.items() if ts < memory.first_seen.get(name, ts + 1)}
        if unknown:
            memory.first_seen = await tx.service_first_seen(unknown)

    async def _save_stages(self, tx: Transaction, memory: _Memory, counts: Sequence[SignatureCount]) -> None:
        await tx.save_templates(memory.catalogue.changed())
        await tx.add_counts(counts)
        await tx.save_detector_state(memory.detector.changed_state())


def _bounded(lines: pl.DataFrame) -> pl.DataFrame:
    """Services are labels, and a label may be as long as Loki allows: what names a row of the store may not."""
    return lines.with_columns(pl.col("service").str.head(_MAX_SERVICE))
