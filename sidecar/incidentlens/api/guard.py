"""Around every request: how large its body may be, who may have sent it, and what a browser may do with the answer."""

from __future__ import annotations

from urllib.parse import urlsplit

import orjson
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .seams import Services

MEGABYTE = 1024 * 1024
BODY_LIMIT = MEGABYTE
BODY_LIMITS = {"/api/v2/alerts": 16 * MEGABYTE, "/alerts": 16 * MEGABYTE, "/api/replay": 50 * MEGABYTE + 64 * 1024}
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: then browsers send `Origin: null` with our own forms, and nobody could tell whose they are.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """ASGI middleware. Refusals are JSON: no honest browser ever sees one."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                out = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    out.setdefault(name, value)
                if not scope["path"].startswith("/static/"):
                    out.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = self._foreign_host(headers) or self._foreign_site(scope, headers)
        if refusal:
            await _refuse(secured, 403, refusal)
            return
        limit = BODY_LIMITS.get(scope["path"], BODY_LIMIT)
        text = f"the body is larger than {limit // MEGABYTE} MB, the most that is taken here; send less at once"
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > limit:
            await _refuse(secured, 413, text)
            return
        await self._bounded(scope, receive, secured, limit, text)

    async def _bounded(self, scope: Scope, receive: Receive, send: Send, limit: int, text: str) -> None:
        """A body without a length, or with a wrong one, is cut off where it grows too large."""
        taken = 0
        started = False

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            if message["type"] == "http.request":
                taken += len(message.get("body", b""))
                if taken > limit:
                    raise _TooLarge
            return message

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, counted, noted)
        except _TooLarge:
            if started:
                raise
            await _refuse(send, 413, text)

    def _foreign_host(self, headers: Headers) -> str | None:
        """Without tokens only this machine is served, by name too: a foreign name that leads here is an attack."""
        server = self._services.loaded.config.server
        if server.require_token:
            return None
        host = _name(headers.get("host", ""))
        if host in _LOOPBACK or (server.public_url is not None and host == server.public_url.host):
            return None
        return f"without tokens only the names localhost and 127.0.0.1 are served, not {host[:100]!r}"

    def _foreign_site(self, scope: Scope, headers: Headers) -> str | None:
        """A browser's request that changes something must come from our own pages; a bearer token shows that anyway."""
        bearer = headers.get("authorization", "").lower().startswith("bearer ")  # no browser adds one by itself
        if scope["method"] in ("GET", "HEAD", "OPTIONS") or bearer:
            return None
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        refused = "this request came from another site; send it from IncidentLens's own pages or with a bearer token"
        if site is not None:
            # `none` is a person's own doing, such as a bookmark. `same-site` is another port or sub-domain.
            return None if site in ("same-origin", "none") else refused
        if origin is not None:
            public = self._services.loaded.config.server.public_url
            ours = {headers.get("host", "")} | ({urlsplit(str(public)).netloc} if public else set())
            return None if urlsplit(origin).netloc in ours else refused
        # No browser sends neither. A cookie without them is not trusted all the same.
        return refused if "cookie" in headers else None


class _TooLarge(Exception):
    pass


def _name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host


async def _refuse(send: Send, status: int, text: str) -> None:
    body = orjson.dumps({"error": text})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body})
