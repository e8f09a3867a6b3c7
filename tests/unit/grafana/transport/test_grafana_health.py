"""What Save & test says, and what is told without a token."""

from __future__ import annotations

import asyncio

import grpc
import grpc.aio
import orjson
import pytest
from google.protobuf.empty_pb2 import Empty

from api_app import BANK_EDITOR, SHOP_VIEWER
from grafana_asking import Plugin, context
from incidentlens.grafana import server
from incidentlens.grafana.pb import goplugin_pb2, health_pb2
from incidentlens.grafana.pb import pluginv2_pb2 as v2
from incidentlens.grafana.server import ListenError, Server
from incidentlens.model.clock import SECOND
from incidents_in_store import put

OK, ERROR = v2.CheckHealthResponse.OK, v2.CheckHealthResponse.ERROR


async def test_health_tells_the_project_its_open_incidents_and_how_fresh_it_is(plugin: Plugin) -> None:
    await put(plugin.store)
    plugin.sidecar.runners["shop"].health.last_tick = plugin.clock.now() - 3 * SECOND
    said = await plugin.health(context())
    assert said.status == OK
    assert said.message == "Project shop: 1 open incident. Its Loki was last read 3 s ago."
    assert orjson.loads(said.jsonDetails)["verboseMessage"].startswith(
        "ann in Grafana, token ann: may read and change."
    )
    said = await plugin.health(context(SHOP_VIEWER))
    assert "may read. " in orjson.loads(said.jsonDetails)["verboseMessage"]
    assert (await plugin.health(context(BANK_EDITOR))).message.startswith("Project bank: 0 open incidents.")


async def test_health_says_that_loki_is_away(plugin: Plugin) -> None:
    plugin.sidecar.runners["shop"].health.error = "loki is not there"
    said = await plugin.health(context())
    assert said.status == OK
    assert said.message.endswith("Reading its Loki fails, so nothing new is found: Loki is not there.")


@pytest.mark.parametrize(
    ("of", "word"),
    [
        (context(None), "has no token"),
        (context("some-wrong-token-here"), "is not known"),
        (context(BANK_EDITOR, project="shop"), "is not for project 'shop'"),
        (v2.PluginContext(), "comes from no data source"),
    ],
)
async def test_health_without_the_right_token_is_an_error_that_says_what_to_do(
    plugin: Plugin, of: v2.PluginContext, word: str
) -> None:
    await put(plugin.store)
    said = await plugin.health(of)
    assert said.status == ERROR
    assert word in said.message
    assert "incident." not in said.message


@pytest.mark.parametrize("settings", [b"", b"{", b"[]", b'"x"', b"null", b"\xff", b'{"project": 7}', b"[" * 70_000])
async def test_settings_that_are_no_json_object_are_told_or_passed_over(plugin: Plugin, settings: bytes) -> None:
    of = context()
    of.dataSourceInstanceSettings.jsonData = settings
    said = await plugin.health(of)
    assert said.status == (OK if settings in (b"", b'{"project": 7}') else ERROR)


async def test_health_says_that_the_store_is_away(plugin: Plugin) -> None:
    await plugin.store.close()
    said = await plugin.health(context())
    assert said.status == ERROR
    assert "its store does not" in said.message


async def test_metrics_come_without_a_token_and_tell_of_no_project(plugin: Plugin) -> None:
    await put(plugin.store)
    await plugin.health(context())
    of = v2.PluginContext(pluginId="incidentlens-datasource")
    said = await plugin.ask("/pluginv2.Diagnostics/CollectMetrics", v2.CollectMetricsRequest(pluginContext=of))
    text = said.metrics.prometheus.decode()
    assert 'incidentlens_grafana_calls_total{code="ok",method="CheckHealth"}' in text
    assert "shop" not in text


async def test_grafanas_loader_finds_its_services(plugin: Plugin) -> None:
    check = plugin.channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    answer = await check(health_pb2.HealthCheckRequest(service="plugin"))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    stdio = plugin.channel.unary_stream(
        "/plugin.GRPCStdio/StreamStdio",
        request_serializer=Empty.SerializeToString,
        response_deserializer=goplugin_pb2.StdioData.FromString,
    )(Empty())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(stdio.read(), 0.1)


async def test_a_shutdown_is_acknowledged_and_a_sidecar_goes_on(plugin: Plugin) -> None:
    shutdown = plugin.channel.unary_unary(
        "/plugin.GRPCController/Shutdown",
        request_serializer=goplugin_pb2.Empty.SerializeToString,
        response_deserializer=goplugin_pb2.Empty.FromString,
    )
    await shutdown(goplugin_pb2.Empty())
    await asyncio.sleep(0.1)
    assert plugin.shutdowns == 1
    lasting = Server(plugin.backend)
    port = await lasting.start("127.0.0.1:0")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        for _ in range(2):
            await channel.unary_unary("/plugin.GRPCController/Shutdown")(b"")
    await lasting.stop()


async def test_an_address_that_is_taken_is_told_and_not_shared(plugin: Plugin) -> None:
    with pytest.raises(ListenError, match=r"grafana\.listen"):
        await Server(plugin.backend).start(f"127.0.0.1:{plugin.port}")


async def test_what_is_no_message_and_what_is_not_there_gets_a_code(plugin: Plugin) -> None:
    with pytest.raises(grpc.aio.AioRpcError):
        await plugin.channel.unary_unary("/pluginv2.Diagnostics/CheckHealth")(b"\xff\xff\xff")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await plugin.channel.unary_unary("/pluginv2.AdmissionControl/ValidateAdmission")(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert (await plugin.health(context())).status == OK


async def test_streams_that_anybody_may_open_never_use_up_the_calls(
    plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MAX_IDLE", 3)
    open_stdio = plugin.channel.unary_stream("/plugin.GRPCStdio/StreamStdio")
    streams = [open_stdio(b"") for _ in range(3)]
    async with asyncio.timeout(5):
        while plugin.server._idle < 3:
            await asyncio.sleep(0.01)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await open_stdio(b"").read()
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    for stream in streams:
        stream.cancel()
    async with asyncio.timeout(5):
        while plugin.server._idle:
            await asyncio.sleep(0.01)
