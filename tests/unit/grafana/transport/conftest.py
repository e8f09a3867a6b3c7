from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api_app import load
from grafana_asking import Plugin
from incidentlens.store.postgres import PostgresStore


@pytest.fixture
async def plugin(tmp_path: Path, postgres_store: PostgresStore) -> AsyncIterator[Plugin]:
    """With tokens."""
    async with Plugin(load(tmp_path, tokens=True), postgres_store).running() as running:
        yield running


@pytest.fixture
async def open_plugin(tmp_path: Path, postgres_store: PostgresStore) -> AsyncIterator[Plugin]:
    """Without tokens, as on a laptop."""
    async with Plugin(load(tmp_path, tokens=False), postgres_store).running() as running:
        yield running
