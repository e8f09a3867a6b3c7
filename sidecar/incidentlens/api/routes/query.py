"""The query types of the Grafana data source as plain JSON rows, for those who may not load an unsigned plugin."""

from __future__ import annotations

import asyncio
import logging
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from incidentlens.api.auth import Reader, Serving
from incidentlens.api.errors import ApiError
from incidentlens.api.params import read_time
from incidentlens.grafana.frames import Frame, to_rows
from incidentlens.grafana.queries import QUERY_TYPES, QueryContext, QueryError, answer, read_query
from incidentlens.model.clock import HOUR
from incidentlens.store.base import StoreError
from incidentlens.store.paging import BadPage

router = APIRouter(prefix="/api/query", tags=["grafana"])
log = logging.getLogger(__name__)

MAX_QUERIES = 20
TIMEOUT_S = 25.0
_MS = range(10**11, 10**14)  # 1973 to 5138: what Grafana's ${__from} gives

Time = Annotated[
    str | int | None, Field(description="ms (`${__from}`), ns, an RFC 3339 time, `now`, or how long ago (`6h`)")
]


class QueryBody(BaseModel):
    """Several queries over one time."""

    queries: list[dict[str, Any]] = Field(
        min_length=1,
        max_length=MAX_QUERIES,
        description=f"Each has `refId`, `queryType` (one of {', '.join(QUERY_TYPES)}) and that type's own keys.",
    )
    since: Time = Field(default=None, alias="from")
    until: Time = Field(default=None, alias="to")
    timezone: str | None = Field(default=None, max_length=100)


class QueryAnswer(BaseModel):
    """Either `rows`, with what the answer wants to say besides, or `error`."""

    rows: list[dict[str, Any]] | None = None
    notices: list[str] | None = None
    error: str | None = None
    status: int | None = Field(default=None, description="As an HTTP status, where there is an error.")


class QueryAnswers(BaseModel):
    """By refId."""

    results: dict[str, QueryAnswer]


@router.post("", response_model=QueryAnswers, summary="Ask as a Grafana panel does")
async def query(services: Serving, principal: Reader, body: QueryBody) -> Response:
    """Rows of the same query types that the data source has; one query that fails spoils none of the others.

    The last six hours unless said otherwise. Times in rows are RFC 3339. Where an answer has several frames (series,
    nodes and edges) a row's `frame` names its own, and its labels are columns.
    """
    now = services.clock.now()
    until = _time(body.until, now, "to")
    until = now if until is None else until
    since = _time(body.since, now, "from")
    since = until - 6 * HOUR if since is None else since
    config = services.loaded.config
    project = principal.project
    runner = services.sidecar.runners.get(project.name)
    context = QueryContext(
        project=project.name,
        queries=services.queries,
        now=now,
        public_url=str(config.server.public_url or "").rstrip("/"),
        reading=runner.health if runner is not None else None,
        loki_queries=tuple(each.name for each in project.queries if not each.metric),
    )
    results: dict[str, dict[str, Any]] = {}
    for number, asked in enumerate(body.queries):
        ref_id = asked.get("refId")
        name = ref_id if isinstance(ref_id, str) and 0 < len(ref_id) <= 100 else chr(ord("A") + number)
        given = {"timezone": body.timezone, **asked} if body.timezone else asked
        results[name] = await _answered(given, name, since, until, context)
    return Response(orjson.dumps({"results": results}), media_type="application/json")


async def _answered(
    asked: dict[str, Any], ref_id: str, since: int, until: int, context: QueryContext
) -> dict[str, Any]:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            frames = await answer(read_query(asked, since=since, until=until, ref_id=ref_id), context)
    except QueryError as error:
        return {"error": error.message, "status": error.status}
    except BadPage as error:
        return {"error": str(error), "status": 400}
    except TimeoutError:
        said = f"there was no answer within {TIMEOUT_S:.0f} s; take a shorter time or fewer rows"
        return {"error": said, "status": 504}
    except StoreError as error:
        return {"error": str(error), "status": 503}
    except Exception:
        log.exception("the query %.80r of project %s failed", asked.get("queryType"), context.project)
        return {"error": "a defect in IncidentLens: its log has the details; please report it", "status": 500}
    return {
        "rows": _rows(frames),
        "notices": [note["text"] for frame in frames for note in frame.meta.get("notices", ())],
    }


def _rows(frames: list[Frame]) -> list[dict[str, Any]]:
    if len(frames) == 1:
        return to_rows(frames[0])
    return [{"frame": frame.name, **row} for frame in frames for row in to_rows(frame)]


def _time(value: str | int | None, now: int, name: str) -> int | None:
    """ns. Raises ApiError 400."""
    text = str(value if value is not None else "").strip()
    if text.isdecimal() and len(text) <= 19 and int(text) in _MS:
        return int(text) * 1_000_000
    if text == "now":
        return now
    try:
        return read_time(text.removeprefix("now-"), now, name)
    except ApiError as error:
        raise ApiError(400, error.text.replace("nanoseconds since 1970", "ms or ns since 1970")) from None
