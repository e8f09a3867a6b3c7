"""What people say acts, is shown, and can be withdrawn; earlier incidents; a policy tried on the past."""

from __future__ import annotations

import httpx

from api_app import Api
from builders import T0
from incidentlens.model.clock import MINUTE
from incidentlens.model.terms import Status
from incidents_in_store import put


async def test_feedback_acts_on_the_next_incident_until_it_is_withdrawn(api: Api, editor: httpx.AsyncClient) -> None:
    await put(api.store, "old", status=Status.CLOSED, ended_at=T0 + 2 * MINUTE)
    await put(api.store, "new")
    body = {"verdict": "wrong_cause", "service": "payment", "text": "their pool"}
    said = (await editor.post("/api/incidents/old/feedback", json=body)).json()
    acting = (await editor.get("/api/incidents/new/feedback")).json()["items"]
    assert {(one["kind"], one["about"], one["votes"]) for one in acting} == {
        ("cause", "payment", 1), ("cause", "db", -1),
    }  # fmt: skip
    page = (await editor.get("/incidents/new")).text
    assert "ranked up: people said so once" in page
    path = f"/api/incidents/old/feedback/{said['id']}/withdraw"
    assert (await editor.post(path)).status_code == 204
    assert (await editor.post(path)).status_code == 409
    assert (await editor.post("/api/incidents/old/feedback/f_none/withdraw")).status_code == 404
    assert (await editor.get("/api/incidents/new/feedback")).json()["items"] == []
    kept = (await editor.get("/api/incidents/old/feedback")).json()["feedback"]
    assert kept[0]["withdrawn_by"].startswith("ann")


async def test_a_viewer_may_not_say_or_withdraw_anything(api: Api, viewer: httpx.AsyncClient) -> None:
    await put(api.store)
    assert (await viewer.post("/api/incidents/i1/feedback", json={"verdict": "noise"})).status_code == 403
    assert (await viewer.post("/api/incidents/i1/feedback/f_1/withdraw")).status_code == 403


async def test_similar_incidents_come_with_reasons_and_what_ended_them(api: Api, editor: httpx.AsyncClient) -> None:
    await put(api.store, "old")
    await put(api.store, "new")
    await put(api.store, "theirs", project="bank")
    await editor.post("/api/incidents/old/close", json={"text": "pool raised"})
    (one,) = (await editor.get("/api/incidents/new/similar")).json()["items"]
    assert (one["past"]["id"], one["score"]) == ("old", 1.0)
    assert one["resolved_by"].startswith("closed by ann")
    assert "pool raised" in (await editor.get("/incidents/new")).text
    assert (await editor.get("/api/incidents/new/similar", params={"limit": 99})).status_code == 422


async def test_a_policy_is_tried_on_the_past_and_nothing_changes(api: Api, viewer: httpx.AsyncClient) -> None:
    await put(api.store)
    before = (await viewer.get("/api/incidents/i1/decisions")).json()["items"]
    answer = await viewer.post("/api/policy/backtest", json={"since": "30d", "settings": ["min_count=1000"]})
    assert answer.status_code == 200, answer.text
    assert answer.json()["decisions"] + answer.json()["skipped"] == 1
    assert (await viewer.get("/api/incidents/i1/decisions")).json()["items"] == before
    refused = await viewer.post("/api/policy/backtest", json={"policy": "cooldwn_minutes: 3"})
    assert refused.status_code == 400
    assert "did you mean 'cooldown_minutes'" in refused.text
    assert (await viewer.post("/api/policy/backtest", json={})).status_code == 400


async def test_the_page_tries_a_policy_and_keeps_what_was_typed(api: Api, local: httpx.AsyncClient) -> None:
    assert "cooldown_minutes" in (await local.get("/policy", params={"project": "shop"})).text
    form = {"project": "shop", "since": "7d", "policy": "min_count: <b>"}
    page = await local.post("/policy", data=form)
    assert "min_count" in page.text
    assert "&lt;b&gt;" in page.text
    tried = await local.post("/policy", data={**form, "policy": "min_count: 7"})
    assert "0 of 0 incidents" in tried.text
