"""`incident`: one incident, whenever it was: what is known of it, what was decided and why, what to do."""

from __future__ import annotations

from typing import NamedTuple

from incidentlens.grafana.frames import Field, FieldType, Frame
from incidentlens.model.clock import SECOND
from incidentlens.store.queries import IncidentDetail

from . import instead, look
from .context import QueryContext
from .query import PanelQuery, one_of

FORMATS = ("summary", "story", "steps", "reasons", "findings")
MAX_ROWS = 200
_TEXT = 2_000
_SENTENCES = ("story", "steps")
_LEVEL = {"cause": "error", "summary": "info", "runbook": "info", "held back": "warning"}  # colours of the logs panel
_FINDING = {"claim": "blue", "rule": "purple"}


async def answer(query: PanelQuery, context: QueryContext) -> list[Frame]:
    """Format `summary` (one row), `story` (what is thought of it) and `steps` (what the runbook says to do), both for
    a logs panel, `reasons` (one row a step of each decision, the latest decision first) or `findings` (each with the
    evidence it cites)."""
    wanted = one_of(query.format or "summary", FORMATS, "format")
    sentences = wanted in _SENTENCES
    meta = look.LOGS if sentences else look.TABLE
    nothing = Frame("incident", instead.lines(query.empty, context.now) if sentences else (), meta)
    if not query.incident_id:
        return [nothing.with_notice("choose an incident")]
    detail = await context.queries.incident_detail(context.project, query.incident_id[0])
    if detail is None:
        return [nothing.with_notice("there is no such incident")]
    fields = {
        "summary": lambda: _summary(detail, context),
        "story": lambda: _story(detail),
        "steps": lambda: _steps(detail),
        "reasons": lambda: _reasons(detail),
        "findings": lambda: _findings(detail),
    }[wanted]()
    note = "only one incident is shown at once" if len(query.incident_id) > 1 else None
    empty = sentences and not fields[0].values
    return look.noticed([nothing if empty and query.empty else Frame("incident", fields, meta)], [note])


def _summary(detail: IncidentDetail, context: QueryContext) -> list[Field]:
    """One row. The page's address is a text and the link's own target, so that any panel can offer it."""
    found, analysis = detail.incident, detail.analysis
    cause = found.root_cause if found.root_cause is not None and not found.root_cause.undetermined else None
    end = context.now if found.ended_at is None else found.ended_at
    page = f"{context.public_url}/incidents/{found.id}" if context.public_url else ""
    opening = [{"title": "Close, ignore, give feedback", "url": page, "targetBlank": True}] if page else []
    text, time, number, share = FieldType.STRING, FieldType.TIME, FieldType.INT, FieldType.FLOAT
    percent = {"unit": "percentunit", "min": 0, "max": 1, "decimals": 0}
    return [
        Field("title", text, [found.title], {"displayName": "Incident", "links": opening}),
        Field("status", text, [found.status], look.coloured(look.STATUS, displayName="Status")),
        Field("severity", text, [found.severity], look.coloured(look.SEVERITY, displayName="Severity")),
        Field("disposition", text, [found.disposition], look.coloured(look.DISPOSITION, displayName="Disposition")),
        Field("outcome", text, [detail.outcome or ""], look.coloured(look.OUTCOME, displayName="Verified")),
        Field("confidence", share, [found.confidence], {"displayName": "Confidence", **percent}),
        Field("cause", text, [cause.summary if cause else ""], {"displayName": "Suspected cause"}),
        Field("cause_service", text, [cause.service if cause else ""], {"displayName": "Began in"}),
        Field("summary", text, [_cut(analysis.summary if analysis else found.summary)], {"displayName": "Summary"}),
        Field("analysed_by", text, [analysis.source if analysis else ""], {"displayName": "Concluded by"}),
        Field("runbook", text, [found.runbook or ""], {"displayName": "Runbook"}),
        Field("services", text, [", ".join(found.services)], {"displayName": "Services"}),
        Field("count", number, [found.count], {"displayName": "Records", "unit": "short"}),
        Field("onset", time, [found.onset], {"displayName": "Since"}),
        Field("opened", time, [found.opened_at], {"displayName": "Found"}),
        Field("last_seen", time, [found.last_seen], {"displayName": "Last seen"}),
        Field("ended", time, [found.ended_at], {"displayName": "Over"}, nullable=True),
        Field(
            "duration",
            share,
            [max(0, end - found.onset) / SECOND],
            {"displayName": "Lasts", "unit": "s", "decimals": 0},
        ),
        Field("reopened", number, [found.reopened], {"displayName": "Came back"}),
        Field("held", text, [_held(detail)], {"displayName": "Held back for"}),
        Field("id", text, [found.id], {"displayName": "Id"}),
        Field("page", text, [page], {"displayName": "Page", "links": opening}),
    ]


def _held(detail: IncidentDetail) -> str:
    held = detail.incident.suppression
    return f"{held.reason}: {held.detail}" if held else ""


