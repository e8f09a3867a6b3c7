"""CheckHealth: what "Save & test" says. CollectMetrics: how the data source itself does."""

from __future__ import annotations

import orjson
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from incidentlens.model.clock import SECOND
from incidentlens.model.terms import Status
from incidentlens.model.times import utc
from incidentlens.store.base import StoreError
from incidentlens.store.queries import IncidentFilter

from .auth import Asker, Refused, asker_of
from .backend import Backend
from .pb.pluginv2_pb2 import (
    CheckHealthRequest,
    CheckHealthResponse,
    CollectMetricsRequest,
    CollectMetricsResponse,
)

# Apart from the sidecar's own: these come without a token, so they tell nothing of any project.
REGISTRY = CollectorRegistry()
CALLS = Counter("incidentlens_grafana_calls_total", "Calls from Grafana", ["method", "code"], registry=REGISTRY)
SECONDS = Histogram(
    "incidentlens_grafana_call_seconds",
    "Time of one call",
    ["method"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=REGISTRY,
)
_MANY = 100
_STALE = 60 * SECOND


async def check_health(backend: Backend, request: CheckHealthRequest) -> CheckHealthResponse:
    """Whether the token is good, the store answers and the project's Loki is read; never an error of the call."""
    try:
        asker = asker_of(backend.loaded_of(), request.pluginContext)
        found = await backend.store.queries.list_incidents(
            asker.project.name, IncidentFilter(status=(Status.OPEN, Status.VERIFYING)), limit=_MANY
        )
    except Refused as refused:
        return _response(CheckHealthResponse.ERROR, _sentence(refused.text), "")
    except StoreError as error:
        return _response(CheckHealthResponse.ERROR, _sentence(f"IncidentLens answers, its store does not: {error}"), "")
    number = f"{_MANY} or more" if found.next_cursor else str(len(found.items))
    plural = "" if number == "1" else "s"
    rights = "may read and change" if asker.role.value == "editor" else "may read"
    message = f"Project {asker.project.name}: {number} open incident{plural}. {_reading(backend, asker)}"
    detail = f"{asker.name}: {rights}. The policy's mode is {asker.project.policy.mode}."
    return _response(CheckHealthResponse.OK, message, detail)


def collect_metrics(_request: CollectMetricsRequest) -> CollectMetricsResponse:
    """Calls and their time, in Prometheus' text format."""
    return CollectMetricsResponse(metrics=CollectMetricsResponse.Payload(prometheus=generate_latest(REGISTRY)))


def _reading(backend: Backend, asker: Asker) -> str:
    runners = backend.runners()
    runner = runners.get(asker.project.name)
    if runner is None:
        return "" if not runners else "Its logs are not read yet."
    health = runner.health
    if health.error is not None:
        since = f" since {utc(health.failing_since)}" if health.failing_since else ""
        return f"Reading its Loki fails{since}, so nothing new is found: {_sentence(health.error)}"
    if health.last_tick is None:
        return "Its Loki has not been read yet."
    age = backend.clock.now() - health.last_tick
    return f"Its Loki was last read {age / SECOND:.0f} s ago{': that is long' if age > _STALE else ''}."


def _response(status: CheckHealthResponse.HealthStatus, message: str, detail: str) -> CheckHealthResponse:
    details = orjson.dumps({"message": message, "verboseMessage": detail}) if detail else b"{}"
    return CheckHealthResponse(status=status, message=message.strip(), jsonDetails=details)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
