"""What the pipeline writes, the pages and the API can show: a whole failure from its lines to the page."""

from __future__ import annotations

import re

import httpx

from api_app import NOW, Api
from grafana_samples import ask
from incidentlens.grafana.frames import to_rows
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


async def test_the_page_and_the_node_graph_tell_the_same_chain(open_api: Api, local: httpx.AsyncClient) -> None:
    end = await play(open_api.store, open_api.loaded.projects["shop"], "db_cascade", NOW)
    open_api.clock.set(end)
    rows = (await local.get("/api/incidents?sort=severity")).json()["items"]
    told = next(row for row in rows if row["cause_service"] == "orders")
    page = (await local.get(f"/incidents/{told['id']}")).text
    shown = re.findall(r'<li class="role-(\w+)">\s*<div class="stop"><b>([^<]+)</b>', page)
    frames = await ask(open_api.store, {"queryType": "root_cause", "incidentId": told["id"]})
    nodes = [row for frame in frames if frame.name == "nodes" for row in to_rows(frame)]
    drawn = [
        (node["detail__role"], node["subtitle"], node["detail__evidence"])
        for node in nodes
        if node["id"].startswith("problem:") and node["detail__role"] != "other"
    ]
    detail = await open_api.store.queries.incident_detail("shop", told["id"])
    assert detail is not None
    assert detail.incident.root_cause is not None
    chain = detail.incident.root_cause.chain
    assert len(chain) > 2
    assert shown == [(step.role, step.service) for step in chain]
    assert sorted(drawn) == sorted((step.role, step.service, ", ".join(step.evidence[:5])) for step in chain)
