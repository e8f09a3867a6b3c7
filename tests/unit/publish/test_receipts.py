"""What became of a notification: read back from Grafana, told once."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import httpx

from builders import make_action, make_decision, make_incident
from fake_grafana import FakeGrafana
from incidentlens.config.grafana import GrafanaSettings
from incidentlens.config.loader import Loaded
from incidentlens.model.clock import MINUTE, SECOND, ManualClock
from incidentlens.model.decisions import IncidentEvent
from incidentlens.model.terms import Disposition
from incidentlens.model.times import iso
from incidentlens.publish.receipts import Receipts
from incidentlens.store.base import Store

T0 = 1_763_000_000 * SECOND
KEY = "notify:i1:ESCALATE:0"


class Rig:
    def __init__(self, store: Store) -> None:
        self.store, self.grafana, self.clock = store, FakeGrafana(), ManualClock(T0)
        self.settings = GrafanaSettings("http://grafana", "editor")
        self.restart()

    def restart(self) -> None:
        self.receipts = Receipts(self.store, self.clock, {"shop": self.grafana.client()})

    async def begin(self) -> None:
        values = {"project": "shop", "onset": T0, "opened_at": T0, "last_seen": T0, "updated_at": T0}
        async with self.store.transaction("shop") as tx:
            await tx.save_incident(make_incident(disposition=Disposition.ESCALATE, **values))
            await tx.add_decision(make_decision())
            payload = {"disposition": "ESCALATE", "labels": {}}
            await tx.add_action(make_action(KEY, at=T0, payload=payload, state="done"))

    def fire(self, attempt: int | None = None, error: str = "", **alert: Any) -> None:
        labels = {"incident_id": "i1", "project": "shop", "disposition": "ESCALATE"}
        self.grafana.alerts = [
            {
                "labels": labels, "startsAt": iso(T0 + 8 * SECOND), "status": {"silencedBy": [], "state": "active"},
                "receivers": [{"name": "discord-escalate"}], **alert,
            }
        ]  # fmt: skip
        integration = {
            "name": "discord", "lastNotifyAttempt": "0001-01-01T00:00:00.000Z" if attempt is None else iso(attempt),
            "lastNotifyAttemptError": error,
        }  # fmt: skip
        self.grafana.receivers = [
            {"name": "discord-escalate", "integrations": [integration]},
            {"name": "email-oncall", "integrations": [{**integration, "lastNotifyAttempt": iso(T0 + MINUTE)}]},
        ]

    async def run(self) -> list[IncidentEvent]:
        project = SimpleNamespace(name="shop", grafana=self.settings, loki_events=False)
        await self.receipts.run_once(cast(Loaded, SimpleNamespace(projects={"shop": project})))
        async with self.store.transaction("shop") as tx:
            return await tx.events("i1")


async def test_a_message_that_was_sent_is_told_once_even_by_a_new_process(store: Store) -> None:
    rig = Rig(store)
    await rig.begin()
    rig.fire(attempt=T0 + 14 * SECOND)
    rig.clock.advance(20 * SECOND)
    events = await rig.run()
    assert [(event.kind, event.text) for event in events] == [
        ("delivered", "sent to discord-escalate 14 s after opening")
    ]
    rig.restart()
    assert await rig.run() == events
    asked = len(rig.grafana.asked)
    await rig.run()
    assert len(rig.grafana.asked) == asked  # nothing waits, nothing is asked


async def test_an_attempt_from_before_the_alert_is_not_this_alerts(store: Store) -> None:
    rig = Rig(store)
    await rig.begin()
    rig.fire(attempt=T0 - MINUTE)
    assert await rig.run() == []


async def test_an_error_is_told_without_the_webhooks_secret_and_then_the_success(store: Store) -> None:
    rig = Rig(store)
    await rig.begin()
    rig.fire(attempt=T0 + 9 * SECOND, error='Post "https://discord.com/api/webhooks/1/s3cr3t": connection refused')
    (event,) = await rig.run()
    assert event.kind == "undelivered"
    assert "connection refused" in event.text
    assert "s3cr3t" not in event.text
    rig.clock.advance(70 * SECOND)
    rig.fire(attempt=T0 + 65 * SECOND)
    assert [event.kind for event in await rig.run()] == ["undelivered", "delivered"]


async def test_an_alert_that_never_fires_is_told_after_five_minutes_and_once(store: Store) -> None:
    rig = Rig(store)
    await rig.begin()
    assert await rig.run() == []
    rig.clock.advance(6 * MINUTE)
    (event,) = await rig.run()
    assert "Grafana has no alert for it" in event.text
    assert len(await rig.run()) == 1


async def test_a_silence_in_grafana_is_told(store: Store) -> None:
    rig = Rig(store)
    await rig.begin()
    rig.fire(status={"silencedBy": ["x"], "state": "suppressed"})
    assert [event.text for event in await rig.run()] == ["not sent: somebody has silenced it in Grafana"]


async def test_a_grafana_that_is_away_is_asked_again(store: Store) -> None:
    rig = Rig(store)
    await rig.begin()
    rig.fire(attempt=T0 + 14 * SECOND)
    rig.grafana.fault = lambda request: httpx.Response(503, request=request)
    assert await rig.run() == []
    rig.grafana.fault = None
    assert len(await rig.run()) == 1


async def test_nothing_is_read_back_where_it_is_switched_off(store: Store) -> None:
    rig = Rig(store)
    rig.settings = replace(rig.settings, read_back=False)
    await rig.begin()
    await rig.run()
    assert rig.grafana.asked == []


async def test_a_notification_of_an_earlier_episode_is_not_waited_for(store: Store) -> None:
    rig = Rig(store)
    await rig.begin()
    async with store.transaction("shop") as tx:
        incident = await tx.incident("i1")
        assert incident is not None
        await tx.save_incident(incident.model_copy(update={"reopened": 1}))
    rig.clock.advance(10 * MINUTE)
    assert await rig.run() == []
