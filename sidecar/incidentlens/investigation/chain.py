"""Endpoints in order: the first that answers. Retries, time-outs and `Retry-After` are the openai client's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2
import openai
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion

from incidentlens.config.language_model import Endpoint, LanguageModel
from incidentlens.model.clock import SECOND, Clock

from . import tracing
from .breaker import Breaker

_MAX_BODY = 2 * 1024 * 1024


class ChainError(Exception):
    """No endpoint answered; `tries` says why, one sentence each. `resting`: none was even asked."""

    def __init__(self, tries: Sequence[str], *, resting: bool = False) -> None:
        super().__init__("; ".join(tries) or "no endpoint is configured")
        self.tries = tuple(tries)
        self.resting = resting


@dataclass(frozen=True, slots=True)
class Reply:
    """What an endpoint said. `seconds` of the call that worked; `tries` are the failures before it."""

    text: str
    endpoint: str
    model: str
    input_tokens: int
    output_tokens: int
    cost: float  # US dollars
    seconds: float
    finish: str
    tries: tuple[str, ...] = ()


@dataclass(slots=True)
class _Link:
    endpoint: Endpoint
    client: AsyncOpenAI
    breaker: Breaker
    structured: bool = field(default=True)


class Chain:
    """One project's endpoints. `transport` is for tests."""

    def __init__(self, model: LanguageModel, clock: Clock, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self.model = model
        timeout = model.config.timeout / SECOND
        self._whole = timeout * (model.config.retries + 1) + 30  # with the client's pauses between its retries
        self._links = [
            _Link(
                endpoint,
                AsyncOpenAI(
                    base_url=endpoint.url,
                    api_key=endpoint.key or "none",
                    timeout=timeout,
                    max_retries=model.config.retries,
                    # The configured address and no other: a redirect would take the key and the evidence elsewhere.
                    http_client=httpx2.AsyncClient(
                        timeout=timeout, follow_redirects=False, transport=_Bounded(transport)
                    ),
                ),
                Breaker(clock),
                structured=endpoint.structured,
            )
            for endpoint in model.endpoints
        ]

    async def close(self) -> None:
        for link in self._links:
            await link.client.close()

    @property
    def resting_until(self) -> int:
        """ns; 0 where an endpoint may be asked now."""
        if any(link.breaker.allows() for link in self._links):
            return 0
        return min(link.breaker.resting_until for link in self._links)

    async def ask(self, messages: Sequence[dict[str, Any]], schema: dict[str, Any]) -> Reply:
        """The first answer. Raises ChainError where no endpoint gives one."""
        tries: list[str] = []
        asked = False
        for link in self._links:
            if not link.breaker.allows():
                tries.append(f"{link.endpoint.name} rests after failing again and again")
                continue
            asked = True
            try:
                async with asyncio.timeout(self._whole):
                    reply = await self._one(link, messages, schema, tuple(tries))
            except (openai.OpenAIError, httpx2.HTTPError, TimeoutError, ValueError) as error:
                link.breaker.failed(_rest(error))
                tries.append(f"{link.endpoint.name}: {_sentence(error)}")
                continue
            link.breaker.worked()
            return reply
        raise ChainError(tries, resting=not asked)

    async def _one(
        self, link: _Link, messages: Sequence[dict[str, Any]], schema: dict[str, Any], tries: tuple[str, ...]
    ) -> Reply:
        endpoint, began = link.endpoint, time.perf_counter()
        with tracing.call(endpoint.name, endpoint.model) as span:
            try:
                answer = await self._create(link, messages, schema)
            except openai.BadRequestError:
                if not link.structured:
                    raise
                # Some endpoints refuse a schema; the prompt has it too.
                link.structured = False
                answer = await self._create(link, messages, schema)
            choice = answer.choices[0] if answer.choices else None
            text = (choice.message.content or "") if choice is not None else ""
            if not text.strip():
                raise ValueError("its answer is empty")
            usage = answer.usage
            used_in = usage.prompt_tokens if usage else _estimate(messages)
            used_out = usage.completion_tokens if usage else len(text) // 3
            reply = Reply(
                text=text,
                endpoint=endpoint.name,
                model=answer.model or endpoint.model,
                input_tokens=used_in,
                output_tokens=used_out,
                cost=endpoint.cost(used_in, used_out),
                seconds=round(time.perf_counter() - began, 3),
                finish=str(choice.finish_reason if choice is not None else ""),
                tries=tries,
            )
            tracing.answered(span, reply.model, used_in, used_out, reply.finish)
            return reply

    async def _create(self, link: _Link, messages: Sequence[dict[str, Any]], schema: dict[str, Any]) -> ChatCompletion:
        more: dict[str, Any] = {}
        if link.structured:
            more["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "analysis", "strict": True, "schema": schema},
            }
        create: Any = link.client.chat.completions.create
        answer = await create(
            model=link.endpoint.model,
            messages=list(messages),
            temperature=0,
            max_tokens=self.model.config.answer_tokens,
            **more,
        )
        if not isinstance(answer, ChatCompletion):  # the client gives what is no JSON as it is
            raise ValueError("it is no completion")
        return answer


def _estimate(messages: Sequence[dict[str, Any]]) -> int:
    return sum(len(str(message.get("content", ""))) for message in messages) // 3


def _rest(error: BaseException) -> int:
    """How long the endpoint asks to be left alone, ns."""
    if not isinstance(error, openai.APIStatusError):
        return 0
    try:
        return int(float(error.response.headers.get("retry-after", "0")) * SECOND)
    except ValueError:
        return 0


def _sentence(error: BaseException) -> str:
    """What went wrong, without what the endpoint wrote at length: it may repeat the prompt, or the key."""
    if isinstance(error, openai.APIStatusError):
        known = {401: "refuses the key", 403: "refuses the key", 404: "has no such model", 429: "is over its limit"}
        said = known.get(error.status_code, "failed" if error.status_code >= 500 else "refuses the request")
        return f"status {error.status_code}, it {said}"
    if isinstance(error, (openai.APITimeoutError, TimeoutError)):
        return "it did not answer in time"
    if isinstance(error, openai.APIConnectionError):
        return "it cannot be reached"
    if isinstance(error, ValueError) and str(error) in ("its answer is empty", _TOO_LARGE):
        return str(error)
    return f"it did not answer as an OpenAI-compatible endpoint does ({type(error).__name__})"


_TOO_LARGE = "its answer is too large"


class _Bounded(httpx2.AsyncBaseTransport):
    """No body larger than _MAX_BODY is read into memory."""

    def __init__(self, inner: httpx2.AsyncBaseTransport | None) -> None:
        self._inner = inner or httpx2.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._inner.handle_async_request(request)
        response.stream = _BoundedStream(response.stream)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _BoundedStream(httpx2.AsyncByteStream):
    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for part in self._inner:
            size += len(part)
            if size > _MAX_BODY:
                raise ValueError(_TOO_LARGE)
            yield part

    async def aclose(self) -> None:
        await self._inner.aclose()
