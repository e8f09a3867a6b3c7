"""Prometheus series of the sidecar. Labels are bounded: projects and queries come from the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from incidentlens.intake.paging import Fetched

from .report import TickReport

if TYPE_CHECKING:
    from incidentlens.investigation.asking import Conversation

REGISTRY = CollectorRegistry()

RECORDS = Counter("incidentlens_records_total", "Log records taken in", ["project"], registry=REGISTRY)
CUT = Counter("incidentlens_records_cut_total", "Records that a bound kept out", ["project"], registry=REGISTRY)
QUARANTINED = Counter(
    "incidentlens_records_quarantined_total", "Records that made a stage raise", ["project"], registry=REGISTRY
)
PROBLEMS = Counter("incidentlens_problems_total", "Problems found", ["project", "suppressed"], registry=REGISTRY)
LEFT_OUT = Counter(
    "incidentlens_problems_left_out_total", "New problems beyond what one tick takes up", ["project"], registry=REGISTRY
)
DECISIONS = Counter("incidentlens_decisions_total", "Decisions taken", ["project", "disposition"], registry=REGISTRY)
NOTIFICATIONS = Counter("incidentlens_notifications_total", "Notifications", ["project", "state"], registry=REGISTRY)
OUTCOMES = Counter("incidentlens_verifications_total", "Ended verifications", ["project", "outcome"], registry=REGISTRY)
FAILURES = Counter("incidentlens_failures_total", "Runs that failed", ["project", "reason"], registry=REGISTRY)
PAGES = Counter("incidentlens_loki_pages_total", "Pages read from Loki", ["project", "query"], registry=REGISTRY)
COUNTED = Counter(
    "incidentlens_records_counted_total",
    "Records that Loki counted for push-down",
    ["project", "query"],
    registry=REGISTRY,
)
UNREAD = Counter(
    "incidentlens_records_unread_total", "Of those, what was not fetched", ["project", "query"], registry=REGISTRY
)
SAMPLED_OUT = Counter(
    "incidentlens_failing_sampled_out_total",
    "Failing records that push-down's bound kept out",
    ["project", "query"],
    registry=REGISTRY,
)
LOKI_BYTES = Counter(
    "incidentlens_loki_bytes_total", "Bytes that reading brought from Loki", ["project", "query"], registry=REGISTRY
)
READ_MODE = Gauge(
    "incidentlens_read_mode", "1 for the way in which a query is read", ["project", "query", "mode"], registry=REGISTRY
)
ALERTS = Counter("incidentlens_alerts_received_total", "Alerts received", ["project", "result"], registry=REGISTRY)
PUBLISHED = Counter("incidentlens_published_total", "Outbox items dealt with", ["result"], registry=REGISTRY)
REGIONS = Counter(
    "incidentlens_annotations_total", "Changes of regions in Grafana", ["project", "result"], registry=REGISTRY
)
INVESTIGATIONS = Counter(
    "incidentlens_investigations_total", "A language model's investigations", ["project", "result"], registry=REGISTRY
)
MODEL_TOKENS = Counter("incidentlens_model_tokens_total", "Tokens in and out", ["project"], registry=REGISTRY)
MODEL_COST = Counter("incidentlens_model_cost_dollars_total", "What they cost", ["project"], registry=REGISTRY)
LAG = Gauge("incidentlens_lag_seconds", "Age of the newest record time taken in", ["project"], registry=REGISTRY)
OPEN = Gauge("incidentlens_open_incidents", "Incidents that are open", ["project"], registry=REGISTRY)
TICK = Histogram(
    "incidentlens_tick_seconds",
    "Time of one tick",
    ["project"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=REGISTRY,
)


def observe_tick(project: str, report: TickReport, lag_ns: int) -> None:
    """Count what a tick did."""
    RECORDS.labels(project).inc(report.records)
    PROBLEMS.labels(project, "no").inc(report.problems - report.suppressed)
    PROBLEMS.labels(project, "yes").inc(report.suppressed)
    LEFT_OUT.labels(project).inc(report.left_out)
    for disposition in report.decisions:
        DECISIONS.labels(project, disposition).inc()
    for state in report.notifications:
        NOTIFICATIONS.labels(project, state).inc()
    for outcome in report.outcomes:
        OUTCOMES.labels(project, outcome).inc()
    LAG.labels(project).set(lag_ns / 1e9)
    OPEN.labels(project).set(report.open_incidents)
    TICK.labels(project).observe(report.seconds)


def observe_fetch(project: str, query: str, fetched: Fetched) -> None:
    """Count what one read of Loki did."""
    PAGES.labels(project, query).inc(fetched.pages)
    CUT.labels(project).inc(fetched.cut)


def observe_push_down(project: str, query: str, counted: int, unread: int, cut: int, size: int) -> None:
    """Count what one read by push-down did: records counted, not fetched, kept out by the bound, and bytes moved."""
    COUNTED.labels(project, query).inc(counted)
    UNREAD.labels(project, query).inc(unread)
    SAMPLED_OUT.labels(project, query).inc(cut)
    LOKI_BYTES.labels(project, query).inc(size)


def observe_mode(project: str, query: str, mode: str) -> None:
    for each in ("full", "push_down"):
        READ_MODE.labels(project, query, each).set(each == mode)


def count_quarantined(project: str, number: int) -> None:
    QUARANTINED.labels(project).inc(number)


def count_failure(project: str, reason: str) -> None:
    FAILURES.labels(project, reason).inc()


def count_published(sent: int, failed: int) -> None:
    PUBLISHED.labels("sent").inc(sent)
    PUBLISHED.labels("failed").inc(failed)


def count_regions(project: str, sent: int, failed: int) -> None:
    REGIONS.labels(project, "sent").inc(sent)
    REGIONS.labels(project, "failed").inc(failed)


def count_investigation(project: str, result: str, said: Conversation | None) -> None:
    """An investigation came to an end: done, failed, held or cached."""
    INVESTIGATIONS.labels(project, result).inc()
    if said is not None:
        MODEL_TOKENS.labels(project).inc(said.tokens)
        MODEL_COST.labels(project).inc(said.cost)
