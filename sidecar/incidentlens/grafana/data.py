"""QueryData: each query of a request by itself, so that one that cannot be answered spoils none of the others."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import Any

import orjson

from incidentlens.store.base import StoreError
from incidentlens.store.paging import BadPage

from .auth import Asker, Refused, asker_of
from .backend import Backend
from .frames import Frame, to_arrow
from .pb.pluginv2_pb2 import DataQuery, DataResponse, QueryDataRequest, QueryDataResponse
from .queries import QueryContext, QueryError, answer, read_query
from .queries.context import INCIDENT_DASHBOARD
from .queries.errors import DOWNSTREAM, PLUGIN

log = logging.getLogger(__name__)

MAX_QUERIES = 100  # of one request; a panel has a handful
MAX_QUERY = 256 * 1024  # bytes of JSON
MAX_ANSWER = 64 * 1024 * 1024  # bytes of frames of one query
TIMEOUT_S = 25.0  # Grafana gives an alert rule 30
MILLISECOND = 1_000_000
_AT_ONCE = 4


async def query_data(backend: Backend, request: QueryDataRequest) -> QueryDataResponse:
    """An answer or an error for every refId. Never raises for what a query says."""
    try:
        asker = asker_of(backend.loaded_of(), request.pluginContext)
    except Refused as refused:
        return QueryDataResponse(responses={query.refId: _refusal(refused) for query in request.queries})
    turn = asyncio.Semaphore(_AT_ONCE)

    async def in_turn(number: int, query: DataQuery) -> DataResponse:
        if number >= MAX_QUERIES:
            return _error(400, f"one request may have {MAX_QUERIES} queries; this one is beyond them", DOWNSTREAM)
        async with turn:
            return await _answered(backend, asker, query)

    answers = await asyncio.gather(*(in_turn(number, query) for number, query in enumerate(request.queries)))
    named = zip((query.refId for query in request.queries), answers, strict=True)
    return QueryDataResponse(responses=dict(named))


async def _answered(backend: Backend, asker: Asker, query: DataQuery) -> DataResponse:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            frames = await _frames(backend, asker, query)
        # Arrow, also where JSON was wished for: every Grafana decodes what the answer says it is.
        encoded = await asyncio.to_thread(_encode, frames, query.refId)
    except Refused as refused:
        return _refusal(refused)
    except QueryError as error:
        return _error(error.status, error.message, error.source)
    except BadPage as error:
        return _error(400, str(error), DOWNSTREAM)
    except TimeoutError:
        return _error(
            504, f"there was no answer within {TIMEOUT_S:.0f} s; take a shorter time or fewer rows", DOWNSTREAM
        )
    except StoreError as error:
        return _error(503, str(error), DOWNSTREAM)
    except Exception:
        log.exception("the query %.80r of project %s failed", query.queryType, asker.project.name)
        return _error(500, "a defect in IncidentLens: its log has the details; please report it", PLUGIN)
    return DataResponse(frames=encoded, status=200)


def _encode(frames: list[Frame], ref_id: str) -> list[bytes]:
    encoded: list[bytes] = []
    size = 0
    for frame in frames:
        encoded.append(to_arrow(bare(frame).for_query(ref_id)))
        size += len(encoded[-1])
        if size > MAX_ANSWER:
            raise Refused(413, f"the answer is larger than {MAX_ANSWER >> 20} MB; take a shorter time or fewer rows")
    return encoded or [to_arrow(Frame("", ref_id=ref_id))]


def bare(frame: Frame) -> Frame:
    """A table without rows goes without columns too: over columns Grafana says "No data", without any it says the
    panel's own text, which tells what to do."""
    return frame if len(frame) or frame.meta.get("preferredVisualisationType") != "table" else replace(frame, fields=())


def _refusal(refused: Refused) -> DataResponse:
    return _error(refused.status, refused.text, DOWNSTREAM)


def _error(status: int, text: str, source: str) -> DataResponse:
    return DataResponse(error=text, status=status, errorSource=source)


async def _frames(backend: Backend, asker: Asker, query: DataQuery) -> list[Frame]:
    """Raises QueryError, Refused, StoreError."""
    if len(query.json) > MAX_QUERY:
        raise Refused(413, f"the query has more than {MAX_QUERY >> 10} kB; choose fewer values")
    try:
        body: Any = orjson.loads(query.json or b"{}")
    except orjson.JSONDecodeError as error:
        raise Refused(400, f"the query is no JSON: {error}") from None
    if not isinstance(body, dict):
        raise Refused(400, "the query is no JSON object")
    panel = read_query(
        body,
        since=query.timeRange.fromEpochMS * MILLISECOND,
        until=query.timeRange.toEpochMS * MILLISECOND,
        ref_id=query.refId,
        query_type=query.queryType,
        interval_ms=query.intervalMS,
        max_data_points=query.maxDataPoints,
    )
    config = backend.loaded_of().config
    runner = backend.runners().get(asker.project.name)
    context = QueryContext(
        project=asker.project.name,
        queries=backend.store.queries,
        now=backend.clock.now(),
        public_url=str(config.server.public_url or "").rstrip("/"),
        loki_uid=asker.settings.loki_uid,
        incident_dashboard=asker.settings.incident_dashboard or INCIDENT_DASHBOARD,
        source_uid=asker.settings.uid,
        reading=runner.health if runner is not None else None,
        loki_queries=tuple(each.name for each in asker.project.queries if not each.metric),
    )
    return await answer(panel, context)
