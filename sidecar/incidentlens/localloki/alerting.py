"""Sends alerts to an Alertmanager's `POST /api/v2/alerts`, in the form Loki's ruler sends them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote_plus

import httpx
import orjson

from ..logql.errors import LogQLError
from ..logql.parse import parse
from ..logql.printer import to_text
from .gotext import format_rfc3339_millis
from .ruler import Alert
from .rules import Rule

PATH = "/api/v2/alerts"
_BATCH = 256
_TIMEOUT_S = 10.0


def expression_text(expr: str) -> str:
    """An expression as Loki writes it."""
    try:
        return to_text(parse(expr))
    except LogQLError:
        return expr


def _generator_url(rule: Rule) -> str:
    """Where in Grafana's Explore the expression can be looked at."""
    query = {"queries": [{"expr": expression_text(rule.expr), "queryType": "range"}]}
    text = orjson.dumps(query).decode()
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return f"/explore?left={quote_plus(text, safe='')}"


def alert_body(rule: Rule, alert: Alert) -> dict[str, Any]:
    """An alert as it is sent. One that is over has its end in the past."""
    return {
        "annotations": alert.annotations,
        "endsAt": format_rfc3339_millis(alert.valid_until),
        "startsAt": format_rfc3339_millis(alert.fired_at),
        "generatorURL": _generator_url(rule),
        "labels": alert.labels,
    }


class AlertSender:
    """Posts alerts. What could not be delivered is counted; the next evaluation sends what is active again."""

    def __init__(self, url: str, client: httpx.AsyncClient | None = None) -> None:
        self._url = url.rstrip("/") + PATH
        self._client = client or httpx.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=False)
        self.sent = 0
        self.dropped = 0
        self.last_error = ""

    async def send(self, tenant: str, alerts: list[tuple[Rule, Alert]]) -> bool:
        """Send the alerts of one tenant; whether all were taken. Never raises."""
        taken = True
        for begin in range(0, len(alerts), _BATCH):
            batch = alerts[begin : begin + _BATCH]
            body = orjson.dumps([alert_body(rule, alert) for rule, alert in batch])
            headers = {"Content-Type": "application/json", "User-Agent": "Prometheus/", "X-Scope-OrgID": tenant}
            try:
                answer = await self._client.post(self._url, content=body, headers=headers)
                answer.raise_for_status()
                self.sent += len(batch)
            except httpx.HTTPError as error:
                taken = False
                self.dropped += len(batch)
                self.last_error = f"{type(error).__name__}: {error}"
                for _, alert in batch:
                    # A delivery that failed does not count as one: it is tried again at the next evaluation.
                    alert.sent_at = 0
        return taken

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
