"""What goes wrong in the shop on any day: error types of seven families, and some that no runbook covers.

A text is a Python format string; its fields are drawn by `Draw`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

_WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "iris", "jade", "koala", "lotus")


class Draw:
    """Seeded values for the fields of a text: the same seed gives the same log."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def __getitem__(self, name: str) -> str:
        rng = self._rng
        values = {
            "n": lambda: str(rng.randint(1, 999)),
            "ms": lambda: str(rng.randint(1000, 30000)),
            "id": lambda: str(rng.randint(10_000, 9_999_999)),
            "uuid": lambda: (
                f"{rng.getrandbits(32):08x}-{rng.getrandbits(16):04x}-4{rng.getrandbits(12):03x}"
                f"-a{rng.getrandbits(12):03x}-{rng.getrandbits(48):012x}"
            ),
            "hex": lambda: f"{rng.getrandbits(48):012x}",
            "ip": lambda: f"10.{rng.randint(0, 31)}.{rng.randint(0, 255)}.{rng.randint(1, 254)}",
            "word": lambda: rng.choice(_WORDS),
            "user": lambda: f"{rng.choice(_WORDS)}{rng.randint(1, 99)}@example.com",
            "pct": lambda: str(rng.randint(86, 99)),
            "sec": lambda: f"{rng.uniform(1, 60):.1f}",
        }
        return values[name]()

    def keys(self) -> list[str]:
        return ["n", "ms", "id", "uuid", "hex", "ip", "word", "user", "pct", "sec"]


@dataclass(frozen=True, slots=True)
class ErrorType:
    """One way to fail. `services` are those that have it in the everyday noise, with equal shares."""

    name: str
    family: str
    services: tuple[str, ...]
    logger: str
    text: str
    level: str = "ERROR"
    covered: bool = True  # a runbook covers it


def _java_trace(exception: str, *frames: str, cause: str | None = None) -> str:
    lines = [exception, *(f"\tat {frame}" for frame in frames)]
    if cause:
        lines += [f"Caused by: {cause}", f"\tat {frames[-1]}", "\t... 24 more"]
    return "\n".join(lines)


