"""From a decision to what is done: enrich, suppress, notify. Pure: it gives actions and sends nothing.

An action's key makes it happen once: an incident is notified once a disposition and episode (how often it was
re-opened), so the labels of its alert, kept in the action, stay the same for as long as it stays at one disposition.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import xxhash

from incidentlens.model.analysis import Analysis, Bundle
from incidentlens.model.decisions import Action, Decision, IncidentEvent, Verification
from incidentlens.model.incidents import Incident
from incidentlens.model.terms import ActionKind, Mode
from incidentlens.model.times import utc

from .facts import ending, facts, readable
from .markdown import escape
from .rendering import Renderer

TITLE_LIMIT = 256  # Discord's for an embed's title, the smallest of the usual receivers
TEXT_LIMIT = 2_000  # Discord's for a message
_LABEL_TITLE, _LABEL_SUMMARY, _LABEL_NAME = 200, 900, 120


class Actor:
    """Carries a decision out, as values. `template_dirs`: folders whose templates replace the package's by name."""

    def __init__(self, template_dirs: Sequence[str | Path] = ()) -> None:
        self._renderer = Renderer(template_dirs)

    def check(self) -> list[str]:
        """What is wrong with the users' templates; empty where they are well."""
        return self._renderer.check()

    def act(self, decision: Decision, incident: Incident, analysis: Analysis, bundle: Bundle, now: int) -> list[Action]:
        """The actions of the decision, ready for the store, which drops those whose key it has."""
        decided = incident.model_copy(update={"disposition": decision.disposition, "severity": decision.severity})
        makers = {
            ActionKind.ENRICH: lambda: self._enrich(decision, decided, analysis, bundle, now),
            ActionKind.SUPPRESS: lambda: self._suppress(decision, decided, now),
            ActionKind.NOTIFY: lambda: self._notify(decision, decided, analysis, bundle, now),
        }
        return [makers[kind]() for kind in decision.actions]

    def _enrich(self, decision: Decision, incident: Incident, analysis: Analysis, bundle: Bundle, now: int) -> Action:
        """A summary, a ticket's title and body, a brief for the war room; again when the conclusion changes."""
        renderer = self._renderer.start()
        context = facts(incident, analysis, bundle, now)
        payload: dict[str, Any] = {
            "summary": renderer.render("summary.md.j2", context).strip(),
            "ticket_title": " ".join(renderer.render("ticket_title.md.j2", context).split())[:TITLE_LIMIT],
            "ticket_body": renderer.render("ticket_body.md.j2", context),
            "war_room": renderer.render("war_room.md.j2", context),
        }
        matched = analysis.runbooks[0].runbook_id if analysis.runbooks else ""
        services = ",".join(incident.services)
        conclusion = f"{analysis.source}\n{analysis.severity}\n{matched}\n{services}\n{incident.analysed_count}"
        return _action(decision, ActionKind.ENRICH, now, "done", _with_notes(payload, renderer), _digest(conclusion))

    def _suppress(self, decision: Decision, incident: Incident, now: int) -> Action:
        reason = next((r.text for r in reversed(decision.reasons) if r.code == "suppress"), "suppressed by the policy")
        state = "done" if decision.mode is Mode.LIVE else "shadow"
        renderer = self._renderer.start()
        payload = {"reason": renderer.clean(reason, 500), "title": renderer.clean(incident.title, _LABEL_TITLE)}
        return _action(decision, ActionKind.SUPPRESS, now, state, _with_notes(payload, renderer))

    def _notify(self, decision: Decision, incident: Incident, analysis: Analysis, bundle: Bundle, now: int) -> Action:
        """The alert's labels, and a message whose parts stay apart so that a sender can leave out the least.

        No word of a model's is in it: what a stranger wrote into a log may have led it.
        """
        analysis = analysis.without_model()
        renderer = self._renderer.start()
        runbook = analysis.runbooks[0] if analysis.runbooks else None
        labels = {
            "incident_id": incident.id,
            "project": renderer.clean(incident.project, _LABEL_NAME),
            "service": renderer.clean(incident.service, _LABEL_NAME),
            "severity": decision.severity.value,
            "disposition": decision.disposition.value,
            "title": _bounded(renderer, incident.title, _LABEL_TITLE),
            "runbook": runbook.runbook_id if runbook and analysis.source == "runbook" else "",
            "summary": _summary(renderer, decision, incident, analysis),
        }
        message = _message(renderer, decision, incident, analysis, bundle)
        payload: dict[str, Any] = {
            "disposition": decision.disposition.value,
            "labels": labels,
            "message": message,
            "text": fit(message, TEXT_LIMIT),
        }
        state = "shadow" if decision.mode is not Mode.LIVE else "digest" if decision.inputs.get("digest") else "done"
        return _action(decision, ActionKind.NOTIFY, now, state, _with_notes(payload, renderer))


