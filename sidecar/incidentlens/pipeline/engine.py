"""One tick: records in, and everything that follows from them written in one transaction with the cursors.

What is kept in memory (`memory`) is read from the store again when another sidecar ticked in between, or when a tick
failed half-way. A record that makes a stage raise is put aside (`quarantine`), and the tick done without it.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

import polars as pl

from incidentlens.config.loader import Project
from incidentlens.incidents import group
from incidentlens.intake.pushdown import History
from incidentlens.model.analysis import Analysis
from incidentlens.model.clock import Clock
from incidentlens.model.decisions import Alert, Deploy, Verification
from incidentlens.model.incidents import Problem
from incidentlens.model.signatures import SignatureCount, Template
from incidentlens.store.base import Quarantined, Store, Transaction

from .handling import Handling
from .memory import LEARNT, NEWEST, Memory, generation_of, outdate, remember
from .offloop import Run, beside
from .overlap import hold_back, may_hold_back, unseen, with_ids
from .quarantine import Aside, is_defect, search
from .report import TickReport
from .situation import Situation, detection_context, grouping_settings, read_situation

T = TypeVar("T")

_MAX_SERVICE = 200  # characters
# New problems that one tick takes up; fewer where so many incidents are active already, but always some.
_MOST_NEW, _LEAST_NEW, _MOST_ACTIVE = 200, 20, 1000


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
    # What Loki counted for each verification that was asked about; None: count the tick's own records instead.
    counts: Mapping[str, int | None] | None = None
    # Lines that Loki counted and that were not fetched (`intake.pushdown.UNREAD`); None where all were read.
    unread: pl.DataFrame | None = None
    histories: Sequence[History] = ()  # of services that newly stand out


@dataclass(frozen=True, slots=True)
class Position:
    """Where a project's queries stand. `newest` is the time of the newest record taken in (all ns)."""

    cursors: dict[str, int]
    learnt: dict[str, int]
    newest: int | None


class _TakenBack(Exception):
    """Ends a trial: nothing of its transaction is kept."""


