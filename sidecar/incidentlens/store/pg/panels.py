"""What Grafana's panels ask: incidents that overlap a time, and how many there were of which kind when."""

# ruff: noqa: S608 (only this folder's own column lists are put into statements; every value is a parameter)

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from itertools import pairwise

from psycopg.rows import DictRow

from incidentlens.model.base import Value
from incidentlens.model.clock import DAY, HOUR
from incidentlens.model.terms import Disposition, Outcome, Severity, Status
from incidentlens.store.queries import IncidentRow, IncidentSort
from incidentlens.store.text import clean, prefix_query

from .read_incidents import ORDERS, ROW, to_row
from .reading import Reader, Where, ordered
from .session import Session

NAMES = 5_000  # names that a regular expression is tried on, or that a variable offers


class Facet(StrEnum):
    """What incidents are counted by."""

    SERVICE = "service"  # the suspected cause's, or the loudest
    SEVERITY = "severity"
    DISPOSITION = "disposition"
    STATUS = "status"
    SIGNATURE = "signature"  # the suspected cause's, or the first that failed
    OUTCOME = "outcome"
    RUNBOOK = "runbook"


CLOSED = {Facet.SEVERITY, Facet.DISPOSITION, Facet.STATUS, Facet.OUTCOME}
TALLIED = {Facet.SEVERITY, Facet.DISPOSITION, Facet.STATUS}  # an incident without an outcome is in no such tally
LATEST = 2**63 - 1
COLUMNS = {facet: facet.value for facet in Facet} | {Facet.SIGNATURE: "lead"}


class PanelFilter(Value):
    """What an incident must fulfil. An empty tuple is no condition; `nothing` is one that no incident fulfils."""

    ids: tuple[str, ...] = ()
    status: tuple[Status, ...] = ()
    severity: tuple[Severity, ...] = ()
    disposition: tuple[Disposition, ...] = ()
    outcome: tuple[Outcome | None, ...] = ()  # None: of those that have none yet
    services: tuple[tuple[str, ...], ...] = ()  # its problems' have one of each group
    signatures: tuple[tuple[str, ...], ...] = ()
    runbooks: tuple[str, ...] = ()
    not_services: tuple[str, ...] = ()  # none of its problems'
    not_signatures: tuple[str, ...] = ()
    not_runbooks: tuple[str, ...] = ()
    text: str | None = None
    nothing: bool = False

    @property
    def ruled_out(self) -> PanelFilter | None:
        """What does not fulfil it, where it does nothing but rule out one kind of names: all but those are counted
        faster by counting those. None where it does anything else."""
        for rules_out, others in (
            (PanelFilter(not_services=self.not_services), PanelFilter(services=(self.not_services,))),
            (PanelFilter(not_signatures=self.not_signatures), PanelFilter(signatures=(self.not_signatures,))),
        ):
            if self == rules_out != PanelFilter():
                return others
        return None


class SeriesCount(Value):
    """Incidents of one kind: `slots` are positions in the list of buckets, `counts` what they hold."""

    key: tuple[str | None, ...]
    total: int
    slots: tuple[int, ...]
    counts: tuple[int, ...]


class Name(Value):
    """A name that a variable offers."""

    value: str
    text: str


class ReadPanels(Reader):
    """Beside `store.queries.Queries`."""

    async def panel_incidents(
        self,
        project: str,
        where: PanelFilter,
        *,
        since: int,
        until: int,
        sort: IncidentSort = IncidentSort.LAST_SEEN,
        descending: bool = True,
        limit: int = 100,
    ) -> list[IncidentRow]:
        """Incidents found before `until` and not over before `since` (ns), at most `limit`."""
        conditions = conditions_of(project, where)
        if conditions is None:
            return []
        conditions.add("opened_at < %s", until)
        conditions.add("ended_at IS NULL OR ended_at >= %s", since)
        async with self._read() as session:
            rows = await session.rows(
                f"SELECT {ROW}, severity_rank FROM incidents WHERE {conditions} "
                f"ORDER BY {ordered(ORDERS[sort], descending)} LIMIT %s",
                (*conditions.params, limit),
                plan=False,
            )
        return [to_row(row) for row in rows]

    async def panel_series(
        self, project: str, where: PanelFilter, *, starts: Sequence[int], until: int, by: Sequence[Facet], limit: int
    ) -> tuple[list[SeriesCount], int]:
        """Incidents opened in buckets that begin at `starts` (ns, ascending), the last one ending at `until`.

        One series a combination of the facets, the greatest first, at most `limit`; and how many more there are.
        """
        conditions = conditions_of(project, where)
        if conditions is None:
            return [], 0
        tally = tally_step(starts, until)
        source = _source(project, where, conditions, starts[0], until)
        async with self._read() as session:
            tallied = tally and len(by) <= 1 and not set(by) - TALLIED
            if tallied and tally and len(conditions.conditions) == 1:
                rows = await _tallied(session, project, starts, until, tally, by)
            elif tallied and tally and where.ruled_out is not None:
                every = await _tallied(session, project, starts, until, tally, by)
                ruled_out = conditions_of(project, where.ruled_out)
                assert ruled_out is not None
                those = _source(project, where.ruled_out, ruled_out, starts[0], until)
                rows = _without(every, await _counted(session, those, starts, by), bool(by))
            elif set(by) <= CLOSED:
                rows = await _counted(session, source, starts, by)
            else:
                rows = await _gathered(session, source, starts, by, limit)
        found = [
            SeriesCount(
                key=tuple(row[f"k{number}"] for number in range(len(by))),
                total=row["total"],
                slots=tuple(row["slots"]),
                counts=tuple(row["counts"]),
            )
            for row in rows[:limit]
        ]
        return found, (rows[0]["series"] - len(found) if rows else 0)

    async def panel_names(self, project: str, facet: Facet, *, limit: int = NAMES) -> list[str]:
        """Every service, signature or runbook there is, by name; raises ValueError for a closed vocabulary."""
        async with self._read() as session:
            return await names_of(session, project, facet, limit)


