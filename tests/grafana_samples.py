"""Example queries of every type, and what a filled store answers: for golden files and for other decoders."""

from __future__ import annotations

from typing import Any

from builders import (
    T0,
    make_action,
    make_analysis,
    make_decision,
    make_event,
    make_evidence,
    make_investigation,
    make_verification,
)
from incidentlens.grafana.frames import Frame
from incidentlens.grafana.queries import QueryContext, answer, read_query
from incidentlens.model.clock import HOUR, MINUTE, SECOND
from incidentlens.model.decisions import Check, Feedback
from incidentlens.model.incidents import Suppression
from incidentlens.model.signatures import SignatureCount
from incidentlens.model.terms import ActionKind, Disposition, Level, Mode, Outcome, Severity, Status
from incidentlens.pipeline.live import Health
from incidentlens.pipeline.report import Run
from incidentlens.store.postgres import PostgresStore
from incidents_in_store import PAY, POOL, put

NOW = T0 + 2 * HOUR
SINCE, UNTIL = T0 - HOUR, NOW
HOSTILE = "<script>alert(1)</script> {{ $labels.x }} ${__user.login} @everyone \x00 ' OR 1=1 --"
INTERVAL_MS = 30 * 60 * 1000

EXAMPLES: dict[str, dict[str, Any]] = {
    "incidents": {"queryType": "incidents", "sort": "severity", "limit": 50},
    "incidents_filtered": {"queryType": "incidents", "filters": {"service": ["db"], "severity": ["high", "critical"]}},
    "incident_series": {"queryType": "incident_series"},
    "incident_series_by_severity": {"queryType": "incident_series", "groupBy": ["severity"]},
    "incident_series_by_two": {"queryType": "incident_series", "groupBy": ["disposition", "service"]},
    "open_alerts": {"queryType": "open_alerts"},
    "evidence": {"queryType": "evidence", "incidentId": "i1"},
    "timeline": {"queryType": "timeline", "incidentId": "i1"},
    "timeline_events": {"queryType": "timeline", "incidentId": "i1", "format": "events"},
    "timeline_incidents": {"queryType": "timeline"},
    "root_cause": {"queryType": "root_cause", "incidentId": "i1"},
    "actions": {"queryType": "actions"},
    "verification": {"queryType": "verification"},
    "verification_runbooks": {"queryType": "verification", "format": "runbooks"},
    "verification_watches": {"queryType": "verification", "incidentId": "i1"},
    "signatures": {"queryType": "signatures", "sort": "top"},
    "signatures_sparklines": {"queryType": "signatures", "format": "sparklines"},
    "similar": {"queryType": "similar", "incidentId": "i1"},
    "kpis": {"queryType": "kpis"},
    "incident": {"queryType": "incident", "incidentId": "i1"},
    "incident_story": {"queryType": "incident", "incidentId": "i1", "format": "story"},
    "incident_reasons": {"queryType": "incident", "incidentId": "i1", "format": "reasons"},
    "incident_steps": {"queryType": "incident", "incidentId": "i1", "format": "steps"},
    "incident_findings": {"queryType": "incident", "incidentId": "i1", "format": "findings"},
    "health": {"queryType": "health"},
    "health_records": {"queryType": "health", "format": "series", "kind": ["records"]},
    "health_lag": {"queryType": "health", "format": "series", "kind": ["lag"]},
    "health_failures": {"queryType": "health", "format": "series", "kind": ["failures"]},
    "health_analyses": {"queryType": "health", "format": "series", "kind": ["analyses"]},
    "health_cost": {"queryType": "health", "format": "series", "kind": ["cost"]},
    "health_queries": {"queryType": "health", "format": "queries"},
    "health_targets": {"queryType": "health", "format": "targets"},
    "health_errors": {"queryType": "health", "format": "errors"},
    "annotations": {"queryType": "annotations"},
    "variable_services": {"queryType": "variable", "variable": "services"},
    "variable_incidents": {"queryType": "variable", "variable": "incidents"},
    "nothing": {"queryType": "evidence"},
}


