"""`timeline`: how an incident stood when, as states; without one, the incidents of the time range, each a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from incidentlens.grafana.frames import Field, FieldType, Frame
from incidentlens.store.queries import IncidentDetail

from . import instead, look
from .context import QueryContext
from .filters import filter_of
from .query import PanelQuery, one_of

DEFAULT_ROWS, MAX_ROWS = 20, 100
MAX_PROBLEMS = 15
MAX_EVENTS = 500
# Letters at the side of a row: Grafana gives them two fifths of the panel, and cuts their beginning where that is too
# little. Incidents stand beside something else, one incident's problems have the whole width.
_LABEL, _LONG_LABEL = 28, 60
FORMATS = ("states", "events")
# An event's kind: the status from then on.
_STATUS = {"opened": "open", "verifying": "verifying", "reopened": "open", "suppressed": "suppressed"}
_ENDED = {"closed": "closed", "ignored": "ignored"}
_FAILING = {"failing": "red"}

States = list[tuple[int, str | None]]


async def answer(query: PanelQuery, context: QueryContext) -> list[Frame]:
    """Format `states` (for a state timeline) or, of incidents that are named, `events` (a table)."""
    wanted = one_of(query.format or "states", FORMATS, "format")
    if not query.incident_id:
        if wanted == "events":
            return [Frame("timeline", (), look.TABLE).with_notice("choose an incident to see what happened")]
        return await _incidents(query, context)
    detail = await context.queries.incident_detail(context.project, query.incident_id[0])
    if detail is None:
        return [_frame(_nothing(query)).with_notice("there is no such incident")]
    note = "only one incident is shown at once" if len(query.incident_id) > 1 else None
    frames = [_events(detail, query)] if wanted == "events" else _states(detail, context.now)
    return look.noticed(frames, [note])


async def _incidents(query: PanelQuery, context: QueryContext) -> list[Frame]:
    """Each incident with its severity for as long as it went on; the latest first."""
    limit = query.rows(DEFAULT_ROWS, MAX_ROWS)
    rows = await context.queries.panel_incidents(
        context.project, await filter_of(query, context), since=query.since, until=query.until, limit=limit + 1
    )
    shown = []
    for row in rows[:limit]:
        end = row.ended_at if row.ended_at is not None else context.now
        states: States = [(row.onset, row.severity.value), (max(end, row.onset + 1), None)]
        links = look.incident_links(context, row.id)
        shown.append(Row(row.id, _short(row.title, _LABEL), states, look.coloured(look.SEVERITY, links=links)))
    more = look.more(limit, "incidents") if len(rows) > limit else None
    return look.noticed([_frame(shown or _nothing(query))], [*look.cut_notes(query), more])


def _states(detail: IncidentDetail, now: int) -> list[Frame]:
    incident = detail.incident
    over = incident.ended_at
    status: States = [(incident.opened_at, "open")]
    for event in detail.events:
        if event.kind in _STATUS:
            status.append((event.at, _STATUS[event.kind]))
        elif event.kind in _ENDED:
            status.append((event.at, _ENDED[event.kind]))
        elif event.kind == "verified":
            status.append((event.at, "resolved" if event.text.startswith("resolved") else "open"))
    if over is not None:
        status.append((over, incident.status.value))
    decisions = sorted(detail.decisions, key=lambda decision: decision.at)
    end = over if over is not None else now
    dispositions: States = [(decision.at, decision.disposition.value) for decision in decisions]
    severities: States = [(decision.at, decision.severity.value) for decision in decisions]
    watches: States = []
    for watch in detail.verifications:
        watches.append((watch.started_at, "watching"))
        if watch.outcome is not None and watch.ended_at is not None:
            watches.append((watch.ended_at, watch.outcome.value))
    rows = [
        Row("status", "Status", status, look.coloured(look.STATUS)),
        Row("disposition", "Disposition", [*dispositions, (end, None)], look.coloured(look.DISPOSITION)),
        Row("severity", "Severity", [*severities, (end, None)], look.coloured(look.SEVERITY)),
        Row("verification", "Verification", watches, look.coloured({"watching": "yellow", **look.OUTCOME})),
    ]
    problems = sorted(incident.problems, key=lambda problem: (-problem.score, problem.onset))[:MAX_PROBLEMS]
    for problem in sorted(problems, key=lambda problem: problem.onset):
        failing: States = [(problem.onset, "failing"), (max(problem.last_seen, problem.onset + 1), None)]
        title = f"{problem.service}: {problem.template.replace('<*>', '…')}"
        rows.append(Row(problem.id, _short(title, _LONG_LABEL), failing, look.coloured(_FAILING)))
    left = len(incident.problems) - len(problems)
    return look.noticed([_frame(rows)], [f"{left:,} lesser problems are not shown" if left else None])


class Row(NamedTuple):
    """One row of the panel: a state from each time on, None where there is none any more."""

    name: str
    title: str
    states: States
    config: dict[str, object]


def _nothing(query: PanelQuery) -> list[Row]:
    """Bars over the whole time that say what the query wishes to be said in place of nothing, a sentence each."""
    return [
        Row(f"nothing{place}", " ", [(query.since, said), (query.until, None)], look.fixed(look.NOTHING))
        for place, said in enumerate(instead.sentences(query.empty))
    ]


def _short(text: str, length: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 1].rstrip()}…"


def _frame(rows: Sequence[Row]) -> Frame:
    """All rows over the times of any of them. In frames of their own an end would reach back to the time before it,
    because of how the panel joins them."""
    times = sorted({at for row in rows for at, _ in row.states})
    fields = [Field("time", FieldType.TIME, times)]
    for row in rows:
        changes = dict(sorted(row.states, key=lambda change: change[0]))  # of two at one moment the later holds
        values: list[str | None] = []
        for at in times:
            values.append(changes[at] if at in changes else values[-1] if values else None)
        fields.append(Field(row.name, FieldType.STRING, values, {"displayNameFromDS": row.title, **row.config}))
    return Frame("timeline", fields)


def _events(detail: IncidentDetail, query: PanelQuery) -> Frame:
    limit = query.rows(200, MAX_EVENTS)
    events = detail.events[-limit:]
    fields = [
        Field("time", FieldType.TIME, [event.at for event in events], {"displayName": "When"}),
        Field(
            "kind", FieldType.STRING, [event.kind for event in events], look.coloured(look.KINDS, displayName="What")
        ),
        Field("text", FieldType.STRING, [event.text for event in events], {"displayName": "Said"}),
        Field("by", FieldType.STRING, [event.by for event in events], {"displayName": "By"}),
    ]
    frame = Frame("timeline", fields, look.TABLE)
    left = len(detail.events) - len(events) + detail.cut.get("events", 0)
    return frame.with_notice(f"{left:,} earlier entries are not shown") if left else frame
