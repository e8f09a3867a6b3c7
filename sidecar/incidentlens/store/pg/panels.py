"""What Grafana's panels ask: incidents that overlap a time, and how many there were of which kind when."""

# ruff: noqa: S608 (only this folder's own column lists are put into statements; every value is a parameter)

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from incidentlens.model.base import Value
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
        conditions.add("opened_at >= %s", starts[0])
        conditions.add("opened_at < %s", until)
        keys = ", ".join(f"{COLUMNS[facet]} AS k{number}" for number, facet in enumerate(by))
        names = "".join(f", k{number}" for number in range(len(by)))
        async with self._read() as session:
            rows = await session.rows(
                f"WITH counted AS (SELECT width_bucket(opened_at, %s::bigint[]) - 1 AS slot, "
                f"{keys + ', ' if keys else ''}count(*) AS n FROM incidents WHERE {conditions} GROUP BY slot{names}) "
                "SELECT sum(n)::bigint AS total, array_agg(slot) AS slots, array_agg(n) AS counts, "
                f"count(*) OVER () AS series{names} FROM counted {f'GROUP BY {names[2:]} ' if names else ''}"
                f"ORDER BY 1 DESC{names} LIMIT %s",
                (list(starts), *conditions.params, limit),
                plan=False,
            )
        found = [
            SeriesCount(
                key=tuple(row[f"k{number}"] for number in range(len(by))),
                total=row["total"],
                slots=tuple(row["slots"]),
                counts=tuple(row["counts"]),
            )
            for row in rows
            if row["total"] is not None
        ]
        return found, (rows[0]["series"] - len(found) if found else 0)

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


def conditions_of(project: str, where: PanelFilter) -> Where | None:
    """The conditions on the table of incidents; None where nothing can fulfil them."""
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
            conditions.add(f"{column} && %s::text[]", list(group))
        if unwanted:
            conditions.add(f"NOT {column} && %s::text[]", list(unwanted))
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
