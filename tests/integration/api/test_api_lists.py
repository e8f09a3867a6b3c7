from __future__ import annotations

import httpx

from api_app import NOW, Api
from builders import T0, make_template
from incidentlens.model.clock import DAY, HOUR, MINUTE
from incidentlens.model.records import LINES, empty
from incidentlens.model.signatures import SignatureCount
from incidentlens.model.terms import Level
from incidentlens.pipeline.engine import Engine, Intake
from incidentlens.store.base import StoreError
from incidents_in_store import PAY, POOL, put


async def counted(api: Api) -> None:
    await put(api.store)
    async with api.store.transaction("shop") as tx:
        await tx.save_templates([make_template("x:INFO:new#1", level=Level.INFO, first_seen=NOW, count=1)])
        await tx.add_counts(
            [SignatureCount(service="db", signature=POOL, level=Level.ERROR, bucket=NOW - NOW % MINUTE, count=50)]
        )


async def test_signatures_are_listed_in_three_orders(api: Api, viewer: httpx.AsyncClient) -> None:
    await counted(api)
    top = (await viewer.get("/api/signatures")).json()["items"]
    assert top[0]["signature"] in (POOL, PAY)
    assert sum(next(row for row in top if row["signature"] == POOL)["spark"]) == 50
    assert (await viewer.get("/api/signatures?sort=new")).json()["items"][0]["signature"] == "x:INFO:new#1"
    assert [row["signature"] for row in (await viewer.get("/api/signatures?sort=growing")).json()["items"]] == [POOL]
    assert len((await viewer.get("/api/signatures?level=info")).json()["items"]) == 1
    assert (await viewer.get("/api/signatures?level=loud")).status_code == 400
    assert (await viewer.get("/api/signatures?q=timed+out")).json()["items"][0]["signature"] == PAY


async def test_a_signature_has_its_series_and_incidents(api: Api, viewer: httpx.AsyncClient) -> None:
    await counted(api)
    found = (await viewer.get("/api/signatures/" + POOL.replace("#", "%23"))).json()
    assert found["services"] == [{"service": "db", "count": 50}]
    assert [row["id"] for row in found["incidents"]] == ["i1"]
    assert (await viewer.get("/api/signatures/none")).status_code == 404
    assert (await viewer.get("/api/signatures/x?bucket=1s")).status_code == 400


async def test_a_persons_name_for_a_signature_outlives_the_next_tick(api: Api, editor: httpx.AsyncClient) -> None:
    engine = Engine(api.loaded.projects["shop"], api.store, api.clock)
    await put(api.store)
    await engine.watches()
    answer = await editor.post(f"/api/signatures/{POOL}/label".replace("#", "%23"), json={"label": "Pool  empty"})
    assert answer.json()["label"] == "Pool empty"
    await engine.tick(Intake(lines=empty(LINES), until=NOW))
    assert (await editor.get("/api/signatures?q=empty")).json()["items"][0]["label"] == "Pool empty"
    assert (await editor.post("/api/signatures/none/label", json={"label": "x"})).status_code == 404


async def test_runbooks_come_with_their_hits(api: Api, viewer: httpx.AsyncClient) -> None:
    await put(api.store)
    await put(api.store, "i2", runbook="long-gone")
    found = (await viewer.get("/api/runbooks?since=30d")).json()
    assert found["incidents"] == 2
    by_id = {use["id"]: use for use in found["items"]}
    assert (by_id["db-pool-exhausted"]["matches"], by_id["db-pool-exhausted"]["share"]) == (1, 0.5)
    assert by_id["db-pool-exhausted"]["steps"]
    assert by_id["long-gone"]["disposition"] is None
    assert len(found["items"]) > 28
    assert len((await viewer.get("/api/runbooks?matched=true")).json()["items"]) == 2


async def test_each_pattern_of_a_runbook_says_when_it_last_matched(api: Api, viewer: httpx.AsyncClient) -> None:
    (book,) = (book for book in api.loaded.projects["shop"].runbooks if book.id == "db-pool-exhausted")
    first, second, *_ = pairs = [(book.id, pattern) for pattern in book.patterns]
    async with api.store.transaction("shop") as tx:
        await tx.know_patterns([*pairs, ("long-gone", "x")], NOW - 40 * DAY)
        await tx.patterns_matched([first, ("unknown", "y")], NOW - 2 * DAY)
        await tx.patterns_matched([first], NOW - 3 * DAY)
    found = (await viewer.get("/api/runbooks")).json()["items"]
    use = next(use for use in found if use["id"] == book.id)
    assert use["pattern_matches"] == {**{pattern: None for _, pattern in pairs}, first[1]: NOW - 2 * DAY}
    assert len(use["hints"]) == len(pairs) - 1
    assert any(repr(second[1]) in hint and "40 days" in hint for hint in use["hints"])
    async with api.store.transaction("shop") as tx:
        await tx.know_patterns([second], NOW)  # the others are no longer in any runbook
    assert [use.pattern for use in await api.store.queries.pattern_uses("shop")] == [second[1]]
    assert (await api.store.queries.pattern_uses("shop"))[0].since == NOW - 40 * DAY


