"""What the pipeline writes, the pages and the API can show: a whole failure from its lines to the page."""

from __future__ import annotations

import httpx

from api_app import NOW, Api
from played_scenario import play


async def test_a_played_failure_is_told_on_its_page(open_api: Api, local: httpx.AsyncClient) -> None:
    end = await play(open_api.store, open_api.loaded.projects["shop"], "db_cascade", NOW)
    open_api.clock.set(end)
    rows = (await local.get("/api/incidents?sort=severity")).json()["items"]
    told = next(row for row in rows if row["cause_service"] == "orders")
    page = (await local.get(f"/incidents/{told['id']}")).text
    for expected in ("Suspected cause", "role-cause", "Why was nobody told?", "mode shadow", "would have been sent"):
        assert expected in page, expected
    decisions = (await local.get(f"/api/incidents/{told['id']}/decisions")).json()
    assert "shadow" in decisions["why_nobody_was_told"]
    assert (await local.get("/api/open_alerts")).json() == []
    assert (await local.get(f"/api/incidents/{told['id']}/report")).text.startswith("# ")
    assert (await local.get("/signatures?q=pool")).text.count("sig-what") >= 1
