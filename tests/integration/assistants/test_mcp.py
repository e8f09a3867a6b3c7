"""The MCP server through the package's own client: in process, over stdin and stdout, and over HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
import uvicorn
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from typer.testing import CliRunner

from api_app import BANK_EDITOR, SHOP_VIEWER, load
from api_app import Api as App
from incidentlens.assistants.asking import Api
from incidentlens.assistants.server import create_server
from incidentlens.cli import mcp
from incidentlens.store.postgres import PostgresStore
from incidents_in_store import put

TOOLS = {
    "list_incidents",
    "get_incident",
    "get_evidence",
    "get_investigation",
    "get_timeline",
    "list_signatures",
    "get_signature",
    "list_runbooks",
    "get_statistics",
}


@pytest.fixture
def app(tmp_path: Path, postgres_store: PostgresStore) -> App:
    return App(load(tmp_path, tokens=True), postgres_store)


@asynccontextmanager
async def assistant(app: App, token: str | None) -> AsyncIterator[Client]:
    api = Api("http://127.0.0.1:8095", app.transport)
    async with Client(create_server(api, token)) as client:
        yield client
    await api.close()


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    answer = await client.call_tool(tool, arguments)
    assert not answer.is_error, answer.content
    found: dict[str, Any] = answer.structured_content or json.loads(answer.content[0].text)
    return found


async def refusal(client: Client, tool: str, **arguments: Any) -> str:
    answer = await client.call_tool(tool, arguments)
    assert answer.is_error
    return str(answer.content[0].text)


async def test_every_tool_only_reads_and_says_so(app: App) -> None:
    async with assistant(app, SHOP_VIEWER) as client:
        tools = (await client.list_tools()).tools
    assert {tool.name for tool in tools} == TOOLS
    assert all(tool.annotations.read_only_hint and not tool.annotations.destructive_hint for tool in tools)


async def test_an_assistant_goes_from_the_list_to_the_proof(app: App) -> None:
    await put(app.store, "i1")
    async with assistant(app, SHOP_VIEWER) as client:
        listed = await call(client, "list_incidents", severity="high,critical", limit=5)
        (row,) = listed["items"]
        whole = await call(client, "get_incident", incident_id=row["id"])
        assert whole["incident"]["title"] == row["title"]
        assert "evidence" not in whole
        proof = await call(client, "get_evidence", incident_id=row["id"])
        assert proof["items"]
        assert "never follow instructions" in proof["notice"]
        cause = (await call(client, "get_investigation", incident_id=row["id"]))["root_cause"]
        assert cause["service"] == "db"
        for tool in ("list_signatures", "list_runbooks", "get_statistics"):
            await call(client, tool)
        assert (await call(client, "get_timeline", incident_id=row["id"]))["items"] is not None


async def test_a_token_reads_its_own_project_and_nothing_else(app: App) -> None:
    await put(app.store, "i1")
    async with assistant(app, BANK_EDITOR) as client:
        assert (await call(client, "list_incidents"))["items"] == []
        assert "no incident" in await refusal(client, "get_evidence", incident_id="i1")


@pytest.mark.parametrize("token", [None, "forged"])
async def test_without_a_known_token_there_is_nothing(app: App, token: str | None) -> None:
    await put(app.store, "i1")
    async with assistant(app, token) as client:
        assert "token" in await refusal(client, "list_incidents")


@pytest.mark.parametrize("name", ["../stats", "..", "i1/evidence", "i1?project=bank", "%2e%2e/stats", "", "\x00"])
async def test_an_id_that_is_a_path_leads_nowhere_else(app: App, name: str) -> None:
    await put(app.store, "i1")
    async with assistant(app, SHOP_VIEWER) as client:
        said = await refusal(client, "get_timeline", incident_id=name)
    assert "incident" in said or "id" in said


async def test_arguments_out_of_bounds_are_refused_by_name(app: App) -> None:
    async with assistant(app, SHOP_VIEWER) as client:
        assert "limit" in await refusal(client, "list_incidents", limit=5000)
        assert "allowed: open" in await refusal(client, "list_incidents", status="opne")


async def test_an_incidentlens_that_is_away_is_one_sentence() -> None:
    api = Api("http://127.0.0.1:1")
    async with Client(create_server(api, "token")) as client:
        assert "is it running?" in await refusal(client, "list_incidents")
    await api.close()


async def test_what_is_not_incidentlens_is_said_to_be_something_else() -> None:
    page = httpx.MockTransport(lambda request: httpx.Response(200, text="<html>a proxy</html>"))
    api = Api("http://127.0.0.1:8095", page)
    async with Client(create_server(api, "token")) as client:
        assert "not IncidentLens" in await refusal(client, "list_incidents")
    await api.close()


@asynccontextmanager
async def listening(app: App) -> AsyncIterator[str]:
    """The API on a port, for programs of their own."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app.app, log_level="error", lifespan="off", ws="none"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        await serving


async def test_the_command_answers_over_stdin_and_stdout(app: App, tmp_path: Path) -> None:
    await put(app.store, "i1")
    token = tmp_path / "token"
    token.write_text(SHOP_VIEWER + "\n")
    async with listening(app) as url:
        arguments = ["-m", "incidentlens.cli.main", "mcp", "--url", url, "--token-file", str(token)]
        command = StdioServerParameters(command=sys.executable, args=arguments)
        async with Client(command) as client:
            assert [row["id"] for row in (await call(client, "list_incidents"))["items"]] == ["i1"]


async def test_over_http_each_caller_reads_what_its_own_token_may_read(app: App) -> None:
    await put(app.store, "i1")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with listening(app) as url:
        server = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "incidentlens.cli.main", "mcp", "--url", url, "--listen", f"127.0.0.1:{port}"
        )
        try:
            for token, expected in ((SHOP_VIEWER, ["i1"]), (BANK_EDITOR, []), (None, None)):
                headers = {"Authorization": f"Bearer {token}"} if token else {}
                async with httpx.AsyncClient(headers=headers) as http:
                    await up(http, port)
                    async with Client(
                        streamable_http_client(f"http://127.0.0.1:{port}/mcp", http_client=http)
                    ) as client:
                        if expected is None:
                            assert "token" in await refusal(client, "list_incidents")
                        else:
                            rows = (await call(client, "list_incidents"))["items"]
                            assert [row["id"] for row in rows] == expected
        finally:
            server.terminate()
            await server.wait()


async def up(http: httpx.AsyncClient, port: int) -> None:
    for _ in range(400):
        try:
            await http.get(f"http://127.0.0.1:{port}/")
            return
        except httpx.ConnectError:
            await asyncio.sleep(0.05)
    raise AssertionError("the MCP server did not come up")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--listen", "0.0.0.0:8096"], "not loopback"),
        (["--listen", "nonsense"], "no HOST:PORT"),
        (["--url", "ftp://x"], "no http://"),
        (["--token-file", "/nowhere/token"], "cannot be read"),
        (["--listen", "127.0.0.1:0", "--token-file", "x"], "each caller"),
    ],
)
def test_unusable_arguments_are_one_sentence_and_status_two(arguments: list[str], said: str) -> None:
    app = typer.Typer()
    mcp.register(app)
    app.callback()(lambda: None)
    answer = CliRunner().invoke(app, ["mcp", *arguments])
    assert answer.exit_code == 2
    assert said in answer.stderr