async def names_of(session: Session, project: str, facet: Facet, limit: int) -> list[str]:
    """See `ReadPanels.panel_names`."""
    if facet is Facet.SERVICE:
        query = "SELECT service AS name FROM services WHERE project = %s ORDER BY 1 LIMIT %s"
    elif facet is Facet.SIGNATURE:
        query = "SELECT signature AS name FROM templates WHERE project = %s ORDER BY 1 LIMIT %s"
    elif facet is Facet.RUNBOOK:
        # One step of the index a runbook, however many incidents each has.
        query = (
            "WITH RECURSIVE found AS ((SELECT project, runbook FROM incidents WHERE project = %s "
            "AND runbook IS NOT NULL ORDER BY runbook LIMIT 1) UNION ALL SELECT found.project, (SELECT runbook "
            "FROM incidents WHERE project = found.project AND runbook > found.runbook ORDER BY runbook LIMIT 1) "
            "FROM found WHERE found.runbook IS NOT NULL) "
            "SELECT runbook AS name FROM found WHERE runbook IS NOT NULL LIMIT %s"
        )
    else:
        raise ValueError(f"{facet} has a closed vocabulary")
    return [row["name"] for row in await session.rows(query, (project, limit))]


def conditions_of(project: str, where: PanelFilter, arrays: str = "") -> Where | None:
    """The conditions on the table of incidents; None where nothing can fulfil them.

    `arrays` stands before the names of the columns `services` and `signatures`.
    """
    where = clean(where)
    if where.nothing:
        return None
    conditions = Where("project = %s", project)
    if where.ids:
        conditions.add("id = ANY(%s)", list(where.ids))
    if where.status:
        conditions.add("status = ANY(%s)", [status.value for status in where.status])
    if where.severity:
        conditions.add("severity = ANY(%s)", [severity.value for severity in where.severity])
    if where.disposition:
        conditions.add("disposition = ANY(%s)", [disposition.value for disposition in where.disposition])
    if where.outcome:
        named = [outcome.value for outcome in where.outcome if outcome is not None]
        conditions.add("outcome = ANY(%s)" + (" OR outcome IS NULL" if None in where.outcome else ""), named)
    for column, wanted, unwanted in (
        ("services", where.services, where.not_services),
        ("signatures", where.signatures, where.not_signatures),
    ):
        for group in wanted:
            conditions.add(f"{arrays}{column} && %s::text[]", list(group))
        if unwanted:
            conditions.add(f"NOT {arrays}{column} && %s::text[]", list(unwanted))
    if where.runbooks:
        conditions.add("runbook = ANY(%s)", list(where.runbooks))
    if where.not_runbooks:
        conditions.add("runbook IS NULL OR runbook <> ALL(%s)", list(where.not_runbooks))
    if where.text is not None:
        query = prefix_query(where.text)
        if query is None:
            return None
        conditions.add("search @@ %s::tsquery", query)
    return conditions


def _source(
    project: str, where: PanelFilter, conditions: Where, since: int, until: int
) -> tuple[str, tuple[object, ...]]:
    """What to count from: the incidents opened in that time that fulfil the conditions, with its parameters.

    Where services or signatures are only ruled out, nearly all incidents fulfil that: they are read from the index
    `incidents_without`, but for those whose arrays are too long to be in it.
    """
    opened = "opened_at >= %s AND opened_at < %s"
    ruled_out = where.not_services or where.not_signatures
    chosen = where.ids or where.services or where.signatures or where.text is not None
    few = conditions_of(project, where, "few_") if ruled_out and not chosen else None
    if few is None:
        return f"incidents WHERE {conditions} AND {opened}", (*conditions.params, since, until)
    columns = ", ".join(["opened_at", *COLUMNS.values()])
    return (
        f"(SELECT {columns} FROM incidents WHERE few_services IS NOT NULL AND few_signatures IS NOT NULL AND {few} "
        f"AND {opened} UNION ALL SELECT {columns} FROM incidents "
        f"WHERE (few_services IS NULL OR few_signatures IS NULL) AND {conditions} AND {opened}) AS incidents",
        (*few.params, since, until, *conditions.params, since, until),
    )


