"""Counts of "all but these" are those of every incident looked at one by one, whatever index they come from."""

from __future__ import annotations

from collections import Counter

import pytest

from incidentlens.model.clock import DAY, SECOND
from incidentlens.model.terms import Severity
from incidentlens.store.pg.panels import Facet, PanelFilter
from incidentlens.store.postgres import PostgresStore
from incidentlens.store.seed import seed

NOW = 1_750_000_000 * SECOND
FIRST = NOW - 91 * DAY


@pytest.mark.slow
@pytest.mark.parametrize("by", [[], [Facet.SEVERITY], [Facet.SERVICE, Facet.SIGNATURE]])
async def test_what_is_ruled_out_is_not_counted_also_where_an_incident_has_very_many_services(
    postgres_store: PostgresStore, by: list[Facet]
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
            "bench", where, starts=[FIRST + day * DAY for day in range(92)], until=FIRST + 92 * DAY, by=by, limit=1_000
        )
        wanted: Counter[tuple[tuple[str, ...], int]] = Counter()
        for row in rows:
            out = set(where.not_services) & set(row["services"]) or set(where.not_signatures) & set(row["signatures"])
            if not out and (not where.severity or Severity(row["severity"]) in where.severity):
                wanted[tuple(row[names[facet]] for facet in by), (row["opened_at"] - FIRST) // DAY] += 1
        counted = {(one.key, slot): count for one in found for slot, count in zip(one.slots, one.counts, strict=True)}
        assert left_out == 0
        assert counted == dict(wanted)
