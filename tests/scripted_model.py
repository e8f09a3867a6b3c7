"""An OpenAI-compatible server that says what a script tells it to: well, badly, slowly, in halves, or not at all."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

Say = Callable[[dict[str, Any]], Any]
"""From the request's body to the text of the answer, or to a Response of its own."""


@dataclass
class ScriptedModel:
    """`script` is gone through call by call; its last entry answers for ever. `asked` has every body."""

    script: Sequence[Say]
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    url: str = ""

    async def answer(self, request: Request) -> Response:
        body = await request.json()
        self.keys.append(request.headers.get("authorization", ""))
        say = self.script[min(len(self.asked), len(self.script) - 1)]
        self.asked.append(body)
        said = say(body)
        if asyncio.iscoroutine(said):
            said = await said
        return said if isinstance(said, Response) else completion(said, body["model"])

    def prompt(self, call: int = -1) -> str:
        """What the model was shown, all messages after each other."""
        return "\n".join(message["content"] for message in self.asked[call]["messages"])


def completion(text: str, model: str = "scripted", **changes: Any) -> JSONResponse:
    return JSONResponse(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": model,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": text},
                    "finish_reason": "stop",
                    "logprobs": None,
                }
            ],
            "usage": {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200},
            **changes,
        }
    )


def failing(status: int, **headers: str) -> Say:
    return lambda body: JSONResponse({"error": {"message": "no", "type": "no"}}, status, headers)


async def never(body: dict[str, Any]) -> str:
    await asyncio.sleep(3600)
    return ""


def halved(body: dict[str, Any]) -> Response:
    """The connection ends in the middle of the body."""

    async def parts() -> AsyncIterator[bytes]:
        yield b'{"id": "chatcmpl-1", "choices": [{"mess'

    return StreamingResponse(parts(), media_type="application/json", headers={"content-length": "5000"})


def page(body: dict[str, Any]) -> Response:
    return Response("<html>a proxy's page</html>", media_type="text/html")


def answer(**changes: Any) -> str:
    """A whole answer as JSON; by default it says that the cause is undetermined."""
    values: dict[str, Any] = {
        "cause": {"service": "", "text": "undetermined", "evidence": []},
        "summary": "It is not known what caused it.",
        "severity": "high",
        "confidence": 0.3,
        "disposition": "NEEDS_DEV",
        "next_steps": ["Read the first failing record."],
        "claims": [],
        "runbook_draft": {"name": "", "description": "", "steps": []},
    }
    return json.dumps({**values, **changes})


def shown(body: dict[str, Any]) -> dict[str, str]:
    """The evidence in a prompt by its name: {"E1": "(record) ..."}."""
    text = "\n".join(message["content"] for message in body["messages"])
    return dict(re.findall(r"^\[(E\d+)\] (.*)$", text, re.MULTILINE))


@asynccontextmanager
async def listening(*script: Say) -> AsyncIterator[ScriptedModel]:
    """The server on a port of its own."""
    model = ScriptedModel(script)
    app = Starlette(routes=[Route("/v1/chat/completions", model.answer, methods=["POST"])])
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="critical", lifespan="off", ws="none", timeout_graceful_shutdown=0)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        model.url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        try:
            yield model
        finally:
            server.should_exit = True
            await serving