def _reasons(detail: IncidentDetail) -> list[Field]:
    steps = [
        (decision, step, reason)
        for decision in detail.decisions
        for step, reason in enumerate(decision.reasons, 1)
    ][:MAX_ROWS]  # fmt: skip
    text = FieldType.STRING
    dispositions = [decision.disposition for decision, _, _ in steps]
    told = ["yes" if decision.tell else "no" for decision, _, _ in steps]
    return [
        Field("time", FieldType.TIME, [decision.at for decision, _, _ in steps], {"displayName": "Decided"}),
        Field("disposition", text, dispositions, look.coloured(look.DISPOSITION, displayName="Disposition")),
        Field("step", FieldType.INT, [step for _, step, _ in steps], {"displayName": "Step"}),
        Field("code", text, [reason.code for _, _, reason in steps], {"displayName": "Rule"}),
        Field("reason", text, [_cut(reason.text) for _, _, reason in steps], {"displayName": "Because"}),
        Field("told", text, told, {"displayName": "Tell somebody"}),
        Field("mode", text, [decision.mode for decision, _, _ in steps], {"displayName": "Mode"}),
    ]


def _story(detail: IncidentDetail) -> list[Field]:
    """What is thought of it, a sentence a line, none of it twice; what a claim cites is a label."""
    found, analysis, cause = detail.incident, detail.analysis, detail.incident.root_cause
    summary = analysis.summary if analysis is not None else found.summary
    said: list[Said] = []
    if cause is not None and cause.summary not in summary:
        said.append(Said("cause", cause.summary))
    said.append(Said("summary", summary))
    known = cause.summary if cause is not None and cause.summary else None
    claims = analysis.claims if analysis is not None else ()
    said += [Said("claim", claim.text, claim.evidence) for claim in claims if known is None or known not in claim.text]
    if found.suppression is not None:
        said.append(Said("held back", f"held back for {found.suppression.reason}: {found.suppression.detail}"))
    return _lines(detail.analysed_at if detail.analysed_at is not None else found.opened_at, said)


def _steps(detail: IncidentDetail) -> list[Field]:
    """The steps of the conclusion, which are the runbook's where one fits; then those of others that match."""
    analysis = detail.analysis
    if analysis is None:
        return _lines(detail.incident.opened_at, [])
    best = analysis.runbooks[0] if analysis.runbooks else None
    said: list[Said] = []
    if analysis.next_steps:
        fits = analysis.source == "runbook" and best is not None
        head = f"{best.name} (fits {best.score:.0%})" if fits and best else f"What the {analysis.source} suggest"
        said.append(Said("runbook", head))
        said += [Said("step", f"{number}. {step}") for number, step in enumerate(analysis.next_steps, 1)]
    for match in analysis.runbooks:
        if match.steps and match.steps != analysis.next_steps:
            said.append(Said("runbook", f"{match.name} (fits {match.score:.0%}: {'; '.join(match.reasons)})"))
            said += [Said("step", f"{number}. {step}") for number, step in enumerate(match.steps, 1)]
    return _lines(detail.analysed_at or detail.incident.opened_at, said)


class Said(NamedTuple):
    """One sentence, what it is, and the evidence it cites."""

    kind: str
    text: str
    evidence: tuple[str, ...] = ()


def _lines(at: int, said: list[Said]) -> list[Field]:
    """Sentences as log lines, which every version of the logs panel wraps. Each is a
    millisecond older than the one before it: a panel with the latest first has them in order, from the beginning."""
    shown = [one for one in said if one.text.strip()][:MAX_ROWS]
    labels = [
        {"kind": one.kind, **({"evidence": ", ".join(one.evidence)} if one.evidence else {})} for one in shown
    ]  # fmt: skip
    levels = [_LEVEL.get(one.kind, "unknown") for one in shown]
    return [
        Field("timestamp", FieldType.TIME, [at - place * instead.MILLISECOND for place in range(len(shown))]),
        Field("body", FieldType.STRING, [_cut(" ".join(one.text.split())) for one in shown], nullable=False),
        Field("severity", FieldType.STRING, levels),
        Field("id", FieldType.STRING, [str(place) for place in range(len(shown))]),
        Field("labels", FieldType.JSON, labels),
        Field("level", FieldType.STRING, levels),  # 9.4 goes by this name, and else guesses by the text
    ]


def _findings(detail: IncidentDetail) -> list[Field]:
    analysis = detail.analysis
    rows: list[tuple[str, str, str, float | None, tuple[str, ...]]] = []
    if analysis is not None:
        rows += [("claim", "", claim.text, None, claim.evidence) for claim in analysis.claims]
        rows += [("rule", one.rule, one.text, one.confidence, one.evidence) for one in analysis.findings]
    rows = rows[:MAX_ROWS]
    text = FieldType.STRING
    percent = {"unit": "percentunit", "min": 0, "max": 1, "decimals": 0}
    return [
        Field("kind", text, [row[0] for row in rows], look.coloured(_FINDING, displayName="Kind")),
        Field("text", text, [_cut(row[2]) for row in rows], {"displayName": "What was found"}),
        Field("rule", text, [row[1] for row in rows], {"displayName": "Rule"}),
        Field("confidence", FieldType.FLOAT, [row[3] for row in rows], {"displayName": "Confidence", **percent}),
        Field("evidence", text, [", ".join(row[4]) for row in rows], {"displayName": "Evidence"}),
    ]


def _cut(text: str) -> str:
    return text if len(text) <= _TEXT else f"{text[: _TEXT - 1]}…"
