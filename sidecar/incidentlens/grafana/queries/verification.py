"""`verification`: how watches ended, over time, a runbook, or one by one."""

from __future__ import annotations

from incidentlens.grafana.frames import Field, FieldType, Frame
from incidentlens.model.clock import SECOND
from incidentlens.model.terms import Outcome

from . import look
from .buckets import Buckets
from .context import QueryContext
from .filters import filter_of
from .incident_series import series
from .links import explore
from .query import PanelQuery, one_of

FORMATS = ("series", "runbooks", "watches")
_TITLES = {
    Outcome.RESOLVED: "Resolved",
    Outcome.STILL_FIRING: "Still firing",
    Outcome.RE_ESCALATED: "Re-escalated",
    Outcome.INCONCLUSIVE: "Inconclusive",
}
DEFAULT_ROWS = 100


async def answer(query: PanelQuery, context: QueryContext) -> list[Frame]:
    """Format `series` (outcomes over time), `runbooks` (a table) or `watches` (one row each; so of an incident)."""
    asked = "runbooks" if query.group_by == ("runbook",) else query.format
    wanted = one_of(asked or ("watches" if query.incident_id else "series"), FORMATS, "format")
    if wanted == "series":
        return await _series(query, context)
    return await (_runbooks(query, context) if wanted == "runbooks" else _watches(query, context))


async def _series(query: PanelQuery, context: QueryContext) -> list[Frame]:
    buckets = Buckets(query)
    found = await context.queries.panel_outcomes(
        context.project, await filter_of(query, context), starts=buckets.starts, until=buckets.until
    )
    time = buckets.time()
    frames = [series(time, buckets, one, ["outcome"]) for one in found] or [Frame("verification", (), look.TIMESERIES)]
    return look.noticed(frames, [*look.cut_notes(query), buckets.note()])


async def _runbooks(query: PanelQuery, context: QueryContext) -> list[Frame]:
    limit = query.rows(DEFAULT_ROWS)
    found = await context.queries.panel_runbooks(
        context.project, await filter_of(query, context), since=query.since, until=query.until, limit=limit + 1
    )
    shown = found[:limit]
    verified = [ends.resolved + ends.still_firing + ends.re_escalated + ends.inconclusive for ends in shown]
    rates = [ends.resolved / total if total else None for ends, total in zip(shown, verified, strict=True)]
    number = FieldType.INT
    fields = [
        Field("runbook", FieldType.STRING, [ends.runbook for ends in shown], {"displayName": "Runbook"}),
        Field("matches", number, [ends.matches for ends in shown], {"displayName": "Matches"}),
        Field(
            "resolution_rate",
            FieldType.FLOAT,
            rates,
            {"displayName": "Share resolved", "unit": "percentunit", "min": 0, "max": 1, "decimals": 0},
        ),
    ]
    for outcome, colour in look.OUTCOME.items():
        title = _TITLES[outcome]
        values = [getattr(ends, outcome.value) for ends in shown]
        fields.append(Field(outcome.value, number, values, {"displayName": title, **look.fixed(colour)}))
    fields.append(Field("reopened", number, [ends.reopened for ends in shown], {"displayName": "Came back"}))
    notes = [*look.cut_notes(query), look.more(limit, "runbooks") if len(found) > limit else None]
    return look.noticed([Frame("verification", fields, look.TABLE)], notes)


async def _watches(query: PanelQuery, context: QueryContext) -> list[Frame]:
    limit = query.rows(DEFAULT_ROWS)
    found = await context.queries.panel_watches(
        context.project, await filter_of(query, context), since=query.since, until=query.until, limit=limit + 1
    )
    shown = found[:limit]
    watches = [entry.watch for entry in shown]
    text, time = FieldType.STRING, FieldType.TIME
    links = look.incident_links(context, "${__data.fields.incident_id}")
    colours = look.coloured({"watching": "yellow", **look.OUTCOME}, displayName="Outcome")
    counted = [sum(check.count for check in watch.checks) for watch in watches]
    fields = [
        Field("started", time, [watch.started_at for watch in watches], {"displayName": "Watched since"}),
        Field("title", text, [entry.title for entry in shown], {"displayName": "Incident", "links": links}),
        Field("outcome", text, [watch.outcome or "watching" for watch in watches], colours),
        Field("ended", time, [watch.ended_at for watch in watches], {"displayName": "Ended"}, nullable=True),
        Field("why", text, [watch.why for watch in watches], {"displayName": "Why"}),
        Field(
            "quiet",
            FieldType.FLOAT,
            [watch.quiet_ns / SECOND for watch in watches],
            {"displayName": "Must be quiet for", "unit": "s"},
        ),
        Field("looks", FieldType.INT, [len(watch.checks) for watch in watches], {"displayName": "Latest looks"}),
        Field("records", FieldType.INT, counted, {"displayName": "Records in them"}),
        Field("query", text, [watch.query for watch in watches], {"displayName": "LogQL"}),
        Field("incident_id", text, [watch.incident_id for watch in watches], {"displayName": "Id", "links": links}),
    ]
    if context.loki_uid:
        title = "What it watches, in Loki"
        urls = [
            explore(context.loki_uid, watch.query, watch.started_at, watch.ended_at or context.now)
            if watch.query
            else None
            for watch in watches
        ]
        link = [{"title": title, "url": "${__value.raw}"}]
        fields.append(Field("loki", text, urls, {"displayName": title, "links": link}))
    notes = [*look.cut_notes(query), query.cut_limit(), look.more(limit, "watches") if len(found) > limit else None]
    return look.noticed([Frame("verification", fields, look.TABLE)], notes)
