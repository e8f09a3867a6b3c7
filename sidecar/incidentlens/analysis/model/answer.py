"""What a model may answer, and reading it out of what it sent."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from incidentlens.model.terms import Disposition, Severity

MAX_ANSWER = 64_000  # characters


class Unreadable(ValueError):
    """The reply holds no answer; the message says why, for the repair."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ModelClaim(_Part):
    """One sentence and the names (E1, …) of what shows it."""

    text: str = Field(min_length=1, max_length=600)
    evidence: tuple[str, ...] = Field(default=(), max_length=20)


class ModelCause(_Part):
    """Where it began; `service` is empty where that is undetermined."""

    service: str = Field(default="", max_length=200)
    text: str = Field(min_length=1, max_length=600)
    evidence: tuple[str, ...] = Field(default=(), max_length=20)


class RunbookDraft(_Part):
    """A first version of the runbook that was missing. It is shown to a person and never used by itself."""

    name: str = Field(default="", max_length=120)
    description: str = Field(default="", max_length=600)
    steps: tuple[str, ...] = Field(default=(), max_length=10)


class ModelAnswer(_Part):
    """A model's whole answer."""

    cause: ModelCause
    summary: str = Field(min_length=1, max_length=1500)
    severity: Severity
    confidence: float = Field(ge=0, le=1, allow_inf_nan=False)
    disposition: Disposition
    next_steps: tuple[str, ...] = Field(default=(), max_length=12)
    claims: tuple[ModelClaim, ...] = Field(default=(), max_length=30)
    runbook_draft: RunbookDraft | None = None

    @field_validator("severity", mode="before")
    @classmethod
    def _severity_in_any_case(cls, value: Any) -> Any:
        return value.strip().lower() if isinstance(value, str) else value

    @field_validator("disposition", mode="before")
    @classmethod
    def _disposition_in_any_case(cls, value: Any) -> Any:
        return value.strip().upper() if isinstance(value, str) else value


def answer_schema() -> dict[str, Any]:
    """The answer's JSON schema in the strict form of structured outputs: every key required, none besides."""
    text = {"type": "string"}
    names = {"type": "array", "items": {"type": "string"}}

    def of(**properties: Any) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }

    return of(
        cause=of(service=text, text=text, evidence=names),
        summary=text,
        severity={"type": "string", "enum": [severity.value for severity in Severity]},
        confidence={"type": "number"},
        disposition={"type": "string", "enum": [disposition.value for disposition in Disposition]},
        next_steps=names,
        claims={"type": "array", "items": of(text=text, evidence=names)},
        runbook_draft=of(name=text, description=text, steps=names),
    )


def parse_answer(text: str) -> ModelAnswer:
    """The answer in a reply that may have a code fence or words around its JSON. Raises Unreadable."""
    if len(text) > MAX_ANSWER:
        raise Unreadable(f"it has {len(text)} characters, {MAX_ANSWER} are allowed")
    found = _json_object(text)
    if found is None:
        raise Unreadable("it holds no whole JSON object")
    try:
        return ModelAnswer.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Unreadable(f"{place}: {first['msg']}") from None


def _json_object(text: str) -> dict[str, Any] | None:
    """The first whole JSON object. A model that thinks aloud may write braces before it."""
    decoder = json.JSONDecoder()
    at = text.find("{")
    for _ in range(50):
        if at < 0:
            return None
        try:
            found, _ = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict) and "cause" in found:
            return found
        at = text.find("{", at + 1)
    return None
