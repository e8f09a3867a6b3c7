"""The base of every part of the configuration file."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of the configuration file."""

    model_config = ConfigDict(frozen=True, extra="forbid")
