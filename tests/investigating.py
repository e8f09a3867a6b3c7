from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from incidentlens.config.language_model import Endpoint, LanguageModel, LanguageModelConfig
from incidentlens.config.loader import Loaded
from incidentlens.investigation.worker import Investigator
from incidentlens.model.analysis import Analysis
from incidentlens.model.clock import SECOND
from incidentlens.model.investigations import Investigation
from incidentlens.store.base import Store
from running import NAME, T0, Running, lines, make_project
from scripted_model import Say, ScriptedModel, listening

UNKNOWN = 'level=error msg="frobnicator of shelf {i} lost its alignment"'


def a_model(*urls: str, **changes: Any) -> LanguageModel:
    values: dict[str, Any] = {"timeout": 2 * SECOND, "retries": 0, **changes}
    named = [{"name": f"e{n}", "url": url, "model": f"m{n}"} for n, url in enumerate(urls, 1)]
    config = LanguageModelConfig.model_validate({"endpoints": named, **values})
    made = (
        Endpoint(name=f"e{n}", url=url, model=f"m{n}", key="k-secret", input_price=1.0, output_price=2.0)
        for n, url in enumerate(urls, 1)
    )
    return LanguageModel(config, tuple(made))


class Investigating(Running):
    """A project with a model, and the worker that takes up its wishes."""

    def __init__(self, store: Store, model: LanguageModel, **policy: Any) -> None:
        super().__init__(store, project=replace(make_project(policy=policy), model=model))
        self.ends: list[str] = []
        self.worker = Investigator(
            store, self.clock, lambda name: self.runner, heard=lambda project, state, said: self.ends.append(state)
        )

    async def fails(self, service: str = "shelves", text: str = UNKNOWN, seconds: float = 60) -> None:
        """Something no runbook covers, for a minute."""
        self.loki.add({"app": service}, lines(self.clock.now(), seconds, 1, text))
        await self.run(seconds, every=20)

    async def investigate(self) -> int:
        loaded: Any = Loaded(Path("x.yaml"), None, {NAME: self.project}, None)  # type: ignore[arg-type]
        return await self.worker.run_once(loaded)

    async def analysis(self) -> Analysis:
        (incident,) = await self.incidents()
        async with self.store.transaction(NAME) as tx:
            found = await tx.latest_analysis(incident.id)
        assert found is not None
        return found

    async def wishes(self) -> list[Investigation]:
        """All, oldest first."""
        async with self.store.transaction(NAME) as tx:
            found = [one for incident in await tx.live_incidents(0) for one in await tx.investigations(incident.id)]
        return sorted(found, key=lambda one: (one.wanted_at, one.id))


@asynccontextmanager
async def investigating(store: Store, *script: Say, **model: Any) -> AsyncIterator[tuple[Investigating, ScriptedModel]]:
    """Learnt, and then failing with what no runbook covers."""
    async with listening(*script) as said:
        running = Investigating(store, a_model(said.url, **model))
        try:
            running.loki.add({"app": "shelves"}, lines(T0, 60, 1))
            await running.run(60, every=20)
            await running.fails()
            yield running, said
        finally:
            await running.worker.close()
