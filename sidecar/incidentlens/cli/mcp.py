"""`incidentlens mcp`: tools for assistants, over a running IncidentLens."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path

import typer

from .console import talk, unusable


def register(app: typer.Typer) -> None:
    app.command("mcp")(mcp)


def mcp(
    url: str = typer.Option("http://127.0.0.1:8095", "--url", help="Where IncidentLens serves its API."),
    token_file: Path | None = typer.Option(
        None, "--token-file", help="A project's token (else $INCIDENTLENS_TOKEN). A viewer's is enough."
    ),
    listen: str | None = typer.Option(
        None, "--listen", help="HOST:PORT to answer over HTTP at /mcp; over stdin and stdout unless given."
    ),
    public: bool = typer.Option(False, "--public", help="Allow --listen on an address that is not loopback."),
) -> None:
    """Give assistants tools that read incidents, evidence, signatures, runbooks and figures. None changes anything.

    Over stdin and stdout every call is made under the token given here. Over HTTP every caller sends its own as
    `Authorization: Bearer ...`, and reads what that token may read.
    """
    import anyio

    from incidentlens.assistants.asking import Api
    from incidentlens.assistants.server import create_server

    if not url.startswith(("http://", "https://")):
        unusable(f"--url {url} is no http:// or https:// address")
    if listen is None:
        server = create_server(Api(url), _token(token_file))
        anyio.run(server.run_stdio_async)
        return
    host, port = _address(listen, public)
    if token_file is not None:
        unusable("--token-file is for stdin and stdout; over HTTP each caller sends its own token")
    talk.print(f"MCP at http://{listen}/mcp, asking {url}", markup=False)
    server = create_server(Api(url), None)

    async def serve() -> None:
        await server.run_streamable_http_async(host=host, port=port, stateless_http=True)

    anyio.run(serve)


def _token(file: Path | None) -> str | None:
    if file is None:
        return os.environ.get("INCIDENTLENS_TOKEN") or None
    try:
        return file.read_text("utf-8").strip() or None
    except (OSError, UnicodeDecodeError) as error:
        unusable(f"--token-file {file} cannot be read: {error}")


def _address(listen: str, public: bool) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdecimal() or int(port) > 65535:
        unusable(f"--listen {listen} is no HOST:PORT, such as 127.0.0.1:8096")
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback and not public:
        unusable(f"--listen {listen} is not loopback: whoever reaches it can ask; say --public if that is wanted")
    return host, int(port)
