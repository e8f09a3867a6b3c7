"""`signatures`: which messages are loudest, newest or growing, with how they went over the last day."""

from __future__ import annotations

from incidentlens.grafana.frames import Field, FieldType, Frame
from incidentlens.model.clock import HOUR
from incidentlens.model.terms import Level
from incidentlens.store.queries import SignatureRow, SignatureSort

from . import look
from .context import QueryContext
from .query import PanelQuery, one_of, read_terms

FORMATS = ("table", "sparklines")
SORTS = tuple(sort.value for sort in SignatureSort)
DEFAULT_ROWS, MAX_ROWS, MAX_SPARKS = 50, 500, 100
MAX_SERVICES = 20
_BARS = "▁▂▃▄▅▆▇█"


async def answer(query: PanelQuery, context: QueryContext) -> list[Frame]:
    """Format `table`, or `sparklines`: one series of 24 hours a signature, for the "time series to table" step.

    Sort `top` (by count of all time), `new` (first seen within the time range) or `growing` (the last one to two hours
    against the day before).
    """
    wanted = one_of(query.format or "table", FORMATS, "format")
    sort = SignatureSort(one_of(query.sort or "top", SORTS, "sort"))
    most = MAX_SPARKS if wanted == "sparklines" else MAX_ROWS
    limit = query.rows(DEFAULT_ROWS, most)
    rows, beyond = await _rows(query, context, sort, limit)
    notes = [
        *look.cut_notes(query),
        query.cut_limit(most),
        look.more(limit, "signatures") if beyond else None,
        f"only the first {MAX_SERVICES} services are looked at" if len(query.service) > MAX_SERVICES else None,
    ]
    frames = _sparklines(rows, context.now) if wanted == "sparklines" else [_table(rows)]
    return look.noticed(frames, notes)


async def _rows(
    query: PanelQuery, context: QueryContext, sort: SignatureSort, limit: int
) -> tuple[list[SignatureRow], bool]:
    """At most `limit` rows in their order, and whether there are more."""
    if query.signature:
        return await _named(query, context)
    levels = read_terms(Level, query.level, "level") or (None,)
    found: dict[str, SignatureRow] = {}
    beyond = False
    for service in query.service[:MAX_SERVICES] or (None,):
        for level in levels:
            page = await context.queries.list_signatures(
                context.project, now=context.now, sort=sort, level=level, family=query.family or None,
                service=service, text=query.text or None, limit=limit,
            )  # fmt: skip
            beyond = beyond or page.next_cursor is not None
            found |= {row.signature: row for row in page.items}
    rows = list(found.values())
    if sort is SignatureSort.NEW:
        rows = [row for row in rows if row.first_seen >= query.since]
        rows.sort(key=lambda row: (row.first_seen, row.signature), reverse=True)
        beyond = beyond and len(rows) >= limit
    elif sort is SignatureSort.TOP:
        rows.sort(key=lambda row: (row.count, row.signature), reverse=True)
    else:
        rows.sort(key=lambda row: row.growth or 0.0, reverse=True)
    return rows[:limit], beyond or len(rows) > limit


async def _named(query: PanelQuery, context: QueryContext) -> tuple[list[SignatureRow], bool]:
    """The signatures that the query names."""
    found = await context.queries.panel_signatures(context.project, query.signature[:MAX_ROWS], now=context.now)
    return found, False


def _table(rows: list[SignatureRow]) -> Frame:
    text, time, number = FieldType.STRING, FieldType.TIME, FieldType.INT
    fields = [
        Field("template", text, [row.template for row in rows], {"displayName": "Message"}),
        Field("level", text, [row.level for row in rows], look.coloured(look.LEVEL, displayName="Level")),
        Field("recent", number, [row.recent for row in rows], {"displayName": "Last hour", "unit": "short"}),
        Field(
            "expected",
            FieldType.FLOAT,
            [row.expected for row in rows],
            {"displayName": "Usual an hour", "unit": "short", "decimals": 1},
        ),
        Field("spark", text, [bars(row.spark) for row in rows], {"displayName": "Last 24 hours"}),
        Field("count", number, [row.count for row in rows], {"displayName": "Of all time", "unit": "short"}),
        Field("first_seen", time, [row.first_seen for row in rows], {"displayName": "First seen"}),
        Field("last_seen", time, [row.last_seen for row in rows], {"displayName": "Last seen"}),
        Field("family", text, [row.family for row in rows], {"displayName": "Family", "filterable": True}),
        Field("label", text, [row.label or "" for row in rows], {"displayName": "Name"}),
        Field("signature", text, [row.signature for row in rows], {"displayName": "Signature", "filterable": True}),
    ]
    return Frame("signatures", fields, look.TABLE)


def _sparklines(rows: list[SignatureRow], now: int) -> list[Frame]:
    """The last 24 full or begun hours (UTC) of each."""
    this_hour = now - now % HOUR
    frames = []
    for row in rows:
        hours = [this_hour - back * HOUR for back in range(len(row.spark) - 1, -1, -1)]
        config = {"displayNameFromDS": row.template, "unit": "short", "min": 0}
        labels = {"signature": row.signature}
        value = Field("value", FieldType.FLOAT, [float(n) for n in row.spark], config, labels, nullable=False)
        frames.append(Frame(row.signature, [Field("time", FieldType.TIME, hours), value], look.TIMESERIES))
    return frames or [Frame("signatures", (), look.TIMESERIES)]


def bars(counts: tuple[int, ...]) -> str:
    """A small chart as text, which every table can show: the height of a bar is its share of the greatest."""
    most = max(counts, default=0)
    if not most:
        return _BARS[0] * len(counts)
    return "".join(_BARS[-(-count * (len(_BARS) - 1) // most)] for count in counts)
