"""The MCP server: its tools, and who may use them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

from incidentlens import __version__

from .asking import Api, Refused
from .shaping import NOTICE, shape

_READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)

IncidentId = Annotated[str, Field(max_length=200, description="The incident's id, from list_incidents.")]
Since = Annotated[str | None, Field(max_length=64, description="RFC 3339, nanoseconds, or how long ago: 30m, 24h, 7d.")]
Limit = Annotated[int, Field(ge=1, le=50)]

_INSTRUCTIONS = (
    "Incidents that IncidentLens found in a project's logs: what broke, since when, the suspected cause with a chain of"
    " cited records, the runbook, the decision and whether it is over. Begin with list_incidents; cite evidence ids. "
    "Times are nanoseconds since 1970 (UTC). " + NOTICE
)


def create_server(api: Api, token: str | None) -> MCPServer[Any]:
    """The server over an API. `token`: used for every call; None: each HTTP caller's own bearer token is passed on."""
    server: MCPServer[Any] = MCPServer("incidentlens", version=__version__, instructions=_INSTRUCTIONS)

    async def ask(
        context: Context[Any, Any], *parts: str, leave_out: tuple[str, ...] = (), **asked: Any
    ) -> dict[str, Any]:
        try:
            found = await api.get(parts, token or _bearer(context), **asked)
        except Refused as refused:
            raise ToolError(str(refused)) from None
        return shape({key: value for key, value in found.items() if key not in leave_out})

    @server.tool(annotations=_READS)
    async def list_incidents(
        context: Context[Any, Any],
        status: Annotated[
            str | None, Field(description="open, verifying, resolved, closed, ignored, suppressed; several by commas.")
        ] = None,
        severity: Annotated[str | None, Field(description="critical, high, medium, low; several by commas.")] = None,
        disposition: Annotated[
            str | None, Field(description="ESCALATE, NEEDS_ONCALL, NEEDS_DEV, OBSERVE, NO_ACTION; several by commas.")
        ] = None,
        service: Annotated[str | None, Field(max_length=300)] = None,
        words: Annotated[
            str | None, Field(max_length=300, description="Words of its title, services, signatures or templates.")
        ] = None,
        since: Since = None,
        sort: Literal["last_seen", "opened_at", "severity", "count"] = "last_seen",
        limit: Limit = 20,
        cursor: Annotated[str | None, Field(max_length=1000, description="next_cursor of the page before.")] = None,
    ) -> dict[str, Any]:
        """Incidents, the latest first unless sorted otherwise, each with its suspected cause."""
        return await ask(
            context, "incidents", status=status, severity=severity, disposition=disposition, service=service, q=words,
            since=since, sort=sort, limit=limit, cursor=cursor,
        )  # fmt: skip

    @server.tool(annotations=_READS)
    async def get_incident(context: Context[Any, Any], incident_id: IncidentId) -> dict[str, Any]:
        """One incident: status, problems, decisions with reasons, outcome, similar ones. Evidence has its own tool."""
        return await ask(context, "incidents", incident_id, leave_out=("evidence", "analysis", "events"))

    @server.tool(annotations=_READS)
    async def get_evidence(context: Context[Any, Any], incident_id: IncidentId) -> dict[str, Any]:
        """What proves it: log records, deploys, alerts and past incidents, each with the id by which it is cited."""
        return await ask(context, "incidents", incident_id, "evidence")

    @server.tool(annotations=_READS)
    async def get_investigation(context: Context[Any, Any], incident_id: IncidentId) -> dict[str, Any]:
        """The analysis: findings and claims with cited evidence, runbooks, the chain, services ranked as causes."""
        return await ask(context, "incidents", incident_id, "investigation")

    @server.tool(annotations=_READS)
    async def get_timeline(context: Context[Any, Any], incident_id: IncidentId) -> dict[str, Any]:
        """What happened when: opened, joined, analysed, decided, told, verified, closed."""
        return await ask(context, "incidents", incident_id, "timeline")

    @server.tool(annotations=_READS)
    async def list_signatures(
        context: Context[Any, Any],
        sort: Literal["top", "new", "growing"] = "top",
        service: Annotated[str | None, Field(max_length=300, description="Seen there in the last 24 hours.")] = None,
        words: Annotated[str | None, Field(max_length=300)] = None,
        limit: Limit = 20,
    ) -> dict[str, Any]:
        """Kinds of log messages with their counts: the loudest, the newest, or those that grow."""
        return await ask(context, "signatures", sort=sort, service=service, q=words, limit=limit)

    @server.tool(annotations=_READS)
    async def get_signature(
        context: Context[Any, Any], signature: Annotated[str, Field(max_length=1000)], since: Since = None
    ) -> dict[str, Any]:
        """One kind of log message: its services, how its counts went, and its incidents."""
        return await ask(context, "signatures", signature, since=since)

    @server.tool(annotations=_READS)
    async def list_runbooks(context: Context[Any, Any], since: Since = None, matched: bool = True) -> dict[str, Any]:
        """Runbooks with what they matched (in 30 days unless said otherwise) and what became of that."""
        return await ask(context, "runbooks", since=since, matched=str(matched).lower())

    @server.tool(annotations=_READS)
    async def get_statistics(context: Context[Any, Any], since: Since = None) -> dict[str, Any]:
        """Key figures of the last 24 hours unless said otherwise. Lengths of time are nanoseconds."""
        return await ask(context, "stats", since=since)

    return server


def _bearer(context: Context[Any, Any]) -> str | None:
    """The caller's own token; None where the transport has no headers or it sent none, which the API then judges."""
    header = (context.headers or {}).get("authorization", "")
    scheme, _, value = header.partition(" ")
    return value.strip() if scheme.lower() == "bearer" and value.strip() else None
