"""An application over a real database, with a configuration of two projects, for the tests of the API and the pages."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from builders import T0
from incidentlens.api.app import create_app
from incidentlens.config.loader import Loaded, load_config
from incidentlens.model.clock import MINUTE, ManualClock
from incidentlens.pipeline.live import Health
from incidentlens.store.postgres import PostgresStore

NOW = T0 + 10 * MINUTE
BASE = "http://127.0.0.1:8095"
SHOP_EDITOR, SHOP_VIEWER, BANK_EDITOR = "shop-editor-token-1", "shop-viewer-token-1", "bank-editor-token-1"

CONFIG = """
version: 1
store: {{url: "postgresql://nowhere/none"}}
server: {{require_token: {tokens}}}
projects:
  shop:
    tenant: {shop_tenant}
    queries: [{{name: all, logql: '{{env="shop"}}'}}]
    tokens:
      - {{name: ann, token: shop-editor-token-1, role: editor}}
      - {{name: bob, token: shop-viewer-token-1}}
  bank:
    tenant: {bank_tenant}
    queries: [{{name: all, logql: '{{env="bank"}}'}}]
    builtin_runbooks: false
    tokens:
      - {{name: eve, token: bank-editor-token-1, role: editor}}
"""


def load(folder: Path, *, tokens: bool, shop_tenant: str = "t-shop", bank_tenant: str = "t-bank") -> Loaded:
    """The configuration of the two projects."""
    path = folder / "incidentlens.yaml"
    path.write_text(CONFIG.format(tokens=str(tokens).lower(), shop_tenant=shop_tenant, bank_tenant=bank_tenant))
    return load_config(path)


@dataclass
class Runner:
    health: Health = field(default_factory=lambda: Health(last_tick=T0))


@dataclass
class FakeSidecar:
    """Remembers whom it was asked to run."""

    runners: Mapping[str, Runner] = field(default_factory=lambda: {"shop": Runner(), "bank": Runner()})
    poked: list[str] = field(default_factory=list)
    ran: asyncio.Event = field(default_factory=asyncio.Event)

    async def poke(self, project: str) -> None:
        self.poked.append(project)
        self.ran.set()


class Api:
    """The application with clients for each token."""

    def __init__(self, loaded: Loaded, store: PostgresStore) -> None:
        self.store = store
        self.loaded = loaded
        self.sidecar = FakeSidecar()
        self.clock = ManualClock(NOW)
        self.app = create_app(lambda: self.loaded, store, self.sidecar, self.clock)
        self.transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)

    def client(self, token: str | None = None, **headers: str) -> httpx.AsyncClient:
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return httpx.AsyncClient(transport=self.transport, base_url=BASE, headers=headers)