def slot_of(column: str, starts: Sequence[int]) -> tuple[str, tuple[object, ...]]:
    """An expression for the position of a time in the list of buckets, with its parameters."""
    step = starts[1] - starts[0] if len(starts) > 1 else LATEST
    if all(after - before == step for before, after in pairwise(starts)):
        return f"(({column} - %s) / %s)::int", (starts[0], step)  # several times as fast as a search in the list
    return f"width_bucket({column}, %s::bigint[]) - 1", (list(starts),)


def tally_step(starts: Sequence[int], until: int) -> int | None:
    """The length of the tallies that add up to these buckets; None where the incidents themselves must be counted."""
    for step in (DAY, HOUR):
        if until % step == 0 and all(start % step == 0 for start in starts):
            return step
    return None


async def _tallied(
    session: Session, project: str, starts: Sequence[int], until: int, tally: int, by: Sequence[Facet]
) -> list[DictRow]:
    """From the tallies an hour and a day."""
    slot, params = slot_of("at", starts)
    dim = by[0].value if by else Facet.SEVERITY.value
    key = "key" if by else "''"
    return await session.rows(
        f"WITH counted AS (SELECT {slot} AS slot, {key} AS k0, sum(n)::bigint AS n FROM incident_tallies "
        "WHERE project = %s AND step = %s AND dim = %s AND at >= %s AND at < %s GROUP BY 1, 2 HAVING sum(n) > 0) "
        "SELECT k0, sum(n)::bigint AS total, array_agg(slot) AS slots, array_agg(n) AS counts, "
        "count(*) OVER () AS series FROM counted GROUP BY 1 ORDER BY 2 DESC, 1",
        (*params, project, tally, dim, starts[0], until),
        plan=False,
    )


def _without(every: Sequence[DictRow], others: Sequence[DictRow], keyed: bool) -> list[DictRow]:
    """The counts of `every` without those of `others`, which are some of them; as `_counted` gives them."""
    left: dict[object, Counter[int]] = {}
    for rows, sign in ((every, 1), (others, -1)):
        for row in rows:
            counts = left.setdefault(row["k0"] if keyed else None, Counter())
            for slot, count in zip(row["slots"], row["counts"], strict=True):
                counts[slot] += sign * count
    found: list[DictRow] = []
    for key, counts in left.items():
        kept = +counts  # those above 0
        if kept:
            found.append({"k0": key, "total": kept.total(), "slots": list(kept), "counts": list(kept.values())})
    found.sort(key=lambda row: (-row["total"], str(row["k0"])))
    return [{**row, "series": len(found)} for row in found]


async def _counted(
    session: Session, source: tuple[str, tuple[object, ...]], starts: Sequence[int], by: Sequence[Facet]
) -> list[DictRow]:
    """By closed vocabularies: few kinds, counted a bucket at once."""
    slot, params = slot_of("opened_at", starts)
    keys = "".join(f", {COLUMNS[facet]} AS k{number}" for number, facet in enumerate(by))
    names = "".join(f", k{number}" for number in range(len(by)))
    return await session.rows(
        f"WITH counted AS (SELECT {slot} AS slot, count(*) AS n{keys} FROM {source[0]} GROUP BY slot{names}) "
        "SELECT sum(n)::bigint AS total, array_agg(slot) AS slots, array_agg(n) AS counts, "
        f"count(*) OVER () AS series{names} FROM counted GROUP BY {names[2:] or '()'} "
        f"HAVING count(*) > 0 ORDER BY 1 DESC{names}",
        (*params, *source[1]),
        plan=False,
    )


async def _gathered(
    session: Session, source: tuple[str, tuple[object, ...]], starts: Sequence[int], by: Sequence[Facet], limit: int
) -> list[DictRow]:
    """By what may have thousands of values: first the largest kinds, then only those a bucket."""
    slot, params = slot_of("opened_at", starts)
    keys = ", ".join(f"{COLUMNS[facet]} AS k{number}" for number, facet in enumerate(by))
    names = ", ".join(f"k{number}" for number in range(len(by)))
    return await session.rows(
        f"WITH kinds AS (SELECT {keys}, count(*) AS total, array_agg({slot}) AS marks FROM {source[0]} "
        f"GROUP BY {names}), "
        f"top AS (SELECT *, count(*) OVER () AS series, row_number() OVER (ORDER BY total DESC, {names}) AS place "
        f"FROM kinds ORDER BY place LIMIT %s), "
        "counted AS (SELECT place, slot, count(*) AS n FROM top CROSS JOIN unnest(marks) AS slot GROUP BY 1, 2), "
        "summed AS (SELECT place, array_agg(slot) AS slots, array_agg(n) AS counts FROM counted GROUP BY 1) "
        f"SELECT total, slots, counts, series, {names} FROM top JOIN summed USING (place) ORDER BY place",
        (*params, *source[1], limit),
        plan=False,
    )
