"""Signatures: the list with sparklines, and one with its series."""

# ruff: noqa: S608 (only this folder's own column lists are put into statements; every value is a parameter)

from __future__ import annotations

from collections.abc import Iterable, Sequence

from psycopg.rows import DictRow

from incidentlens.model.clock import HOUR, MINUTE
from incidentlens.model.signatures import Template
from incidentlens.model.terms import Level
from incidentlens.store.paging import BadPage, Page, check_limit, cut, decode, encode, list_key
from incidentlens.store.queries import Point, ServiceCount, SignatureDetail, SignatureRow, SignatureSort
from incidentlens.store.text import prefix_query

from .growth import Compared, compared
from .intake import TEMPLATE_COLUMNS, to_template
from .read_incidents import ROW, to_row
from .reading import Reader, Where, after, ordered
from .session import Session

HOURS = 24
GROWING = 200  # signatures that are ranked by growth
LEAST = 2.0  # deviates
MAX_POINTS = 5_000
ORDERS = {SignatureSort.TOP: "count, signature", SignatureSort.NEW: "first_seen, signature"}


# Where each name asked for leads to, step by step: a template can be merged again and again. Parameters: project,
# names, project.
_LED = (
    "WITH RECURSIVE led AS ("
    "SELECT signature AS asked, signature, alias_of, 0 AS steps FROM templates "
    "WHERE project = %s AND signature = ANY(%s) "
    "UNION ALL SELECT led.asked, one.signature, one.alias_of, led.steps + 1 FROM led JOIN templates AS one "
    "ON one.project = %s AND one.signature = led.alias_of WHERE led.steps < 32)"
)
_TARGET = "led.asked, " + ", ".join(f"target.{column.strip()}" for column in TEMPLATE_COLUMNS.split(","))


