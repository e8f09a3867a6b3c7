"""The gRPC server that Grafana speaks to: Data, Resource, Diagnostics and Stream, and what its plugin loader wants.

Two ways to run it. As a sidecar it lives on whatever Grafana does: the launcher beside Grafana only names its address,
and a Shutdown is acknowledged and ignored. Where the launcher itself became this process, a Shutdown ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, NoReturn, TypeVar

import grpc
import grpc.aio
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from incidentlens.store.base import StoreError

from . import data, health, resources, stream
from .auth import Refused
from .backend import Backend
from .pb import goplugin_pb2, health_pb2, pluginv2_pb2

log = logging.getLogger(__name__)

MAX_REQUEST = 16 * 1024 * 1024  # bytes; Grafana's own SDK takes as much
MAX_CALLS = 1_000
MAX_IDLE = 100  # streams that anybody may open and that never say anything; they may not use up the calls
_LAST_ANSWERS_S = 2.0
_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_REQUEST),
    ("grpc.max_send_message_length", -1),  # each answer is bounded where it is made
    ("grpc.so_reuseport", 0),  # or a second sidecar would take half of the calls without a word
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.keepalive_time_ms", 60_000),  # a Grafana that is gone without a word ends its streams
    ("grpc.keepalive_timeout_ms", 20_000),
)
_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
}
_DEFECT = "a defect in IncidentLens: its log has the details; please report it"

Asked = TypeVar("Asked", bound=Message)
Given = TypeVar("Given", bound=Message)
Context = grpc.aio.ServicerContext[Any, Any]


class ListenError(OSError):
    """The address cannot be listened on; the message says what to do."""


class Server:
    """Answers Grafana in the running event loop. `on_shutdown` is called when Grafana asks to stop, None ignores it."""

    def __init__(self, backend: Backend, on_shutdown: Callable[[], None] | None = None) -> None:
        self._backend = backend
        self._on_shutdown = on_shutdown
        self._hub = stream.Hub(backend.store)
        self._stopped = asyncio.Event()
        self._idle = 0
        self._server = grpc.aio.server(options=_OPTIONS, maximum_concurrent_rpcs=MAX_CALLS)
        self._server.add_generic_rpc_handlers(self._services())
        self.port = 0

    async def start(self, address: str) -> int:
        """Listen on host:port and answer; the port, which 0 leaves open. Raises ListenError."""
        try:
            self.port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise ListenError(
                f"cannot listen on {address} for Grafana; free it, or set grafana.listen to another"
            ) from error
        await self._server.start()
        return self.port

    async def stop(self) -> None:
        """Calls under way may finish; streams end."""
        self._stopped.set()
        await self._hub.stop()
        await self._server.stop(_LAST_ANSWERS_S)

    def _services(self) -> tuple[grpc.GenericRpcHandler, ...]:
        backend, one, many = self._backend, _one, _many
        v2, plugin, checks = pluginv2_pb2, goplugin_pb2, health_pb2

        async def check_health(asked: pluginv2_pb2.CheckHealthRequest) -> pluginv2_pb2.CheckHealthResponse:
            return await health.check_health(backend, asked)

        async def collect_metrics(asked: pluginv2_pb2.CollectMetricsRequest) -> pluginv2_pb2.CollectMetricsResponse:
            return health.collect_metrics(asked)

        async def query_data(asked: pluginv2_pb2.QueryDataRequest) -> pluginv2_pb2.QueryDataResponse:
            return await data.query_data(backend, asked)

        async def call(
            asked: pluginv2_pb2.CallResourceRequest,
        ) -> AsyncGenerator[pluginv2_pb2.CallResourceResponse, None]:
            yield await resources.call_resource(backend, asked)

        async def subscribe(asked: pluginv2_pb2.SubscribeStreamRequest) -> pluginv2_pb2.SubscribeStreamResponse:
            return stream.subscribe(backend, asked)

        async def publish(asked: pluginv2_pb2.PublishStreamRequest) -> pluginv2_pb2.PublishStreamResponse:
            return stream.publish(asked)

        async def run(asked: pluginv2_pb2.RunStreamRequest) -> AsyncGenerator[pluginv2_pb2.StreamPacket, None]:
            async with contextlib.aclosing(stream.run(backend, self._hub, asked)) as packets:
                async for packet in packets:
                    yield packet
            # Grafana asks again after this, and takes a clean end for the end of the channel.
            raise StoreError("IncidentLens stops; ask again")

        return (
            _service(v2.DESCRIPTOR.services_by_name["Diagnostics"].full_name, {
                "CheckHealth": one("CheckHealth", check_health, v2.CheckHealthRequest),
                "CollectMetrics": one("CollectMetrics", collect_metrics, v2.CollectMetricsRequest),
            }),
            _service("pluginv2.Data", {"QueryData": one("QueryData", query_data, v2.QueryDataRequest)}),
            _service("pluginv2.Resource", {"CallResource": many("CallResource", call, v2.CallResourceRequest)}),
            _service("pluginv2.Stream", {
                "SubscribeStream": one("SubscribeStream", subscribe, v2.SubscribeStreamRequest),
                "PublishStream": one("PublishStream", publish, v2.PublishStreamRequest),
                "RunStream": many("RunStream", run, v2.RunStreamRequest),
            }),
            _service("plugin.GRPCController", {"Shutdown": one("Shutdown", self._shutdown, plugin.Empty)}),
            _service("plugin.GRPCStdio", {"StreamStdio": many("StreamStdio", self._stdio, Empty)}),
            _service("grpc.health.v1.Health", {
                "Check": one("Check", self._check, checks.HealthCheckRequest),
                "Watch": many("Watch", self._watch, checks.HealthCheckRequest),
            }),
        )  # fmt: skip

    async def _shutdown(self, _asked: goplugin_pb2.Empty) -> goplugin_pb2.Empty:
        if self._on_shutdown is None:
            log.debug("Grafana stops its plugins; the sidecar goes on")
        else:
            # After the answer, or Grafana would see its connection break instead.
            asyncio.get_running_loop().call_later(0.05, self._on_shutdown)
        return goplugin_pb2.Empty()

    async def _stdio(self, _asked: Empty) -> AsyncGenerator[goplugin_pb2.StdioData, None]:
        """Nothing until the end: the sidecar's words are in its own log, the launcher's come through a pipe."""
        await self._until_stopped()
        yield goplugin_pb2.StdioData(channel=goplugin_pb2.StdioData.STDERR)

    async def _check(self, _asked: health_pb2.HealthCheckRequest) -> health_pb2.HealthCheckResponse:
        return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)

    async def _watch(
        self, asked: health_pb2.HealthCheckRequest
    ) -> AsyncGenerator[health_pb2.HealthCheckResponse, None]:
        yield await self._check(asked)
        await self._until_stopped()
        yield health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.NOT_SERVING)

    async def _until_stopped(self) -> None:
        """Raises Refused where too many wait already."""
        if self._idle >= MAX_IDLE:
            raise Refused(429, f"{MAX_IDLE} such streams are open already")
        self._idle += 1
        try:
            await self._stopped.wait()
        finally:
            self._idle -= 1


def _service(name: str, methods: dict[str, grpc.RpcMethodHandler[Any, Any]]) -> grpc.GenericRpcHandler:
    return grpc.method_handlers_generic_handler(name, methods)


def _one(
    name: str, answer: Callable[[Asked], Awaitable[Given]], request: type[Asked]
) -> grpc.RpcMethodHandler[Any, Any]:
    """A method with one answer."""

    async def answered(asked: Asked, context: Context) -> Given:
        begun = time.perf_counter()
        try:
            given = await answer(asked)
        except Exception as error:
            await _fail(name, error, context)
        _count(name, "ok", begun)
        return given

    return grpc.unary_unary_rpc_method_handler(
        answered,
        request_deserializer=request.FromString,
        response_serializer=_serialised,
    )


def _many(
    name: str, answer: Callable[[Asked], AsyncGenerator[Given, None]], request: type[Asked]
) -> grpc.RpcMethodHandler[Any, Any]:
    """A method with a stream of answers; where the asker hangs up, `answer` is closed."""

    async def answered(asked: Asked, context: Context) -> AsyncGenerator[Given, None]:
        begun = time.perf_counter()
        try:
            async with contextlib.aclosing(answer(asked)) as answers:
                async for given in answers:
                    yield given
        except Exception as error:
            await _fail(name, error, context)
        _count(name, "ok", begun)

    return grpc.unary_stream_rpc_method_handler(
        answered,
        request_deserializer=request.FromString,
        response_serializer=_serialised,
    )


async def _fail(name: str, error: Exception, context: Context) -> NoReturn:
    """Ends the call with a code and a sentence; what nobody foresaw is logged and told without its details."""
    if isinstance(error, Refused):
        code, text = _CODES.get(error.status, grpc.StatusCode.FAILED_PRECONDITION), error.text
    elif isinstance(error, StoreError):
        code, text = grpc.StatusCode.UNAVAILABLE, str(error)
    else:
        log.error("%s failed", name, exc_info=error)
        code, text = grpc.StatusCode.INTERNAL, _DEFECT
    health.CALLS.labels(name, code.name.lower()).inc()
    await context.abort(code, text)
    raise AssertionError("abort raises")


def _count(name: str, code: str, begun: float) -> None:
    health.CALLS.labels(name, code).inc()
    if name not in ("RunStream", "StreamStdio", "Watch"):
        health.SECONDS.labels(name).observe(time.perf_counter() - begun)


def _serialised(message: Message) -> bytes:
    return message.SerializeToString()
