"""Alerts that others send: Loki's ruler and Alertmanager's API form (a list), and the webhook form of both
Alertmanager and Grafana (an object with `alerts`).

The ruler sends its whole active set again and again and ends an alert by an `endsAt` in the past; the fingerprint
makes the repetition harmless. Both forms are documented with Prometheus (alerting clients, webhook_config).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import xxhash
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from incidentlens.model.decisions import Alert
from incidentlens.model.records import stream_key

MAX_ALERTS = 10_000
_ZERO_YEAR = 1


class AlertFormatError(ValueError):
    """The body is neither of the two forms; the message says what was expected and where it differs."""


class _Wire(BaseModel):
    """One alert as it is sent. Unknown keys are allowed: senders add to them with each version."""

    model_config = ConfigDict(extra="ignore")

    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    startsAt: datetime | None = None
    endsAt: datetime | None = None
    generatorURL: str = ""
    status: str = ""


class _Webhook(BaseModel):
    model_config = ConfigDict(extra="ignore")

    alerts: list[_Wire]


_LIST: TypeAdapter[list[_Wire]] = TypeAdapter(list[_Wire])


def read_alerts(body: bytes, project: str, now: int) -> list[Alert]:
    """Both forms to alerts of `project`. `now` (ns) stands in for a start that is missing.

    Raises AlertFormatError.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise AlertFormatError(f"the body is no JSON: {error}") from error
    try:
        if isinstance(document, list):
            wires = _LIST.validate_python(document)
        else:
            wires = _Webhook.model_validate(document).alerts
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise AlertFormatError(
            f"{where}: {first['msg']}; "
            "a list of alerts (Alertmanager's API) or an object with `alerts` (webhook) is expected"
        ) from error
    if len(wires) > MAX_ALERTS:
        raise AlertFormatError(f"{len(wires)} alerts in one request; at most {MAX_ALERTS} are taken")
    return [_alert(wire, project, now) for wire in wires]


def _alert(wire: _Wire, project: str, now: int) -> Alert:
    starts_at = _ns(wire.startsAt) or now
    ends_at = _ns(wire.endsAt)
    if ends_at is None and wire.status == "resolved":
        ends_at = now
    return Alert(
        fingerprint=fingerprint(wire.labels),
        project=project,
        name=wire.labels.get("alertname", "alert"),
        starts_at=starts_at,
        ends_at=ends_at,
        labels=wire.labels,
        annotations=wire.annotations,
        generator_url=wire.generatorURL,
        query=query_of(wire.generatorURL),
    )


def fingerprint(labels: Mapping[str, str]) -> str:
    """An alert's identity is its label set, as in Alertmanager."""
    return xxhash.xxh3_64(stream_key(labels).encode("utf-8", "replace")).hexdigest()


def _ns(moment: datetime | None) -> int | None:
    """Nanoseconds; None for a missing time and for Go's zero time, which senders use for "not yet"."""
    if moment is None or moment.year <= _ZERO_YEAR:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 10**9 + moment.microsecond * 1000


def query_of(generator_url: str) -> str:
    """The LogQL inside a generator URL (Grafana's Explore form), or empty."""
    left = parse_qs(urlsplit(generator_url).query).get("left")
    if not left:
        return ""
    try:
        queries: Any = orjson.loads(left[0])["queries"]
        return str(queries[0]["expr"])
    except (orjson.JSONDecodeError, KeyError, IndexError, TypeError):
        return ""
