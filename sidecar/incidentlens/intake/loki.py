"""An async client of Loki's HTTP API: one request, done well (logging in, retries, time-outs, sizes).

Paging and windows are in `paging`; this module knows nothing of cursors.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self

import httpx
import orjson

from incidentlens.model.clock import SECOND

from .errors import LokiError, LokiNotLoki, LokiRefused, LokiTooHeavy, LokiUnavailable

# Loki says in words, not in codes, that a query asks for too much.
_TOO_HEAVY = (
    "too large",
    "exceeds the limit",
    "max entries limit",
    "would read too many bytes",
    "too many bytes",
    "query timed out",
    "context deadline exceeded",
    "too many outstanding requests",
    "maximum of series",
    "response larger than",
)
_RETRY_BASE_S = 0.5
_RETRY_CAP_S = 30.0


@dataclass(frozen=True, slots=True)
class LokiSettings:
    """How to reach one tenant of one Loki. Times in seconds, sizes in bytes."""

    url: str
    tenant: str | None = None
    username: str | None = None
    password: str | None = None
    bearer_token: str | None = None
    timeout_s: float = 30.0
    max_attempts: int = 5
    max_response_bytes: int = 128 << 20

    def __repr__(self) -> str:
        return f"LokiSettings(url={self.url!r}, tenant={self.tenant!r})"


class LokiClient:
    """Asks Loki, again where that may help. Use as an async context manager.

    `requests`, `retries` and `bytes_read` count what it did, for the metrics.
    """

    def __init__(self, settings: LokiSettings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        headers = {"X-Loki-Response-Encoding-Flags": "categorize-labels", "User-Agent": "incidentlens"}
        if settings.tenant:
            headers["X-Scope-OrgID"] = settings.tenant
        if settings.bearer_token:
            headers["Authorization"] = f"Bearer {settings.bearer_token}"
        basic = httpx.BasicAuth(settings.username, settings.password or "") if settings.username is not None else None
        self.settings = settings
        self.requests = 0
        self.retries = 0
        self.bytes_read = 0
        # A redirect could carry the credentials to another host, so none is followed.
        self._http = httpx.AsyncClient(
            base_url=settings.url.rstrip("/"),
            headers=headers,
            auth=basic,
            timeout=httpx.Timeout(settings.timeout_s, connect=min(10.0, settings.timeout_s)),
            follow_redirects=False,
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def query_range(
        self, logql: str, start: int, end: int, *, limit: int = 5000, direction: str = "forward"
    ) -> list[dict[str, Any]]:
        """One page of a log query over [start, end) ns: Loki's `streams` with categorised labels."""
        params = {
            "query": logql,
            "start": str(start),
            "end": str(end),
            "limit": str(limit),
            "direction": direction,
        }
        return await self._result("/loki/api/v1/query_range", params, "streams")

    async def query_matrix(self, logql: str, start: int, end: int, step_ns: int) -> list[dict[str, Any]]:
        """A metric query over [start, end] ns, a point each `step_ns`: Loki's `matrix`."""
        params = {"query": logql, "start": str(start), "end": str(end), "step": f"{step_ns / SECOND:g}"}
        return await self._result("/loki/api/v1/query_range", params, "matrix")

    async def query_vector(self, logql: str, at: int) -> list[dict[str, Any]]:
        """A metric query at one moment (ns): Loki's `vector`."""
        return await self._result("/loki/api/v1/query", {"query": logql, "time": str(at)}, "vector")

    async def labels(self, start: int, end: int) -> list[str]:
        """Names of the stream labels between `start` and `end` (ns)."""
        return list(await self._data("/loki/api/v1/labels", {"start": str(start), "end": str(end)}) or [])

    async def label_values(self, label: str, start: int, end: int) -> list[str]:
        params = {"start": str(start), "end": str(end)}
        return list(await self._data(f"/loki/api/v1/label/{label}/values", params) or [])

    async def series(self, selector: str, start: int, end: int) -> list[dict[str, str]]:
        """The label sets of the streams that `selector` matches."""
        params = {"match[]": selector, "start": str(start), "end": str(end)}
        return list(await self._data("/loki/api/v1/series", params) or [])

    async def index_stats(self, selector: str, start: int, end: int) -> dict[str, int]:
        """streams, chunks, bytes and entries. Zero until Loki has flushed a chunk."""
        params = {"query": selector, "start": str(start), "end": str(end)}
        return dict(await self.get_json("/loki/api/v1/index/stats", params))

    async def index_volume(self, selector: str, start: int, end: int) -> float:
        """Bytes of the selector's streams between `start` and `end` (ns), as the index knows them.

        Of the thousand largest sets of labels that the selector names.
        """
        params = {"query": selector, "start": str(start), "end": str(end), "limit": "1000"}
        series = await self._result("/loki/api/v1/index/volume", params, "vector")
        return sum(float(one["value"][1]) for one in series)

    async def detected_fields(self, selector: str, start: int, end: int) -> list[dict[str, Any]]:
        params = {"query": selector, "start": str(start), "end": str(end), "line_limit": "200"}
        answer = await self.get_json("/loki/api/v1/detected_fields", params)
        return list(answer.get("fields") or [])

    async def format_query(self, logql: str) -> str:
        """Loki's own opinion of a query: the query laid out, or LokiRefused with Loki's complaint."""
        return str(await self._data("/loki/api/v1/format_query", {"query": logql}))

    async def ready(self) -> bool:
        """Whether Loki says that it is ready. False, not an error, where it is away."""
        try:
            response = await self._http.get("/ready", timeout=5.0)
        except httpx.HTTPError:
            return False
        return response.status_code == 200

    async def push(self, streams: list[dict[str, Any]]) -> None:
        """Push streams in Loki's JSON form."""
        await self.send("POST", "/loki/api/v1/push", content=orjson.dumps({"streams": streams}))

    async def get_json(self, path: str, params: Mapping[str, str]) -> dict[str, Any]:
        """The JSON object that `path` answers.

        Raises LokiUnavailable after the last attempt, LokiRefused, LokiTooHeavy or LokiNotLoki.
        """
        body = await self.send("GET", path, params=params)
        try:
            answer = _lenient_json(body)
        except (ValueError, RecursionError) as error:
            if body.lstrip()[:1] == b"{":
                raise LokiUnavailable(f"Loki at {self.settings.url} broke off its answer to {path}") from error
            raise LokiNotLoki(self._not_loki(path, body)) from error
        if not isinstance(answer, dict):
            raise LokiNotLoki(self._not_loki(path, body))
        return answer

    async def _data(self, path: str, params: Mapping[str, str]) -> Any:
        answer = await self.get_json(path, params)
        if answer.get("status") != "success":
            raise LokiNotLoki(self._not_loki(path, orjson.dumps(answer)))
        return answer.get("data")

    async def _result(self, path: str, params: Mapping[str, str], kind: str) -> list[dict[str, Any]]:
        data = await self._data(path, params)
        found = data.get("resultType") if isinstance(data, dict) else None
        if found != kind:
            raise LokiRefused(
                f"the query gives {found or 'nothing Loki knows'}, {kind} was expected: {params['query']}"
            )
        return list(data.get("result") or [])

    async def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
        content_type: str = "application/json",
    ) -> bytes:
        """One request, again where that may help; the body of what is answered. Raises LokiError."""
        for attempt in range(1, self.settings.max_attempts + 1):
            self.requests += 1
            try:
                return await self._once(method, path, params, content, content_type)
            except LokiUnavailable as error:
                if attempt == self.settings.max_attempts:
                    raise
                self.retries += 1
                await asyncio.sleep(self._pause(attempt, error.after))
        raise AssertionError("unreachable")

    @staticmethod
    def _pause(attempt: int, after: float | None) -> float:
        """Exponential back-off with full jitter; Loki's own Retry-After is the least it waits."""
        backoff = random.uniform(0, min(_RETRY_CAP_S, _RETRY_BASE_S * 2**attempt))
        return min(max(backoff, after or 0.0), 300.0)

    async def _once(
        self, method: str, path: str, params: Mapping[str, str] | None, content: bytes | None, content_type: str
    ) -> bytes:
        headers = {"Content-Type": content_type} if content is not None else None
        try:
            async with self._http.stream(method, path, params=params, content=content, headers=headers) as response:
                body = await self._bounded_body(response, path)
        except httpx.TimeoutException as error:
            raise LokiUnavailable(
                f"Loki at {self.settings.url} did not answer {path} within {self.settings.timeout_s:g} s"
            ) from error
        except httpx.RemoteProtocolError as error:
            raise LokiUnavailable(f"Loki at {self.settings.url} broke off its answer to {path}: {error}") from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise LokiUnavailable(
                f"cannot reach Loki at {self.settings.url} ({error or type(error).__name__}); "
                "is it running, is loki.url right?"
            ) from error
        self.bytes_read += len(body)
        if response.status_code // 100 == 2:
            return body
        raise self._error(response, body, path)

    async def _bounded_body(self, response: httpx.Response, path: str) -> bytes:
        parts, size = [], 0
        async for part in response.aiter_bytes():
            size += len(part)
            if size > self.settings.max_response_bytes:
                raise LokiTooHeavy(f"Loki's answer to {path} is over {self.settings.max_response_bytes >> 20} MB")
            parts.append(part)
        return b"".join(parts)

    def _error(self, response: httpx.Response, body: bytes, path: str) -> LokiError:
        status = response.status_code
        text = " ".join(body[:500].decode("utf-8", "replace").split())
        where = f"Loki at {self.settings.url} answered {path} with {status}: {text or 'nothing'}"
        lowered = text.lower()
        if status in (400, 413, 429, 500, 503, 504) and any(sign in lowered for sign in _TOO_HEAVY):
            return LokiTooHeavy(where, page="max entries limit" in lowered)
        if status == 429 or status >= 500:
            return LokiUnavailable(where, _retry_after(response))
        if status == 401:
            return LokiRefused(f"{where}; set the project's tenant, or username and password, or bearer_token", status)
        if 300 <= status < 400:
            return LokiNotLoki(
                f"{where}; it redirects to {response.headers.get('Location', 'nowhere')}: set loki.url to that"
            )
        if b"<html" in body[:500].lower():
            return LokiNotLoki(self._not_loki(path, body))
        return LokiRefused(where, status)

    def _not_loki(self, path: str, body: bytes) -> str:
        start = " ".join(body[:80].decode("utf-8", "replace").split())
        return f"{self.settings.url}{path} does not answer as Loki does (it begins {start!r}); is loki.url right?"


def _lenient_json(body: bytes) -> Any:
    """JSON, also where a string in it holds what is no Unicode: log lines may. That becomes U+FFFD."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return _without_surrogates(json.loads(body.decode("utf-8", "replace")))


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(name): _without_surrogates(item) for name, item in value.items()}
    return value


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds to wait: the header holds seconds or a date."""
    value = response.headers.get("Retry-After")
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    date = response.headers.get("Date")
    try:
        now = parsedate_to_datetime(date) if date else None
    except ValueError:
        now = None
    if now is None:
        now = datetime.now(UTC)
    return max(0.0, (moment - now).total_seconds())
