"""What a person splits off or re-opens is taken up by the next tick: analysed, decided, watched."""

import polars as pl
import pytest

from incidentlens.config.loader import builtin_runbooks
from incidentlens.incidents import split
from incidentlens.model.clock import MINUTE, ManualClock
from incidentlens.model.records import LINES, empty
from incidentlens.model.terms import Status
from incidentlens.pipeline.engine import Engine, Intake
from incidentlens.pipeline.replay import default_project
from incidentlens.runbooks import load_runbooks
from incidentlens.store.memory import MemoryStore
from incidentlens.store.writes import reopen
from played_scenario import play

START = 1_763_700_000 * 10**9


@pytest.fixture(scope="module")
def project():
    return default_project(load_runbooks([builtin_runbooks()]))


async def quiet_tick(store, project, at):
    lines: pl.DataFrame = empty(LINES)
    await Engine(project, store, ManualClock(at)).tick(Intake(lines=lines, until=at))


async def test_a_part_that_a_person_split_off_is_analysed_decided_and_watched(project):
    store = MemoryStore()
    end = await play(store, project, "db_cascade", START, quiet_s=0)
    async with store.transaction(project.name) as tx:
        incident = max(await tx.live_incidents(0), key=lambda one: len(one.problems))
        last = max(incident.problems, key=lambda problem: problem.onset)
        kept, new = split(incident, [last.id], "ann", end)
        await tx.save_incident(kept)
        await tx.save_incident(new)
    await quiet_tick(store, project, end + MINUTE // 6)
    async with store.transaction(project.name) as tx:
        assert await tx.latest_analysis(new.id) is not None
        assert await tx.decisions(new.id)
        assert [watch.outcome for watch in await tx.verifications(new.id)] == [None]
        assert (await tx.incident(new.id)).status is Status.VERIFYING


async def test_an_incident_that_a_person_re_opened_is_watched_again_and_resolved_again(project):
    store = MemoryStore()
    end = await play(store, project, "db_cascade", START, quiet_s=900)
    async with store.transaction(project.name) as tx:
        incident = max(await tx.live_incidents(0), key=lambda one: len(one.problems))
    assert incident.status is Status.RESOLVED
    await reopen(store, project.name, incident.id, by="ann", at=end)
    await quiet_tick(store, project, end + MINUTE)
    async with store.transaction(project.name) as tx:
        assert (await tx.incident(incident.id)).status is Status.VERIFYING
    for minute in range(2, 60, 2):
        await quiet_tick(store, project, end + minute * MINUTE)
    async with store.transaction(project.name) as tx:
        assert (await tx.incident(incident.id)).status is Status.RESOLVED
