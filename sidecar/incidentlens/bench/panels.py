"""Every kind of panel query at the gRPC surface, over a store of a given size: its time, and what it costs in CPU."""

from __future__ import annotations

import statistics
import time
from typing import Any

from incidentlens.grafana.pb import pluginv2_pb2 as v2

from . import processes
from .measure import Figure
from .serving import PROJECT, Served, panel

REPEATS = 20
_AIM_MS = 50.0


async def measure(served: Served, conditions: str) -> list[Figure]:
    """One figure a query: the 95th percentile of 20 in ms; median, worst and CPU ms a query are in its details."""
    return [await _time(served, name, query, conditions) for name, query in (await cases(served)).items()]


async def _time(served: Served, name: str, query: v2.DataQuery, conditions: str) -> Figure:
    await served.query(query)  # warms the caches
    measured = [served.pid, *processes.below(served.database_pid)]
    before = [processes.cpu_seconds(pid) for pid in measured]
    took, rows = [], 0
    for _ in range(REPEATS):
        began = time.perf_counter()
        answer = await served.query(query)
        took.append((time.perf_counter() - began) * 1000)
        rows = len(answer.frames)
    used = sum(processes.cpu_seconds(pid) for pid in measured) - sum(before)
    took.sort()
    p95 = took[round(0.95 * (REPEATS - 1))]
    details = {
        "p50_ms": round(statistics.median(took), 1),
        "p95_ms": round(p95, 1),
        "worst_ms": round(took[-1], 1),
        "cpu_ms": round(used / REPEATS * 1000, 1),
        "frames": rows,
    }
    told = f"{conditions}; 95th of {REPEATS}, median {details['p50_ms']} ms, CPU {details['cpu_ms']} ms a query"
    return Figure(f"panel {name}", p95, "ms", told, "under 50", p95 < _AIM_MS, details)


async def cases(served: Served) -> dict[str, v2.DataQuery]:
    """Each query type as dashboards ask it, and the dear ones: many filters, negated ones, a whole quarter."""
    found = (await served.store.queries.list_incidents(PROJECT)).items
    first = next((row for row in found if row.cause_service), found[0])
    service, signature = first.services[0], first.signatures[0]
    others = [name for name in await served.store.queries.services(PROJECT) if name != service][:3]
    runbook = next((row.runbook for row in found if row.runbook), "")

    def besides(key: str, value: str) -> dict[str, Any]:
        return {"adhocFilters": [{"key": key, "operator": "!=", "value": value}]}

    several: dict[str, Any] = {
        "service": [service, *others],
        "severity": ["critical", "high"],
        "disposition": ["ESCALATE", "NEEDS_ONCALL", "NEEDS_DEV"],
    }
    made: dict[str, v2.DataQuery] = {
        "incidents, a day": panel("incidents", 1),
        "incidents, 90 days, by severity": panel("incidents", 90, sort="severity"),
        "incidents, 90 days, several filters": panel("incidents", 90, **several),
        "incidents, 90 days, without a service": panel("incidents", 90, **besides("service", service)),
        "incidents, 90 days, without a signature": panel("incidents", 90, **besides("signature", signature)),
        "incidents, open ones": panel("incidents", 90, status=["open", "verifying"]),
        "incidents, a word": panel("incidents", 90, text="deadlock"),
        "series, a day": panel("incident_series", 1),
        "series, 90 days": panel("incident_series", 90),
        "series, 90 days, a service": panel("incident_series", 90, service=[service]),
        "series, 90 days, several filters": panel("incident_series", 90, groupBy=["severity"], **several),
        "series, 90 days, without a service": panel("incident_series", 90, **besides("service", service)),
        "series, 90 days, by severity without a service": panel(
            "incident_series", 90, groupBy=["severity"], **besides("service", service)
        ),
        "series, 400 days, without a service": panel("incident_series", 400, **besides("service", service)),
        "series, 90 days, without a signature": panel("incident_series", 90, **besides("signature", signature)),
        "series, 90 days, by service and signature": panel("incident_series", 90, groupBy=["service", "signature"]),
        "series, 90 days, by severity and disposition": panel(
            "incident_series", 90, groupBy=["severity", "disposition"]
        ),
        "open_alerts": panel("open_alerts", 1),
        "evidence": panel("evidence", 1, incidentId=[first.id]),
        "evidence, 20 incidents": panel("evidence", 1, incidentId=[row.id for row in found[:20]]),
        "timeline, a day": panel("timeline", 1),
        "timeline, an incident": panel("timeline", 1, incidentId=[first.id]),
        "root_cause": panel("root_cause", 1, incidentId=[first.id]),
        "actions, a day": panel("actions", 1),
        "actions, 90 days, several filters": panel("actions", 90, **several),
        "actions, 90 days, without a service": panel("actions", 90, **besides("service", service)),
        "verification, 90 days": panel("verification", 90),
        "verification, 90 days, without a service": panel("verification", 90, **besides("service", service)),
        "verification, 90 days, runbooks": panel("verification", 90, format="runbooks"),
        "verification, 90 days, watches": panel("verification", 90, format="watches"),
        "signatures, top": panel("signatures", 1),
        "signatures, new": panel("signatures", 7, sort="new"),
        "signatures, growing": panel("signatures", 1, sort="growing"),
        "signatures, sparklines": panel("signatures", 1, format="sparklines"),
        "kpis, a day": panel("kpis", 1),
        "kpis, 90 days": panel("kpis", 90),
        "kpis, 90 days, several filters": panel("kpis", 90, **several),
        "kpis, 90 days, without a service": panel("kpis", 90, **besides("service", service)),
        "annotations, a week": panel("annotations", 7),
        "annotations, 90 days, without a service": panel("annotations", 90, **besides("service", service)),
        "variable, services": panel("variable", 1, variable="service"),
        "variable, signatures": panel("variable", 1, variable="signature"),
    }  # fmt: skip
    if runbook:
        made["series, 90 days, without a runbook"] = panel("incident_series", 90, **besides("runbook", runbook))
    return made
