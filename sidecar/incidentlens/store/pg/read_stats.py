"""Figures over many incidents. Each can be traced to rows: they are sums over `incidents`."""

# ruff: noqa: S608 (only this folder's own column lists are put into statements; every value is a parameter)

from __future__ import annotations

from collections import Counter

from psycopg.rows import DictRow

from incidentlens.model.clock import MINUTE
from incidentlens.model.terms import Disposition, Outcome, Severity, Status
from incidentlens.store.paging import BadPage
from incidentlens.store.queries import Bucket, RunbookStats, Spread, Stats

from .reading import Reader

MAX_BUCKETS = 2_000


class ReadStats(Reader):
    """See `store.queries.Queries`."""

    async def runbook_stats(self, project: str, *, since: int) -> list[RunbookStats]:
        async with self._read() as session:
            rows = await session.rows(
                "SELECT runbook, disposition, status, outcome, reopened > 0 AS returned, count(*) AS n, "
                "max(opened_at) AS last FROM incidents WHERE project = %s AND runbook IS NOT NULL AND opened_at >= %s "
                "GROUP BY 1, 2, 3, 4, 5",
                (project, since),
                plan=False,
            )
            said = await session.rows(
                "SELECT incident.runbook, feedback.verdict, count(*) AS n FROM feedback JOIN incidents AS incident "
                "ON incident.project = feedback.project AND incident.id = feedback.incident_id "
                "WHERE feedback.project = %s AND incident.runbook IS NOT NULL AND incident.opened_at >= %s "
                "GROUP BY 1, 2",
                (project, since),
                plan=False,
            )
        by_runbook: dict[str, list[DictRow]] = {}
        for row in rows:
            by_runbook.setdefault(row["runbook"], []).append(row)
        verdicts: dict[str, dict[str, int]] = {}
        for row in said:
            verdicts.setdefault(row["runbook"], {})[row["verdict"]] = row["n"]
        stats = [
            RunbookStats(
                runbook=runbook,
                matches=sum(row["n"] for row in group),
                last_match=max(row["last"] for row in group),
                dispositions={Disposition(name): n for name, n in _tally(group, "disposition").items()},
                outcomes={Outcome(name): n for name, n in _tally(group, "outcome").items()},
                statuses={Status(name): n for name, n in _tally(group, "status").items()},
                feedback=verdicts.get(runbook, {}),
                reopened=sum(row["n"] for row in group if row["returned"]),
            )
            for runbook, group in by_runbook.items()
        ]
        return sorted(stats, key=lambda entry: (-entry.matches, entry.runbook))

    async def stats(self, project: str, *, since: int, until: int, bucket: int) -> Stats:
        if bucket < MINUTE or until <= since or (until - since) // bucket > MAX_BUCKETS:
            raise BadPage(f"a bucket is a minute at least, and at most {MAX_BUCKETS:,} of them are given")
        span = (project, since, until)
        within = "project = %s AND opened_at >= %s AND opened_at < %s"
        async with self._read() as session:
            rows = await session.rows(
                "SELECT (opened_at - %s) / %s AS slot, status, severity, disposition, outcome, "
                "suppression_reason IS NOT NULL AS held, count(*) AS n, "
                "sum(opened_at - onset)::float8 AS detect "
                f"FROM incidents WHERE {within} GROUP BY 1, 2, 3, 4, 5, 6",
                (since, bucket, *span),
                plan=False,
            )
            detect = await session.row(
                "SELECT percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY opened_at - onset) AS at "
                f"FROM incidents WHERE {within}",
                span,
                plan=False,
            )
            resolve = await session.row(
                "SELECT count(*) AS n, avg(ended_at - opened_at)::float8 AS mean, "
                "percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY ended_at - opened_at) AS at "
                f"FROM incidents WHERE {within} AND status IN ('resolved', 'closed')",
                span,
                plan=False,
            )
            told = await session.row(
                "SELECT count(DISTINCT action.incident_id) AS n FROM actions AS action WHERE action.project = %s "
                "AND action.kind = 'notify' AND action.state = 'done' AND action.at >= %s AND action.at < %s",
                span,
                plan=False,
            )
            live = await session.row(
                "SELECT count(*) AS n FROM incidents WHERE project = %s AND ended_at IS NULL", (project,), plan=False
            )
        assert detect is not None
        assert resolve is not None
        opened = sum(row["n"] for row in rows)
        held = sum(row["n"] for row in rows if row["held"])
        outcomes = {Outcome(name): n for name, n in _tally(rows, "outcome").items()}
        verified = sum(outcomes.values())
        return Stats(
            since=since,
            until=until,
            opened=opened,
            open_now=live["n"] if live else 0,
            time_to_detect=_spread(
                opened, sum(row["detect"] for row in rows) / opened if opened else None, detect["at"]
            ),
            time_to_resolve=_spread(resolve["n"], resolve["mean"], resolve["at"]),
            by_status={Status(name): n for name, n in _tally(rows, "status").items()},
            by_severity={Severity(name): n for name, n in _tally(rows, "severity").items()},
            by_disposition={Disposition(name): n for name, n in _tally(rows, "disposition").items()},
            outcomes=outcomes,
            suppressed=held,
            suppression_rate=held / opened if opened else None,
            resolution_rate=outcomes.get(Outcome.RESOLVED, 0) / verified if verified else None,
            notified=told["n"] if told else 0,
            bucket=bucket,
            series=tuple(_series(rows, since, until, bucket)),
        )


def _tally(rows: list[DictRow], column: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for row in rows:
        if row[column] is not None:
            found[row[column]] += row["n"]
    return found


def _spread(count: int, mean: float | None, at: list[int | None] | None) -> Spread:
    median, p95 = at or (None, None)
    return Spread(count=count, mean=mean, median=median, p95=p95)


def _series(rows: list[DictRow], since: int, until: int, bucket: int) -> list[Bucket]:
    slots: dict[int, Counter[str]] = {}
    for row in rows:
        slots.setdefault(row["slot"], Counter())[row["severity"]] += row["n"]
    series = []
    for slot in range(-(-(until - since) // bucket)):
        counts = slots.get(slot, Counter())
        by_severity = {Severity(name): n for name, n in counts.items()}
        series.append(Bucket(at=since + slot * bucket, opened=sum(counts.values()), by_severity=by_severity))
    return series
