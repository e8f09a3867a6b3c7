"""The outbox is emptied at least once, and Loki makes it exactly once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from builders import make_event, make_incident
from fake_loki import FakeLoki
from incidentlens.config.loader import Loaded
from incidentlens.model.clock import MINUTE, SECOND, ManualClock
from incidentlens.model.terms import Status
from incidentlens.publish.loki_events import event_payload
from incidentlens.publish.publisher import Publisher, pause
from incidentlens.store.base import StoreError
from incidentlens.store.memory import MemoryStore
from running import NAME, T0, make_project


class Publishing:
    """A store with some events to publish, a Loki and a publisher."""

    def __init__(self, events: int = 5) -> None:
        self.store = MemoryStore()
        self.loki = FakeLoki()
        self.clock = ManualClock(T0)
        self.events = events
        config: Any = None
        self.loaded = Loaded(Path("incidentlens.yaml"), config, {NAME: make_project()}, None)
        self.restart()

    def restart(self) -> None:
        self.publisher = Publisher(self.store, self.clock, self.loki)

    async def fill(self) -> None:
        incident = make_incident(project=NAME)
        async with self.store.transaction(NAME) as tx:
            for number in range(self.events):
                event = make_event(at=T0, text=f"it happened {number}")
                await tx.enqueue("loki", f"i1:{number}", event_payload(event, incident, number), T0)

    async def run(self) -> int:
        return await self.publisher.run_once(self.loaded)

    def waiting(self) -> list[Any]:
        return [waiting for waiting in self.store.outbox.values() if waiting.done_at is None]


@pytest.fixture
async def publishing():
    made = Publishing()
    await made.fill()
    return made


async def test_what_is_due_is_pushed_in_one_request_and_is_done_once(publishing):
    assert await publishing.run() == 5
    assert await publishing.run() == 0
    assert publishing.loki.size == 5
    assert len(publishing.loki.asked) == 1
    assert publishing.publisher.sent == 5
    (body,) = (orjson.loads(request.content) for request in publishing.loki.asked)
    stream = body["streams"][0]
    assert stream["stream"] == {
        "job": "incidentlens",
        "project": NAME,
        "kind": "opened",
        "service_name": "incidentlens",
    }
    assert len({value[0] for one in body["streams"] for value in one["values"]}) == 5  # each has a time of its own


async def test_a_publisher_that_was_killed_after_the_push_pushes_again_and_loki_has_it_once(publishing):
    done = publishing.store.outbox_done

    async def killed(item_id, at):
        raise StoreError("away")

    publishing.store.outbox_done = killed
    with pytest.raises(StoreError):
        await publishing.run()
    publishing.store.outbox_done = done
    publishing.restart()
    assert await publishing.run() == 0  # leased: another publisher might still be at it
    publishing.clock.advance(MINUTE)
    assert await publishing.run() == 5
    assert publishing.loki.size == 5
    assert not publishing.waiting()


async def test_a_loki_that_is_away_is_tried_again_ever_more_rarely_until_it_is_back(publishing):
    def down(request):
        raise httpx.ConnectError("refused")

    publishing.loki.fault = down
    for _ in range(6 * 60):
        publishing.clock.advance(10 * SECOND)
        await publishing.run()
    # One request for all that is due, not one an item; after an hour at most one in five minutes for each.
    assert 8 <= len(publishing.loki.asked) <= 70
    assert {waiting.given_up_at for waiting in publishing.waiting()} == {None}
    assert all("cannot reach Loki" in waiting.error for waiting in publishing.waiting())
    publishing.loki.fault = None
    publishing.clock.advance(11 * MINUTE)
    await publishing.run()
    assert publishing.loki.size == 5
    assert not publishing.waiting()


async def test_an_event_that_loki_refuses_is_given_up_with_its_reason_and_harms_no_other(publishing):
    publishing.loki.fault = lambda request: (
        httpx.Response(400, text="timestamp too old") if b"it happened 3" in request.content else None
    )
    await publishing.run()
    (left,) = publishing.waiting()
    assert left.given_up_at == T0
    assert "timestamp too old" in left.error
    assert left.item.key == "i1:3"
    publishing.clock.advance(60 * MINUTE)
    assert await publishing.run() == 0
    assert publishing.loki.size == 4
    assert (publishing.publisher.sent, publishing.publisher.failed) == (4, 1)


async def test_a_defective_item_holds_up_no_other(publishing):
    async with publishing.store.transaction(NAME) as tx:
        await tx.enqueue("loki", "broken", {"no": "stream"}, T0)
    await publishing.run()
    assert publishing.loki.size == 5
    (left,) = publishing.waiting()
    assert "KeyError" in left.error
    assert left.item.next_attempt_at > T0


async def test_a_project_that_went_out_of_the_configuration_keeps_its_events_until_it_is_back(publishing):
    projects = publishing.loaded.projects
    publishing.loaded = Loaded(publishing.loaded.path, publishing.loaded.config, {}, None)
    await publishing.run()
    assert publishing.loki.size == 0
    assert len(publishing.waiting()) == 5
    publishing.loaded = Loaded(publishing.loaded.path, publishing.loaded.config, projects, None)
    publishing.clock.advance(MINUTE)
    await publishing.run()
    assert publishing.loki.size == 5


async def test_the_same_key_is_one_item(publishing):
    await publishing.fill()
    assert await publishing.run() == 5
    await publishing.fill()
    assert await publishing.run() == 0
    assert publishing.loki.size == 5


async def test_two_publishers_share_the_work(publishing):
    other = Publisher(publishing.store, publishing.clock, publishing.loki)
    assert sorted([await publishing.run(), await other.run_once(publishing.loaded)]) == [0, 5]
    await other.close()


async def test_what_only_a_receiver_asks_for_is_done_when_it_is_there(publishing):
    async with publishing.store.transaction(NAME) as tx:
        await tx.enqueue("notification", "digest:1", {"kind": "digest"}, T0)
    assert await publishing.run() == 6
    assert not publishing.waiting()


async def test_secrets_in_log_text_are_masked_before_an_event_leaves():
    incident = make_incident(title="login failed for password=hunter2hunter2")
    payload = event_payload(make_event(text="Authorization: Bearer abcdefghijklmnop1234"), incident, 0)
    assert "hunter2hunter2" not in payload["line"]
    assert "abcdefghijklmnop1234" not in payload["line"]


def test_an_event_says_in_its_metadata_what_it_was_for_the_first_time_and_how_its_incident_stands_then():
    event = make_event("verified", data={"first": "resolved", "else": "nothing"})
    metadata = event_payload(event, make_incident(status=Status.RESOLVED), 0)["metadata"]
    assert (metadata["first"], metadata["status"]) == ("resolved", "resolved")
    assert "else" not in metadata
    assert "first" not in event_payload(make_event("verified"), make_incident(), 0)["metadata"]


def test_the_pauses_double_with_jitter_and_have_an_end():
    assert SECOND <= pause(0) <= 2 * SECOND
    assert 2 * SECOND <= pause(1) <= 4 * SECOND
    assert 5 * MINUTE <= pause(100) <= 10 * MINUTE
    assert len({pause(5) for _ in range(20)}) > 1
