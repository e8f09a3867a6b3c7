"""Counts of "all but these" are those of every incident looked at one by one, whatever index they come from."""

from __future__ import annotations

from collections import Counter

import pytest

from incidentlens.model.clock import DAY, HOUR, SECOND
from incidentlens.model.terms import Severity
from incidentlens.store.pg.panels import Facet, PanelFilter
from incidentlens.store.postgres import PostgresStore
from incidentlens.store.seed import seed

NOW = 1_750_000_000 * SECOND
FIRST = NOW - 91 * DAY


@pytest.mark.slow
@pytest.mark.parametrize("by", [[], [Facet.SEVERITY], [Facet.SERVICE, Facet.SIGNATURE]])
@pytest.mark.parametrize(
    "first", [FIRST, FIRST - FIRST % DAY], ids=["any time", "whole days, of which there are tallies"]
)
async def test_what_is_ruled_out_is_not_counted_also_where_an_incident_has_very_many_services(
    postgres_store: PostgresStore, by: list[Facet], first: int
) -> None:
    await seed(postgres_store, 400, now=NOW, evidence=3_000)
    async with postgres_store.session() as session:
        many = [f"service-with-a-long-name-{number:04d}" for number in range(500)]
        await session.run(
            "UPDATE incidents SET services = services || %s::text[], signatures = signatures || %s::text[] "
            "WHERE right(id, 1) = '3'",
            (many, many),
        )
        assert await session.row("SELECT count(*) AS n FROM evidence WHERE project = 'bench'") == {"n": 3_000}
        rows = await session.rows("SELECT opened_at, severity, service, lead, services, signatures FROM incidents")
    signature = max(Counter(name for row in rows for name in row["signatures"][:1]).items(), key=lambda pair: pair[1])[
        0
    ]
    names = {Facet.SEVERITY: "severity", Facet.SERVICE: "service", Facet.SIGNATURE: "lead"}
    for where in (
        PanelFilter(not_services=("payment-api",)),
        PanelFilter(not_services=("service-with-a-long-name-0499",)),
        PanelFilter(not_signatures=(signature,), severity=(Severity.HIGH, Severity.LOW)),
        PanelFilter(not_services=("payment-api", "auth-db"), not_signatures=(signature,)),
    ):
        found, left_out = await postgres_store.queries.panel_series(
            "bench", where, starts=[first + day * DAY for day in range(92)], until=first + 92 * DAY, by=by, limit=1_000
        )
        wanted: Counter[tuple[tuple[str, ...], int]] = Counter()
        for row in rows:
            out = set(where.not_services) & set(row["services"]) or set(where.not_signatures) & set(row["signatures"])
            if not out and (not where.severity or Severity(row["severity"]) in where.severity):
                wanted[tuple(row[names[facet]] for facet in by), (row["opened_at"] - first) // DAY] += 1
        counted = {(one.key, slot): count for one in found for slot, count in zip(one.slots, one.counts, strict=True)}
        assert left_out == 0
        assert counted == dict(wanted)


@pytest.mark.slow
async def test_figures_and_outcomes_of_all_but_a_name_are_those_of_the_incidents_one_by_one(
    postgres_store: PostgresStore,
) -> None:
    """They are counted by what is ruled out."""
    await seed(postgres_store, 400, now=NOW, evidence=400)
    queries = postgres_store.queries
    async with postgres_store.session() as session:
        rows = await session.rows("SELECT * FROM incidents")
        watches = await session.rows("SELECT incident_id, outcome, ended_at FROM verifications WHERE ended_at > 0")
    service = Counter(name for row in rows for name in row["services"]).most_common(1)[0][0]
    signature = Counter(name for row in rows for name in row["signatures"]).most_common(1)[0][0]
    since, until = FIRST - FIRST % HOUR, NOW - NOW % HOUR
    for where, out in (
        (PanelFilter(not_services=(service, "nobody")), {row["id"] for row in rows if service in row["services"]}),
        (PanelFilter(not_signatures=(signature,)), {row["id"] for row in rows if signature in row["signatures"]}),
    ):
        left = [row for row in rows if row["id"] not in out and since <= row["opened_at"] < until]
        over = [row for row in left if row["status"] in ("resolved", "closed")]
        assert 0 < len(left) < len(rows)
        found = await queries.panel_figures("bench", where, since=since, until=until)
        assert found.opened == len(left)
        assert found.matched == sum(row["runbook"] is not None for row in left)
        assert found.verified == sum(row["outcome"] is not None for row in left)
        assert found.resolved == sum(row["outcome"] == "resolved" for row in left)
        assert found.told == sum(row["told"] for row in left)
        assert found.held == sum(row["suppression_reason"] is not None for row in left)
        assert found.detect_mean == pytest.approx(sum(row["opened_at"] - row["onset"] for row in left) / len(left))
        assert found.resolve_mean == pytest.approx(sum(row["ended_at"] - row["opened_at"] for row in over) / len(over))
        outcomes = await queries.panel_outcomes("bench", where, starts=[since], until=until)
        wanted = Counter(
            watch["outcome"]
            for watch in watches
            if watch["incident_id"] not in out and watch["outcome"] and since <= watch["ended_at"] < until
        )
        assert {one.key[0]: one.total for one in outcomes} == wanted
