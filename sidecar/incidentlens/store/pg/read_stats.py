"""Figures over many incidents, added up from the tallies an hour and a day that the database keeps beside them.

Each can be traced to rows: a tally is a count of incidents, kept by triggers in the transaction that writes them.
Spans of time with buckets below an hour are short, and counted from the incidents themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TypeVar

from psycopg.rows import DictRow

from incidentlens.model.clock import DAY, HOUR, MINUTE
from incidentlens.model.terms import Disposition, Outcome, Severity, Status
from incidentlens.store.paging import BadPage
from incidentlens.store.queries import Bucket, RunbookStats, Spread, Stats

from .reading import Reader
from .session import Session

MAX_BUCKETS = 2_000
BINS_AN_OCTAVE = 8  # as in migrations/0004_tallies.sql

Term = TypeVar("Term", Disposition, Outcome, Severity, Status)


class ReadStats(Reader):
    """See `store.queries.Queries`."""

    async def runbook_stats(self, project: str, *, since: int) -> list[RunbookStats]:
        day = since - since % DAY
        async with self._read() as session:
            rows = await session.rows(
                "SELECT key, sub, sum(n)::bigint AS n FROM incident_tallies WHERE project = %s AND step = %s "
                "AND dim = 'runbook' AND at >= %s GROUP BY 1, 2 HAVING sum(n) > 0",
                (project, DAY, day),
                plan=False,
            )
            latest = await session.rows(
                "SELECT runbook, (SELECT opened_at FROM incidents WHERE project = %s AND runbook = asked.runbook "
                "ORDER BY opened_at DESC LIMIT 1) AS last FROM unnest(%s::text[]) AS asked (runbook)",
                (project, sorted({row["key"] for row in rows})),
            )
        marks: dict[str, dict[str, dict[str, int]]] = {}
        for row in rows:
            dim, _, value = row["sub"].partition(":")
            marks.setdefault(row["key"], {}).setdefault(dim, {})[value] = row["n"]
        last = {row["runbook"]: row["last"] for row in latest}
        stats = [
            RunbookStats(
                runbook=runbook,
                matches=sum(dims.get("status", {}).values()),
                last_match=last.get(runbook) or 0,
                dispositions=_terms(Disposition, dims.get("disposition", {})),
                outcomes=_terms(Outcome, dims.get("outcome", {})),
                statuses=_terms(Status, dims.get("status", {})),
                feedback=dims.get("feedback", {}),
                reopened=sum(dims.get("reopened", {}).values()),
            )
            for runbook, dims in marks.items()
        ]
        return sorted(stats, key=lambda entry: (-entry.matches, entry.runbook))

    async def stats(self, project: str, *, since: int, until: int, bucket: int) -> Stats:
        if bucket < MINUTE or until <= since:
            raise BadPage("a bucket is a minute at least, and until comes after since")
        # Whole buckets, in step with the clock (UTC): the same figures whenever within a bucket one asks.
        since -= since % bucket
        until += -until % bucket
        if (until - since) // bucket > MAX_BUCKETS:
            raise BadPage(f"at most {MAX_BUCKETS:,} buckets are given; take a longer bucket or a shorter time")
        async with self._read() as session:
            if bucket % HOUR == 0:
                rows = await _tallied(session, project, since, until, bucket)
            else:
                rows = await _counted(session, project, since, until, bucket)
            live = await session.row(
                "SELECT count(*) AS n FROM incidents WHERE project = %s AND ended_at IS NULL", (project,), plan=False
            )
        tallies: dict[str, Counter[str]] = {}
        totals: Counter[str] = Counter()
        for row in rows:
            tallies.setdefault(row["dim"], Counter())[row["key"]] += row["n"]
            totals[row["dim"]] += int(row["total"])
        severities = _terms(Severity, tallies.get("severity", {}))
        outcomes = _terms(Outcome, tallies.get("outcome", {}))
        opened, verified = sum(severities.values()), sum(outcomes.values())
        held = sum(tallies.get("held", {}).values())
        return Stats(
            since=since,
            until=until,
            opened=opened,
            open_now=live["n"] if live else 0,
            time_to_detect=_spread(tallies.get("detect", Counter()), totals["detect"]),
            time_to_resolve=_spread(tallies.get("resolve", Counter()), totals["resolve"]),
            by_status=_terms(Status, tallies.get("status", {})),
            by_severity=severities,
            by_disposition=_terms(Disposition, tallies.get("disposition", {})),
            outcomes=outcomes,
            suppressed=held,
            suppression_rate=held / opened if opened else None,
            resolution_rate=outcomes.get(Outcome.RESOLVED, 0) / verified if verified else None,
            notified=sum(tallies.get("told", {}).values()),
            bucket=bucket,
            series=tuple(_series(rows, since, until, bucket)),
        )


async def _tallied(session: Session, project: str, since: int, until: int, bucket: int) -> list[DictRow]:
    """From the tallies; only severities are wanted a bucket."""
    return await session.rows(
        "SELECT dim, key, CASE WHEN dim = 'severity' THEN (at - %s) / %s END AS slot, sum(n)::bigint AS n, "
        "sum(total) AS total FROM incident_tallies WHERE project = %s AND step = %s "
        "AND dim = ANY(%s) AND at >= %s AND at < %s GROUP BY 1, 2, 3 HAVING sum(n) > 0",
        (since, bucket, project, DAY if bucket % DAY == 0 else HOUR, DIMS, since, until),
        plan=False,
    )


async def _counted(session: Session, project: str, since: int, until: int, bucket: int) -> list[DictRow]:
    """The same from the incidents."""
    return await session.rows(
        "SELECT mark.dim, mark.key, CASE WHEN mark.dim = 'severity' THEN (incident.opened_at - %s) / %s END AS slot, "
        "count(*) AS n, sum(mark.total) AS total FROM incidents AS incident CROSS JOIN LATERAL incidentlens_marks("
        "incident.opened_at, incident.onset, incident.ended_at, incident.status, incident.severity, "
        "incident.disposition, incident.outcome, incident.suppression_reason IS NOT NULL, incident.told, NULL, 0) "
        "AS mark WHERE incident.project = %s AND incident.opened_at >= %s AND incident.opened_at < %s "
        "GROUP BY 1, 2, 3",
        (since, bucket, project, since, until),
        plan=False,
    )


DIMS = ["severity", "status", "disposition", "outcome", "held", "told", "detect", "resolve"]


def _terms(kind: type[Term], counts: Counter[str] | dict[str, int]) -> dict[Term, int]:
    return {kind(name): n for name, n in counts.items() if n}


def _spread(bins: Counter[str], total: int) -> Spread:
    count = sum(bins.values())
    if not count:
        return Spread(count=0, mean=None, median=None, p95=None)
    return Spread(count=count, mean=total / count, median=_quantile(bins, 0.5), p95=_quantile(bins, 0.95))


def _quantile(bins: Counter[str], share: float) -> int:
    """The middle of the bin in which that share of all is reached: within 5 % of the exact quantile."""
    wanted = share * sum(bins.values())
    reached = 0
    found = -1
    for number, count in sorted((int(name), count) for name, count in bins.items()):
        reached += count
        found = number
        if reached >= wanted:
            break
    return 0 if found < 0 else round(2 ** ((found + 0.5) / BINS_AN_OCTAVE))


def _series(rows: Iterable[DictRow], since: int, until: int, bucket: int) -> list[Bucket]:
    slots: dict[int, Counter[str]] = {}
    for row in rows:
        if row["slot"] is not None:
            slots.setdefault(row["slot"], Counter())[row["key"]] += row["n"]
    series = []
    for slot in range((until - since) // bucket):
        counts = slots.get(slot, Counter())
        series.append(
            Bucket(at=since + slot * bucket, opened=sum(counts.values()), by_severity=_terms(Severity, counts))
        )
    return series
