"""What the pipeline writes, the pages and the API can show: a whole failure from its lines to the page."""

from __future__ import annotations

import re

import httpx
import yaml

from api_app import NOW, Api
from grafana_samples import ask
from incidentlens.evals.capture import capture
from incidentlens.grafana.frames import to_rows
from incidentlens.pipeline.backtest import backtest_project
from incidentlens.policy.backtest import changed_policy
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


async def test_a_played_past_is_decided_again_as_it_was_and_otherwise_under_another_policy(
    open_api: Api, local: httpx.AsyncClient
) -> None:
    shop = open_api.loaded.projects["shop"]
    end = await play(open_api.store, shop, "db_cascade", NOW)
    queries = open_api.store.queries
    same = await backtest_project(queries, "shop", shop.policy, since=0)
    assert same.decisions > 0
    assert (same.skipped, same.differences) == (0, ())
    again = await backtest_project(queries, "shop", shop.policy, since=0, runbooks=shop.runbooks)
    assert again.differences == ()
    quiet = await backtest_project(queries, "shop", changed_policy(shop.policy, ["min_count=100000"]), since=0)
    assert quiet.told_before > quiet.told_after == 0
    assert quiet.counts["not_sent"] == quiet.told_before
    told = next(one for one in quiet.differences if "not_sent" in one.changes)
    said = {"verdict": "right_cause"}
    assert (await local.post(f"/api/incidents/{told.incident_id}/feedback", json=said)).status_code == 201
    detail = await queries.incident_detail("shop", told.incident_id)
    assert detail is not None
    open_api.clock.set(end)
    text = capture(detail.incident, detail.feedback, detail.evidence)
    assert yaml.safe_load(text)["cases"][0]["expect"]["causes"][0]["service"] == detail.incident.service
