"""Figures of Grafana's panels: how soon, how well, how often, and what it cost."""

# ruff: noqa: S608 (only this folder's own column lists are put into statements; every value is a parameter)

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from incidentlens.model.base import Value
from incidentlens.model.clock import DAY, HOUR
from incidentlens.model.terms import Outcome

from .panels import PanelFilter, SeriesCount, conditions_of, slot_of
from .reading import Reader, Where
from .session import Session

JUDGED = 1_000  # the latest suppressions that are looked at
SEEN = 20_000  # the latest doings of persons that are looked at
EXACT = 2 * DAY  # of a longer time whole hours are counted


class Figures(Value):
    """Over the incidents opened in a time. Lengths of time are in ns; None where there is nothing to tell it from."""

    opened: int
    open_now: int  # open or being verified, whenever opened
    matched: int  # a runbook
    verified: int  # with an outcome
    resolved: int  # with the outcome `resolved`
    told: int  # somebody
    held: int  # back, now
    detect_mean: float | None  # from the first failing record until it was found
    resolve_mean: float | None  # from then until it was over, by resolution or by a person's closing
    acknowledged: int  # a person did something about it
    acknowledge_mean: float | None  # from when it was found until the first person did
    suppressed: int  # an action held it back in that time
    suppressed_rightly: int  # … and nobody was told after all, nor came it back, nor did a person call it true
    model_analyses: int
    model_cost: float  # US dollars


class RunbookEnds(Value):
    """What became of a runbook's incidents."""

    runbook: str
    matches: int
    resolved: int
    still_firing: int
    re_escalated: int
    inconclusive: int
    reopened: int


class ReadFigures(Reader):
    """Beside `store.queries.Queries`."""

    async def panel_figures(self, project: str, where: PanelFilter, *, since: int, until: int) -> Figures:
        """See `Figures`; bounds in ns, `until` excluded. A time of more than two days is counted in whole hours (UTC).

        Suppression and acknowledgement look at the latest 1,000 suppressions and 20,000 doings of persons.
        """
        conditions = conditions_of(project, where)
        if conditions is None:
            conditions = Where("false")
        filtered = len(conditions.conditions) > 1
        others = None
        if until - since > EXACT:
            since, until = since - since % HOUR, until + -until % HOUR
            others = conditions_of(project, where.ruled_out) if where.ruled_out is not None else None
        async with self._read() as session:
            if others is not None:
                every = await _tallied(session, project, since, until)
                counted = every.without(await _counted(session, others, since, until))
            elif filtered or until - since <= EXACT:
                counted = await _counted(session, conditions, since, until)
            else:
                counted = await _tallied(session, project, since, until)
            live = await session.row(
                f"SELECT count(*) AS open_now FROM incidents WHERE {conditions} AND status IN ('open', 'verifying')",
                conditions.params,
                plan=False,
            )
            looked = await session.row(
                "SELECT count(*) AS acknowledged, avg(doing.at - opened_at)::float8 AS acknowledge_mean FROM (SELECT "
                "incident_id, min(at) AS at FROM (SELECT incident_id, at FROM events WHERE project = %s AND at >= %s "
                "AND by <> 'incidentlens' ORDER BY at DESC LIMIT %s) AS doings GROUP BY 1) AS doing "
                f"CROSS JOIN LATERAL (SELECT opened_at FROM incidents WHERE {conditions} AND id = doing.incident_id "
                "AND opened_at >= %s AND opened_at < %s LIMIT 1) AS incident",
                (project, since, SEEN, *conditions.params, since, until),
                plan=False,
            )
            held = await session.row(
                "SELECT count(*) AS suppressed, count(*) FILTER (WHERE NOT told AND reopened = 0 AND NOT EXISTS ("
                "SELECT FROM feedback WHERE project = %s AND incident_id = held.incident_id "
                "AND verdict IN ('right_cause', 'wrong_cause', 'helped'))) AS suppressed_rightly FROM (SELECT DISTINCT "
                "incident_id FROM (SELECT incident_id FROM actions WHERE project = %s AND kind = 'suppress' "
                "AND at >= %s AND at < %s ORDER BY at DESC, seq DESC LIMIT %s) AS latest) AS held "
                f"CROSS JOIN LATERAL (SELECT told, reopened FROM incidents WHERE {conditions} "
                "AND id = held.incident_id LIMIT 1) AS incident",
                (project, project, since, until, JUDGED, *conditions.params),
                plan=False,
            )
            of_incident = f"AND EXISTS (SELECT FROM incidents WHERE {conditions} AND id = asked.incident_id)"
            spent = await session.row(
                "SELECT count(*) FILTER (WHERE state = 'done') AS model_analyses, "
                "coalesce(sum(cost), 0)::float8 AS model_cost "
                "FROM investigations AS asked WHERE project = %s AND calls > 0 "
                "AND updated_at >= %s AND updated_at < %s " + (of_incident if filtered else ""),
                (project, since, until, *(conditions.params if filtered else ())),
                plan=False,
            )
        return Figures(**counted.figures(), **(live or {}), **(looked or {}), **(held or {}), **(spent or {}))

    async def panel_outcomes(
        self, project: str, where: PanelFilter, *, starts: Sequence[int], until: int
    ) -> list[SeriesCount]:
        """Verifications that ended in buckets that begin at `starts` (ns, ascending), one series an outcome."""
        conditions = conditions_of(project, where)
        if conditions is None:
            return []
        of_incident, params = "", []
        if where.ruled_out is not None and (others := conditions_of(project, where.ruled_out)) is not None:
            of_incident = f"AND incident_id NOT IN (SELECT id FROM incidents WHERE {others}) "
            params = others.params
        elif len(conditions.conditions) > 1:
            of_incident = f"AND incident_id IN (SELECT id FROM incidents WHERE {conditions}) "
            params = conditions.params
        async with self._read() as session:
            slot, bounds = slot_of("ended_at", starts)
            rows = await session.rows(
                f"WITH counted AS (SELECT {slot} AS slot, outcome, count(*) AS n "
                "FROM verifications WHERE project = %s AND outcome IS NOT NULL AND ended_at >= %s AND ended_at < %s "
                f"{of_incident}GROUP BY 1, 2) SELECT outcome, sum(n)::bigint AS total, array_agg(slot) AS slots, "
                "array_agg(n) AS counts FROM counted GROUP BY 1",
                (*bounds, project, starts[0], until, *params),
                plan=False,
            )
        order = list(Outcome)
        return [
            SeriesCount(
                key=(row["outcome"],),
                total=row["total"],
                slots=tuple(row["slots"]),
                counts=tuple(row["counts"]),
            )
            for row in sorted(rows, key=lambda row: order.index(Outcome(row["outcome"])))
        ]

    async def panel_runbooks(
        self, project: str, where: PanelFilter, *, since: int, until: int, limit: int
    ) -> list[RunbookEnds]:
        """Of the incidents opened in that time that matched a runbook; the one with most matches first."""
        conditions = conditions_of(project, where)
        if conditions is None:
            return []
        conditions.add("opened_at >= %s", since)
        conditions.add("opened_at < %s", until)
        outcomes = ", ".join(f"count(*) FILTER (WHERE outcome = '{each}') AS {each}" for each in Outcome)
        async with self._read() as session:
            rows = await session.rows(
                f"SELECT runbook, count(*) AS matches, {outcomes}, count(*) FILTER (WHERE reopened > 0) AS reopened "
                f"FROM incidents WHERE {conditions} AND runbook IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT %s",
                (*conditions.params, limit),
                plan=False,
            )
        return [RunbookEnds(**row) for row in rows]