ERRORS: tuple[ErrorType, ...] = (
    # database
    ErrorType(
        "db_connection_timeout",
        "database",
        ("reporting", "catalogue"),
        "db.pool",
        "could not connect to database host=pg-replica-{n} port=5432: connection timed out after {ms} ms",
    ),
    ErrorType(
        "db_deadlock",
        "database",
        ("inventory",),
        "db",
        "deadlock detected: process {id} waits for ShareLock on transaction {id}; blocked by process {id}",
    ),
    ErrorType(
        "db_pool_exhausted",
        "database",
        ("reporting",),
        "db.pool",
        "connection pool exhausted: {n} of {n} connections in use, waited {ms} ms (pool=reporting-ro)",
    ),
    ErrorType(
        "db_replication_lag",
        "database",
        ("platform",),
        "replication",
        "replication lag on replica pg-replica-{n} is {sec} s, over the limit of 5 s",
        "WARN",
    ),
    ErrorType(
        "db_query_timeout",
        "database",
        ("search", "reporting"),
        "db",
        "canceling statement due to statement timeout after {ms} ms: SELECT * FROM report_{word} WHERE day = {id}",
    ),
    ErrorType(
        "db_unique_violation",
        "database",
        ("inventory",),
        "db",
        'duplicate key value violates unique constraint "stock_pkey": key (sku)=({id}) already exists',
    ),
    # authentication
    ErrorType(
        "auth_token_expired",
        "authentication",
        ("auth",),
        "jwt",
        "token expired for user {user}: exp {id} is in the past",
        "WARN",
    ),
    ErrorType(
        "auth_invalid_signature",
        "authentication",
        ("auth",),
        "jwt",
        "JWT signature verification failed: invalid signature for kid {hex}",
    ),
    ErrorType(
        "auth_rate_limit",
        "authentication",
        ("auth",),
        "limits",
        "rate limit exceeded for client {ip}: {n} login attempts in 60 s",
        "WARN",
    ),
    ErrorType(
        "auth_session_store",
        "authentication",
        ("session",),
        "store",
        "session store write failed for session {uuid}: READONLY You can't write against a read only replica",
    ),
    ErrorType(
        "auth_ldap_timeout", "authentication", ("auth",), "ldap", "LDAP bind to ldap-{n}.corp timed out after {ms} ms"
    ),
    # payment
    ErrorType(
        "payment_gateway_timeout",
        "payment",
        ("payment",),
        "com.shop.pay.Gateway",
        "payment gateway timeout after {ms} ms for charge ch_{hex} (provider=stripe)",
    ),
    ErrorType(
        "payment_card_declined",
        "payment",
        ("payment",),
        "com.shop.pay.Cards",
        "card declined for order {id}: insufficient_funds",
        "WARN",
    ),
    ErrorType(
        "payment_fraud",
        "payment",
        ("payment",),
        "com.shop.pay.Fraud",
        "fraud check rejected order {id}: score {pct} from {ip}",
        "WARN",
    ),
    ErrorType(
        "payment_duplicate_charge",
        "payment",
        ("payment",),
        "com.shop.pay.Ledger",
        "duplicate charge detected for order {id}: idempotency key {uuid} was used before",
    ),
    ErrorType(
        "payment_refund_failed",
        "payment",
        ("payment",),
        "com.shop.pay.Refunds",
        "refund re_{hex} failed: charge already disputed",
    ),
    # infrastructure
    ErrorType(
        "infra_service_unavailable",
        "infrastructure",
        ("catalogue",),
        "http",
        "upstream pricing returned 503 Service Unavailable for GET /prices/{id}",
    ),
    ErrorType(
        "infra_queue_full",
        "infrastructure",
        ("notifications",),
        "queue",
        "queue mail-out is full: {n} messages waiting, publish rejected",
    ),
    ErrorType(
        "infra_cache_stampede",
        "infrastructure",
        ("catalogue",),
        "cache",
        "cache stampede on key price:{id}: {n} concurrent recomputations",
        "WARN",
    ),
    ErrorType(
        "infra_disk_space",
        "infrastructure",
        ("platform",),
        "kubelet",
        "no space left on device: /var/lib/containers is {pct} percent full",
    ),
    ErrorType(
        "infra_oom_kill",
        "infrastructure",
        ("platform",),
        "oom",
        "Memory cgroup out of memory: Killed process {id} (thumbnailer) anon-rss:{id}kB",
    ),
    ErrorType(
        "infra_certificate_expired",
        "infrastructure",
        ("notifications",),
        "tls",
        "x509: certificate has expired or is not yet valid: smtp-{n}.partner.example",
    ),
    ErrorType(
        "infra_dns", "infrastructure", ("platform",), "dns", "lookup metrics-{n}.internal on 10.0.0.10:53: no such host"
    ),
    # application
    ErrorType(
        "app_null_pointer",
        "application",
        ("search",),
        "com.shop.search.Ranker",
        "ranking failed for query {id}\n"
        + _java_trace(
            'java.lang.NullPointerException: Cannot invoke "Facet.weight()" because "facet" is null',
            "com.shop.search.Ranker.score(Ranker.java:88)",
            "com.shop.search.Api.query(Api.java:41)",
        ),
    ),
    ErrorType(
        "app_stack_overflow",
        "application",
        ("search",),
        "com.shop.search.Parser",
        "query parser failed\n"
        + _java_trace(
            "java.lang.StackOverflowError",
            "com.shop.search.Parser.expr(Parser.java:31)",
            "com.shop.search.Parser.expr(Parser.java:31)",
        ),
    ),
    ErrorType(
        "app_out_of_memory",
        "application",
        ("search",),
        "com.shop.search.Index",
        "segment merge failed\n"
        + _java_trace("java.lang.OutOfMemoryError: Java heap space", "com.shop.search.Index.merge(Index.java:217)"),
    ),
    ErrorType(
        "app_unhandled_exception",
        "application",
        ("notifications",),
        "worker",
        "Unhandled exception in task {uuid}\nTraceback (most recent call last):\n"
        '  File "/app/worker.py", line 71, in run\n    job.execute()\n'
        '  File "/app/jobs.py", line 33, in execute\n    return self.body["to"]\nKeyError: \'to\'',
    ),
    ErrorType(
        "app_config_missing",
        "application",
        ("reporting",),
        "config",
        "required setting REPORT_BUCKET_{n} is not set, using the default",
        "WARN",
    ),
    # data
    ErrorType(
        "data_validation",
        "data",
        ("orders",),
        "api",
        "validation failed for order {id}: field 'quantity' must be positive",
        "WARN",
    ),
    ErrorType(
        "data_schema_mismatch",
        "data",
        ("inventory",),
        "events",
        "schema mismatch on topic stock-events: expected version {n}, got {n}",
    ),
    ErrorType(
        "data_file_upload",
        "data",
        ("catalogue",),
        "uploads",
        "file upload failed for image-{hex}.png: body is larger than 10485760 bytes",
    ),
    ErrorType(
        "data_csv_parse",
        "data",
        ("reporting",),
        "imports",
        "CSV parse error in suppliers-{n}.csv line {n}: expected 12 fields, saw 11",
    ),
    ErrorType(
        "data_json_decode",
        "data",
        ("notifications",),
        "webhooks",
        "invalid JSON in webhook body: unexpected end of input at offset {n}",
    ),
    # security
    ErrorType(
        "security_sql_injection",
        "security",
        ("web-gateway",),
        "waf",
        "SQL injection attempt blocked from {ip}: parameter id matches rule {id}",
        "WARN",
    ),
    ErrorType(
        "security_xss",
        "security",
        ("web-gateway",),
        "waf",
        "cross-site scripting attempt blocked from {ip}: script tag in parameter q, rule {id}",
        "WARN",
    ),
    ErrorType(
        "security_brute_force",
        "security",
        ("auth",),
        "limits",
        "possible brute force: {n} failed logins for {user} from {ip}",
        "WARN",
    ),
    ErrorType(
        "security_path_traversal",
        "security",
        ("web-gateway",),
        "waf",
        "path traversal attempt blocked from {ip}: rule {id}",
        "WARN",
    ),
    # no runbook covers these
    ErrorType(
        "unknown_image_pull",
        "unknown",
        ("platform",),
        "kubelet",
        'Back-off pulling image "registry.internal/shop/thumbnailer:{hex}"',
        covered=False,
    ),
    ErrorType(
        "unknown_grpc_deadline",
        "unknown",
        ("inventory",),
        "grpc",
        "rpc error: code = DeadlineExceeded desc = context deadline exceeded calling /stock.v1.Stock/Reserve",
        covered=False,
    ),
    ErrorType(
        "unknown_search_shard",
        "unknown",
        ("search",),
        "com.shop.search.Shards",
        "search phase failed on shard [products][{n}]: all copies unassigned",
        covered=False,
    ),
    ErrorType(
        "unknown_websocket_drop",
        "unknown",
        ("web-gateway",),
        "ws",
        "websocket {uuid} dropped: close code 1006, no close frame received",
        covered=False,
    ),
    ErrorType(
        "unknown_feature_flag",
        "unknown",
        ("catalogue",),
        "flags",
        "feature flag service did not answer within {ms} ms, flag new-{word} keeps its last value",
        covered=False,
    ),
    ErrorType(
        "unknown_cdn_origin",
        "unknown",
        ("web-gateway",),
        "cdn",
        "CDN origin pull failed for /static/{hex}.js: origin closed the connection",
        covered=False,
    ),
)