def render_report(
    incident: Incident,
    analysis: Analysis | None = None,
    bundle: Bundle | None = None,
    *,
    decisions: Sequence[Decision] = (),
    actions: Sequence[Action] = (),
    verifications: Sequence[Verification] = (),
    events: Sequence[IncidentEvent] = (),
    now: int,
    template_dirs: Sequence[str | Path] = (),
) -> str:
    """The post-incident report in Markdown, from what the store has of the incident; secrets are masked in it."""
    context = facts(incident, analysis, bundle, now) | ending(decisions, actions, verifications, events)
    renderer = Renderer(template_dirs)
    text = renderer.render("report.md.j2", context)
    if renderer.masked:
        kinds = ", ".join(f"{masked.count} x {masked.kind}" for masked in renderer.masked)
        text = f"{text.rstrip()}\n\n---\n\nMasked in this report: {kinds.replace('_', ' ')}.\n"
    return text


# The parts of a message, the most needed first: what does not fit is left out from the end.
PRIORITY = ("title", "what", "cause", "chain", "steps", "link", "why", "evidence")


def fit(message: dict[str, str], limit: int) -> str:
    """The parts in their order, as many as fit into `limit` characters; none is cut in the middle."""
    text = ""
    for name in PRIORITY:
        part = message.get(name, "")
        joined = f"{text}\n{part}" if text else part
        if part and len(joined) <= limit:
            text = joined
    return text


def _message(
    renderer: Renderer, decision: Decision, incident: Incident, analysis: Analysis, bundle: Bundle
) -> dict[str, str]:
    cause = incident.root_cause
    chain = cause.chain if cause is not None and not cause.undetermined and len(cause.chain) > 1 else ()
    cited = {evidence for claim in analysis.claims for evidence in claim.evidence}
    record = next((item for item in bundle.items if item.kind == "record" and item.id in cited), None)
    steps = "\n".join(f"{number}. {renderer.escaped(s, 200)}" for number, s in enumerate(analysis.next_steps[:3], 1))
    why = next((reason.text for reason in reversed(decision.reasons) if reason.code not in ("tell", "storm")), "")
    services = renderer.escaped(", ".join(incident.services[:5]), 200)
    return {
        "title": renderer.escaped(f"{decision.disposition}: {incident.title}", TITLE_LIMIT),
        "what": f"{decision.severity} in {services} since {utc(incident.onset)}, {incident.count} failing records",
        "cause": f"Suspected cause: {renderer.escaped(analysis.cause, 400)} (confidence {analysis.confidence:.2f})",
        "chain": "Chain: "
        + " → ".join(renderer.escaped(f"{step.service} ({readable(step.template)[:80]})", 160) for step in chain[:5])
        if chain
        else "",
        "steps": steps,
        "link": "",  # the sender knows where the pages are
        "why": f"Decided: {renderer.escaped(why, 300)}" if why else "",
        "evidence": f"{record.id}: {renderer.escaped(record.text, 300)}" if record else "",
    }


def _summary(renderer: Renderer, decision: Decision, incident: Incident, analysis: Analysis) -> str:
    """What is to be read first, as plain lines: what, cause, chain, first steps. Senders escape it for their medium,
    so its bound holds for the escaped text; whole lines are left out, the least needed first."""
    cause = incident.root_cause
    chain = cause.chain if cause is not None and not cause.undetermined and len(cause.chain) > 1 else ()
    services = renderer.clean(", ".join(incident.services[:5]), 160)
    lines = [
        f"In {services} since {utc(incident.onset)}, {incident.count} failing record{'s' * (incident.count != 1)}",
        f"Suspected cause: {_bounded(renderer, analysis.cause or analysis.summary, 300)} "
        f"(confidence {analysis.confidence:.2f})",
        *(f"{number}. {_bounded(renderer, step, 140)}" for number, step in enumerate(analysis.next_steps[:3], 1)),
    ]
    if chain:
        lines.append("Chain: " + " → ".join(renderer.clean(step.service, 60) for step in chain[:6]))
    kept: list[str] = []
    for line in lines:
        if sum(len(escape(given)) + 1 for given in (*kept, line)) <= _LABEL_SUMMARY:
            kept.append(line)
    return "\n".join(kept)


def _bounded(renderer: Renderer, text: str, limit: int) -> str:
    """Plain text for a label that has at most `limit` characters once it is escaped too."""
    keep = limit
    while len(escape(shown := renderer.clean(text, keep))) > limit:
        keep -= max(1, (len(escape(shown)) - limit) // 2)
    return shown


def _with_notes(payload: dict[str, Any], renderer: Renderer) -> dict[str, Any]:
    if renderer.masked:
        payload["masked"] = {masked.kind: masked.count for masked in renderer.masked}
    if renderer.errors:
        payload["template_errors"] = list(renderer.errors[:10])
    return payload


def _action(
    decision: Decision, kind: ActionKind, now: int, state: str, payload: dict[str, Any], part: str = ""
) -> Action:
    """Shadow has keys of its own: what was only shown does not keep anybody from being told once it is live."""
    episode = decision.inputs.get("episode", 0)
    pieces = [kind.value, decision.incident_id, decision.disposition.value, str(episode), part]
    if state == "shadow":
        pieces.insert(0, "shadow")
    return Action(
        key=":".join(piece for piece in pieces if piece),
        incident_id=decision.incident_id,
        decision_id=decision.id,
        kind=kind,
        at=now,
        state=state,
        payload=payload,
    )


def _digest(text: str) -> str:
    return xxhash.xxh3_64(text.encode("utf-8", "replace")).hexdigest()[:8]
