"""`/loki/api/v1/push` and `/otlp/v1/logs`."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from .gotext import GoError
from .httpio import ApiError, read_body
from .ingest import PushRefused, ingest
from .jsonpush import decode_json_push
from .otlp import decode_otlp
from .protopush import BodyTooLarge, decode_proto_push, decompress
from .records import PushStream
from .service import Service
from .wire import new_message

_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def _media_type(header: str) -> str:
    """The media type of a Content-Type header; raises GoError with Go's text when it is none."""
    media = header.partition(";")[0].strip().lower()
    if not media:
        raise GoError("mime: no media type")
    major, slash, minor = media.partition("/")
    if not major or not _TOKEN.issuperset(major):
        raise GoError("mime: no media type" if not major else "mime: expected slash after first token")
    if slash and (not minor or not _TOKEN.issuperset(minor)):
        raise GoError(
            "mime: expected token after slash" if not minor else "mime: unexpected content after media subtype"
        )
    return media


def _decode(service: Service, body: bytes, content_type: str, encoding: str) -> list[PushStream]:
    limit = service.limits.max_decompressed
    body = decompress(body, encoding, limit)
    if _media_type(content_type) == "application/json":
        return decode_json_push(body)
    return decode_proto_push(body, limit)


async def push(service: Service, request: Request) -> Response:
    """Take a push in JSON or protobuf. 204, or Loki's refusal; what could be taken of a bad push is kept."""
    tenant = service.tenant(request)
    body = await read_body(request, service.limits.max_body)
    content_type = request.headers.get("content-type", "")
    encoding = request.headers.get("content-encoding", "")

    def work() -> None:
        try:
            streams = _decode(service, body, content_type, encoding)
            ingest(service.store, tenant, streams, service.clock)
        except BodyTooLarge as error:
            raise PushRefused(413, f"request body too large: {error}") from None
        except GoError as error:
            raise PushRefused(400, str(error)) from None

    try:
        await run_in_threadpool(work)
    except PushRefused as refused:
        service.metrics.discarded.labels(refused.status).inc()
        raise ApiError(refused.status, refused.text, line_feed=True) from None
    return Response(status_code=204)


async def push_otlp(service: Service, request: Request) -> Response:
    """Take OpenTelemetry logs. 204, or a refusal as a protobuf Status, as OTLP wants it."""
    tenant = service.tenant(request)
    body = await read_body(request, service.limits.max_body)
    content_type = request.headers.get("content-type", "")
    encoding = request.headers.get("content-encoding", "")

    def work() -> None:
        try:
            data = decompress(body, encoding, service.limits.max_decompressed, otlp=True)
            streams = decode_otlp(data, content_type, service.clock.now())
            ingest(service.store, tenant, streams, service.clock)
        except BodyTooLarge as error:
            raise PushRefused(413, f"request body too large: {error}") from None
        except GoError as error:
            raise PushRefused(400, str(error)) from None

    try:
        await run_in_threadpool(work)
    except PushRefused as refused:
        service.metrics.discarded.labels(refused.status).inc()
        status = new_message("Status")
        status.message = refused.text.encode("utf-8", "replace")
        # Shippers never send a 500 again, but a 503 they do.
        code = 503 if refused.status == 500 else refused.status
        return Response(status.SerializeToString(), code, media_type="application/octet-stream")
    return Response(status_code=204)
