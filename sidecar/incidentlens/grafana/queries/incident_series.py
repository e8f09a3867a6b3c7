"""`incident_series`: how many incidents were opened when, by any of their properties."""

from __future__ import annotations

from collections.abc import Sequence

from incidentlens.grafana.frames import Field, FieldType, Frame
from incidentlens.store.pg.panels import Facet, SeriesCount

from . import look
from .buckets import Buckets
from .context import QueryContext
from .errors import QueryError
from .filters import filter_of
from .query import VOCABULARIES, PanelQuery, one_of

DEFAULT_SERIES, MAX_SERIES = 20, 100
MAX_FACETS = 3
MAX_VALUES = 50_000  # points of all series together


async def answer(query: PanelQuery, context: QueryContext) -> list[Frame]:
    """One frame a series (timeseries-multi), its labels being what it counts; zeros where there were none."""
    by = [Facet(one_of(name, tuple(Facet), "groupBy")) for name in query.group_by]
    if len(by) > MAX_FACETS:
        raise QueryError(f"groupBy: at most {MAX_FACETS} at once; {', '.join(Facet)} can be chosen from")
    buckets = Buckets(query)
    limit = min(query.rows(DEFAULT_SERIES, MAX_SERIES), max(1, MAX_VALUES // len(buckets.starts)))
    found, left_out = await context.queries.panel_series(
        context.project,
        await filter_of(query, context),
        starts=buckets.starts,
        until=buckets.until,
        by=by,
        limit=limit,
    )
    if not by and not found:
        found = [SeriesCount(key=(), total=0, slots=(), counts=())]
    time = buckets.time()
    frames = [series(time, buckets, one, [facet.value for facet in by]) for one in _ordered(found, by)]
    if not frames:
        frames = [Frame("incidents", (), look.TIMESERIES)]
    hidden = f"the {len(found):,} largest series are shown, {left_out:,} more are not" if left_out else None
    return look.noticed(
        frames, [*look.cut_notes(query), query.cut_limit(MAX_SERIES) if by else None, hidden, buckets.note()]
    )


def series(time: Field, buckets: Buckets, counted: SeriesCount, names: Sequence[str]) -> Frame:
    """The frame of one series."""
    key = [value or "none" for value in counted.key]
    labels = dict(zip(names, key, strict=True))
    title = " / ".join(key) or "incidents"
    config = {"displayNameFromDS": title, "unit": "short", "decimals": 0, "min": 0}
    if len(key) == 1:
        config |= look.fixed(_colour(names[0], key[0]))
    value = Field("value", FieldType.FLOAT, buckets.values(counted), config, labels, nullable=False)
    return Frame(title, [time, value], look.TIMESERIES)


def _colour(name: str, value: str) -> str | None:
    return look.COLOURS.get(name, {}).get(value)


def _ordered(found: list[SeriesCount], by: list[Facet]) -> list[SeriesCount]:
    """A closed vocabulary in its order of weight, anything else by size."""
    if len(by) != 1 or by[0].value not in VOCABULARIES:
        return found
    order = [term.value for term in VOCABULARIES[by[0].value]]
    return sorted(found, key=lambda one: order.index(one.key[0]) if one.key[0] in order else len(order))
