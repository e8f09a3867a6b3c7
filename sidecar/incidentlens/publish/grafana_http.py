"""Grafana's HTTP API: one request, done well. What is asked, and when again, is the caller's.

GrafanaError              anything; `retry` says whether the same request may succeed later
├── GrafanaUnavailable    down, timed out, 429, 5xx
├── GrafanaForbidden      401, 403: the token
├── GrafanaNotFound       404
└── GrafanaRefused        any other refusal, or an answer that is not Grafana's
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import orjson

from incidentlens.model.clock import SECOND

MAX_ANSWER = 32 << 20  # bytes

Params = Mapping[str, str | Sequence[str]]


class GrafanaError(Exception):
    """Grafana did not do what it was asked. The message is one line that says what to do."""

    retry = False


class GrafanaUnavailable(GrafanaError):
    """Grafana is away or overloaded."""

    retry = True


class GrafanaForbidden(GrafanaError):
    """The token is not known, or may not do this."""


class GrafanaNotFound(GrafanaError):
    """There is no such thing in Grafana."""


class GrafanaRefused(GrafanaError):
    """Grafana refuses the request as it stands, or what answered is not Grafana."""


class GrafanaClient:
    """Asks one Grafana with one token. Follows no redirect: the token stays with the address it was given for."""

    def __init__(
        self,
        url: str,
        token: str = "",
        *,
        basic: tuple[str, str] | None = None,
        timeout_s: float = 10.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        headers = {"User-Agent": "incidentlens", "Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._client = httpx.AsyncClient(
            base_url=self.url,
            headers=headers,
            auth=httpx.BasicAuth(*basic) if basic and not token else None,
            timeout=timeout_s,
            transport=transport,
            follow_redirects=False,
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def get(self, path: str, params: Params | None = None) -> Any:
        return await self.ask("GET", path, params=params)

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The answer's JSON, None where it is empty. Raises GrafanaError."""
        sent = dict(headers or {})
        content = None
        if body is not None:
            content = orjson.dumps(body)
            sent["Content-Type"] = "application/json"
        try:
            async with self._client.stream(method, path, content=content, params=params, headers=sent) as response:
                answer = bytearray()
                async for chunk in response.aiter_bytes():
                    answer += chunk
                    if len(answer) > MAX_ANSWER:
                        raise GrafanaRefused(f"{self.url}{path} answers with more than {MAX_ANSWER >> 20} MB")
                status = response.status_code
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise GrafanaRefused(f"{self.url} is no address of a Grafana: {error}") from error
        except httpx.HTTPError as error:
            said = " ".join(str(error).split()) or type(error).__name__
            raise GrafanaUnavailable(f"cannot reach Grafana at {self.url}: {said}; is it running?") from error
        return self._read(method, path, status, bytes(answer))

    def _read(self, method: str, path: str, status: int, answer: bytes) -> Any:
        try:
            value = orjson.loads(answer) if answer.strip() else None
        except orjson.JSONDecodeError:
            value = answer
        if 200 <= status < 300 and not isinstance(value, bytes):
            return value
        said = value.get("message") if isinstance(value, dict) else None
        where = f"{method} {path} at {self.url}: {status}"
        text = f"{where} {' '.join(str(said or '').split())[:300]}".rstrip()
        if status == 429 or status >= 500:
            raise GrafanaUnavailable(text)
        if status == 401:
            raise GrafanaForbidden(f"{text}; give the token of a service account of this Grafana")
        if status == 403:
            raise GrafanaForbidden(f"{text}; the service account's role is too small for this")
        if status == 404:
            raise GrafanaNotFound(text)
        if 200 <= status < 400:
            raise GrafanaRefused(f"{where}: what answers is not Grafana's API; give the address Grafana itself is at")
        raise GrafanaRefused(text)


def to_ms(ns: int) -> int:
    """Grafana counts milliseconds."""
    return ns // (SECOND // 1000)
