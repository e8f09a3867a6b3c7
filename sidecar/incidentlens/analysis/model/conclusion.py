"""What stands of a model's answer, joined with what rules alone conclude."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from incidentlens.model.analysis import Analysis, Deterministic

from .answer import ModelAnswer
from .grounding import Verdict


def conclude(rules: Analysis, answer: ModelAnswer, verdict: Verdict, details: Mapping[str, Any]) -> Analysis:
    """The model's analysis where its cause stands, else the rules' own with the model's grounded claims beside it.

    `rules` is the deterministic analysis of the same bundle; it is kept in the result, for policy's bounds and for
    notifications, which never carry a model's words. Severity, disposition and confidence are what the model said: what
    of that counts is policy's to decide.
    """
    said = {
        **details,
        "struck": [struck.model_dump() for struck in verdict.struck],
        "suggested_steps": list(verdict.steps),
        "undetermined": verdict.undetermined,
    }
    if answer.runbook_draft is not None and verdict.runbook_steps:
        said["runbook_draft"] = {
            "name": answer.runbook_draft.name,
            "description": answer.runbook_draft.description,
            "steps": list(verdict.runbook_steps),
        }
    if verdict.cause is None:
        return rules.model_copy(
            update={
                "claims": (*rules.claims, *verdict.claims),
                "details": {**rules.details, "model": {**said, "stands": False}},
            }
        )
    return rules.model_copy(
        update={
            "source": "model",
            "cause": verdict.cause.text,
            "summary": verdict.summary if verdict.summary is not None else rules.summary,
            "severity": answer.severity,
            "disposition": answer.disposition,
            "confidence": answer.confidence,
            "claims": (verdict.cause, *verdict.claims),
            "details": {**rules.details, "model": {**said, "stands": True, "cause_service": verdict.cause_service}},
            "rules": Deterministic(
                cause=rules.cause,
                summary=rules.summary,
                severity=rules.severity,
                disposition=rules.disposition,
                confidence=rules.confidence,
            ),
        }
    )
