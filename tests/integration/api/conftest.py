from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from api_app import SHOP_EDITOR, SHOP_VIEWER, Api, load
from incidentlens.store.postgres import PostgresStore


@pytest.fixture
def api(tmp_path: Path, postgres_store: PostgresStore) -> Api:
    """With tokens."""
    return Api(load(tmp_path, tokens=True), postgres_store)


@pytest.fixture
def open_api(tmp_path: Path, postgres_store: PostgresStore) -> Api:
    """Without tokens, as on a laptop."""
    return Api(load(tmp_path, tokens=False), postgres_store)


@pytest.fixture
async def editor(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    async with api.client(SHOP_EDITOR) as client:
        yield client


@pytest.fixture
async def viewer(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    async with api.client(SHOP_VIEWER) as client:
        yield client


@pytest.fixture
async def local(open_api: Api) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody at a machine without tokens."""
    async with open_api.client() as client:
        yield client