@dataclass(frozen=True, slots=True)
class Sums:
    """Incidents counted; `detect` and `resolve` are sums of lengths of time in ns, the latter of `over` incidents."""

    opened: int
    matched: int
    verified: int
    resolved: int
    told: int
    held: int
    detect: float
    over: int
    resolve: float

    def without(self, others: Sums) -> Sums:
        """What is left of these without those, which are some of them."""
        return Sums(**{one.name: getattr(self, one.name) - getattr(others, one.name) for one in fields(self)})

    def figures(self) -> dict[str, Any]:
        """As `Figures` has them."""
        return {
            **{name: getattr(self, name) for name in ("opened", "matched", "verified", "resolved", "told", "held")},
            "detect_mean": self.detect / self.opened if self.opened else None,
            "resolve_mean": self.resolve / self.over if self.over else None,
        }


async def _counted(session: Session, conditions: Where, since: int, until: int) -> Sums:
    """From the incidents themselves."""
    row = await session.row(
        "SELECT count(*) AS opened, count(runbook) AS matched, count(outcome) AS verified, "
        "count(*) FILTER (WHERE outcome = 'resolved') AS resolved, count(*) FILTER (WHERE told) AS told, "
        "count(suppression_reason) AS held, coalesce(sum(opened_at - onset), 0)::float8 AS detect, "
        "count(*) FILTER (WHERE status IN ('resolved', 'closed')) AS over, "
        "coalesce(sum(ended_at - opened_at) FILTER (WHERE status IN ('resolved', 'closed')), 0)::float8 AS resolve "
        f"FROM incidents WHERE {conditions} AND opened_at >= %s AND opened_at < %s",
        (*conditions.params, since, until),
        plan=False,
    )
    assert row is not None
    return Sums(**row)


async def _tallied(session: Session, project: str, since: int, until: int) -> Sums:
    """From the tallies of whole days, and of the hours before the first and after the last of them."""
    first, last = since + -since % DAY, until - until % DAY
    tallies = await session.rows(
        "SELECT dim, key = 'resolved' AS good, sum(n)::bigint AS n, sum(total)::float8 AS total FROM incident_tallies "
        "WHERE project = %s AND dim = ANY(%s) AND ((step = %s AND at >= %s AND at < %s) "
        "OR (step = %s AND ((at >= %s AND at < %s) OR (at >= %s AND at < %s)))) GROUP BY 1, 2",
        (project, ["severity", "outcome", "told", "held", "detect", "resolve"], DAY, first, last, HOUR, since, first,
         last, until),
        plan=False,
    )  # fmt: skip
    # Runbooks are tallied a day only.
    matched = await session.row(
        "SELECT coalesce((SELECT sum(n) FROM incident_tallies WHERE project = %s AND step = %s AND dim = 'runbook' "
        "AND at >= %s AND at < %s AND sub LIKE 'status:%%'), 0)::bigint + (SELECT count(runbook) FROM incidents "
        "WHERE project = %s AND opened_at >= %s AND opened_at < %s) + (SELECT count(runbook) FROM incidents "
        "WHERE project = %s AND opened_at >= %s AND opened_at < %s) AS n",
        (project, DAY, first, last, project, since, first, project, last, until),
        plan=False,
    )
    n: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for row in tallies:
        n[row["dim"]] += row["n"]
        total[row["dim"]] += row["total"]
        if row["dim"] == "outcome" and row["good"]:
            n["resolved"] += row["n"]
    return Sums(
        opened=n["severity"],
        matched=matched["n"] if matched else 0,
        verified=n["outcome"],
        resolved=n["resolved"],
        told=n["told"],
        held=n["held"],
        detect=total["detect"],
        over=n["resolve"],
        resolve=total["resolve"],
    )