async def test_stats_tell_the_day(api: Api, viewer: httpx.AsyncClient) -> None:
    await put(api.store)
    stats = (await viewer.get("/api/stats")).json()
    assert (stats["opened"], stats["open_now"], stats["by_severity"]) == (1, 1, {"high": 1})
    assert (await viewer.get("/api/stats?since=9000d&bucket=1m")).status_code == 400


async def test_deploys_are_announced_once(editor: httpx.AsyncClient) -> None:
    body = {"service": "db", "version": "1.2", "at": "2025-06-15T15:00:00Z", "planned_minutes": 5}
    first = await editor.post("/api/deploys", json=body)
    assert first.status_code == 201
    assert first.json()["planned_until"] - first.json()["at"] == 5 * MINUTE
    await editor.post("/api/deploys", json=body)
    assert len((await editor.get("/api/deploys?service=db")).json()["items"]) == 1
    assert (await editor.post("/api/deploys", json={"service": ""})).status_code == 422
    assert (await editor.post("/api/deploys", json={"service": "x", "at": "soon"})).status_code == 400


async def test_maintenance_is_announced_listed_and_ended(api: Api, editor: httpx.AsyncClient) -> None:
    window = (await editor.post("/api/maintenance", json={"minutes": 30, "services": ["db"], "reason": "move"})).json()
    assert window["ends_at"] - window["starts_at"] == 30 * MINUTE
    assert window["by"] == "ann"
    api.clock.advance(HOUR)
    assert (await editor.get("/api/maintenance")).json()["items"] == []
    assert len((await editor.get("/api/maintenance?past=true")).json()["items"]) == 1
    assert (await editor.delete(f"/api/maintenance/{window['id']}")).status_code == 204
    assert (await editor.delete(f"/api/maintenance/{window['id']}")).status_code == 404
    for wrong in ({}, {"minutes": 5, "ends_at": NOW}, {"ends_at": T0}, {"minutes": -1}, {"minutes": 10**9}):
        assert (await editor.post("/api/maintenance", json=wrong)).status_code == 422, wrong


async def test_health_and_readiness_say_why_not(api: Api) -> None:
    async with api.client() as probe, api.client("shop-viewer-token-1") as viewer:
        assert (await probe.get("/healthz")).json() == {"status": "ok"}
        assert (await probe.get("/readyz")).json()["ready"]
        health = api.sidecar.runners["shop"].health
        health.error, health.failing_since = 'Loki refuses {secret="x"}', T0
        ready = await probe.get("/readyz")
        assert ready.status_code == 503
        assert "reading fails since 2025-06-15 15:06:40 UTC" in ready.json()["projects"]["shop"]
        assert "secret" not in ready.text
        assert "secret" in (await viewer.get("/readyz")).text
        api.sidecar.runners["shop"].health.error = None
        api.sidecar.runners["bank"].health.last_tick = None
        assert (await probe.get("/readyz")).json()["reasons"] == ["project bank: its Loki has not been read yet"]


async def test_metrics_are_given(api: Api) -> None:
    async with api.client() as probe:
        answer = await probe.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "incidentlens_records_total" in answer.text


async def test_a_store_that_is_away_is_503_for_programs_and_a_page_for_people(open_api: Api) -> None:
    class Away:
        def __getattr__(self, name: str) -> object:
            raise StoreError("the database is away; see that PostgreSQL runs")

    open_api.app.state.services.store = type("Store", (), {"queries": Away()})()
    async with open_api.client() as client:
        answer = await client.get("/api/incidents")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.json() == {"error": "the database is away; see that PostgreSQL runs"}
        shown = await client.get("/")
        assert shown.status_code == 503
        assert "PostgreSQL runs" in shown.text
        assert shown.headers["content-type"].startswith("text/html")
        assert (await client.get("/readyz")).json()["reasons"] == [
            "store: the database is away; see that PostgreSQL runs"
        ]


async def test_a_defect_is_500_without_its_details(open_api: Api) -> None:
    class Broken:
        def __getattr__(self, name: str) -> object:
            raise RuntimeError("inner secret")

    open_api.app.state.services.store = type("Store", (), {"queries": Broken()})()
    async with open_api.client() as client:
        answer = await client.get("/api/incidents")
        assert answer.status_code == 500
        assert "secret" not in answer.text


async def test_the_documentation_describes_every_address(viewer: httpx.AsyncClient) -> None:
    document = (await viewer.get("/openapi.json")).json()
    wanted = {
        "/api/incidents", "/api/incidents/{incident_id}", "/api/incidents/{incident_id}/decisions", "/api/signatures",
        "/api/signatures/{signature}", "/api/runbooks", "/api/stats", "/api/deploys", "/api/maintenance",
        "/api/open_alerts", "/api/replay", "/api/v2/alerts", "/alerts", "/healthz", "/readyz", "/metrics",
        "/api/changes",
    }  # fmt: skip
    assert wanted <= set(document["paths"])
    assert "/login" not in document["paths"]
    for path, methods in document["paths"].items():
        for method, entry in methods.items():
            assert entry.get("summary"), (path, method)
            assert entry.get("description"), (path, method)


async def test_what_is_not_there_is_404_and_wrong_methods_are_405(viewer: httpx.AsyncClient) -> None:
    missing = await viewer.get("/api/nothing")
    assert missing.status_code == 404
    assert "/openapi.json" in missing.json()["error"]
    assert (await viewer.delete("/api/incidents")).status_code == 405
