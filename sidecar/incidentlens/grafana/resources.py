"""CallResource: the HTTP API over gRPC. The same routes answer; only who asks is found another way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from urllib.parse import quote, unquote

import httpx
import orjson
from starlette.types import Receive, Scope, Send

from .auth import IN_SCOPE, Asker, Refused, asker_of
from .backend import Backend
from .pb.pluginv2_pb2 import CallResourceRequest, CallResourceResponse, StringList

_TIMEOUT_S = 30.0
_MAX_PATH = 2_000
_MAX_QUERY = 16_000
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
# Streams that never end, whole log files, and the door for Loki's ruler: none is a data source's business.
_NOT_MIRRORED = ("changes", "replay", "v2")
_IN = ("accept", "accept-language", "content-type")
_OUT = ("content-type", "content-disposition", "retry-after", "allow")


async def call_resource(backend: Backend, request: CallResourceRequest) -> CallResourceResponse:
    """`path` is one below /api/. Whatever goes wrong is an answer as the API gives it: `{"error": ...}`."""
    try:
        asker = asker_of(backend.loaded_of(), request.pluginContext)
        asked = _asked(request)
    except Refused as refused:
        # A 401 would make Grafana's pages believe that the person is no longer signed in to Grafana.
        return _refusal(403 if refused.status == 401 else refused.status, refused.text)
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            answer = await _transport(backend, asker).handle_async_request(asked)
            body = await answer.aread()
    except TimeoutError:
        return _refusal(504, f"there was no answer within {_TIMEOUT_S:.0f} s; ask for less")
    headers = {name: StringList(values=[value]) for name in _OUT if (value := answer.headers.get(name)) is not None}
    return CallResourceResponse(code=answer.status_code, headers=headers, body=body)


def _transport(backend: Backend, asker: Asker) -> httpx.ASGITransport:
    async def as_asker(scope: Scope, receive: Receive, send: Send) -> None:
        scope[IN_SCOPE] = asker
        await backend.api(scope, receive, send)

    return httpx.ASGITransport(as_asker, raise_app_exceptions=False)


def _asked(request: CallResourceRequest) -> httpx.Request:
    """The request as the API takes it. Raises Refused."""
    method = request.method.upper() or "GET"
    if method not in _METHODS:
        raise Refused(405, f"the method {request.method!r:.30} is not known; {', '.join(_METHODS)} are")
    path, query = _path_and_query(request)
    if len(path) > _MAX_PATH or len(query) > _MAX_QUERY:
        raise Refused(414, f"the path may have {_MAX_PATH} characters and the query string {_MAX_QUERY}; ask for less")
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts) or parts[0] in _NOT_MIRRORED:
        raise Refused(
            404, f"there is nothing at {path!r:.200} for a data source; /openapi.json of the HTTP API lists it"
        )
    # The host is of no meaning, but the API looks at it.
    url = httpx.URL("http://127.0.0.1/").copy_with(
        raw_path=f"/api/{quote(path, errors='replace')}?{quote(query, safe='&=%+', errors='replace')}".encode()
    )
    return httpx.Request(method, url, headers=list(_headers(request)), content=request.body)


def _path_and_query(request: CallResourceRequest) -> tuple[str, str]:
    """The path, decoded, and the query string as it was sent."""
    beyond = request.url.partition("#")[2]
    if beyond and "#" not in request.path:
        # Grafana 9 takes an escaped # of the path, which every signature has, for the beginning of a fragment.
        rest, _, query = beyond.partition("?")
        return f"{request.path}#{unquote(rest, errors='replace')}".strip("/"), query
    return request.path.strip("/"), request.url.partition("?")[2]


def _headers(request: CallResourceRequest) -> Iterable[tuple[str, str]]:
    """Only what the API reads: cookies and origins are of Grafana's site, not of ours."""
    for name, values in request.headers.items():
        if name.lower() in _IN and values.values:
            value = values.values[0]
            if value.isascii() and value.isprintable():
                yield name, value


def _refusal(code: int, text: str) -> CallResourceResponse:
    headers = {"content-type": StringList(values=["application/json"])}
    return CallResourceResponse(code=code, headers=headers, body=orjson.dumps({"error": text}))
