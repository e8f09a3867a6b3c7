"""The service account under which IncidentLens writes to Grafana: made once, with a token in a file of its own."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from incidentlens.publish.grafana_http import GrafanaClient, GrafanaError

NAME = "incidentlens"
ROLE = "Editor"  # the least that may write annotations and read what became of alerts


async def make_token(client: GrafanaClient, path: Path) -> bool:
    """Write a token into `path` (mode 0600) unless the one that is there still works; whether a new one was made.

    `client` must be an administrator of the organisation. Raises GrafanaError, OSError.
    """
    known = await asyncio.to_thread(_read, path)
    if known and await _works(client.url, known):
        return False
    found = await client.get("/api/serviceaccounts/search", {"query": NAME, "perpage": "100"})
    account = next((a for a in (found or {}).get("serviceAccounts") or () if a.get("name") == NAME), None)
    if account is None:
        account = await client.ask("POST", "/api/serviceaccounts", {"name": NAME, "role": ROLE})
    tokens = f"/api/serviceaccounts/{account['id']}/tokens"
    taken = {token.get("name") for token in await client.get(tokens) or ()}
    name = next(f"{NAME}-{number}" for number in range(1, 10_000) if f"{NAME}-{number}" not in taken)
    made = await client.ask("POST", tokens, {"name": name})
    await asyncio.to_thread(_write, path, str(made["key"]))
    return True


async def _works(url: str, token: str) -> bool:
    client = GrafanaClient(url, token)
    try:
        await client.get("/api/org")
    except GrafanaError:
        return False
    else:
        return True
    finally:
        await client.close()


def _read(path: Path) -> str:
    return path.read_text("utf-8").strip() if path.exists() else ""


def _write(path: Path, token: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".new")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(token + "\n")
    beside.replace(path)
