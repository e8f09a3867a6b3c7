"""What comes of a ruler's alerts as time passes: on a clock of the test's own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from incidentlens.intake.alerts import read_alerts
from incidentlens.model.clock import MINUTE, SECOND
from incidentlens.model.terms import ProblemKind, Status
from incidentlens.store.memory import MemoryStore
from running import FAILURE, NAME, T0, Running, lines, make_project

EXPLORE = "/explore?left=%7B%22queries%22%3A%5B%7B%22expr%22%3A%22vector%281%29%22%7D%5D%7D"
OURS = {"managed_by": "incidentlens", "project": NAME}
SHORT = {"quiet_minutes": 2, "max_quiet_minutes": 2}


async def send(running: Running, began: int, ends: int, name: str = "TeamsRule", **labels: str) -> int:
    """The ruler's active set of one alert, as the API takes it: kept, and where it is news a run at once."""
    labels = {"alertname": name, "app": "pay", "severity": "page", **labels}
    stamps = {"startsAt": _stamp(began), "endsAt": _stamp(ends)}
    body = orjson.dumps([{"labels": labels, "annotations": {}, "generatorURL": EXPLORE, **stamps}])
    async with running.store.transaction(NAME) as tx:
        changed = sum([await tx.save_alert(alert) for alert in read_alerts(body, NAME, running.clock.now())])
    if changed:
        await running.runner.run(alerted=True)
    return changed


def _stamp(ns: int) -> str:
    return datetime.fromtimestamp(ns / SECOND, UTC).isoformat()


async def repeat(running: Running, minutes: int, began: int, **labels: str) -> None:
    """As the ruler does it: each minute anew, its end four minutes off."""
    for _ in range(minutes):
        await running.run(60, every=15)
        assert await send(running, began, running.clock.now() + 4 * MINUTE, **labels) == 0


async def started(**policy: Any) -> tuple[Running, int]:
    running = Running(MemoryStore(), project=make_project(policy={**SHORT, **policy}))
    running.loki.add({"app": "pay"}, lines(T0, 7200, 1))
    await running.run(60)
    return running, running.clock.now()


async def codes(running: Running) -> list[str]:
    (incident,) = await running.incidents()
    async with running.store.transaction(NAME) as tx:
        return [decision.reasons[-1].code for decision in await tx.decisions(incident.id)]


async def test_an_alert_whose_repetition_stops_is_over_at_its_announced_end_and_so_is_its_incident() -> None:
    running, now = await started()
    assert await send(running, now, now + 4 * MINUTE) == 1
    await repeat(running, 20, now)
    (incident,) = await running.incidents()
    assert incident.status is Status.VERIFYING
    await running.run(225, every=15)  # nothing is heard any more: it still fires
    (incident,) = await running.incidents()
    assert incident.status is Status.VERIFYING
    await running.run(15 * 60, every=15)
    (incident,) = await running.incidents()
    assert incident.status is Status.RESOLVED
    assert incident.reopened == 0


async def test_what_the_ruler_has_told_is_told_once_its_alert_is_over_and_the_lines_still_fail() -> None:
    running, now = await started()
    running.loki.add({"app": "pay"}, lines(now, 1800, 2, FAILURE))
    await running.run(1)
    await send(running, now, now + 4 * MINUTE)
    await repeat(running, 10, now)
    assert await running.notified() == []
    assert set(await codes(running)) == {"ruler_told"}
    assert len(await codes(running)) < 15  # looked at again now and then, not at every tick
    await send(running, now, running.clock.now())
    await running.run(6 * 60, every=15)
    assert len(await running.notified()) == 1


async def test_unless_the_rulers_alerts_reach_nobody() -> None:
    running, now = await started(ruler_notifies=False)
    await send(running, now, now + 4 * MINUTE)
    assert len(await running.notified()) == 1


async def test_what_was_told_before_the_ruler_noticed_is_not_told_again() -> None:
    running, now = await started()
    running.loki.add({"app": "pay"}, lines(now, 600, 2, FAILURE))
    await running.run(60)
    assert len(await running.notified()) == 1
    began = running.clock.now()
    await send(running, began, began + 4 * MINUTE)
    await repeat(running, 5, began)
    assert len(await running.incidents()) == 1
    assert len(await running.notified()) == 1


@pytest.mark.parametrize("kind", ["threshold", "spike"])
async def test_an_alert_of_our_own_rules_is_no_problem_by_itself(kind: str) -> None:
    running, now = await started()
    assert await send(running, now, now + 4 * MINUTE, kind=kind, service="pay", **OURS) == 1
    await repeat(running, 10, now, kind=kind, service="pay", **OURS)
    assert await running.incidents() == []


async def test_a_silence_that_no_line_tells_of_is_an_incident_and_is_told() -> None:
    running, now = await started()
    silent = {"kind": "silence", "service": "ledger", **OURS}
    assert await send(running, now, now + 4 * MINUTE, name="IncidentLensSilence", **silent) == 1
    (incident,) = await running.incidents()
    assert (incident.service, incident.problems[0].kind) == ("ledger", ProblemKind.ALERT)
    assert len(await running.notified()) == 1  # nobody else's rule: nobody else has told it
    await repeat(running, 5, now, name="IncidentLensSilence", **silent)
    assert len(await running.notified()) == 1