async def fill(store: PostgresStore) -> None:
    """Project `shop` with an open, a resolved, a suppressed and a hostile incident; `bank` with one of its own."""
    await put(store, "i1")
    await put(
        store, "i2", status=Status.RESOLVED, severity=Severity.CRITICAL, disposition=Disposition.ESCALATE,
        onset=T0 + 30 * MINUTE, opened_at=T0 + 31 * MINUTE, last_seen=T0 + 40 * MINUTE, ended_at=T0 + 50 * MINUTE,
        reopened=1,
    )  # fmt: skip
    await put(store, "i3", title=HOSTILE, summary=HOSTILE, service=HOSTILE, root_cause=None, severity=Severity.LOW)
    await put(store, "b1", project="bank", title="a secret of the bank", service="vault")
    held = Suppression(reason="maintenance", detail="planned work")
    await put(
        store, "i4", status=Status.SUPPRESSED, suppression=held, disposition=Disposition.OBSERVE, runbook=None,
        opened_at=T0 + 70 * MINUTE, onset=T0 + 69 * MINUTE,
    )  # fmt: skip
    async with store.transaction("shop") as tx:
        await tx.save_verification(
            make_verification(
                "v-i2", "i2", outcome=Outcome.RESOLVED, ended_at=T0 + 50 * MINUTE, why="quiet for 5 min",
                checks=(Check(at=T0 + 60 * SECOND, count=12, note="12 records"),),
            )
        )  # fmt: skip
        await tx.add_decision(
            make_decision(
                "d-held", "i4", at=T0 + 71 * MINUTE, mode=Mode.LIVE, disposition=Disposition.OBSERVE, tell=False,
                actions=(ActionKind.SUPPRESS,),
            )
        )  # fmt: skip
        await tx.add_action(
            make_action(
                "suppress:i4", "i4", decision_id="d-held", kind=ActionKind.SUPPRESS, at=T0 + 71 * MINUTE,
                payload={"reason": "planned work"},
            )
        )  # fmt: skip
        stream = '{"app":"db","env":"shop","service_name":"db"}'
        data = {"level": "error", "signature": POOL, "stream": stream, "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"}
        await tx.save_evidence("i1", [make_evidence(7, text=f"ERROR {HOSTILE}\n  at pool.take", data=data)])
        await tx.add_event(make_event("feedback", "i2", at=T0 + 36 * MINUTE, by="ann", text="right cause"))
        await tx.add_feedback(Feedback(incident_id="i2", at=T0 + 36 * MINUTE, by="ann", verdict="right_cause"))
        counts = [(POOL, "db", 2, 60), (POOL, "db", 1, 40), (POOL, "db", 0, 90), (PAY, "payment", 0, 7)]
        await tx.set_cursor("all", NOW - 12 * SECOND)
        await tx.set_cursor("gone", T0)
        details = {"model": {"cost_usd": 0.0125}}
        await tx.save_analysis("i2", T0 + 32 * MINUTE, make_analysis(source="model", details=details))
        await tx.want_investigation(make_investigation("inv_1", "i2", updated_at=T0 + 32 * MINUTE, cost=0.0125))
        await tx.enqueue("loki", "i1:1", {"line": "an event"}, NOW - 90 * SECOND)
        await tx.add_counts(
            [
                SignatureCount(
                    service=service, signature=name, level=Level.ERROR, bucket=T0 - T0 % HOUR + hours * HOUR, count=n
                )
                for name, service, hours, n in counts
            ]
        )


def a_reading() -> Health:
    """A sidecar that has read its Loki well but for one look."""
    runs = [Run(T0 + minute * MINUTE, 0.05 + minute / 1000, (2 + minute % 7) * SECOND) for minute in range(0, 120, 5)]
    runs.insert(3, Run(runs[2].at + MINUTE, 0.0, None, failed=True))
    health = Health(last_tick=NOW - 5 * SECOND, error="Loki does not answer", failing_since=NOW - MINUTE)
    health.runs.extend(runs)
    return health


def context_of(store: PostgresStore, project: str = "shop", **changes: Any) -> QueryContext:
    """As a data source of that project has it."""
    values = {
        "public_url": "https://incidents.example", "loki_uid": "loki", "source_uid": "incidentlens",
        "loki_queries": ("all",), "reading": a_reading() if project == "shop" else None, **changes,
    }  # fmt: skip
    return QueryContext(project=project, queries=store.queries, now=NOW, **values)


async def ask(store: PostgresStore, body: dict[str, Any], project: str = "shop", **changes: Any) -> list[Frame]:
    """What one query answers over the filled time."""
    bounds = {"since": SINCE, "until": UNTIL, "interval_ms": INTERVAL_MS, "max_data_points": 500, **changes}
    return await answer(read_query(body, **bounds), context_of(store, project))


async def sample_frames(store: PostgresStore) -> dict[str, list[Frame]]:
    """The frames of every example over a store that `fill` has filled."""
    return {name: await ask(store, body, ref_id="A") for name, body in EXAMPLES.items()}
