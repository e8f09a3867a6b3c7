"""Grafana's side of the plugin protocol, for tests: the data source's server over a real store, and calls to it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import orjson
from google.protobuf.message import Message

from api_app import NOW, SHOP_EDITOR, FakeSidecar
from incidentlens.api.app import create_app
from incidentlens.config.loader import Loaded
from incidentlens.grafana.backend import Backend
from incidentlens.grafana.pb import pluginv2_pb2 as v2
from incidentlens.grafana.server import Server
from incidentlens.model.clock import ManualClock
from incidentlens.store.postgres import PostgresStore

TYPE, UID = "incidentlens-datasource", "incidentlens"
_ANSWERS = {
    "/pluginv2.Diagnostics/CheckHealth": v2.CheckHealthResponse,
    "/pluginv2.Diagnostics/CollectMetrics": v2.CollectMetricsResponse,
    "/pluginv2.Data/QueryData": v2.QueryDataResponse,
    "/pluginv2.Resource/CallResource": v2.CallResourceResponse,
    "/pluginv2.Stream/SubscribeStream": v2.SubscribeStreamResponse,
    "/pluginv2.Stream/PublishStream": v2.PublishStreamResponse,
    "/pluginv2.Stream/RunStream": v2.StreamPacket,
}


def context(
    token: str | None = SHOP_EDITOR, role: str | None = "Admin", login: str = "ann", **settings: Any
) -> v2.PluginContext:
    """What Grafana says of who asks; `settings` are the data source's open ones. Without a role nobody asks."""
    secure = {} if token is None else {"token": token}
    source = v2.DataSourceInstanceSettings(
        id=1, uid=UID, name="IncidentLens", jsonData=orjson.dumps(settings), decryptedSecureJsonData=secure
    )
    user = None if role is None else v2.User(login=login, email=f"{login}@localhost", role=role)
    return v2.PluginContext(orgId=1, pluginId=TYPE, user=user, dataSourceInstanceSettings=source)


class Plugin:
    """The server, and a channel to it."""

    def __init__(self, loaded: Loaded, store: PostgresStore) -> None:
        self.loaded = loaded
        self.store = store
        self.sidecar = FakeSidecar()
        self.clock = ManualClock(NOW)
        self.shutdowns = 0
        self.app = create_app(lambda: self.loaded, store, self.sidecar, self.clock)
        self.backend = Backend(lambda: self.loaded, store, self.clock, self.app, lambda: self.sidecar.runners)
        self.server = Server(self.backend, self._shut_down)
        self.port = 0

    def _shut_down(self) -> None:
        self.shutdowns += 1

    @property
    def channel(self) -> grpc.aio.Channel:
        return self._channel

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Plugin]:
        self.port = await self.server.start("127.0.0.1:0")
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self.port}", options=options) as self._channel:
            try:
                yield self
            finally:
                await self.server.stop()

    async def ask(self, method: str, asked: Message) -> Any:
        """One call with one answer; raises grpc.aio.AioRpcError."""
        call = self.channel.unary_unary(
            method,
            request_serializer=lambda m: m.SerializeToString(),
            response_deserializer=_ANSWERS[method].FromString,
        )
        return await call(asked, timeout=10)

    def follow(self, method: str, asked: Message) -> Any:
        """A call with a stream of answers."""
        call = self.channel.unary_stream(
            method,
            request_serializer=lambda m: m.SerializeToString(),
            response_deserializer=_ANSWERS[method].FromString,
        )
        return call(asked, timeout=20)

    async def health(self, of: v2.PluginContext) -> v2.CheckHealthResponse:
        return await self.ask("/pluginv2.Diagnostics/CheckHealth", v2.CheckHealthRequest(pluginContext=of))

    async def query(self, of: v2.PluginContext, *queries: v2.DataQuery) -> v2.QueryDataResponse:
        asked = v2.QueryDataRequest(pluginContext=of, queries=queries)
        return await self.ask("/pluginv2.Data/QueryData", asked)

    async def call(
        self, of: v2.PluginContext, path: str, method: str = "GET", query: str = "", body: Any = None, **headers: str
    ) -> tuple[int, Any]:
        """A resource call: its status and what it says."""
        asked = v2.CallResourceRequest(
            pluginContext=of,
            path=path,
            method=method,
            url=path + (f"?{query}" if query else ""),
            headers={name: v2.StringList(values=[value]) for name, value in headers.items()},
            body=b"" if body is None else orjson.dumps(body),
        )
        if body is not None:
            asked.headers["Content-Type"].values.append("application/json")
        parts = [part async for part in self.follow("/pluginv2.Resource/CallResource", asked)]
        assert len(parts) == 1
        said = parts[0].body
        with contextlib.suppress(orjson.JSONDecodeError):
            said = orjson.loads(said)
        return parts[0].code, said

    def stream(self, of: v2.PluginContext, path: str = "incidents") -> Any:
        return self.follow("/pluginv2.Stream/RunStream", v2.RunStreamRequest(pluginContext=of, path=path))


def query(query_type: str, ref_id: str = "A", **body: Any) -> v2.DataQuery:
    """A panel's query over the hour around the tests' incidents."""
    return v2.DataQuery(
        refId=ref_id,
        queryType=query_type,
        maxDataPoints=100,
        intervalMS=1000,
        timeRange=v2.TimeRange(fromEpochMS=NOW // 1_000_000 - 3_600_000, toEpochMS=NOW // 1_000_000),
        json=orjson.dumps({"refId": ref_id, "queryType": query_type, **body}),
    )
