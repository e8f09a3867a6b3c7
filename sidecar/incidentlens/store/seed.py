"""Fills a database with many made-up incidents, to measure lists and pages against.

The distribution is that of a busy team's quarter: a few services fail often, most incidents are over, critical ones
are rare, two thirds match a runbook. Rows go in by COPY, some hundred thousand a second; the constraints check them
like any others.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import orjson
from psycopg import sql

from incidentlens.model.clock import DAY, HOUR, MINUTE, SECOND
from incidentlens.model.terms import Severity

from .pg.session import Session
from .postgres import PostgresStore
from .text import words

DAYS = 90
SERVICES = tuple(f"{area}-{part}" for area in ("payment", "auth", "order", "search", "cart", "mail", "stock", "user")
                 for part in ("api", "worker", "db", "cache"))  # fmt: skip
TROUBLES = (
    ("db", "connection pool exhausted after <*> ms", "db-pool-exhausted"),
    ("db", "deadlock detected while updating <*>", "db-deadlock"),
    ("db", "replication lag is <*> s", "db-replication-lag"),
    ("auth", "token expired for session <*>", "auth-token-expired"),
    ("auth", "invalid signature in token <*>", "auth-invalid-signature"),
    ("payment", "gateway timeout after <*> ms for order <*>", "payment-gateway-timeout"),
    ("payment", "card declined by issuer <*>", "payment-card-declined"),
    ("infra", "disk usage at <*> percent on <*>", "infra-disk-space"),
    ("infra", "container <*> killed: out of memory", "infra-oom-kill"),
    ("infra", "upstream <*> unavailable", None),
    ("app", "NullPointerException at <*>", "app-null-pointer"),
    ("app", "unhandled exception <*> in handler <*>", None),
    ("data", "schema mismatch in column <*>", "data-schema-mismatch"),
    ("security", "possible SQL injection from <*>", "security-sql-injection"),
    ("http", "websocket <*> dropped", None),
)
STATUSES = {"resolved": 62, "closed": 20, "ignored": 8, "suppressed": 9, "open": 0.6, "verifying": 0.4}
SEVERITIES = {"critical": 3, "high": 17, "medium": 50, "low": 30}
DISPOSITIONS = {"ESCALATE": 3, "NEEDS_ONCALL": 12, "NEEDS_DEV": 25, "OBSERVE": 40, "NO_ACTION": 20}
OUTCOMES = {"resolved": 80, "still_firing": 8, "re_escalated": 5, "inconclusive": 7}
CHUNK = 5_000

Rows = dict[str, list[Sequence[Any]]]

COLUMNS = {
    "incidents": (
        "project", "id", "title", "service", "status", "severity", "disposition", "confidence", "onset", "opened_at",
        "last_seen", "updated_at", "ended_at", "count", "analysed_count", "reopened", "root_cause", "runbook",
        "summary", "suppression_reason", "suppression_detail", "labels", "pinned", "services", "signatures", "search",
        "outcome", "told",
    ),
    "problems": (
        "project", "incident_id", "id", "position", "service", "signature", "template", "level", "kind", "onset",
        "last_seen", "count", "baseline_per_minute", "rate_per_minute", "score", "severity_weight", "spike_ratio",
        "criticality", "why", "trace_ids", "mentions",
    ),
    "problem_samples": (
        "project", "incident_id", "problem_id", "position", "id", "ts", "service", "stream", "level", "line", "message",
    ),
    "members": ("project", "incident_id", "position", "problem_id", "why", "by"),
    "evidence": ("project", "incident_id", "id", "kind", "service", "ts", "text", "data"),
    "analyses": ("project", "incident_id", "at", "source", "severity", "disposition", "confidence", "body"),
    "decisions": (
        "project", "id", "incident_id", "at", "mode", "disposition", "severity", "actions", "tell", "reasons",
        "policy", "inputs",
    ),
    "actions": ("project", "key", "incident_id", "decision_id", "kind", "at", "state", "payload"),
    "verifications": (
        "project", "id", "incident_id", "started_at", "quiet_ns", "query", "checks", "outcome", "ended_at", "why",
    ),
    "events": ("project", "incident_id", "at", "kind", "text", "by", "data"),
    "feedback": ("project", "id", "incident_id", "at", "by", "verdict", "text"),
}  # fmt: skip
ANALYSED = ", ".join((*COLUMNS, "incident_tallies", "templates", "counts", "counts_hourly"))


async def seed(
    store: PostgresStore, incidents: int = 100_000, *, project: str = "bench", now: int = 1_750_000_000 * SECOND,
    random_seed: int = 1, evidence: int = 0,
) -> None:  # fmt: skip
    """Add that many incidents, over the 90 days before `now`, with all that hangs on them, and a day of counts.

    Each problem has two lines of evidence, and more, spread evenly, where `evidence` asks for that many in all.
    The same arguments give the same rows. The project must be empty; raises StoreRefused where it is not.
    """
    chance = random.Random(random_seed)
    async with store.transaction(project) as transaction:
        session = transaction.session
        await session.run(
            "INSERT INTO policies (project, digest, body) VALUES (%s, 'seed', %s)", (project, orjson_text({}))
        )
        for first in range(0, incidents, CHUNK):
            rows: Rows = {table: [] for table in COLUMNS}
            for number in range(first, min(first + CHUNK, incidents)):
                _incident(rows, chance, project, number, incidents, now)
            for table, columns in COLUMNS.items():
                await _copy(session, table, columns, rows[table])
        await _signatures(session, chance, project, now)
        await _more_evidence(session, project, evidence)
    async with store.session() as session:
        await session.run("SET statement_timeout = 0")
        await session.run(f"VACUUM ANALYZE {ANALYSED}")
        await session.run("RESET statement_timeout")


def signature(service: str, number: int) -> str:
    """The signature of trouble `number` in `service`."""
    family, template, _ = TROUBLES[number]
    slug = "_".join(words([template.replace("<*>", "")])[:4])
    return f"{family}:ERROR:{slug}#{(hash_of(service) + number) % 65_536:04x}"


def hash_of(text: str) -> int:
    """Small and the same in every process."""
    return sum(position * byte for position, byte in enumerate(text.encode(), 1))


def orjson_text(value: Any) -> str:
    return orjson.dumps(value).decode()


def _pick(chance: random.Random, weights: dict[str, float] | dict[str, int]) -> str:
    return chance.choices(list(weights), list(weights.values()))[0]


def _incident(rows: Rows, chance: random.Random, project: str, number: int, total: int, now: int) -> None:
    """All rows of one incident."""
    incident = f"inc_{number:08d}"
    opened = now - DAYS * DAY + (DAYS * DAY * number) // total + chance.randrange(MINUTE)
    onset = opened - chance.randrange(2 * SECOND, 40 * SECOND)
    last = opened + int(chance.expovariate(1 / (20 * MINUTE)))
    active = number > total * 0.98 and chance.random() < 0.3
    status = _pick(chance, {"open": 3, "verifying": 1} if active else {**STATUSES, "open": 0, "verifying": 0})
    ended = last + 5 * MINUTE if status in ("resolved", "closed", "ignored") else None
    severity, disposition = Severity(_pick(chance, SEVERITIES)), _pick(chance, DISPOSITIONS)
    troubles = [
        (SERVICES[int(len(SERVICES) * chance.random() ** 2)], int(len(TROUBLES) * chance.random() ** 1.5))
        for _ in range(chance.choices((1, 2, 3, 5), (60, 25, 10, 5))[0])
    ]
    troubles = list(dict.fromkeys(troubles))
    service, trouble = troubles[0]
    _, template, runbook = TROUBLES[trouble]
    count = int(chance.lognormvariate(4, 1.5)) + len(troubles)
    outcome = _pick(chance, OUTCOMES) if ended and chance.random() < 0.8 else None
    title = f"{template.replace('<*>', '…')} in {service}"
    signatures = [signature(name, kind) for name, kind in troubles]
    services = list(dict.fromkeys(name for name, _ in troubles))
    held = status == "suppressed"
    tell = disposition in ("ESCALATE", "NEEDS_ONCALL", "NEEDS_DEV") and not held
    cause = {
        "service": service, "signature": signatures[0], "summary": title, "confidence": 0.8, "chain": [],
        "ranking": [{"service": name, "score": 1.0} for name in services], "undetermined": False,
    }  # fmt: skip
    confidence = round(chance.betavariate(5, 2), 3)
    rows["incidents"].append((
        project, incident, title, service, status, severity.value, disposition, confidence, onset, opened, last, last,
        ended, count, count // 3, int(chance.random() < 0.08), orjson_text(cause), runbook,
        f"{service} fails since {number % 60} s: {template}", "maintenance" if held else None,
        "planned work" if held else None, orjson_text({}), False, services, signatures,
        " ".join(f"'{word}'" for word in words([incident, title, *services, *signatures, runbook])), outcome, tell,
    ))  # fmt: skip
    for position, (name, kind) in enumerate(troubles):
        problem = f"p{position}"
        text = TROUBLES[kind][1].replace("<*>", str(number))
        rows["problems"].append((
            project, incident, problem, position, name, signatures[position], TROUBLES[kind][1], "error", "spike",
            onset + position * SECOND, last, count // len(troubles), 0.2, 20.0, severity.rank * 3.1, severity.rank,
            68.0, 1.0, "41 in 2 min where 0.3 is usual", [f"{number:032x}"], services,
        ))  # fmt: skip
        rows["members"].append((project, incident, position, problem, "shares a trace", "rule"))
        for at in range(2):
            record, line = f"r_{number:012x}{position:02x}{at:02x}", f"ERROR {name} {text}"
            stream = orjson_text({"service": name})
            rows["problem_samples"].append(
                (project, incident, problem, at, record, onset + at, name, stream, "error", line, text)
            )
            rows["evidence"].append((project, incident, record, "record", name, onset + at, line, "{}"))
    rows["analyses"].append((
        project, incident, opened, "runbook" if runbook else "rules", severity.value, disposition, confidence,
        orjson_text({"source": "runbook" if runbook else "rules", "cause": title, "summary": title,
                     "severity": severity.value, "disposition": disposition, "confidence": confidence}),
    ))  # fmt: skip
    kinds = ["enrich", *(["notify"] if tell else []), *(["suppress"] if held else [])]
    decision = f"dec_{number:08d}"
    rows["decisions"].append((
        project, decision, incident, opened, "live", disposition, severity.value, kinds, tell,
        orjson_text([{"code": "threshold", "text": "confident enough"}]), "seed", orjson_text({"count": count}),
    ))  # fmt: skip
    for kind_of in kinds:
        rows["actions"].append(
            (
                project,
                f"{kind_of}:{incident}",
                incident,
                decision,
                kind_of,
                opened,
                "done",
                orjson_text({"title": title}),
            )
        )
    if outcome:
        rows["verifications"].append((
            project, f"ver_{number:08d}", incident, opened, 5 * MINUTE, f'{{service="{service}"}}', "[]", outcome,
            ended, "quiet for 5 min",
        ))  # fmt: skip
    for event in ("opened", "analysed", "decided", *(["verified"] if outcome else [])):
        when = ended if event == "verified" else opened
        rows["events"].append((project, incident, when, event, f"{event}: {title}", "incidentlens", "{}"))
    if chance.random() < 0.05:
        verdict = chance.choice(("right_cause", "noise"))
        rows["feedback"].append((project, f"f_{number:08d}", incident, last, "ann", verdict, ""))


async def _copy(session: Session, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    async with session.connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            await copy.write_row(row)


async def _more_evidence(session: Session, project: str, wanted: int) -> None:
    """Further lines like those there are, made by the database itself."""
    row = await session.row("SELECT count(*) AS n FROM evidence WHERE project = %s", (project,))
    there = row["n"] if row else 0
    if not there or wanted <= there:
        return
    await session.run(
        "INSERT INTO evidence (project, incident_id, id, kind, service, ts, text, data) "
        "SELECT project, incident_id, id || '_' || copy, kind, service, ts + copy, text, data FROM evidence "
        "CROSS JOIN generate_series(1, %s) AS copy WHERE project = %s LIMIT %s",
        (-(-(wanted - there) // there), project, wanted - there),
    )


async def _signatures(session: Session, chance: random.Random, project: str, now: int) -> None:
    """The catalogue, a day of counts a minute and thirty days of counts an hour."""
    catalogue: dict[str, tuple[str, int]] = {}
    for service in SERVICES:
        for number in range(len(TROUBLES)):
            catalogue.setdefault(signature(service, number), (service, number))
    # Signatures that are not failures: the greater part of any catalogue.
    info = {f"app:INFO:routine_{number}#{number:04x}": SERVICES[number % len(SERVICES)] for number in range(2_000)}

    def templates() -> Iterator[Sequence[Any]]:
        for name, (_, number) in catalogue.items():
            family, template, _ = TROUBLES[number]
            found = " ".join(f"'{word}'" for word in words([name, template]))
            seen = now - chance.randrange(DAYS) * DAY
            yield project, name, template, family, "error", seen, now, chance.randrange(1, 100_000), found
        for name in info:
            found = " ".join(f"'{word}'" for word in words([name]))
            seen = now - chance.randrange(DAYS) * DAY
            yield (
                project,
                name,
                "served <*> in <*> ms",
                "app",
                "info",
                seen,
                now,
                chance.randrange(1, 10_000_000),
                found,
            )

    columns = ["project", "signature", "template", "family", "level", "first_seen", "last_seen", "count", "search"]
    await _copy(session, "templates", columns, templates())
    everything = [(name, service, "error") for name, (service, _) in catalogue.items()]
    everything += [(name, service, "info") for name, service in info.items()]
    this_hour, this_minute = now - now % HOUR, now - now % MINUTE
    columns = ["project", "bucket", "signature", "service", "level", "count"]

    def counts(start: int, step: int, number: int, share: float) -> Iterator[Sequence[Any]]:
        for back in range(number):
            for name, service, level in everything:
                if chance.random() < share:
                    yield project, start - back * step, name, service, level, chance.randrange(1, 50)

    await _copy(session, "counts_hourly", columns, counts(this_hour, HOUR, 24 * 30, 0.2))
    await _copy(session, "counts", columns, counts(this_minute, MINUTE, 24 * 60, 0.1))
