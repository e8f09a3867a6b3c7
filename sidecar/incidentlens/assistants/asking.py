"""Asking the HTTP API on behalf of an assistant."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx

_TIMEOUT_S = 30.0
_MAX_BODY = 8 * 1024 * 1024


class Refused(Exception):
    """The API did not answer as asked; the message says what to do."""


class Api:
    """GET requests below `/api/`, each under the token it is given."""

    def __init__(self, url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._client = httpx.AsyncClient(
            base_url=url.rstrip("/") + "/api/", timeout=_TIMEOUT_S, follow_redirects=False, transport=transport
        )
        self._url = url

    async def close(self) -> None:
        await self._client.aclose()

    async def get(self, parts: tuple[str, ...], token: str | None, **asked: Any) -> dict[str, Any]:
        """The JSON object at `/api/` and the parts, each of which is one step of the path whatever is in it.

        Parameters that are None are left out. Raises Refused.
        """
        path = "/".join(quote(part, safe="") for part in parts)
        if any(part in ("", ".", "..") for part in parts):
            raise Refused("an id is empty; list_incidents and list_signatures give ids")
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        parameters = {name: value for name, value in asked.items() if value is not None}
        try:
            answer = await self._client.get(path, params=parameters, headers=headers)
        except httpx.HTTPError as error:
            raise Refused(
                f"IncidentLens at {self._url} does not answer ({type(error).__name__}); is it running?"
            ) from None
        if len(answer.content) > _MAX_BODY:
            raise Refused("the answer is too large; ask for less with limit or a shorter time")
        try:
            body = answer.json()
        except ValueError:
            raise Refused(f"what answers at {self._url} is not IncidentLens (status {answer.status_code})") from None
        if not isinstance(body, dict):
            raise Refused(f"what answers at {self._url} is not IncidentLens")
        if answer.status_code != 200:
            raise Refused(str(body.get("error", f"status {answer.status_code}"))[:500])
        return body
