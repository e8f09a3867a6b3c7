"""Stand-ins for trying things out: a Discord that only listens, and a mail server that delivers nothing.

`python -m incidentlens.provision.catcher --http 0.0.0.0:8099 --smtp 0.0.0.0:1025`. What came is shown at `/` and, as
JSON, at `/messages`. Like Discord it refuses a message over 2,000 characters and a title over 256. The latest 500
messages are kept, in memory; a body or mail over 1 MB is refused.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import email
import email.policy
import html
import signal
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import orjson
import uvicorn

MAX_BODY = 1 << 20
KEPT = 500
MAX_CONTENT, MAX_TITLE, MAX_EMBEDS = 2_000, 256, 10
_IDLE_S = 60.0

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class Catcher:
    """`messages` has what came, the latest last: {"at", "kind", "to", ...}. `heard` is called with each as it comes."""

    def __init__(self, heard: Callable[[dict[str, Any]], None] = lambda _message: None) -> None:
        self.messages: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._heard = heard

    def keep(self, kind: str, to: str, **values: Any) -> None:
        self.messages.append({"at": datetime.now(UTC).isoformat(), "kind": kind, "to": to, **values})
        self._heard(self.messages[-1])

    # -- Discord ---------------------------------------------------------------------------------------------------

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI: POST /api/webhooks/NAME as Discord; GET / and /messages to look."""
        if scope["type"] == "lifespan":
            while True:
                kind = (await receive())["type"].rpartition(".")[2]
                await send({"type": f"lifespan.{kind}.complete"})
                if kind == "shutdown":
                    return
        if scope["type"] != "http":
            return
        status, kind, body = await self._answer(scope, receive)
        headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, bytes, bytes]:
        path, method = scope["path"], scope["method"]
        if method == "GET" and path in ("/", "/messages", "/healthz"):
            if path == "/messages":
                return 200, b"application/json", orjson.dumps(list(self.messages))
            page = self._page() if path == "/" else "ok"
            return 200, b"text/html; charset=utf-8", page.encode()
        if method == "POST" and path.startswith("/api/webhooks/"):
            given = bytearray()
            more = True
            while more:
                part = await receive()
                given += part.get("body", b"")
                more = part.get("more_body", False)
                if len(given) > MAX_BODY:
                    return 413, b"application/json", b'{"message": "Request entity too large", "code": 40005}'
            return self._webhook(path.removeprefix("/api/webhooks/")[:200], bytes(given))
        return 404, b"application/json", b'{"message": "404: Not Found", "code": 0}'

    def _webhook(self, name: str, body: bytes) -> tuple[int, bytes, bytes]:
        try:
            message = orjson.loads(body)
        except orjson.JSONDecodeError:
            return 400, b"application/json", b'{"message": "The request body contains invalid JSON.", "code": 50109}'
        wrong = _wrong(message)
        if wrong:
            self.keep("refused", name, why=wrong)
            return 400, b"application/json", orjson.dumps({"message": "Invalid Form Body", "code": 50035, "why": wrong})
        embeds = message.get("embeds") or []
        self.keep("discord", name, content=message.get("content", ""), titles=[str(e.get("title", "")) for e in embeds])
        return 204, b"application/json", b""

    def _page(self) -> str:
        rows = "".join(
            f"<article><h2>{message['kind']} to {html.escape(message['to'])}</h2><p>{message['at']}</p>"
            f"<pre>{html.escape(_shown(message))}</pre></article>"
            for message in reversed(self.messages)
        )
        return (
            '<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="5">'
            "<title>What was sent</title><style>body{font:16px/1.5 system-ui;max-width:60rem;margin:2rem auto;"
            "padding:0 1rem}pre{white-space:pre-wrap;background:#f2f2f2;color:#111;padding:1rem}</style>"
            f"<h1>What was sent</h1>{rows or '<p>Nothing yet.</p>'}</html>"
        )

    # -- mail ------------------------------------------------------------------------------------------------------

    async def smtp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One SMTP session: enough of it for a sender that needs neither TLS nor to log in."""
        try:
            await self._session(reader, writer)
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass
        finally:
            writer.close()

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def say(text: str) -> None:
            writer.write(text.encode() + b"\r\n")
            await writer.drain()

        async def hear() -> bytes:
            return await asyncio.wait_for(reader.readuntil(b"\n"), _IDLE_S)

        await say("220 catcher")
        recipients: list[str] = []
        while True:
            line = (await hear()).decode("utf-8", "replace").strip()
            verb = line[:4].upper()
            if verb == "QUIT":
                await say("221 bye")
                return
            if verb == "RCPT":
                recipients = [*recipients, line.partition(":")[2].strip(" <>")][:100]
            if verb == "RSET":
                recipients = []
            if verb != "DATA":
                await say("250 ok")
                continue
            await say("354 go on")
            text = bytearray()
            while (part := await hear()) not in (b".\r\n", b".\n"):
                text += part[1:] if part.startswith(b"..") else part
                if len(text) > MAX_BODY:
                    await say("552 too large")
                    return
            self._mail(recipients, bytes(text))
            recipients = []
            await say("250 kept")

    def _mail(self, recipients: list[str], text: bytes) -> None:
        mail = email.message_from_bytes(text, policy=email.policy.default)
        body = mail.get_body(preferencelist=("plain", "html"))
        content = body.get_content() if body is not None else ""
        self.keep("email", ", ".join(recipients), subject=str(mail["subject"] or ""), content=str(content))


def _shown(message: dict[str, Any]) -> str:
    head = message.get("subject") or "\n".join(message.get("titles") or []) or message.get("why", "")
    return f"{head}\n\n{message.get('content', '')}"


def _wrong(message: Any) -> str:
    """Why Discord would refuse the message; empty where it would not."""
    if not isinstance(message, dict):
        return "not an object"
    content, embeds = message.get("content") or "", message.get("embeds") or []
    if not isinstance(content, str) or not isinstance(embeds, list) or not all(isinstance(e, dict) for e in embeds):
        return "content or embeds of the wrong type"
    if not content and not embeds:
        return "Cannot send an empty message"
    if len(content) > MAX_CONTENT:
        return f"content: must be {MAX_CONTENT} or fewer in length, is {len(content)}"
    if len(embeds) > MAX_EMBEDS:
        return f"embeds: at most {MAX_EMBEDS}"
    long = [len(str(embed.get("title", ""))) for embed in embeds if len(str(embed.get("title", ""))) > MAX_TITLE]
    return f"embeds: title must be {MAX_TITLE} or fewer in length, is {long[0]}" if long else ""


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def listening(catcher: Catcher, http: str, smtp: str) -> AsyncIterator[tuple[int, int]]:
    """Listen until the block ends. Addresses as HOST:PORT, port 0 for any; the ports of both."""
    host, _, port = smtp.rpartition(":")
    mail = await asyncio.start_server(catcher.smtp, host, int(port), limit=MAX_BODY)
    host, _, port = http.rpartition(":")
    server = _Server(
        uvicorn.Config(
            catcher, host=host, port=int(port), log_level="warning", lifespan="off", timeout_graceful_shutdown=3
        )
    )
    async with mail:
        serving = asyncio.create_task(server.serve())
        try:
            while not server.started:
                if serving.done():
                    await serving  # raises what kept it from starting
                    raise OSError(f"cannot listen on {http}")
                await asyncio.sleep(0.01)
            yield server.servers[0].sockets[0].getsockname()[1], mail.sockets[0].getsockname()[1]
        finally:
            server.should_exit = True
            await serving


async def serve(http: str, smtp: str) -> None:
    """Until SIGTERM or Ctrl-C. Addresses as HOST:PORT."""
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with listening(Catcher(), http, smtp):
        await ended.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--http", default="127.0.0.1:8099")
    parser.add_argument("--smtp", default="127.0.0.1:1025")
    given = parser.parse_args()
    asyncio.run(serve(given.http, given.smtp))
