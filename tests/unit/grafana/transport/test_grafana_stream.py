"""The channel `incidents` of Grafana Live."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio
import orjson
import pytest

from api_app import BANK_EDITOR, SHOP_EDITOR
from grafana_asking import Plugin, context
from incidentlens.config.loader import load_config
from incidentlens.grafana.pb import pluginv2_pb2 as v2
from incidentlens.grafana.stream import MOST_INCIDENTS, Hub
from incidents_in_store import put


async def ids(stream: Any) -> list[str]:
    """The incidents of the next packet."""
    packet = await asyncio.wait_for(stream.read(), 5)
    assert packet is not grpc.aio.EOF
    frame = orjson.loads(packet.data)
    names = [field["name"] for field in frame["schema"]["fields"]]
    return frame["data"]["values"][names.index("id")]


async def first(stream: Any) -> list[str]:
    """The next packet that is not "look again"."""
    while not (found := await ids(stream)):
        pass
    return found


async def to_the_end(stream: Any) -> None:
    while await stream.read():
        pass


async def test_a_change_reaches_whoever_follows_and_only_them(plugin: Plugin) -> None:
    shop, again, bank = plugin.stream(context()), plugin.stream(context()), plugin.stream(context(BANK_EDITOR))
    for stream in (shop, again, bank):
        assert await ids(stream) == []
    await asyncio.sleep(0.5)
    await put(plugin.store)
    assert await first(shop) == ["i1"]
    assert await first(again) == ["i1"]
    await put(plugin.store, "b1", "bank")
    assert await first(bank) == ["b1"]


async def test_many_followers_share_one_reader_and_it_ends_with_the_last(plugin: Plugin) -> None:
    hub = plugin.server._hub
    streams = [plugin.stream(context()) for _ in range(20)]
    for stream in streams:
        await ids(stream)
    assert hub.followers == 20
    assert len(hub._readers) == 1
    for stream in streams:
        stream.cancel()  # Grafana hangs up
    async with asyncio.timeout(5):
        while hub.followers or hub._readers:
            await asyncio.sleep(0.01)


async def test_whether_a_channel_may_be_followed_is_decided_by_the_token(plugin: Plugin) -> None:
    async def status(of: v2.PluginContext, path: str = "incidents") -> int:
        asked = v2.SubscribeStreamRequest(pluginContext=of, path=path)
        answer = await plugin.ask("/pluginv2.Stream/SubscribeStream", asked)
        return int(answer.status)

    response = v2.SubscribeStreamResponse
    assert await status(context()) == response.OK
    assert await status(context(role="Viewer")) == response.OK
    assert await status(context(), "other") == response.NOT_FOUND
    assert await status(context(None)) == response.PERMISSION_DENIED
    assert await status(context(BANK_EDITOR, project="shop")) == response.PERMISSION_DENIED
    answer = await plugin.ask("/pluginv2.Stream/PublishStream", v2.PublishStreamRequest(pluginContext=context()))
    assert answer.status == v2.PublishStreamResponse.PERMISSION_DENIED


async def test_a_stream_without_a_token_or_to_nowhere_is_refused(plugin: Plugin) -> None:
    for stream, code in (
        (plugin.stream(context("wrong-token-of-nobody")), grpc.StatusCode.UNAUTHENTICATED),
        (plugin.stream(context(), "nowhere"), grpc.StatusCode.NOT_FOUND),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stream.read()
        assert caught.value.code() is code


async def test_a_token_that_is_taken_away_ends_its_stream(plugin: Plugin) -> None:
    stream = plugin.stream(context())
    await ids(stream)
    path = plugin.loaded.path
    path.write_text(path.read_text().replace(SHOP_EDITOR, "another-editors-token"))
    plugin.loaded = load_config(path)
    await put(plugin.store)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await first(stream)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_server_that_stops_ends_streams_so_that_grafana_asks_again(plugin: Plugin) -> None:
    stream = plugin.stream(context())
    await ids(stream)
    await plugin.server.stop()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await to_the_end(stream)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_more_changes_than_a_packet_holds_say_look_again(plugin: Plugin) -> None:
    hub = Hub(plugin.store)
    frame = orjson.loads(await hub._frame("shop", []))
    assert frame["data"]["values"][0] == []

    async def many(_project: str) -> Any:
        for number in range(MOST_INCIDENTS + 5):
            yield f"i{number}"
        await asyncio.sleep(60)

    class Noisy:
        queries = plugin.store.queries
        changes = staticmethod(many)

    noisy = Hub(Noisy())  # type: ignore[arg-type]
    following = noisy.follow("shop")
    assert orjson.loads(await asyncio.wait_for(anext(following), 5))["data"]["values"][0] == []
    await following.aclose()


async def test_a_follower_who_is_too_slow_is_told_to_look_again(plugin: Plugin) -> None:
    hub = Hub(plugin.store)
    following = hub.follow("shop")
    await anext(following)
    for number in range(50):
        hub._tell("shop", str(number).encode())
    heard = [await asyncio.wait_for(anext(following), 5) for _ in range(2)]
    assert b"schema" in heard[0] or b"schema" in heard[1]
    await following.aclose()
