"""The language model that may look at incidents no runbook settles. Off unless it is configured."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import AnyHttpUrl, Field, SecretStr, model_validator

from .section import Section
from .types import Duration, at_least


class EndpointConfig(Section):
    """One OpenAI-compatible endpoint: Groq, OpenAI, Azure, vLLM, Ollama, llama.cpp, …"""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,40}$")
    url: AnyHttpUrl  # up to and with /v1, as the endpoint's own documentation gives it
    model: str = Field(min_length=1, max_length=200)
    api_key: SecretStr | None = None
    api_key_file: Path | None = None
    input_price: float = Field(default=0, ge=0, allow_inf_nan=False)  # US dollars a million tokens
    output_price: float = Field(default=0, ge=0, allow_inf_nan=False)
    structured: bool = True  # it takes a JSON schema; false for one that refuses `response_format`

    @model_validator(mode="after")
    def _at_most_one_key(self) -> EndpointConfig:
        if self.api_key is not None and self.api_key_file is not None:
            raise ValueError("give api_key or api_key_file, not both")
        return self


class LanguageModelConfig(Section):
    """The chain of endpoints, tried in order, and what it may cost."""

    endpoints: tuple[EndpointConfig, ...] = Field(min_length=1, max_length=5)
    timeout: Annotated[Duration, at_least("1s")] = 30 * 10**9  # of one call
    retries: int = Field(default=2, ge=0, le=5)  # of one endpoint, before the next one is asked
    max_calls_per_hour: int = Field(default=60, ge=1, le=10_000)
    daily_tokens: int = Field(default=500_000, ge=1000)
    daily_cost: float = Field(default=2.0, gt=0, allow_inf_nan=False)  # US dollars
    cooldown: Duration = 3600 * 10**9  # one call a signature within it
    prompt_tokens: int = Field(default=6000, ge=1000, le=200_000)  # of the evidence that is shown
    answer_tokens: int = Field(default=1500, ge=200, le=20_000)
    concurrency: int = Field(default=2, ge=1, le=20)
    mask_addresses: bool = False  # IPv4 addresses too; they are evidence more often than not

    @model_validator(mode="after")
    def _names_differ(self) -> LanguageModelConfig:
        names = [endpoint.name for endpoint in self.endpoints]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two endpoints are named {twice[0]!r}; each needs a name of its own")
        return self


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint with its key read."""

    name: str
    url: str
    model: str
    key: str = field(default="", repr=False)
    input_price: float = 0.0
    output_price: float = 0.0
    structured: bool = True

    def cost(self, input_tokens: int, output_tokens: int) -> float:
        """US dollars."""
        return (input_tokens * self.input_price + output_tokens * self.output_price) / 1e6


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """What a project's investigations are run with."""

    config: LanguageModelConfig
    endpoints: tuple[Endpoint, ...]
