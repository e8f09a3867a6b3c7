"""Limits, with Loki's own defaults where Loki has the same limit."""

from __future__ import annotations

from dataclasses import dataclass

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

SERVICE_LABELS = (
    "service",
    "app",
    "application",
    "app_name",
    "name",
    "app_kubernetes_io_name",
    "container",
    "container_name",
    "k8s_container_name",
    "component",
    "workload",
    "job",
    "k8s_job_name",
)
"""Labels that name the service, best first: what `service_name` is taken from when a stream has none."""

LEVEL_FIELDS = (
    "level",
    "LEVEL",
    "Level",
    "log.level",
    "severity",
    "SEVERITY",
    "Severity",
    "SeverityText",
    "lvl",
    "LVL",
    "Lvl",
    "severity_text",
    "Severity_Text",
    "SEVERITY_TEXT",
)
"""Labels, structured metadata and fields of a line that hold a level, best first."""

OTLP_INDEX_ATTRIBUTES = (
    "service.name",
    "service.namespace",
    "service.instance.id",
    "deployment.environment",
    "deployment.environment.name",
    "cloud.region",
    "cloud.availability_zone",
    "k8s.cluster.name",
    "k8s.namespace.name",
    "k8s.pod.name",
    "k8s.container.name",
    "container.name",
    "k8s.replicaset.name",
    "k8s.deployment.name",
    "k8s.statefulset.name",
    "k8s.daemonset.name",
    "k8s.cronjob.name",
    "k8s.job.name",
)
"""OpenTelemetry resource attributes that become labels; all others become structured metadata."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a tenant may push and ask. Sizes are bytes, times nanoseconds."""

    max_line_size: int = 256 * 1024
    max_label_names: int = 15
    max_label_name_length: int = 1024
    max_label_value_length: int = 2048
    max_metadata_size: int = 64 * 1024
    max_metadata_count: int = 128
    max_body: int = 100 << 20
    max_decompressed: int = 512 << 20
    reject_older_than_ns: int = 0
    """Lines older than this are refused; 0: never (old logs are what replays and tests push)."""
    creation_grace_ns: int = 10 * MINUTE
    out_of_order_ns: int = HOUR
    """How far behind a stream's newest line a line may be."""
    max_streams: int = 100_000
    max_returned_errors: int = 10
    max_entries: int = 5000
    max_query_length_ns: int = 721 * HOUR
    max_series: int = 500
    volume_max_series: int = 1000
    query_timeout_s: float = 60.0
    head_bytes: int = 32 << 20
    """Unsealed lines of all tenants together; beyond it they are sealed into compressed chunks."""
    max_disk_bytes: int = 10 << 30
    """Compressed chunks kept on disk; beyond it the first written ones are dropped, and counted."""
    seal_after_ns: int = 5 * MINUTE
    max_rule_groups: int = 1000
    max_rules_per_group: int = 1000
    max_tails: int = 10
