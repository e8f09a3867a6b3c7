"""What persons do to an incident reaches Loki as its other events do, where the project's events go there."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from api_app import SHOP_EDITOR, Api
from incidents_in_store import put


@pytest.mark.parametrize("wanted", [True, False])
async def test_what_a_person_does_is_an_event_for_loki_where_events_go_there(api: Api, wanted: bool) -> None:
    projects = api.loaded.projects
    shop = replace(projects["shop"], loki_events=wanted)
    api.loaded = replace(api.loaded, projects={**projects, "shop": shop})
    await put(api.store)
    async with api.client(SHOP_EDITOR) as editor:
        for _ in range(2):  # a second time changes nothing
            assert (await editor.post("/api/incidents/i1/close", json={"text": "rolled back"})).status_code == 200
        await editor.post("/api/incidents/i1/feedback", json={"verdict": "right_cause"})
        await editor.post("/api/incidents/i1/reopen")
    waiting = [item for item in await api.store.claim_outbox(api.clock.now(), 10) if item.target == "loki"]
    found = [(item.payload["stream"]["kind"], item.payload["metadata"]["status"]) for item in waiting]
    assert found == ([("closed", "closed"), ("feedback", "closed"), ("reopened", "open")] if wanted else [])
    for item in waiting:
        assert orjson.loads(item.payload["line"])["incident"] == "i1"
