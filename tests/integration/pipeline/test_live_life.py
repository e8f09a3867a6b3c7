"""An incident's life over hours: a storm and its digest, flapping, recurrence, everyday shares, changed settings."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from incidentlens.model.clock import MINUTE, SECOND
from incidentlens.model.decisions import IncidentEvent
from incidentlens.model.terms import Mode, Outcome, Status
from incidentlens.pipeline import handling
from incidentlens.store.memory import MemoryStore
from incidentlens.store.postgres import PostgresStore
from running import FAILURE, NAME, T0, Query, Running, lines, make_project

STORM = {"notifications": 5, "window_minutes": 10}
WORDS = ("ledger", "mirror", "packet", "quorum", "socket", "tunnel", "vault", "widget", "anchor", "beacon")
TAILS = (
    "gave up after {i} tries",
    "has no room for entry {i} and drops it",
    "lost its lease number {i} to another writer while it was writing",
)


@pytest.fixture
def store(postgres_store):
    """The real one; what needs no database is tested over the one in memory."""
    return postgres_store


def storm(running, start, number=30):
    """Failures that have nothing to do with each other, each in a service of its own, some seconds apart."""
    for index, (tail, word) in enumerate(itertools.islice(itertools.product(TAILS, WORDS), number)):
        middle = " ".join(WORDS[(index * step + step) % len(WORDS)] for step in range(1, 2 + index % 7))
        text = f'level=error msg="unhandled exception: {word} {middle} {tail}"'
        running.loki.add({"app": f"{word}{index}"}, lines(start + index * 4 * SECOND, 30, 1, text))


async def outbox(store, target="notification"):
    """key: payload of all that was put into the outbox."""
    if isinstance(store, MemoryStore):
        return {key[2]: waiting.item.payload for key, waiting in store.outbox.items() if key[1] == target}
    assert isinstance(store, PostgresStore)
    async with store.session() as session:
        rows = await session.rows("SELECT key, payload FROM outbox WHERE target = %s", (target,))
    return {row["key"]: row["payload"] for row in rows}


async def told(running):
    async with running.store.transaction(NAME) as tx:
        decisions = await tx.recent_decisions(0)
    return [decision for decision in decisions if decision.tell]


async def test_a_storm_is_told_one_by_one_up_to_the_limit_and_then_in_one_digest_a_window(store):
    running = Running(store, project=make_project(policy={"storm": STORM}))
    await running.run(60)
    storm(running, T0 + 60 * SECOND)
    await running.run(9 * 60, every=15)
    single = [decision for decision in await told(running) if not decision.inputs["digest"]]
    held = [decision for decision in await told(running) if decision.inputs["digest"]]
    assert len({decision.incident_id for decision in held}) >= 10
    assert len(single) <= STORM["notifications"]
    assert await outbox(store) == {}  # the window is not over
    await running.run(3 * 60, every=30)
    digests = await outbox(store)
    assert len(digests) == 1
    (digest,) = digests.values()
    everyone = {decision.incident_id for decision in await told(running)}
    listed = {one["incident_id"] for one in digest["incidents"]}
    assert listed == {decision.incident_id for decision in held}
    wanting = {one.id for one in await running.incidents() if one.disposition.notifies}
    assert wanting <= everyone
    assert digest["count"] == len(listed)
    assert everyone == listed | {decision.incident_id for decision in single}  # nobody is passed over in silence
    states = {action.incident_id: action.state for action in await running.notified()}
    assert {states[incident] for incident in listed} == {"digest"}
    await running.run(10 * 60, every=60)
    assert all(payload["count"] for payload in (await outbox(store)).values())


@pytest.mark.parametrize("pause_minutes", [0, 15])
async def test_a_restart_and_a_stop_of_several_windows_neither_lose_nor_double_a_digest(pause_minutes):
    running = Running(MemoryStore(), project=make_project(policy={"storm": STORM}))
    await running.run(60)
    storm(running, T0 + 60 * SECOND)
    await running.run(8 * 60, every=20)
    held = {decision.incident_id for decision in await told(running) if decision.inputs["digest"]}
    assert held
    running.clock.advance(pause_minutes * MINUTE)
    running.start(running.project)
    await running.run(6 * 60, every=30)
    running.start(running.project)
    await running.run(15 * 60, every=60)
    first = f"digest:10:{T0 // (10 * MINUTE)}"
    digests = await outbox(running.store)
    assert {one["incident_id"] for one in digests[first]["incidents"]} == held


async def test_a_digest_in_shadow_is_shown_and_not_sent():
    running = Running(MemoryStore(), project=make_project(policy={"storm": STORM, "mode": Mode.SHADOW}))
    await running.run(60)
    storm(running, T0 + 60 * SECOND)
    await running.run(12 * 60, every=20)
    assert await outbox(running.store) == {}
    assert len(await outbox(running.store, "shadow")) == 1
    assert {action.state for action in await running.notified()} == {"shadow"}


async def test_a_failure_whose_texts_turn_out_to_be_one_template_is_told_once():
    """Names in the text: only after some of them is it seen that they are values. Until then each is observed."""
    running = Running(MemoryStore())
    running.loki.add({"app": "a"}, lines(T0, 400, 1))
    names = [f"{one}{other}" for one, other in itertools.product(WORDS, WORDS)]
    text = 'level=error msg="no stock left for customer {name} in the northern warehouse"'
    records = [(T0 + (60 + i) * SECOND, text.format(name=name)) for i, name in enumerate(names)]
    running.loki.add({"app": "b"}, records)
    await running.run(200)
    incidents = await running.incidents()
    (incident,) = [one for one in incidents if one.disposition.notifies]
    assert incident.count >= 90
    assert len(incidents) <= 5
    assert len(await running.notified()) == 1


async def events(running, incident) -> list[IncidentEvent]:
    async with running.store.transaction(NAME) as tx:
        return await tx.events(incident.id)


async def test_a_fault_that_flaps_is_one_incident_told_once():
    running = Running(MemoryStore(), project=make_project(policy={"quiet_minutes": 3, "max_quiet_minutes": 3}))
    running.loki.add({"app": "a"}, lines(T0, 7200, 0.2))
    for start in range(600, 6000, 270):  # half a minute of failures, four minutes of quiet, again and again
        running.loki.add({"app": "b"}, lines(T0 + start * SECOND, 30, 1, FAILURE))
    await running.run(7200, every=45)
    (incident,) = await running.incidents()
    assert incident.status is Status.RESOLVED
    # The quiet that is asked for grows with each relapse, so it does not resolve and re-open each time.
    assert incident.reopened <= 3
    # Once a disposition and episode: after twenty minutes of flapping it outgrew its disposition once.
    assert len(await running.notified()) <= 3
    assert incident.count == 20 * 30


async def test_a_recurrence_within_the_cooldown_re_opens_and_one_after_it_is_another_incident():
    policy = {"quiet_minutes": 2, "max_quiet_minutes": 2, "cooldown_minutes": 15}
    running = Running(MemoryStore(), project=make_project(policy=policy, look_back=3600 * SECOND))
    running.loki.add({"app": "a"}, lines(T0 - 3600 * SECOND, 4 * 3600, 0.2))
    running.loki.add({"app": "b"}, lines(T0 - 3600 * SECOND, 4 * 3600, 0.1))
    for start in (600, 1200, 7200):
        running.loki.add({"app": "b"}, lines(T0 + start * SECOND, 60, 1, FAILURE))
    await running.run(1100, every=20)
    (first,) = await running.incidents()
    assert (first.status, first.reopened) == (Status.RESOLVED, 0)
    await running.run(1000, every=20)
    (again,) = await running.incidents()
    assert (again.id, again.reopened, again.count) == (first.id, 1, 120)
    assert [event.kind for event in await events(running, again)].count("reopened") == 1
    # Of what happened twice, the first time is marked: Loki counts incidents by it.
    marked = [(event.kind, event.data["first"]) for event in await events(running, again) if "first" in event.data]
    assert [event.kind for event in await events(running, again)].count("verified") == 2
    assert marked == [("notified", "told"), ("verified", "resolved")]
    await running.run(7400 - 2100, every=60)
    await running.run(600, every=30)
    later, again = await running.incidents()
    assert later.id != again.id
    assert later.onset >= T0 + 7200 * SECOND
    assert {later.status, again.status} == {Status.RESOLVED}


async def test_the_everyday_share_of_a_signature_does_not_keep_its_incident_open():
    policy = {"quiet_minutes": 2, "max_quiet_minutes": 2}
    running = Running(MemoryStore(), project=make_project(policy=policy, look_back=3600 * SECOND))
    text = 'level=error msg="upstream timed out" n={i}'
    running.loki.add({"app": "a"}, lines(T0 - 3600 * SECOND, 3600 + 3600, 1))
    running.loki.add({"app": "b"}, lines(T0 - 3600 * SECOND, 3600 + 3600, 1 / 20, text))  # three a minute, always
    running.loki.add({"app": "b"}, lines(T0 + 600 * SECOND + 1, 60, 2, text))
    await running.run(660, every=20)
    (incident,) = await running.incidents()
    assert incident.status in (Status.OPEN, Status.VERIFYING)
    await running.run(1200, every=30)
    (incident,) = await running.incidents()
    assert incident.status is Status.RESOLVED
    async with running.store.transaction(NAME) as tx:
        verifications = await tx.verifications(incident.id)
    assert verifications[-1].outcome is Outcome.RESOLVED


async def test_an_incident_of_records_without_a_stream_to_name_is_watched_by_the_records_themselves(monkeypatch):
    """Nothing in it gives LogQL, so Loki is not asked; it resolves all the same."""
    begin = handling.begin
    monkeypatch.setattr(handling, "begin", lambda *given: begin(*given).model_copy(update={"query": ""}))
    monkeypatch.setattr(handling, "incident_query", lambda *given: "")
    running = Running(MemoryStore(), project=make_project(policy={"quiet_minutes": 2, "max_quiet_minutes": 2}))
    running.loki.add({"app": "unknown"}, lines(T0 + 60 * SECOND, 240, 1, FAILURE))
    await running.run(220)
    (incident,) = await running.incidents()
    assert incident.status is Status.VERIFYING
    assert not [request for request in running.loki.asked if request.url.path.endswith("/query")]
    await running.run(600, every=20)
    (incident,) = await running.incidents()
    assert incident.status is Status.RESOLVED
    async with running.store.transaction(NAME) as tx:
        watches = await tx.verifications(incident.id)
    assert sum(check.count for watch in watches for check in watch.checks) > 100


async def test_a_watch_with_a_query_that_is_no_logql_does_not_end_the_ticks():
    running = Running(MemoryStore())
    running.loki.add({"app": "a"}, lines(T0, 600, 1))
    running.loki.add({"app": "b"}, lines(T0 + 60 * SECOND, 60, 1, FAILURE))
    await running.run(90)
    async with running.store.transaction(NAME) as tx:
        for watch in await tx.open_verifications():
            await tx.save_verification(watch.model_copy(update={"query": '{app="b"'}))
    await running.run(520, every=20)
    assert running.runner.health.error is None
    assert await running.counted() == 660


async def test_a_policy_that_changes_is_in_force_at_the_next_run_and_incidents_go_on():
    running = Running(MemoryStore(), project=make_project(policy={"mode": Mode.SHADOW}))
    running.loki.add({"app": "a"}, lines(T0, 900, 1))
    running.loki.add({"app": "b"}, lines(T0 + 60 * SECOND, 60, 1, FAILURE))
    await running.run(120)
    assert {action.state for action in await running.notified()} == {"shadow"}
    running.policy(mode=Mode.LIVE)
    running.loki.add({"app": "c"}, lines(T0 + 130 * SECOND, 60, 1, 'level=error msg="disk is full: {i} bytes left"'))
    await running.run(120)
    states = {action.payload["labels"]["service"]: action.state for action in await running.notified()}
    assert states["c"] == "done"
    assert len(await running.incidents()) == 2
    assert await running.counted() == 240 + 120 - 2


async def test_a_query_that_is_added_is_read_from_then_on_and_one_that_is_taken_away_no_more():
    running = Running(MemoryStore(), project=make_project((Query("a", '{app="a"}', False, None),)))
    running.loki.add({"app": "a"}, lines(T0, 600, 1))
    running.loki.add({"app": "b"}, lines(T0, 600, 1))
    await running.run(100)
    changed = make_project((Query("b", '{app="b"}', False, None),))
    running.runner.replace(replace(changed, loki=running.project.loki))
    await running.run(100)
    services = {service for _, service, _ in await running.counts()}
    assert services == {"a", "b"}
    total = sum(count for (_, service, _), count in (await running.counts()).items() if service == "a")
    assert 90 <= total <= 100
    assert running.runner.health.error is None
    assert set(running.runner.health.cursors) == {"b"}


async def test_patterns_that_match_are_noted_and_those_that_do_not_are_looked_for():
    running = Running(MemoryStore())
    running.loki.add({"app": "b"}, lines(T0 + 5 * SECOND, 120, 1, FAILURE))
    await running.run(150, every=15)
    (incident,) = await running.incidents()
    uses = running.store.spaces[NAME].patterns
    assert len(uses) == sum(len(book.patterns) for book in running.project.runbooks)
    assert {use.since for use in uses.values()} == {T0 + 15 * SECOND}
    matched = {pair for pair, use in uses.items() if use.last_matched_at is not None}
    assert incident.runbook in {book for book, _ in matched}
    assert 0 < len(matched) < 10
