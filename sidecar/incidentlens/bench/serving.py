"""A sidecar as people run it (`incidentlens serve` in a process of its own) over a store of a given size, and Grafana's
side of its gRPC port."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio
import orjson

from incidentlens.demo import loki
from incidentlens.demo.children import Child
from incidentlens.demo.ports import free_port
from incidentlens.grafana.pb import pluginv2_pb2 as v2
from incidentlens.store.embedded import EmbeddedPostgres
from incidentlens.store.postgres import PostgresStore
from incidentlens.store.seed import seed

PROJECT = "shop"
_START_S = 180.0


@dataclass(frozen=True, slots=True)
class Served:
    """A running sidecar; `channel` is to its gRPC port."""

    store: PostgresStore
    pid: int
    database_pid: int  # of the process that keeps PostgreSQL; its servers are below it
    channel: grpc.aio.Channel

    def context(self) -> v2.PluginContext:
        """What Grafana says of its data source and of who looks."""
        source = v2.DataSourceInstanceSettings(uid="incidentlens", jsonData=orjson.dumps({"project": PROJECT}))
        user = v2.User(login="bench", role="Viewer")
        return v2.PluginContext(orgId=1, user=user, dataSourceInstanceSettings=source)

    async def query(self, query: v2.DataQuery) -> v2.DataResponse:
        """One panel's query. Raises RuntimeError for an answer that is an error."""
        call = self.channel.unary_unary(
            "/pluginv2.Data/QueryData",
            request_serializer=v2.QueryDataRequest.SerializeToString,
            response_deserializer=v2.QueryDataResponse.FromString,
        )
        asked = v2.QueryDataRequest(pluginContext=self.context(), queries=[query])
        answer = (await call(asked, timeout=60)).responses[query.refId]
        if answer.error:
            raise RuntimeError(f"{query.queryType}: {answer.error}")
        return answer

    def follow(self) -> Any:
        """The stream of changes, as an open dashboard follows it."""
        call = self.channel.unary_stream(
            "/pluginv2.Stream/RunStream",
            request_serializer=v2.RunStreamRequest.SerializeToString,
            response_deserializer=v2.StreamPacket.FromString,
        )
        return call(v2.RunStreamRequest(pluginContext=self.context(), path="incidents"))


@asynccontextmanager
async def served(incidents: int, evidence: int, *, interval_s: int = 30) -> AsyncIterator[Served]:
    """Fill a database, start the sidecar, and stop it all at the end.

    Beside an empty store there is a Loki with nothing in it. Beside a full one Loki is away: made-up incidents that
    are open would all be verified in the first minutes, which is no part of what is measured.
    """
    async with contextlib.AsyncExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="incidentlens-bench-")))
        server = EmbeddedPostgres(folder / "postgres")
        await asyncio.to_thread(server.start)
        running.push_async_callback(asyncio.to_thread, server.stop)
        store = PostgresStore(server.url)
        await store.open()
        running.push_async_callback(store.close)
        if incidents:
            await seed(store, incidents, project=PROJECT, now=time.time_ns(), evidence=evidence)
        url = "http://127.0.0.1:1"
        if not incidents:
            source, url = await loki.start(folder, None)
            running.push_async_callback(source.stop)
        port = free_port(0)
        config = folder / "incidentlens.yaml"
        config.write_text(_configuration(url, server.url, free_port(0), port, interval_s), "utf-8")
        command = [sys.executable, "-m", "incidentlens.cli.main", "serve", "--config", str(config)]
        child = await Child.start("incidentlens serve", command, folder / "serve.log")
        running.push_async_callback(child.stop)
        options = [("grpc.max_receive_message_length", -1)]
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options)
        running.push_async_callback(channel.close)

        async def well() -> bool:
            check = channel.unary_unary(
                "/pluginv2.Diagnostics/CheckHealth",
                request_serializer=v2.CheckHealthRequest.SerializeToString,
                response_deserializer=v2.CheckHealthResponse.FromString,
            )
            try:
                await check(v2.CheckHealthRequest(), timeout=5)
            except grpc.aio.AioRpcError:
                return False
            return True

        await child.answers(well, _START_S)
        yield Served(store, child.pid, server.keeper_pid or 0, channel)


def _configuration(loki_url: str, database_url: str, web_port: int, grafana_port: int, interval_s: int) -> str:
    return f"""version: 1
loki:
  url: "{loki_url}"
store:
  url: "{database_url}"
server:
  listen: "127.0.0.1:{web_port}"
  require_token: false
grafana:
  listen: "127.0.0.1:{grafana_port}"
projects:
  {PROJECT}:
    service_label: service_name
    interval: {interval_s}s
    queries:
      - name: shop
        logql: '{{env="shop"}}'
"""


def panel(query_type: str, days: float, *, points: int = 500, **body: Any) -> v2.DataQuery:
    """A panel's query over the `days` before now, as a panel of 500 pixels asks it."""
    now_ms = time.time_ns() // 1_000_000
    since_ms = now_ms - round(days * 86_400_000)
    return v2.DataQuery(
        refId="A",
        queryType=query_type,
        maxDataPoints=points,
        intervalMS=max(1_000, (now_ms - since_ms) // points),
        timeRange=v2.TimeRange(fromEpochMS=since_ms, toEpochMS=now_ms),
        json=orjson.dumps({"refId": "A", "queryType": query_type, **body}),
    )