class Engine:
    """Runs the stages for one project. Not for concurrent calls: the caller takes turns.

    `run` says where the stages compute: beside the event loop, or `here`.
    """

    def __init__(self, project: Project, store: Store, clock: Clock, run: Run = beside) -> None:
        self.store = store
        self._clock = clock
        self._run = run
        self._memory: Memory | None = None
        self.project = project
        self.handling = Handling(project, run)

    def configure(self, project: Project) -> None:
        """A changed configuration, used from the next tick on."""
        self.project = project
        self.handling = Handling(project, self._run)
        self._memory = None

    async def tick(self, intake: Intake) -> TickReport:
        """Take in `intake`. Raises StoreError with nothing written; then the same intake may be given again.

        Where another sidecar has moved a cursor meanwhile, nothing is written and the report says `stale`. Anything
        else is raised only where it is no record's fault.
        """
        began = time.perf_counter()

        async def once(lines: pl.DataFrame, aside: Aside, keep: bool) -> TickReport:
            async with self._turn(keep) as tx:
                if await self._moved(tx, intake.since):
                    return TickReport(until=intake.until, stale=True)
                memory = await self._remember(tx)
                report = await self._tick(tx, memory, replace(intake, lines=lines), aside)
                await self._advanced(tx, memory)
            return report

        report = await self._without_what_raises(once, intake.lines)
        report.seconds = time.perf_counter() - began
        return report

    async def learn(
        self,
        lines: pl.DataFrame,
        cursors: Mapping[str, int] | None = None,
        keep: int = 0,
        unread: pl.DataFrame | None = None,
    ) -> int:
        """Take `lines` (LINES) into the baseline: nothing is found in them and nothing is told. How many were put
        aside because they made a stage raise.

        `cursors` move with it, so that learning goes on where it was broken off. Records from `keep` (ns) on are
        remembered as seen: the first tick's overlap will bring them again. `unread`: see `Intake`.
        """

        async def once(lines: pl.DataFrame, aside: Aside, keep_it: bool) -> int:
            async with self._turn(keep_it) as tx:
                memory = await self._remember(tx)
                await self._learn(tx, memory, lines, cursors or {}, keep, aside, unread)
                await self._advanced(tx, memory)
            return len(aside.parts)

        return await self._without_what_raises(once, lines)

    async def _without_what_raises(
        self, once: Callable[[pl.DataFrame, Aside, bool], Awaitable[T]], lines: pl.DataFrame
    ) -> T:
        """Do it `once`; where a record makes a stage raise, again without that record."""
        try:
            return await once(lines, Aside(), True)
        except BaseException as error:
            if not is_defect(error):
                raise

            async def trial(part: pl.DataFrame) -> BaseException | None:
                try:
                    await once(part, Aside(), False)
                except _TakenBack:
                    return None
                except BaseException as error:
                    if not is_defect(error):
                        raise
                    return error
                return None

            rest, aside = await search(trial, lines)
            if not aside.parts:
                raise
        return await once(rest, aside, True)

    @asynccontextmanager
    async def _turn(self, keep: bool = True) -> AsyncIterator[Transaction]:
        """A transaction; where it fails the stages have moved on and the store has not, so they are forgotten."""
        try:
            async with self.store.transaction(self.project.name) as tx:
                yield tx
                if not keep:
                    raise _TakenBack
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
    async def _advanced(tx: Transaction, memory: Memory) -> None:
        memory.generation += 1
        await outdate(tx, memory.generation)

    async def position(self) -> Position:
        """Where the project's queries stand in the store."""
        async with self.store.transaction(self.project.name) as tx:
            names = [query.name for query in self.project.queries if not query.metric]
            at = {name: await tx.cursor(name) for name in names}
            learnt = {name: await tx.cursor(LEARNT + name) for name in names if at[name] is None}
            return Position(
                cursors={name: cursor for name, cursor in at.items() if cursor is not None},
                learnt={name: cursor for name, cursor in learnt.items() if cursor is not None},
                newest=await tx.cursor(NEWEST),
            )

    async def sign(self, lines: pl.DataFrame) -> pl.DataFrame:
        """Read and sign `lines` (LINES) in one go, for replay: the stages after it follow slice by slice."""
        async with self.store.transaction(self.project.name) as tx:
            memory = await self._remember(tx)
        return await self._run(_sign, memory, lines)

    async def replay(self, signed: pl.DataFrame, intake: Intake) -> TickReport:
        """The stages from detection on, over a slice that `sign` gave."""
        report = TickReport(until=intake.until)
        async with self.store.transaction(self.project.name) as tx:
            return await self._advance(tx, await self._remember(tx), signed, intake, report)

    async def conclude(self, incident_id: str, concluded: Callable[[Analysis], Analysis], text: str) -> bool:
        """Put a model's analysis in the place of the latest one and decide anew; False where it comes too late.

        `concluded` makes it of the analysis in force now, which may be newer than the one that was asked about.
        """
        async with self._turn() as tx:
            memory = await self._remember(tx)
            incident = await tx.incident(incident_id)
            latest = await tx.latest_analysis(incident_id)
            if incident is None or latest is None or not incident.status.active or latest.source == "runbook":
                return False
            situation = await read_situation(tx, self.project, memory, self._clock.now())
            await self.handling.conclude(tx, incident, concluded(latest), text, situation)
        return True

    async def watches(self) -> list[Verification]:
        """The verifications under way."""
        async with self.store.transaction(self.project.name) as tx:
            return await tx.open_verifications()

    async def _remember(self, tx: Transaction) -> Memory:
        generation = await generation_of(tx)
        if self._memory is None or self._memory.generation != generation:
            self._memory = await remember(tx, self.project, generation, self._run, self._clock.now())
        return self._memory

    async def _tick(self, tx: Transaction, memory: Memory, intake: Intake, aside: Aside) -> TickReport:
        report = TickReport(until=intake.until)
        overlap = self.project.config.overlap
        lines, signed = await self._run(_take_in, memory, intake, overlap, report)
        memory.cursors.update(intake.cursors)
        lines = await self._put_aside(tx, memory, lines, aside, report)
        past = lines.filter(pl.col("ts") <= intake.until)
        if past.height:
            memory.newest = max(memory.newest or 0, int(past["ts"][-1]))
            await tx.set_cursor(NEWEST, memory.newest)
        await self._remember_seen(tx, memory, lines, memory.edge(overlap, intake.until))
        return await self._advance(tx, memory, signed, intake, report)

    async def _learn(
        self,
        tx: Transaction,
        memory: Memory,
        lines: pl.DataFrame,
        cursors: Mapping[str, int],
        keep: int,
        aside: Aside,
        unread: pl.DataFrame | None,
    ) -> None:
        if cursors:
            fresh = await self._run(unseen, lines, ())
            lines = fresh.drop("id")
            fresh = await self._put_aside(tx, memory, fresh, aside, TickReport(until=keep))
            memory.cursors.update({name: at for name, at in cursors.items() if not name.startswith("@")})
            edge = min(keep, memory.edge(self.project.config.overlap, keep))
            await self._remember_seen(tx, memory, fresh.filter(pl.col("ts") >= keep), edge)
        signed = await self._run(_sign, memory, lines)
        await self._run(memory.detector.learn, signed, unread, partial=unread is not None)
        await self._save_services(tx, memory, signed)
        await self._save_stages(tx, memory)
        for name, at in cursors.items():
            await tx.set_cursor(name, at)

    async def _advance(
        self, tx: Transaction, memory: Memory, signed: pl.DataFrame, intake: Intake, report: TickReport
    ) -> TickReport:
        """The stages from detection on, over `signed`, at `intake.until`."""
        now = intake.until
        await self._save_services(tx, memory, signed)
        await self._save_alerts(tx, intake.alerts, now)
        for deploy in intake.deploys:
            await tx.add_deploy(deploy)
        situation = await read_situation(tx, self.project, memory, now)
        report.records = signed.height
        for history in intake.histories:
            usual = await self._run(_sign, memory, history.lines)
            await self._run(memory.detector.recall, history.service, usual, history.minutes)
        context = detection_context(self.project, situation, signed, partial=intake.unread is not None)
        problems = await self._run(memory.detector.observe, signed, now, context, intake.unread)
        counts = await self._save_stages(tx, memory)
        problems = self._bounded(problems, situation, report)
        report.problems = len(problems)
        report.found = problems
        report.suppressed = sum(problem.suppressed is not None for problem in problems)
        settings = grouping_settings(self.project, situation, memory.catalogue)
        changed = await self._run(group, problems, situation.live, now, settings)
        await self.handling.handle(tx, changed, signed, situation, counts, intake.counts, report)
        for query, cursor in intake.cursors.items():
            await tx.set_cursor(query, cursor)
        return report

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

    # -- what is kept ----------------------------------------------------------------------------------------------

    async def _remember_seen(self, tx: Transaction, memory: Memory, lines: pl.DataFrame, edge: int) -> None:
        """Keep the ids from `edge` (ns) on and in the overlaps of queries that are behind, and forget others."""
        keep = memory.behind(self.project.config.overlap)
        wanted = pl.any_horizontal(pl.col("ts") >= edge, *(pl.col("ts").is_between(a, b) for a, b in keep))
        pairs: dict[str, int] = dict(lines.filter(wanted).select("id", "ts").iter_rows())
        await tx.add_seen(pairs.items(), edge, keep)
        memory.remember(pairs, edge, keep)

    async def _put_aside(
        self, tx: Transaction, memory: Memory, lines: pl.DataFrame, aside: Aside, report: TickReport
    ) -> pl.DataFrame:
        """Keep what is put aside; `lines` (with ids) with those among them, for they were taken in too."""
        if not aside.parts:
            return lines
        parts = [(with_ids(part), error) for part, error in aside.parts]
        known = set(memory.seen)
        found = [
            Quarantined(**row, error=error, at=self._clock.now())
            for part, error in parts
            for row in part.iter_rows(named=True)
            if row["id"] not in known
        ]
        await tx.add_quarantined(found)
        report.quarantined = len(found)
        return pl.concat([lines, *(part for part, _ in parts)]).unique("id", keep="first").sort("ts")

    @staticmethod
    async def _save_alerts(tx: Transaction, alerts: Sequence[Alert], now: int) -> None:
        """A metric that stays above its bound is one alert: it keeps the time at which it began."""
        if not alerts:
            return
        began = {alert.fingerprint: alert.starts_at for alert in await tx.active_alerts(now)}
        for alert in alerts:
            starts_at = min(alert.starts_at, began.get(alert.fingerprint, alert.starts_at))
            await tx.save_alert(alert.model_copy(update={"starts_at": starts_at}))

    async def _save_services(self, tx: Transaction, memory: Memory, signed: pl.DataFrame) -> None:
        if signed.is_empty():
            return
        firsts = dict(signed.group_by("service").agg(pl.col("ts").min()).iter_rows())
        unknown = {name: ts for name, ts in firsts.items() if ts < memory.first_seen.get(name, ts + 1)}
        if unknown:
            memory.first_seen = await tx.service_first_seen(unknown)

    async def _save_stages(self, tx: Transaction, memory: Memory) -> Sequence[SignatureCount]:
        templates, counts, state = await self._run(_changes, memory)
        await tx.save_templates(templates)
        await tx.add_counts(counts)
        await tx.save_detector_state(state)
        return counts


def _take_in(memory: Memory, intake: Intake, overlap: int, report: TickReport) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The lines that are new, with their ids, and the signed events they make."""
    lines = unseen(intake.lines, memory.seen)
    report.duplicates = intake.lines.height - lines.height
    events = memory.reader.read(_bounded(lines.drop("id")))
    if may_hold_back(overlap):
        again = max(intake.cursors.values(), default=intake.until) - overlap  # what is read again by every query
        lines, events = hold_back(lines, events, until=intake.until, again=again)
    return lines, memory.catalogue.sign(events)


def _sign(memory: Memory, lines: pl.DataFrame) -> pl.DataFrame:
    return memory.catalogue.sign(memory.reader.read(_bounded(lines)))


def _changes(memory: Memory) -> tuple[list[Template], list[SignatureCount], dict[str, bytes]]:
    return memory.catalogue.changed(), memory.detector.counts(), memory.detector.changed_state()


def _bounded(lines: pl.DataFrame) -> pl.DataFrame:
    """Services are labels, and a label may be as long as Loki allows: what names a row of the store may not."""
    return lines.with_columns(pl.col("service").str.head(_MAX_SERVICE))
