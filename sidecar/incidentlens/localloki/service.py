"""What the parts of the HTTP API share: the store, the clock, the limits, who is asking."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge
from starlette.requests import HTTPConnection

from ..model.clock import Clock
from .httpio import ApiError
from .limits import Limits
from .rules import RuleStore
from .store import Store
from .volumes import Volumes

NO_ORG = "no org id"
SINGLE_TENANT = "fake"
"""The tenant of everything when tenants are off, named as Loki names it."""

_MAX_TENANT = 150
_TENANT_CHARS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!-_.*'()")


class Service:
    """One local Loki without its HTTP."""

    def __init__(self, data_dir: Path, *, auth: bool, clock: Clock, limits: Limits) -> None:
        """Open the data folder. Raises OSError when it cannot be used, RuntimeError when it is in use."""
        self.auth = auth
        self.clock = clock
        self.limits = limits
        self.store = Store(data_dir, clock, limits)
        self.volumes = Volumes(self.store)
        self.metrics = Metrics(self.store)
        self.rules = RuleStore(data_dir / "rules.sqlite")
        self.tails = 0

    def tenant(self, connection: HTTPConnection) -> str:
        """Who asks. Raises ApiError when tenants are on and the request names none, or a name no tenant can have."""
        if not self.auth:
            return SINGLE_TENANT
        name = connection.headers.get("x-scope-orgid", "")
        if not name:
            raise ApiError(401, NO_ORG, line_feed=True)
        if "|" in name:
            # Loki reads several tenants at once only when told to; a caller must never choose to.
            raise ApiError(500, "multiple org IDs present")
        if name in (".", ".."):
            raise ApiError(400, "tenant ID is '.' or '..'")
        for char in name:
            if char not in _TENANT_CHARS:
                raise ApiError(400, f"tenant ID '{name}' contains unsupported character '{char}'")
        if len(name) > _MAX_TENANT:
            raise ApiError(400, f"tenant ID is too long: max {_MAX_TENANT} characters")
        return name

    def close(self) -> None:
        """Seal and close the store."""
        self.rules.close()
        self.store.close()


class Metrics:
    """Prometheus metrics of this server, in a registry of its own: several may run in one process."""

    def __init__(self, store: Store) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "loki_request_total", "Requests answered.", ["method", "route", "status_code"], registry=self.registry
        )
        self.discarded = Counter(
            "loki_discarded_pushes_total",
            "Pushes refused in whole or in part.",
            ["status_code"],
            registry=self.registry,
        )
        counters = store.counters
        for name, help_text, value in (
            ("lines_received", "Lines stored since the start.", lambda: counters.lines),
            ("bytes_received", "Characters of lines stored since the start.", lambda: counters.bytes),
            ("wal_replayed_lines", "Lines read back from the log at the start.", lambda: counters.replayed_lines),
            ("wal_torn_bytes", "Bytes of a torn tail cut off the log.", lambda: store.torn_bytes),
            ("duplicate_lines", "Lines dropped because they had just been pushed.", lambda: counters.duplicates),
            ("late_lines", "Lines refused as too far behind.", lambda: counters.too_far_behind),
            ("sealed_chunks", "Chunks written.", lambda: counters.sealed_chunks),
            ("dropped_chunks", "Chunks dropped to keep to the disk limit.", lambda: counters.dropped_chunks),
        ):
            gauge = Gauge(f"loki_local_{name}", help_text, registry=self.registry)
            gauge.set_function(value)
