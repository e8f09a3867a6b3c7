"""Resource calls: the HTTP API over gRPC, for the data source's project only."""

from __future__ import annotations

import grpc
import orjson
import pytest

from api_app import BANK_EDITOR, SHOP_EDITOR, SHOP_VIEWER
from grafana_asking import Plugin, context
from incidentlens.grafana.pb import pluginv2_pb2 as v2
from incidents_in_store import put


async def test_a_resource_call_answers_as_the_http_api_does(plugin: Plugin) -> None:
    await put(plugin.store)
    status, said = await plugin.call(context(), "incidents", query="limit=1&sort=severity")
    assert status == 200
    assert [incident["id"] for incident in said["items"]] == ["i1"]
    status, said = await plugin.call(context(), "incidents/i1/evidence")
    assert status == 200
    assert said["items"]


async def test_an_editor_closes_an_incident_and_it_is_kept_who_did(plugin: Plugin) -> None:
    await put(plugin.store)
    status, said = await plugin.call(context(login="zoe"), "incidents/i1/close", "POST", body={"text": "fixed"})
    assert (status, said["status"]) == (200, "closed")
    _, timeline = await plugin.call(context(), "incidents/i1/timeline")
    assert "zoe in Grafana, token ann" in str(timeline)


@pytest.mark.parametrize(
    ("token", "role"),
    [(SHOP_EDITOR, "Viewer"), (SHOP_EDITOR, None), (SHOP_EDITOR, ""), (SHOP_EDITOR, "editor"), (SHOP_VIEWER, "Admin")],
)
async def test_neither_a_viewer_nor_a_viewers_token_changes_anything(
    plugin: Plugin, token: str, role: str | None
) -> None:
    await put(plugin.store)
    of = context(token, role)
    status, said = await plugin.call(of, "incidents/i1/close", "POST", body={})
    assert status == 403
    assert ("only the roles Editor and Admin" if token == SHOP_EDITOR else "may only read") in said["error"]
    assert (await plugin.call(of, "incidents/i1"))[1]["incident"]["status"] == "open"


@pytest.mark.parametrize("token", [None, "", "x" * 5000, "wrong-token-of-nobody", "\x00", " "])
async def test_without_a_known_token_nothing_is_told_and_grafana_does_not_think_of_its_own_login(
    plugin: Plugin, token: str | None
) -> None:
    await put(plugin.store)
    status, said = await plugin.call(context(token), "incidents")
    assert status == 403
    assert list(said) == ["error"]
    assert "token" in said["error"]


async def test_a_token_of_another_project_sees_none_of_ours(plugin: Plugin) -> None:
    await put(plugin.store)
    assert (await plugin.call(context(BANK_EDITOR), "incidents"))[1]["items"] == []
    assert (await plugin.call(context(BANK_EDITOR), "incidents/i1"))[0] == 404
    assert (await plugin.call(context(BANK_EDITOR), "incidents", query="project=shop"))[0] == 403
    assert (await plugin.call(context(BANK_EDITOR, project="shop"), "incidents"))[0] == 403


async def test_a_call_that_comes_from_no_data_source_is_refused(plugin: Plugin) -> None:
    assert (await plugin.call(v2.PluginContext(orgId=1, user=v2.User(login="a", role="Admin")), "incidents"))[0] == 403


@pytest.mark.parametrize(
    "path",
    ["", "/", "nothing", "../metrics", "..", "incidents/../../metrics", "incidents//i1", "changes", "changes/",
     "v2/alerts", "replay", "./changes",
     "incidents/./i1", "%2e%2e/metrics", "incidents\\..\\..", "incidents/" + "x" * 3000],
)  # fmt: skip
async def test_paths_that_are_not_the_apis_lead_nowhere(plugin: Plugin, path: str) -> None:
    status, said = await plugin.call(context(), path)
    assert status in (404, 414, 422)
    assert said["error"]


async def test_unknown_methods_bodies_and_keys_get_an_error_that_says_what_to_do(plugin: Plugin) -> None:
    await put(plugin.store)
    assert (await plugin.call(context(), "incidents", "BREW"))[0] == 405
    assert (await plugin.call(context(), "incidents", "DELETE"))[0] == 405
    status, said = await plugin.call(context(), "incidents/i1/close", "POST", body={"txet": "typo"})
    assert status == 422
    assert "txet" in said["error"]
    assert (await plugin.call(context(), "incidents", query="limit=999999"))[0] == 422
    assert (await plugin.call(context(), "incidents", query="limit=1&%zz=\x00\ud7ff"))[0] == 200


async def test_cookies_and_origins_of_grafanas_site_do_not_reach_the_api(plugin: Plugin) -> None:
    await put(plugin.store)
    status, _ = await plugin.call(
        context(), "incidents/i1/ignore", "POST", body={}, Cookie="grafana_session=1", Origin="https://grafana.example",
        Authorization="Bearer wrong", Host="evil.example",
    )  # fmt: skip
    assert status == 200


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("db:ERROR:connection_pool_exhausted#0001", "db:ERROR:connection_pool_exhausted%230001?bucket=1h"),
        ("db:ERROR:connection_pool_exhausted", "db:ERROR:connection_pool_exhausted#0001?bucket=1h"),  # Grafana 9
    ],
)
async def test_a_signature_is_found_by_its_name(plugin: Plugin, path: str, url: str) -> None:
    await put(plugin.store)
    asked = v2.CallResourceRequest(
        pluginContext=context(), path=f"signatures/{path}", method="GET", url=f"signatures/{url}"
    )
    [answer] = [part async for part in plugin.follow("/pluginv2.Resource/CallResource", asked)]
    said = orjson.loads(answer.body)
    assert (answer.code, said["template"]["signature"]) == (200, "db:ERROR:connection_pool_exhausted#0001")
    assert said["bucket"] == 3_600_000_000_000


async def test_without_required_tokens_the_settings_choose_the_project(open_plugin: Plugin) -> None:
    await put(open_plugin.store)
    await put(open_plugin.store, "b1", "bank")
    assert [i["id"] for i in (await open_plugin.call(context(None), "incidents"))[1]["items"]] == ["i1"]
    of = context(None, project="bank")
    assert [i["id"] for i in (await open_plugin.call(of, "incidents"))[1]["items"]] == ["b1"]
    assert (await open_plugin.call(context(None, project="nope"), "incidents"))[0] == 404
    assert (await open_plugin.call(context(None, "Viewer"), "incidents/i1/close", "POST", body={}))[0] == 403


async def test_a_request_too_large_is_refused_before_it_is_read(plugin: Plugin) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await plugin.call(context(), "deploys", "POST", body="x" * (17 << 20))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    status, _ = await plugin.call(context(), "deploys", "POST", body="x" * (2 << 20))
    assert status == 413
