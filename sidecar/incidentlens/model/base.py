"""The base of every value that passes between stages."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """Immutable, strict about its keys, equal by content. Change by `model_copy(update=…)`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