class ReadSignatures(Reader):
    """See `store.queries.Queries`."""

    async def list_signatures(
        self,
        project: str,
        *,
        now: int,
        sort: SignatureSort = SignatureSort.TOP,
        level: Level | None = None,
        family: str | None = None,
        service: str | None = None,
        text: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[SignatureRow]:
        check_limit(limit)
        filters = {"level": level, "family": family, "service": service, "text": text}
        key = list_key("signatures", project=project, sort=sort, **filters)
        where = Where("project = %s", project)
        if level is not None:
            where.add("level = %s", level.value)
        if family is not None:
            where.add("family = %s", family)
        if service is not None:
            where.add(
                "signature IN (SELECT signature FROM counts_hourly WHERE project = %s AND bucket >= %s "
                "AND service = %s)",
                project, now - HOURS * HOUR, service,
            )  # fmt: skip
        if text is not None:
            query = prefix_query(text)
            if query is None:
                return Page(items=())
            where.add("search @@ %s::tsquery", query)
        async with self._read() as session:
            if sort is SignatureSort.GROWING:
                return await _growing(session, project, where, now, limit, key, cursor)
            columns = ORDERS[sort]
            position = decode(cursor, key, (int, str))
            if position is not None:
                where.add(after(columns, True, 2), *position)
            rows = await session.rows(
                f"SELECT {TEMPLATE_COLUMNS} FROM templates WHERE {where} ORDER BY {ordered(columns, True)} LIMIT %s",
                (*where.params, limit + 1),
                plan=False,
            )
            rows, more = cut(rows, limit)
            next_cursor = None
            if more:
                next_cursor = encode(key, [rows[-1][name] for name in columns.split(", ")])
            return Page(items=tuple(await _with_sparks(session, project, rows, now)), next_cursor=next_cursor)

    async def panel_signatures(self, project: str, signatures: Sequence[str], *, now: int) -> list[SignatureRow]:
        """The signatures of those names as the list shows them, by name; beside `store.queries.Queries`."""
        async with self._read() as session:
            rows = await session.rows(
                f"SELECT {TEMPLATE_COLUMNS} FROM templates WHERE project = %s AND signature = ANY(%s) ORDER BY 1",
                (project, list(signatures)),
                plan=False,
            )
            return await _with_sparks(session, project, rows, now)

    async def signature_detail(
        self, project: str, signature: str, *, since: int, until: int, bucket: int
    ) -> SignatureDetail | None:
        if bucket < MINUTE or until < since or (until - since) // bucket > MAX_POINTS:
            raise BadPage(f"a bucket is a minute at least, and at most {MAX_POINTS:,} of them are given")
        # Counts an hour are enough for buckets of whole hours, and far fewer.
        table = "counts_hourly" if bucket % HOUR == 0 else "counts"
        async with self._read() as session:
            row = await session.row(
                f"{_LED} SELECT {_TARGET} FROM led JOIN templates AS target "
                "ON target.project = %s AND target.signature = led.signature ORDER BY led.steps DESC LIMIT 1",
                (project, [signature], project, project),
            )
            if row is None:
                return None
            row.pop("asked")
            aliases = await session.rows(
                "WITH RECURSIVE below AS ("
                "SELECT signature FROM templates WHERE project = %s AND alias_of = %s "
                "UNION SELECT one.signature FROM below JOIN templates AS one "
                "ON one.project = %s AND one.alias_of = below.signature) "
                f"SELECT {TEMPLATE_COLUMNS} FROM templates WHERE project = %s AND signature <> %s "
                "AND signature IN (SELECT signature FROM below) ORDER BY count DESC, signature LIMIT 100",
                (project, row["signature"], project, project, row["signature"]),
            )
            names = [row["signature"], *(alias["signature"] for alias in aliases)]
            span = (project, names, since, until)
            services = await session.rows(
                f"SELECT service, sum(count)::bigint AS count FROM {table} WHERE project = %s AND signature = ANY(%s) "
                "AND bucket >= %s AND bucket < %s GROUP BY service ORDER BY 2 DESC, 1 LIMIT 50",
                span,
                plan=False,
            )
            series = await session.rows(
                f"SELECT bucket - bucket %% %s AS at, sum(count)::bigint AS count FROM {table} WHERE project = %s "
                "AND signature = ANY(%s) AND bucket >= %s AND bucket < %s GROUP BY 1 ORDER BY 1",
                (bucket, *span),
                plan=False,
            )
            incidents = await session.rows(
                f"SELECT {ROW} FROM incidents WHERE project = %s AND signatures && %s::text[] "
                "ORDER BY last_seen DESC, id DESC LIMIT 20",
                (project, names),
                plan=False,
            )
        return SignatureDetail(
            template=to_template(row),
            aliases=tuple(to_template(alias) for alias in aliases),
            services=tuple(ServiceCount(**entry) for entry in services),
            series=tuple(Point(**entry) for entry in series),
            bucket=bucket,
            incidents=tuple(to_row(entry) for entry in incidents),
        )

    async def templates(self, project: str, signatures: Iterable[str]) -> dict[str, Template]:
        names = list(dict.fromkeys(signatures))
        async with self._read() as session:
            rows = await session.rows(
                f"{_LED} SELECT DISTINCT ON (asked) {_TARGET} FROM led JOIN templates AS target "
                "ON target.project = %s AND target.signature = led.signature ORDER BY asked, led.steps DESC",
                (project, names, project, project),
            )
        return {row.pop("asked"): to_template(row) for row in rows}


async def _with_sparks(
    session: Session, project: str, rows: Sequence[DictRow], now: int, known: Compared | None = None
) -> list[SignatureRow]:
    """Add to templates what the last day's counts say."""
    known = known or await compared(session, project, now)
    this_hour = now - now % HOUR
    first = this_hour - (HOURS - 1) * HOUR
    names = [row["signature"] for row in rows]
    counted = await session.rows(
        "SELECT signature, bucket, sum(count)::bigint AS count FROM counts_hourly "
        "WHERE project = %s AND signature = ANY(%s) AND bucket >= %s AND bucket <= %s GROUP BY 1, 2",
        (project, names, first - HOUR, this_hour),
        plan=False,
    )
    by_hour: dict[str, dict[int, int]] = {}
    for entry in counted:
        by_hour.setdefault(entry["signature"], {})[entry["bucket"]] = entry["count"]
    lately: dict[str, tuple[float, float]] = {}
    if known.short:
        lately = await _lately(session, project, names, now, known)
    found = []
    for row in rows:
        hours = by_hour.get(row["signature"], {})
        recent, expected = (
            lately.get(row["signature"], (0, 0.0)) if known.short else _last_hour(hours, this_hour, now, known)
        )
        spark = tuple(hours.get(this_hour - back * HOUR, 0) for back in range(HOURS - 1, -1, -1))
        found.append(SignatureRow(**row, recent=round(recent), expected=expected, spark=spark))
    return found


def _last_hour(hours: dict[int, int], this_hour: int, now: int, known: Compared) -> tuple[float, float]:
    """The count of the hour before now, and an hour's mean before that."""
    # The hour before now is the begun one and the matching part of the one before.
    part = 1 - (now - this_hour) / HOUR
    recent = hours.get(this_hour, 0) + part * hours.get(this_hour - HOUR, 0)
    before: float = sum(hours.get(this_hour - back * HOUR, 0) for back in range(1, HOURS + 1))
    before -= part * hours.get(this_hour - HOUR, 0)
    # `known.before` ends an hour before the begun one, this a whole hour before now; of a day it loses as much.
    length = min(HOURS - part, known.before + known.recent - 1)
    return recent, max(0.0, before) / length


async def _lately(
    session: Session, project: str, names: Sequence[str], now: int, known: Compared
) -> dict[str, tuple[float, float]]:
    """The same of a project that is known for a few hours, from the counts a minute. Of one that is known for less than
    an hour both are of the time it is known for, so that they can be compared."""
    hour = min(1.0, known.recent + known.before)
    rows = await session.rows(
        "SELECT signature, sum(count) FILTER (WHERE bucket >= %s)::bigint AS recent, "
        "sum(count) FILTER (WHERE bucket < %s)::bigint AS before, sum(count)::bigint AS n FROM counts "
        "WHERE project = %s AND signature = ANY(%s) AND bucket >= %s AND bucket <= %s GROUP BY 1",
        (now - HOUR, known.recent_from, project, list(names), known.before_from, now),
        plan=False,
    )
    return {
        row["signature"]: (
            row["recent"] or 0,
            (row["before"] or 0) / known.before * hour if known.before else row["n"],
        )
        for row in rows
    }


async def _growing(
    session: Session, project: str, where: Where, now: int, limit: int, key: str, cursor: str | None
) -> Page[SignatureRow]:
    """The signatures whose last one to two hours most exceed what the day before would lead one to expect; of a
    project that is known for less than that see `growth`.

    Ranked by (recent - expected) / sqrt(variance + 1), a Poisson deviate (the expectation is itself a count of the time
    before, so both vary): a rise from 1 to 5 weighs less than one from 100 to 200, and what chance alone makes
    (below `LEAST`) is no growth. The ranking is taken anew a page; it holds at most 200.
    """
    position = decode(cursor, key, (int,))
    start = position[0] if position is not None else 0
    if start < 0:
        raise BadPage("the cursor is not one of ours; begin again without a cursor")
    known = await compared(session, project, now)
    if not known.before:
        return Page(items=())
    table, ratio = known.table, known.recent / known.before
    rows = await session.rows(
        f"WITH recent AS (SELECT signature, sum(count) AS n FROM {table} WHERE project = %s AND bucket >= %s "
        "AND bucket <= %s GROUP BY signature), "
        f"before AS (SELECT signature, sum(count) AS n FROM {table} WHERE project = %s AND bucket >= %s "
        "AND bucket < %s AND signature IN (SELECT signature FROM recent) GROUP BY signature), "
        "expected AS (SELECT signature AS grown, recent.n AS n, coalesce(before.n, 0) * %s::float8 AS expected "
        "FROM recent LEFT JOIN before USING (signature)), "
        "ranked AS (SELECT *, ((n - expected) / sqrt(expected * %s::float8 + 1))::float8 AS growth FROM expected) "
        f"SELECT {TEMPLATE_COLUMNS}, ranked.growth FROM ranked JOIN templates ON templates.signature = ranked.grown "
        f"WHERE {where} AND ranked.growth >= %s ORDER BY ranked.growth DESC, signature LIMIT %s OFFSET %s",
        (
            project, known.recent_from, now, project, known.before_from, known.recent_from, ratio, 1 + ratio,
            *where.params, LEAST, max(0, min(limit + 1, GROWING - start)), start,
        ),
        plan=False,
    )  # fmt: skip
    rows, more = cut(rows, limit)
    items = tuple(await _with_sparks(session, project, rows, now, known))
    return Page(items=items, next_cursor=encode(key, [start + limit]) if more else None)
