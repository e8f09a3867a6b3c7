"""The seed is data like any other: whole, traceable, and quick to read."""

from __future__ import annotations

import pytest

from incidentlens.model.clock import DAY, SECOND
from incidentlens.store.base import StoreRefused
from incidentlens.store.measure import measure
from incidentlens.store.postgres import PostgresStore
from incidentlens.store.seed import seed

NOW = 1_750_000_000 * SECOND


@pytest.mark.slow
async def test_seeded_incidents_can_be_read_counted_and_measured(postgres_store: PostgresStore) -> None:
    await seed(postgres_store, 500, now=NOW)
    found = []
    cursor = None
    while True:
        page = await postgres_store.queries.list_incidents("bench", limit=200, cursor=cursor)
        found += page.items
        if (cursor := page.next_cursor) is None:
            break
    assert len(found) == 500
    stats = await postgres_store.queries.stats("bench", since=NOW - 91 * DAY, until=NOW, bucket=DAY)
    assert stats.opened == 500
    detail = await postgres_store.queries.incident_detail("bench", found[0].id)
    assert detail is not None
    assert detail.incident.problems[0].samples
    assert detail.analysis is not None
    async with postgres_store.transaction("bench") as tx:
        incident = await tx.incident(found[7].id)
        assert incident is not None
        await tx.save_incident(incident)
        assert await tx.incident(found[7].id) == incident
    timings = await measure(postgres_store, now=NOW, repeat=1)
    assert len(timings) > 40
    with pytest.raises(StoreRefused):
        await seed(postgres_store, 1, now=NOW)
