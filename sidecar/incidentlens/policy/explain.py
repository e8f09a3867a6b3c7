"""A decision in words: what was decided, step by step, and why nobody was told where nobody was."""

from __future__ import annotations

from collections.abc import Sequence

from incidentlens.model.decisions import Action, Decision, IncidentEvent
from incidentlens.model.terms import ActionKind, Mode
from incidentlens.model.times import utc

_MAX_DECISIONS = 20
_MAX_EVENTS = 50


def explain(
    decisions: Sequence[Decision],
    actions: Sequence[Action] = (),
    events: Sequence[IncidentEvent] = (),
    *,
    now: int | None = None,
) -> str:
    """Plain text on one incident for `incidentlens policy explain ID`, its answer first.

    The sequences may be in any order. `now` (ns) says which holds are still in force.
    """
    newest = sorted(decisions, key=lambda decision: decision.at, reverse=True)
    notified = sorted((a for a in actions if a.kind is ActionKind.NOTIFY), key=lambda action: action.at)
    lines = _answer(newest, notified, now)
    for number, decision in enumerate(newest[:_MAX_DECISIONS]):
        lines += ["", *_decision(decision, notified, latest=number == 0)]
    if len(newest) > _MAX_DECISIONS:
        lines += ["", f"({len(newest) - _MAX_DECISIONS} earlier decisions are not shown)"]
    if events:
        lines += ["", "What happened"]
        ordered = sorted(events, key=lambda event: event.at)
        if len(ordered) > _MAX_EVENTS:
            lines.append(f"  ({len(ordered) - _MAX_EVENTS} earlier entries are not shown)")
        lines += [f"  {utc(event.at)}  {event.kind}: {_line(event.text)}" for event in ordered[-_MAX_EVENTS:]]
    return "\n".join(lines) + "\n"


def why_nobody_was_told(decisions: Sequence[Decision], actions: Sequence[Action], now: int | None = None) -> str | None:
    """One sentence or two; None where somebody was told."""
    newest = sorted(decisions, key=lambda decision: decision.at, reverse=True)
    notified = [action for action in actions if action.kind is ActionKind.NOTIFY]
    if any(action.state == "done" for action in notified):
        return None
    if not newest:
        return "No decision has been made on this incident yet."
    for state, text in (
        ("failed", "Somebody was to be told, and sending failed"),
        ("digest", "The storm limit was reached: it is in the digest, which is sent when the window ends"),
    ):
        action = max((a for a in notified if a.state == state), key=lambda a: a.at, default=None)
        if action is not None:
            error = str(action.payload.get("error", ""))
            return f"{text}{f': {_line(error)}' if error else ''} (decided at {utc(action.at)})."
    last = newest[0]
    told = next((decision for decision in newest if decision.tell), None)
    if told is not None and told.mode is Mode.SHADOW:
        text = f"The project is in mode shadow: {told.disposition} was decided at {utc(told.at)} and, as shadow means, "
        return text + "not sent. Set mode: live in the policy to send."
    if told is not None:
        return f"{told.disposition} was decided at {utc(told.at)}, and the notification is still waiting to be sent."
    final = last.reasons[-1].text if last.reasons else "the decision gives no reason"
    lowered = [reason.text for reason in last.reasons if reason.code in ("threshold", "suppress")]
    if not last.disposition.notifies:
        because = f": {'; '.join(lowered)}" if lowered else f": {last.reasons[0].text}" if last.reasons else ""
        return f"{last.disposition} tells nobody{because}."
    until = last.inputs.get("hold_until")
    later = ""
    if isinstance(until, int):
        later = (
            f" It is decided again at {utc(until)}."
            if now is None or until > now
            else " It is to be decided again now."
        )
    return f"{last.disposition} was decided and held back: {final}.{later}"


def _answer(newest: Sequence[Decision], notified: Sequence[Action], now: int | None) -> list[str]:
    nobody = why_nobody_was_told(newest, notified, now)
    if nobody is not None:
        return ["Why was nobody told?", f"  {nobody}"]
    lines = ["Who was told?"]
    for action in notified:
        disposition = action.payload.get("disposition", "")
        lines.append(f"  {utc(action.at)}  {disposition} {_state_text(action)}".rstrip())
    return lines


def _state_text(action: Action) -> str:
    known = {
        "done": "told",
        "shadow": "decided, not sent (shadow)",
        "digest": "in the digest",
        "failed": "sending failed",
    }
    return known.get(action.state, action.state)


def _decision(decision: Decision, notified: Sequence[Action], *, latest: bool) -> list[str]:
    title = "Decision" if latest else "Earlier decision"
    told = "told" if decision.tell else "nobody told"
    lines = [
        f"{title} {decision.id} at {utc(decision.at)}",
        f"  {decision.disposition}, severity {decision.severity}, mode {decision.mode}, {told}",
    ]
    lines += [f"  {number}. {_line(r.text)}  [{r.code}]" for number, r in enumerate(decision.reasons, 1)]
    for action in notified:
        if action.decision_id == decision.id:
            lines.append(f"  -> {_state_text(action)}")
    return lines


def _line(text: str) -> str:
    """One line a terminal cannot be steered by: control characters are shown as spaces."""
    return " ".join("".join(char if char.isprintable() else " " for char in text[:600]).split())
