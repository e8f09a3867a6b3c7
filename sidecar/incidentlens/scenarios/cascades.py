"""The four failures: which service breaks first, who follows it, when, and what they say.

A failing request walks through the steps that have begun, under one trace id; loose steps come on their own.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One link of a cascade. `begins` is in seconds after the fault's start, at speed 1."""

    name: str
    service: str
    begins: float
    level: str
    logger: str
    text: str
    delay_ms: float = 5.0  # after the step before it, within one request
    role: str = "link"  # cause, link or symptom
    ends: float | None = None  # seconds after the fault's start; None: with the fault


@dataclass(frozen=True, slots=True)
class Cascade:
    """A scenario. `requests` is failing requests a second; `loose` are steps with a rate of their own."""

    name: str
    title: str
    requests: float
    steps: tuple[Step, ...]
    loose: tuple[tuple[Step, float], ...] = ()  # (step, a second)
    dispositions: tuple[str, ...] = ("ESCALATE", "NEEDS_ONCALL")

    @property
    def cause(self) -> Step:
        every = (*self.steps, *(step for step, _ in self.loose))
        return next(step for step in every if step.role == "cause")


def _java(message: str, exception: str, *frames: str) -> str:
    return "\n".join([message, exception, *(f"\tat {frame}" for frame in frames)])


_POOL = "connection pool exhausted: 50 of 50 connections in use, waited {ms} ms (pool=orders-rw)"

DB_CASCADE = Cascade(
    name="db_cascade",
    title="orders runs out of database connections; payment times out; checkout fails; the gateway shows it",
    requests=2.5,
    steps=(
        Step("pool_exhaustion", "orders", 0.0, "ERROR", "db.pool", _POOL, role="cause"),
        Step(
            "payment_timeout",
            "payment",
            2.5,
            "ERROR",
            "com.shop.pay.Confirm",
            "payment timeout: orders did not answer POST http://orders:8080/orders/{id}/confirm within 5000 ms",
            delay_ms=50,
        ),
        Step(
            "null_pointer",
            "checkout",
            4.0,
            "ERROR",
            "com.shop.checkout.Flow",
            _java(
                "checkout of order {id} failed",
                'java.lang.NullPointerException: Cannot invoke "PaymentResult.status()" because "result" is null',
                "com.shop.checkout.Flow.finish(Flow.java:142)",
                "com.shop.checkout.Flow.run(Flow.java:77)",
                "java.base/java.lang.Thread.run(Thread.java:840)",
            ),
            delay_ms=8,
        ),
        Step(
            "unhandled_exception",
            "web-gateway",
            5.0,
            "ERROR",
            "proxy",
            "Unhandled exception in POST /checkout: upstream checkout answered 500",
            delay_ms=4,
            role="symptom",
        ),
    ),
    loose=((Step("pool_exhaustion", "orders", 0.0, "ERROR", "db.pool", _POOL, role="cause"), 1.5),),
)

AUTH_CASCADE = Cascade(
    name="auth_cascade",
    title="the session store is gone; token checks fail; clients retry until they are limited",
    requests=3.0,
    steps=(
        Step(
            "session_store_failure",
            "session",
            0.0,
            "ERROR",
            "store",
            "session store unavailable: dial tcp {ip}:6379: connection refused (redis session-redis)",
            role="cause",
        ),
        Step(
            "jwt_failure",
            "auth",
            2.5,
            "ERROR",
            "jwt",
            "JWT validation failed: session lookup at http://session:8080/sessions/{uuid} answered 503",
            delay_ms=12,
        ),
        Step(
            "rate_limit_anomaly",
            "web-gateway",
            6.0,
            "WARN",
            "limits",
            "rate limit anomaly on /login: client {ip} sent {n} requests in 10 s after auth answered 401",
            delay_ms=6,
            role="symptom",
        ),
    ),
)

DEPLOYMENT_GONE_WRONG = Cascade(
    name="deployment_gone_wrong",
    title="a release of inventory shrinks its heap; it chokes; orders and checkout fail behind it",
    requests=2.5,
    steps=(
        Step(
            "resource_pressure",
            "inventory",
            2.0,
            "ERROR",
            "runtime",
            "request rejected: heap is {pct} percent full after full gc, limit 256 MiB",
        ),
        Step(
            "reservation_failed",
            "orders",
            5.0,
            "ERROR",
            "api",
            "reservation for order {id} failed: POST http://inventory:8080/reserve answered 503",
            delay_ms=20,
        ),
        Step(
            "checkout_failed",
            "checkout",
            7.0,
            "ERROR",
            "com.shop.checkout.Flow",
            "checkout of order {id} failed: orders answered 502",
            delay_ms=6,
            role="symptom",
        ),
    ),
    loose=(
        (
            Step(
                "config_change",
                "inventory",
                0.0,
                "WARN",
                "config",
                "configuration changed by release 2.14.0: heap.max 2048m -> 256m on inventory-{hex}",
                role="cause",
                ends=3.0,  # as its pods come up one after the other
            ),
            3.0,
        ),
    ),
)

MEMORY_LEAK = Cascade(
    name="memory_leak",
    title="catalogue leaks memory, is killed, restarts, and is killed again",
    requests=2.0,
    steps=(
        Step(
            "upstream_refused",
            "web-gateway",
            7.0,
            "ERROR",
            "proxy",
            "upstream catalogue refused GET /products/{id}: connect to catalogue:8080: connection refused",
            role="symptom",
        ),
    ),
    loose=(
        (
            Step(
                "memory_pressure",
                "catalogue",
                0.0,
                "ERROR",
                "memory",
                "memory pressure: rss {pct} percent of the 512 MiB limit, allocation of {n} MiB failed",
                role="cause",
            ),
            1.5,
        ),
        (
            Step(
                "oom_kill",
                "platform",
                5.0,
                "ERROR",
                "oom",
                "Memory cgroup out of memory: Killed process {id} (catalogue) in pod shop/catalogue-{hex}",
            ),
            0.4,
        ),
        (
            Step(
                "restart_cycle",
                "platform",
                6.0,
                "ERROR",
                "kubelet",
                "back-off restarting failed container catalogue in pod shop/catalogue-{hex}, restart {n}",
            ),
            0.8,
        ),
    ),
)

CASCADES = {cascade.name: cascade for cascade in (DB_CASCADE, AUTH_CASCADE, DEPLOYMENT_GONE_WRONG, MEMORY_LEAK)}
