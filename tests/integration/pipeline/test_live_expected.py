"""What is expected: deploys that the logs announce, maintenance, and what neither of them excuses."""

from __future__ import annotations

from dataclasses import replace

from incidentlens.config.loader import DeployQuery
from incidentlens.model.clock import MINUTE, SECOND
from incidentlens.model.decisions import Maintenance
from incidentlens.model.terms import ProblemKind
from incidentlens.store.memory import MemoryStore
from running import FAILURE, NAME, T0, Running, lines, make_project

LATER = T0 + 5 * MINUTE


def running(policy=None, **project):
    made = Running(MemoryStore(), project=replace(make_project(policy=policy), **project))
    made.loki.add({"app": "pay"}, lines(T0, 1800, 2))
    made.loki.add({"app": "web"}, lines(T0, 1800, 2))
    return made


async def suppressed(run):
    return {
        problem.service: problem.suppressed.reason if problem.suppressed else None
        for incident in await run.incidents()
        for problem in incident.problems
    }


async def test_a_line_that_a_deploys_query_finds_is_a_planned_deploy_and_what_lasts_longer_is_told():
    query = DeployQuery('{app="ci"} |= "deployed"', "pay", 5 * MINUTE)
    run = running({"suppress": {"never_severity": "critical"}}, deploys=(query,))
    run.loki.add({"app": "ci"}, [(LATER - 10 * SECOND, "deployed pay v2"), (LATER - 9 * SECOND, "built pay v3")])
    run.loki.add({"app": "pay"}, lines(LATER, 900, 1, FAILURE))
    await run.run(8 * 60)
    assert await suppressed(run) == {"pay": "deploy"}
    assert await run.notified() == []
    async with run.store.transaction(NAME) as tx:
        (deploy,) = await tx.deploys(0)
    assert (deploy.service, deploy.text, deploy.planned_until) == ("pay", "deployed pay v2", deploy.at + 5 * MINUTE)
    await run.run(600)
    assert len(await run.notified()) == 1


async def test_another_service_that_fails_during_the_deploy_is_told_at_once():
    run = running(deploys=(DeployQuery('{app="ci"}', "pay", 10 * MINUTE),))
    run.loki.add({"app": "ci"}, [(LATER - 10 * SECOND, "deployed pay v2")])
    run.loki.add({"app": "web"}, lines(LATER, 120, 1, FAILURE))
    await run.run(420)
    assert await suppressed(run) == {"web": None}
    assert len(await run.notified()) == 1


async def test_a_deploy_is_not_announced_twice_by_a_restart_and_a_refused_query_stops_nothing():
    queries = (DeployQuery('{app="ci"}', None, None),)
    run = running(deploys=queries)
    run.loki.add({"app": "ci"}, [(T0 + SECOND, "deployed")])
    await run.run(60)
    run.start(run.project)
    await run.run(60)
    async with run.store.transaction(NAME) as tx:
        assert [deploy.service for deploy in await tx.deploys(0)] == ["ci"]


async def window(run, **more):
    async with run.store.transaction(NAME) as tx:
        await tx.add_maintenance(
            Maintenance(id="m", project=NAME, starts_at=T0, ends_at=T0 + 10 * MINUTE, reason="upgrade", **more)
        )


async def test_what_still_fails_after_maintenance_is_told_once_it_ends():
    run = running()
    await window(run, services=("pay",))
    run.loki.add({"app": "pay"}, lines(LATER, 900, 1, FAILURE))
    await run.run(9 * 60)
    assert await suppressed(run) == {"pay": "maintenance"}
    assert await run.notified() == []
    await run.run(180)
    (told,) = await run.notified()
    assert told.at >= T0 + 10 * MINUTE


async def test_maintenance_of_one_service_or_kind_hides_no_fault_of_another():
    for more in ({"services": ("pay",)}, {"kinds": (ProblemKind.SILENCE,)}):
        run = running()
        await window(run, **more)
        run.loki.add({"app": "web"}, lines(LATER, 120, 1, FAILURE))
        await run.run(420)
        assert await suppressed(run) == {"web": None}
        assert len(await run.notified()) == 1
