"""`/loki/api/v1/tail`: lines as they come, over a websocket."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket, WebSocketDisconnect

from ..logql import ast
from ..logql.errors import LogQLError
from ..logql.parse import parse
from ..logql.source import Entry
from .gotext import GoError, parse_int
from .httpio import ApiError, Form, parse_form
from .params import bounds, positive
from .queries import LogPipeline, wants_categories
from .reading import TenantSource
from .service import Service
from .store import Pushed

_QUEUE = 10_000
_BATCH_S = 0.2
_MAX_DELAY = 5


def tail_query(form: Form, now: int) -> tuple[ast.Expr, int, int, int]:
    """The expression, the limit, the start (ns) and the delay (s). Raises ApiError with Loki's text."""
    try:
        expr = parse(form.first("query"))
    except LogQLError as error:
        raise ApiError(error.status, str(error)) from None
    limit = positive(form, 100, "limit")
    start, _ = bounds(form, now)
    try:
        delay = parse_int(form.first("delay_for")) if form.first("delay_for") else 0
    except GoError as error:
        raise ApiError(400, str(error)) from None
    if delay > _MAX_DELAY:
        raise ApiError(400, f"delay_for can't be greater than {_MAX_DELAY}")
    return expr, limit, start, delay


class _Inbox:
    """Lines on their way from pushes to one websocket. When it is full the oldest are dropped and told of."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.lines: deque[tuple[Mapping[str, str], Entry]] = deque()
        self.dropped: list[tuple[Mapping[str, str], Entry]] = []
        self.ready = asyncio.Event()

    def put(self, pushed: Pushed) -> None:
        """Called from a push's thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody listens any more
            self._loop.call_soon_threadsafe(self._take, pushed)

    def _take(self, pushed: Pushed) -> None:
        for labels, entries in pushed:
            for entry in entries:
                if len(self.lines) >= _QUEUE:
                    lost = self.lines.popleft()
                    if len(self.dropped) < _QUEUE:
                        self.dropped.append(lost)
                self.lines.append((labels, entry))
        self.ready.set()

    def drain(self) -> list[tuple[Mapping[str, str], Entry]]:
        lines = list(self.lines)
        self.lines.clear()
        self.ready.clear()
        return lines


def _frame(
    pipeline: LogPipeline, lines: list[tuple[Mapping[str, str], Entry]], *, categorize: bool
) -> list[dict[str, Any]]:
    """Streams for one frame: neighbours with the same labels share one."""
    streams: list[dict[str, Any]] = []
    for labels, entry in lines:
        result = pipeline.run(labels, entry)
        if result is None:
            continue
        shown, value = result.shown(categorize=categorize)
        if streams and streams[-1]["stream"] == shown:
            streams[-1]["values"].append(value)
        else:
            streams.append({"stream": shown, "values": [value]})
    return streams


async def tail(service: Service, socket: WebSocket) -> None:
    """Serve one websocket: first what there is since `start`, the newest `limit` lines; then what comes."""
    try:
        tenant = service.tenant(socket)
        form = Form()
        parse_form(socket.url.query, form)
        expr, limit, start, delay = tail_query(form, service.clock.now())
        if not isinstance(expr, ast.Logs):
            raise ApiError(400, "only log selector is supported")
        pipeline = LogPipeline(expr)
        if service.tails >= service.limits.max_tails:
            most = service.limits.max_tails
            raise ApiError(400, f"max concurrent tail requests limit exceeded, count > limit ({most + 1} > {most})")
    except LogQLError as error:
        await socket.send_denial_response(ApiError(error.status, str(error)).response())
        return
    except ApiError as error:
        await socket.send_denial_response(error.response())
        return
    service.tails += 1
    inbox = _Inbox(asyncio.get_running_loop())
    stop = service.store.listen(tenant, inbox.put)
    try:
        await socket.accept()
        await _serve(service, socket, tenant, pipeline, inbox, (limit, start, delay))
    except (WebSocketDisconnect, RuntimeError):
        pass
    finally:
        stop()
        service.tails -= 1


async def _serve(
    service: Service,
    socket: WebSocket,
    tenant: str,
    pipeline: LogPipeline,
    inbox: _Inbox,
    numbers: tuple[int, int, int],
) -> None:
    limit, start, delay = numbers
    categorize = wants_categories(socket)
    now = service.clock.now()
    past = await run_in_threadpool(pipeline.newest, TenantSource(service.store, tenant), start, now + 1, limit)
    sent = {(entry.ts, entry.line) for _, entry in past}
    streams = _frame(pipeline, past, categorize=categorize)
    if streams:
        await socket.send_text(orjson.dumps({"streams": streams}).decode())
    gone = asyncio.create_task(_until_gone(socket))
    try:
        while not gone.done():
            waiting = asyncio.create_task(inbox.ready.wait())
            await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if gone.done():
                return
            # A short wait gathers what comes together; `delay_for` lets late lines come in order.
            await asyncio.sleep(delay or _BATCH_S)
            lines = inbox.drain()
            if past:
                # What was pushed while the past was read is in both.
                lines = [(labels, entry) for labels, entry in lines if (entry.ts, entry.line) not in sent]
                past = []
            lines = [line for line in sorted(lines, key=_ts) if pipeline.selects(line[0])]
            body: dict[str, Any] = {}
            if streams := _frame(pipeline, lines, categorize=categorize):
                body["streams"] = streams
            if inbox.dropped:
                body["dropped_entries"] = [
                    {"timestamp": str(entry.ts), "labels": dict(labels)} for labels, entry in inbox.dropped
                ]
                inbox.dropped = []
            if body:
                await socket.send_text(orjson.dumps(body).decode())
    finally:
        gone.cancel()
        with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
            await gone


def _ts(line: tuple[Mapping[str, str], Entry]) -> int:
    return line[1].ts


async def _until_gone(socket: WebSocket) -> None:
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
