"""`incidentlens eval judge`: how far a model's marks on analyses agree with people's. For those who have a model."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import typer

from . import evals
from .console import answer, fail, print_json, talk, unusable
from .files import must_exist


def command(
    url: str = typer.Option(..., "--url", help="An OpenAI-compatible endpoint, up to and with /v1."),
    model: str = typer.Option(..., "--model", help="The model's name there."),
    key_file: Path | None = typer.Option(None, "--key-file", help="A file with the key; without it none is sent."),
    cases: Path = evals.CASES,
    as_json: bool = evals.AS_JSON,
) -> None:
    """A model marks the labelled analyses; its agreement with people (weighted kappa) says how far to believe it."""
    from pydantic import ValidationError

    from incidentlens.bench.measure import machine
    from incidentlens.config.language_model import Endpoint, EndpointConfig, LanguageModel, LanguageModelConfig
    from incidentlens.evals.judge import evaluate
    from incidentlens.evals.report import markdown
    from incidentlens.evals.section import Context, Section
    from incidentlens.investigation.chain import Chain, ChainError
    from incidentlens.model.clock import SystemClock
    from incidentlens.model.yamlfile import YamlError

    logging.getLogger("openai").setLevel(logging.WARNING)  # its retries are counted in what is said at the end
    key = ""
    if key_file is not None:
        must_exist(key_file)
        key = key_file.read_text("utf-8").strip()
    try:
        config = LanguageModelConfig(endpoints=(EndpointConfig(name="judge", url=url, model=model),))  # type: ignore[arg-type]
    except ValidationError as error:
        unusable(f"--url or --model cannot be used: {error.errors()[0]['msg']}")
    given = LanguageModel(config, (Endpoint("judge", url, model, key),))

    async def ask() -> Section:
        chain = Chain(given, SystemClock())
        try:
            return await evaluate(Context(cases), chain)
        finally:
            await chain.close()

    try:
        with talk.status(f"{model} marks the labelled analyses"):
            section = asyncio.run(ask())
    except (ChainError, YamlError) as error:
        fail(str(error))
    if as_json:
        print_json(section.as_json())
    else:
        answer.print(markdown([section], machine(), "incidentlens eval judge"), markup=False)
