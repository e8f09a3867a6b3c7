"""`health`: how the sidecar itself does for a project: from the store, and from the process that answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from incidentlens.grafana.frames import Field, FieldType, Frame
from incidentlens.model.clock import MINUTE, SECOND
from incidentlens.model.terms import Level
from incidentlens.store.pg.panels import SeriesCount
from incidentlens.store.pg.panels_health import Spent

from . import look
from .buckets import Buckets
from .context import QueryContext, Run
from .query import PanelQuery, one_of

FORMATS = ("now", "series", "queries", "targets", "errors")
KINDS = ("records", "lag", "tick", "failures", "analyses", "cost")
_RECENT = 5 * MINUTE
_TIME = {"unit": "s", "decimals": 0, "min": 0}
_COUNT = {"unit": "short", "decimals": 0, "min": 0}
_SOURCE = {"runbook": "green", "rules": "blue", "model": "purple"}
_ELSEWHERE = "another process reads this project's Loki: lag, failures and the time of a look are in its /metrics"


async def answer(query: PanelQuery, context: QueryContext) -> list[Frame]:
    """Format `now` (one row), `series` (of one `kind`), `queries` (how far each has read), `targets` (what waits to be
    published) or `errors` (what goes wrong at the moment; no rows where nothing does)."""
    wanted = one_of(query.format or "now", FORMATS, "format")
    if wanted == "series":
        return await _series(query, context)
    frame = await {"now": _now, "queries": _queries, "targets": _targets, "errors": _errors}[wanted](query, context)
    elsewhere = _ELSEWHERE if wanted in ("now", "errors") and context.reading is None else None
    return look.noticed([frame], [*look.cut_notes(query), elsewhere])


async def _now(query: PanelQuery, context: QueryContext) -> Frame:
    """Figures of this moment, and what models cost within the time range."""
    cursors = await context.queries.panel_cursors(context.project, context.loki_queries)
    outbox = await context.queries.outbox_state(context.project)
    whole = context.now - context.now % MINUTE
    taken = await context.queries.panel_taken_in(context.project, starts=[whole - _RECENT], until=whole)
    figures = await context.queries.panel_spent(context.project, starts=[query.since], until=query.until)
    reading = context.reading
    last = reading.last_tick if reading else None
    runs = reading.runs if reading else ()
    oldest = min(cursors.values(), default=None)
    waited = None if outbox.oldest is None else context.now - outbox.oldest
    failing = reading.failing_since if reading else None
    floats: tuple[tuple[str, str, float | None, dict[str, object]], ...] = (
        ("behind", "Behind Loki", _seconds(None if oldest is None else context.now - oldest), _TIME),
        ("read", "Last look at Loki", _seconds(None if last is None else context.now - last), _TIME),
        ("tick", "Time of a look", runs[-1].seconds if runs else None, {"unit": "s", "min": 0}),
        (
            "records",
            "Records a second",
            sum(one.total for one in taken) / (_RECENT / SECOND),
            {"unit": "suffix:/s", "decimals": 1, "min": 0},
        ),
        ("failing", "Failing for", _seconds(context.now - failing if failing else (0 if reading else None)), _TIME),
        ("waiting", "Waiting to be published", float(outbox.waiting), _COUNT),
        ("waited", "The oldest waits", _seconds(0 if waited is None else waited), _TIME),
        ("given_up", "Given up", float(outbox.given_up), _COUNT),
        ("cost", "Model cost", sum(one.cost for one in figures), {"unit": "currencyUSD", "decimals": 2, "min": 0}),
        ("analyses", "Analyses", float(sum(one.count.total for one in figures)), _COUNT),
    )
    fields = [
        Field(name, FieldType.FLOAT, [value], {"displayName": title, **config}) for name, title, value, config in floats
    ]
    return Frame("health", fields, look.NUMERIC_WIDE)


async def _series(query: PanelQuery, context: QueryContext) -> list[Frame]:
    kind = one_of(query.kind[0] if query.kind else "records", KINDS, "kind")
    buckets = Buckets(query)
    notes = [*look.cut_notes(query), buckets.note()]
    if kind == "records":
        taken = await context.queries.panel_taken_in(context.project, starts=buckets.starts, until=buckets.until)
        frames = [_rate(buckets, one) for one in taken]
    elif kind in ("analyses", "cost"):
        spent = await context.queries.panel_spent(context.project, starts=buckets.starts, until=buckets.until)
        frames = _analyses(buckets, spent) if kind == "analyses" else _cost(buckets, spent)
    else:
        frames = _of_runs(kind, context.reading.runs if context.reading else (), buckets)
        notes.append(_ELSEWHERE if context.reading is None else None)
    return look.noticed(frames or [Frame("health", (), look.TIMESERIES)], notes)


def _analyses(buckets: Buckets, spent: Sequence[Spent]) -> list[Frame]:
    frames = []
    for one in spent:
        source = one.count.key[0] or "unknown"
        frames.append(_frame(buckets, source, buckets.values(one.count), _COUNT, _SOURCE.get(source)))
    return frames


def _cost(buckets: Buckets, spent: Sequence[Spent]) -> list[Frame]:
    """Nothing where no analysis cost anything: the panel then says that no model was asked."""
    values = [0.0] * len(buckets.starts)
    for one in spent:
        for slot, cost in zip(one.count.slots, one.costs, strict=True):
            values[slot] += cost
    if not any(values):
        return []
    return [_frame(buckets, "Model cost", values, {"unit": "currencyUSD", "min": 0}, _SOURCE["model"])]


def _rate(buckets: Buckets, one: SeriesCount) -> Frame:
    level = one.key[0] or "unknown"
    seconds = [
        (end - start) / SECOND
        for start, end in zip(buckets.starts, [*buckets.starts[1:], buckets.until], strict=True)
    ]  # fmt: skip
    values = [count / length for count, length in zip(buckets.values(one), seconds, strict=True)]
    return _frame(buckets, level, values, {"unit": "suffix:/s", "min": 0}, look.LEVEL[Level(level)])


def _of_runs(kind: str, runs: Sequence[Run], buckets: Buckets) -> list[Frame]:
    """What this process remembers of its runs: the worst of each bucket, or how many failed; null where none."""
    titles = {"lag": "Behind Loki", "tick": "Time of a look", "failures": "Failed looks"}
    value: Callable[[Run], float | None] = {
        "lag": lambda run: None if run.lag is None else run.lag / SECOND,
        "tick": lambda run: run.seconds,
        "failures": lambda run: float(run.failed),
    }[kind]
    values: list[float | None] = [None] * len(buckets.starts)
    slot = 0
    for run in runs:
        if not buckets.starts[0] <= run.at < buckets.until:
            continue
        while slot + 1 < len(buckets.starts) and buckets.starts[slot + 1] <= run.at:
            slot += 1
        found, before = value(run), values[slot]
        if found is not None:
            values[slot] = found if before is None else before + found if kind == "failures" else max(before, found)
    if all(one is None for one in values):
        return []
    config = _COUNT if kind == "failures" else {"unit": "s", "min": 0}
    return [_frame(buckets, titles[kind], values, config, "red" if kind == "failures" else None)]


def _frame(
    buckets: Buckets, title: str, values: Sequence[float | None], config: dict[str, object], colour: str | None
) -> Frame:
    shown = {"displayNameFromDS": title, **config, **look.fixed(colour)}
    value = Field("value", FieldType.FLOAT, values, shown, {"name": title})
    return Frame(title, [buckets.time(), value], look.TIMESERIES)


async def _queries(_query: PanelQuery, context: QueryContext) -> Frame:
    cursors = sorted((await context.queries.panel_cursors(context.project, context.loki_queries)).items())
    behind = [_seconds(max(0, context.now - at)) for _, at in cursors]
    fields = [
        Field("query", FieldType.STRING, [name for name, _ in cursors], {"displayName": "Query"}),
        Field("read_until", FieldType.TIME, [at for _, at in cursors], {"displayName": "Read until"}),
        Field("behind", FieldType.FLOAT, behind, {"displayName": "Behind", **_TIME}),
    ]
    return Frame("health", fields, look.TABLE)


async def _targets(_query: PanelQuery, context: QueryContext) -> Frame:
    found = await context.queries.panel_targets(context.project)
    waited = [_seconds(0 if one.oldest is None else max(0, context.now - one.oldest)) for one in found]
    fields = [
        Field("target", FieldType.STRING, [one.target for one in found], {"displayName": "Published to"}),
        Field("done", FieldType.INT, [one.done for one in found], {"displayName": "Sent", **_COUNT}),
        Field("waiting", FieldType.INT, [one.waiting for one in found], {"displayName": "Waiting", **_COUNT}),
        Field("waited", FieldType.FLOAT, waited, {"displayName": "The oldest waits", **_TIME}),
        Field("given_up", FieldType.INT, [one.given_up for one in found], {"displayName": "Given up", **_COUNT}),
        Field("error", FieldType.STRING, [one.error or "" for one in found], {"displayName": "Last error"}),
    ]
    return Frame("health", fields, look.TABLE)


async def _errors(_query: PanelQuery, context: QueryContext) -> Frame:
    rows: list[tuple[int, str, str]] = []
    reading = context.reading
    if reading is not None and reading.error is not None:
        rows.append((reading.failing_since or context.now, "reading Loki", reading.error))
    rows += [
        (one.oldest or context.now, f"publishing to {one.target}", one.error)
        for one in await context.queries.panel_targets(context.project)
        if one.error and (one.waiting or one.given_up)
    ]
    fields = [
        Field("since", FieldType.TIME, [at for at, _, _ in rows], {"displayName": "Since"}),
        Field("where", FieldType.STRING, [where for _, where, _ in rows], {"displayName": "Where"}),
        Field("error", FieldType.STRING, [text[:2_000] for _, _, text in rows], {"displayName": "What is wrong"}),
    ]
    return Frame("health", fields, look.TABLE)


def _seconds(ns: float | None) -> float | None:
    return None if ns is None else ns / SECOND