BY_NAME = {error.name: error for error in ERRORS}

# Everyday talk: (service, logger, text).
ROUTINE: tuple[tuple[str, str, str], ...] = (
    ("orders", "api", "order {id} accepted"),
    ("orders", "api", "order {id} moved to packing"),
    ("inventory", "stock", "reserved {n} of sku {id}"),
    ("inventory", "stock", "stock level of sku {id} is {n}"),
    ("payment", "com.shop.pay.Ledger", "charge ch_{hex} settled in {n} ms"),
    ("payment", "com.shop.pay.Gateway", "gateway answered 200 in {n} ms"),
    ("checkout", "com.shop.checkout.Cart", "cart {uuid} priced in {n} ms"),
    ("checkout", "com.shop.checkout.Flow", "checkout of order {id} finished"),
    ("auth", "jwt", "token issued for {user}"),
    ("session", "store", "session {uuid} opened"),
    ("session", "store", "session {uuid} refreshed, ttl {n} s"),
    ("catalogue", "views", "GET /products/{id} in {n} ms"),
    ("catalogue", "cache", "cache refreshed for category {word}"),
    ("search", "com.shop.search.Api", "query answered with {n} hits in {n} ms"),
    ("reporting", "jobs", "report {word} built with {n} rows"),
    ("notifications", "worker", "mail {uuid} handed to smtp"),
    ("platform", "scheduler", "pod shop/web-{hex} scheduled on node-{n}"),
)
# Warnings without an error behind them.
WARNINGS: tuple[tuple[str, str, str], ...] = (
    ("orders", "db", "slow query: {n} ms for SELECT orders WHERE customer = {id}"),
    ("inventory", "stock", "stock of sku {id} is low: {n} left"),
    ("checkout", "com.shop.checkout.Cart", "cart {uuid} has a coupon that expired"),
    ("catalogue", "views", "deprecated parameter page_no used by {ip}"),
    ("payment", "com.shop.pay.Gateway", "gateway took {n} ms, retrying once"),
)
