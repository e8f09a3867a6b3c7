"""An incident that people judged, as an evaluation case: its masked lines with time offsets, and the cause they named.

The form is that of `evals/root_cause/*.yaml`. What a case cannot know (every line that was written, the days before) is
made of what was kept: a problem's samples, its count and span, and its usual rate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import yaml

from incidentlens.actions.redaction import mask
from incidentlens.model.analysis import EvidenceItem
from incidentlens.model.clock import MINUTE, SECOND
from incidentlens.model.decisions import Feedback
from incidentlens.model.incidents import Incident, Problem

MAX_TIMES = 400  # lines a problem
_BEFORE = 40 * MINUTE  # of everyday lines
_LINE = 4_000  # characters
_VERDICTS = ("right_cause", "wrong_cause", "noise")


class NotJudged(ValueError):
    """The incident has no word in force that says what the cause was."""


def capture(incident: Incident, feedback: Sequence[Feedback], evidence: Sequence[EvidenceItem] = ()) -> str:
    """The YAML of one case. Raises NotJudged. Pure: the same incident and words give the same text."""
    expect, said = _expected(incident, feedback)
    masked: Counter[str] = Counter()
    lines = [entry for problem in incident.problems for entry in _lines(problem, incident.onset, masked)]
    if not lines:
        raise NotJudged(f"incident {incident.id} has no records any more: their samples were pruned")
    healthy = [entry for problem in incident.problems for entry in _everyday(problem, masked)]
    case: dict[str, Any] = {
        "name": f"{_plain(mask(incident.title, masked))[:150] or 'an incident'} ({incident.id})",
        "family": "captured",
        "note": _note(said, masked),
    }
    if healthy:
        case["healthy"] = healthy
    case["lines"] = sorted(lines, key=lambda entry: float(entry["at"].removesuffix("s")))
    deploys = [
        {"service": item.service, "at": _offset(item.ts - incident.onset), "version": str(item.data.get("version", ""))}
        for item in evidence
        if item.kind == "deploy"
    ]
    if deploys:
        case["deploys"] = deploys
    case["expect"] = expect
    hidden = ", ".join(f"{count} {kind}" for kind, count in sorted(masked.items())) or "nothing"
    head = f"# Captured from incident {_plain(incident.id)}; masked in it: {hidden}. Read it before you share it.\n"
    body: str = yaml.safe_dump({"cases": [case]}, sort_keys=False, allow_unicode=True, width=120)
    return head + body


def _expected(incident: Incident, feedback: Sequence[Feedback]) -> tuple[dict[str, Any], Feedback]:
    """What the latest word in force says, and that word."""
    words = [said for said in feedback if said.verdict in _VERDICTS and said.withdrawn_at is None]
    for said in sorted(words, key=lambda said: (-said.at, said.id)):
        cause = incident.root_cause
        if said.verdict == "noise":
            return {"causes": []}, said
        if said.verdict == "wrong_cause" and said.service:
            return {"causes": [{"service": said.service}]}, said
        if said.verdict == "right_cause" and cause is not None and not cause.undetermined:
            chain = list(dict.fromkeys(step.service for step in cause.chain))
            named: dict[str, Any] = {"service": cause.service}
            return {"causes": [named | ({"chain": chain} if len(chain) > 1 else {})]}, said
    raise NotJudged(f"nobody has said what caused {incident.id}: give feedback first (right or wrong cause, noise)")


def _note(said: Feedback, masked: Counter[str]) -> str:
    text = f": {_plain(mask(said.text, masked))}" if said.text else ""
    return f"{said.verdict.replace('_', ' ')}, said {_plain(said.by)}{text}"[:500]


def _lines(problem: Problem, zero: int, masked: Counter[str]) -> list[dict[str, Any]]:
    """The first sample as often as the problem had records, spread over its span; the others once, when they came."""
    if not problem.samples:
        return []
    first, *others = sorted(problem.samples, key=lambda sample: (sample.ts, sample.id))
    times = max(1, min(problem.count - len(others), MAX_TIMES))
    entry: dict[str, Any] = {"at": _offset(problem.onset - zero)}
    if times > 1:
        entry |= {"every": _offset(max((problem.last_seen - problem.onset) // times, SECOND // 1000)), "times": times}
    entry["say"] = [_said(problem.service, first.line, masked)]
    return [entry, *({"at": _offset(one.ts - zero), "say": [_said(one.service, one.line, masked)]} for one in others)]


def _everyday(problem: Problem, masked: Counter[str]) -> list[dict[str, Any]]:
    """What is usual of it, before the fault."""
    if problem.baseline_per_minute <= 0 or not problem.samples:
        return []
    every = max(round(MINUTE / problem.baseline_per_minute), SECOND // 100)
    times = min(_BEFORE // every, MAX_TIMES)
    if times < 1:
        return []
    said = _said(problem.service, problem.samples[0].line, masked)
    entry: dict[str, Any] = {"at": _offset(-times * every)}
    return [entry | ({"every": _offset(every), "times": times} if times > 1 else {}) | {"say": [said]}]


def _said(service: str, line: str, masked: Counter[str]) -> str:
    name = "-".join(service.split()) or "unknown"
    return f"{name}: {mask(line, masked)[:_LINE].strip() or '(an empty line)'}"


def _offset(ns: int) -> str:
    return f"{ns / SECOND:.3f}".rstrip("0").rstrip(".") + "s"


def _plain(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
