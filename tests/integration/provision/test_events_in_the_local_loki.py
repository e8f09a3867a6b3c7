"""Incident events in Loki: few labels, few kinds, once, and LogQL can count and alert on them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from builders import make_event, make_incident
from incidentlens.config.loader import Loaded
from incidentlens.intake.loki import LokiClient, LokiSettings
from incidentlens.model.clock import MINUTE, SECOND, ManualClock, SystemClock
from incidentlens.publish.loki_events import event_payload
from incidentlens.publish.publisher import Publisher
from incidentlens.store.memory import MemoryStore
from local_loki_process import local_loki

KINDS = ("opened", "analysed", "decided", "notified", "verifying", "delivered", "verified")


@pytest.fixture
async def loki(tmp_path: Path) -> AsyncIterator[LokiSettings]:
    async with local_loki(tmp_path / "loki") as settings:
        yield settings


async def test_events_arrive_once_with_few_labels_and_can_be_counted(loki: LokiSettings) -> None:
    store, now = MemoryStore(), SystemClock().now()
    clock = ManualClock(now)
    async with store.transaction("shop") as tx:
        for number in range(20):
            incident = make_incident(f"i{number}", project="shop", title="password=hunter22secret leaks")
            for step, kind in enumerate(KINDS):
                event = make_event(kind, f"i{number}", at=now - MINUTE + step * SECOND, text=f"{kind} {number}")
                await tx.enqueue("loki", f"{number}:{kind}", event_payload(event, incident, number), now - MINUTE)
    project = SimpleNamespace(name="shop", loki=loki)
    loaded = cast(Loaded, SimpleNamespace(projects={"shop": project}))
    publisher = Publisher(store, clock)
    while await publisher.run_once(loaded):
        pass
    # A process that was killed after it pushed and before it noted that: everything once more.
    for waiting in store.outbox.values():
        waiting.done_at = None
        waiting.leased_until = None
    while await publisher.run_once(loaded):
        pass
    await publisher.close()
    async with LokiClient(loki) as client:
        series = await client.series('{job="incidentlens"}', now - 10 * MINUTE, now + MINUTE)
        assert {tuple(sorted(labels)) for labels in series} <= {
            ("job", "kind", "project", "service_name"),
            ("detected_level", "job", "kind", "project", "service_name"),
        }
        assert {labels["kind"] for labels in series} == set(KINDS)
        count = 'sum by (kind) (count_over_time({job="incidentlens", project="shop"} [10m]))'
        counted = {row["metric"]["kind"]: row["value"][1] for row in await client.query_vector(count, now)}
        assert counted == dict.fromkeys(KINDS, "20")
        escalated = 'sum by (severity) (count_over_time({job="incidentlens", kind="opened"} | severity != "" [10m]))'
        assert len(await client.query_vector(escalated, now)) == 1
        leaked = 'count_over_time({job="incidentlens"} |= "hunter22secret" [10m])'
        assert await client.query_vector(leaked, now) == []
