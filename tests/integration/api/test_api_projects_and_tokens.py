from __future__ import annotations

import base64

import httpx

from api_app import BANK_EDITOR, SHOP_EDITOR, SHOP_VIEWER, Api
from builders import T0, make_template
from incidentlens.model.decisions import Deploy, Maintenance
from incidents_in_store import POOL, put

READS = [
    "/api/incidents", "/api/incidents/i1", "/api/incidents/i1/evidence", "/api/incidents/i1/actions",
    "/api/incidents/i1/investigation", "/api/incidents/i1/timeline", "/api/incidents/i1/verification",
    "/api/incidents/i1/decisions", "/api/incidents/i1/report", "/api/signatures",
    f"/api/signatures/{POOL}".replace("#", "%23"),
    "/api/runbooks", "/api/stats", "/api/deploys", "/api/maintenance", "/api/open_alerts", "/", "/incidents/i1",
    "/incidents/i1/report", "/signatures", f"/signatures/{POOL}".replace("#", "%23"), "/runbooks", "/planned",
    "/quarantine", "/api/quarantine",
]  # fmt: skip
WRITES = [
    ("/api/incidents/i1/close", {}), ("/api/incidents/i1/ignore", {}), ("/api/incidents/i1/reopen", {}),
    ("/api/incidents/i1/feedback", {"verdict": "noise"}), ("/api/incidents/i1/merge", {"other": "i2"}),
    ("/api/incidents/i1/split", {"problems": ["p1"]}), ("/api/incidents/i1/relabel", {"title": "x"}),
    (f"/api/signatures/{POOL}/label".replace("#", "%23"), {"label": "x"}),
    ("/api/deploys", {"service": "db"}), ("/api/maintenance", {"minutes": 5}), ("/api/replay", {}),
    ("/api/v2/alerts", []), ("/alerts", {"alerts": []}),
]  # fmt: skip


async def secrets(api: Api) -> None:
    """Things of the shop that nobody of the bank may see."""
    await put(api.store, title="SECRET of the shop")
    async with api.store.transaction("shop") as tx:
        await tx.add_deploy(Deploy(id="dep", project="shop", service="SECRET", at=T0))
        await tx.add_maintenance(
            Maintenance(id="m", project="shop", starts_at=T0, ends_at=T0 + 10**15, reason="SECRET")
        )
        await tx.save_templates([make_template("SECRET#1", template="SECRET <*>")])
        await tx.service_first_seen({"SECRET": T0})


async def test_no_read_crosses_projects(api: Api) -> None:
    await secrets(api)
    async with api.client(SHOP_VIEWER) as shop, api.client(BANK_EDITOR) as bank:
        for path in READS:
            assert (await shop.get(path)).status_code == 200, path
            answer = await bank.get(path)
            assert "SECRET" not in answer.text, path
            assert answer.status_code == (404 if "i1" in path or POOL[:10] in path else 200), path
            for named in ("shop", "nothing"):
                refused = await bank.get(path, params={"project": named})
                assert refused.status_code == 403, path
                assert "SECRET" not in refused.text, path


async def test_no_write_crosses_projects(api: Api) -> None:
    await secrets(api)
    async with api.client(BANK_EDITOR) as bank:
        for path, body in WRITES[:8]:
            assert (await bank.post(path, json=body)).status_code == 404, path
    async with api.store.transaction("shop") as tx:
        incident = await tx.incident("i1")
    assert incident is not None
    assert (incident.status.value, incident.title, incident.labels) == ("open", "SECRET of the shop", {})


async def test_a_merge_with_another_projects_incident_is_404(api: Api) -> None:
    await put(api.store, "i1")
    await put(api.store, "b1", project="bank")
    async with api.client(BANK_EDITOR) as bank:
        assert (await bank.post("/api/incidents/b1/merge", json={"other": "i1"})).status_code == 404


async def test_without_a_token_nothing_is_read(api: Api) -> None:
    for path in (path for path in READS if path.startswith("/api")):
        async with api.client() as nobody:
            answer = await nobody.get(path)
            assert answer.status_code == 401, path
            assert answer.headers["www-authenticate"].startswith("Bearer")
        for wrong in ("wrong-token-wrong", "", "x" * 5000):
            async with api.client(wrong) as stranger:
                assert (await stranger.get(path)).status_code == 401, path


async def test_a_viewer_may_change_nothing(api: Api, viewer: httpx.AsyncClient) -> None:
    await put(api.store)
    for path, body in WRITES:
        answer = await viewer.post(path, json=body)
        assert answer.status_code == 403, path
        assert "role: editor" in answer.json()["error"]
    assert (await viewer.delete("/api/maintenance/m")).status_code == 403


async def test_basic_authentication_takes_the_token_as_password(api: Api) -> None:
    word = base64.b64encode(f"grafana:{SHOP_VIEWER}".encode()).decode()
    async with api.client(None, Authorization=f"Basic {word}") as client:
        assert (await client.get("/api/incidents")).status_code == 200
    async with api.client(None, Authorization="Basic !!") as client:
        assert (await client.get("/api/incidents")).status_code == 401


async def test_without_tokens_the_project_is_named_in_the_query(open_api: Api, local: httpx.AsyncClient) -> None:
    await put(open_api.store, "i1")
    await put(open_api.store, "b1", project="bank")
    assert [row["id"] for row in (await local.get("/api/incidents")).json()["items"]] == ["i1"]
    bank = await local.get("/api/incidents", params={"project": "bank"})
    assert [row["id"] for row in bank.json()["items"]] == ["b1"]
    assert (await local.get("/api/incidents", params={"project": "no"})).status_code == 404
    assert (await local.post("/api/incidents/i1/close", json={"by": "Ann"})).status_code == 200


async def test_a_reloaded_configuration_is_in_force_at_once(api: Api, viewer: httpx.AsyncClient) -> None:
    assert (await viewer.get("/api/stats")).status_code == 200
    import dataclasses

    shop = dataclasses.replace(api.loaded.projects["shop"], tokens=())
    api.loaded = dataclasses.replace(api.loaded, projects={**api.loaded.projects, "shop": shop})
    assert (await viewer.get("/api/stats")).status_code == 401


async def test_a_foreign_host_name_is_refused_without_tokens(open_api: Api) -> None:
    async with httpx.AsyncClient(transport=open_api.transport, base_url="http://evil.example") as client:
        answer = await client.get("/api/incidents")
    assert answer.status_code == 403
    assert "localhost" in answer.json()["error"]


async def test_another_sites_page_cannot_change_anything(open_api: Api) -> None:
    await put(open_api.store)
    for headers, status in (
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Cookie": "incidentlens_token=x"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "http://127.0.0.1:8095"}, 200),
        ({}, 200),
    ):
        async with open_api.client(None, **headers) as client:
            assert (await client.post("/api/incidents/i1/close")).status_code == status, headers


async def test_a_bearer_token_needs_no_origin(api: Api) -> None:
    await put(api.store)
    async with api.client(SHOP_EDITOR, Origin="http://grafana.example") as grafana:
        assert (await grafana.post("/api/incidents/i1/close")).status_code == 200
