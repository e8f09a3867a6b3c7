"""What Grafana's panels show of the sidecar's own work: how far it has read, how much, and what waits to be sent."""

# ruff: noqa: S608 (only this folder's own column lists are put into statements; every value is a parameter)

from __future__ import annotations

from collections.abc import Sequence

from incidentlens.model.base import Value
from incidentlens.model.clock import DAY, HOUR

from .panels import SeriesCount, slot_of
from .reading import Reader

# A model's cost is that of the analysis it made, or stands with what it said beside the rules' own.
_COST = "(body #> '{details,model,cost_usd}')"
_MINUTES = 2 * DAY  # of a longer time whole hours are read


class Spent(Value):
    """Analyses of one source, and what they cost in US dollars; `costs` beside the slots of `count`."""

    count: SeriesCount
    costs: tuple[float, ...]

    @property
    def cost(self) -> float:
        return sum(self.costs)


class TargetState(Value):
    """What is to be published to one target. `oldest`: since when the oldest of what waits has waited (ns)."""

    target: str
    done: int
    waiting: int
    oldest: int | None
    given_up: int
    error: str | None  # the latest, of what waits or was given up


class ReadHealth(Reader):
    """Beside `store.queries.Queries`."""

    async def panel_cursors(self, project: str, queries: Sequence[str]) -> dict[str, int]:
        """How far each of those queries has been read (ns), as of the last tick that was kept."""
        async with self._read() as session:
            rows = await session.rows(
                "SELECT query, at FROM cursors WHERE project = %s AND query = ANY(%s) ORDER BY query",
                (project, list(queries)),
            )
        return {row["query"]: row["at"] for row in rows}

    async def panel_taken_in(self, project: str, *, starts: Sequence[int], until: int) -> list[SeriesCount]:
        """Records taken in, in buckets that begin at `starts` (ns, ascending): one series a level, the largest first.

        Records are counted a minute; of more than two days, a whole hour.
        """
        table = "counts" if until - starts[0] <= _MINUTES else "counts_hourly"
        first = starts[0] if table == "counts" else starts[0] - starts[0] % HOUR
        slot, bounds = slot_of("greatest(bucket, %s)", starts)
        async with self._read() as session:
            rows = await session.rows(
                f"WITH counted AS (SELECT {slot} AS slot, level, sum(count)::bigint AS n FROM {table} "
                "WHERE project = %s AND bucket >= %s AND bucket < %s GROUP BY 1, 2) "
                "SELECT level, sum(n)::bigint AS total, array_agg(slot) AS slots, array_agg(n) AS counts FROM counted "
                "GROUP BY 1 ORDER BY 2 DESC, 1",
                (starts[0], *bounds, project, first, until),
                plan=False,
            )
        return [
            SeriesCount(key=(row["level"],), total=row["total"], slots=tuple(row["slots"]), counts=tuple(row["counts"]))
            for row in rows
        ]

    async def panel_spent(self, project: str, *, starts: Sequence[int], until: int) -> list[Spent]:
        """Analyses in buckets that begin at `starts` (ns, ascending): one entry a source, the most frequent first."""
        slot, bounds = slot_of("at", starts)
        async with self._read() as session:
            rows = await session.rows(
                f"WITH counted AS (SELECT {slot} AS slot, source, count(*) AS n, "
                f"coalesce(sum(CASE jsonb_typeof({_COST}) WHEN 'number' THEN ({_COST} #>> '{{}}')::float8 END), 0)"
                "::float8 AS cost FROM analyses "
                "WHERE project = %s AND at >= %s AND at < %s GROUP BY 1, 2) "
                "SELECT source, sum(n)::bigint AS total, array_agg(slot ORDER BY slot) AS slots, "
                "array_agg(n ORDER BY slot) AS counts, array_agg(cost ORDER BY slot) AS costs FROM counted "
                "GROUP BY 1 ORDER BY 2 DESC, 1",
                (*bounds, project, starts[0], until),
                plan=False,
            )
        return [
            Spent(
                count=SeriesCount(
                    key=(row["source"],), total=row["total"], slots=tuple(row["slots"]), counts=tuple(row["counts"])
                ),
                costs=tuple(row["costs"]),
            )
            for row in rows
        ]

    async def panel_targets(self, project: str) -> list[TargetState]:
        """What was published, waits, or was given up, by target."""
        async with self._read() as session:
            rows = await session.rows(
                "SELECT target, count(done_at) AS done, "
                "count(*) FILTER (WHERE done_at IS NULL AND given_up_at IS NULL) AS waiting, "
                "min(created_at) FILTER (WHERE done_at IS NULL AND given_up_at IS NULL) AS oldest, "
                "count(given_up_at) AS given_up, "
                "(array_agg(error ORDER BY created_at DESC) FILTER (WHERE done_at IS NULL AND error IS NOT NULL))[1] "
                "AS error FROM outbox WHERE project = %s GROUP BY 1 ORDER BY 1",
                (project,),
                plan=False,
            )
        return [TargetState(**row) for row in rows]
