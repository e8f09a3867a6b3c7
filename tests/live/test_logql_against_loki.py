"""The same questions to a real Loki, named by `INCIDENTLENS_LIVE_LOKI`, and to the evaluator.

The Loki must take tenants, old lines (reject_old_samples: false) and structured metadata. It is asked to flush, since
lines of days ago are only looked for in what is stored.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from incidentlens.logql import check
from logql_asking import ask, same
from logql_memory import MemorySource, pushed

LOKI = os.environ.get("INCIDENTLENS_LIVE_LOKI", "")
FOLDER = Path(__file__).parent / "logql"
RANGE = {"start": "2026-11-20T12:00:00Z", "end": "2026-11-20T12:20:00Z"}
pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not LOKI, reason="INCIDENTLENS_LIVE_LOKI names no Loki"),
]


def _lines(name: str) -> list[str]:
    return (FOLDER / name).read_text("utf-8").removesuffix("\n").split("\n")


@pytest.fixture(scope="module")
def loki() -> Iterator[httpx.Client]:
    headers = {"X-Scope-OrgID": f"logql-{uuid.uuid4().hex[:12]}"}
    with httpx.Client(base_url=LOKI, headers=headers, timeout=60) as client:
        body = (FOLDER / "corpus.json").read_bytes()
        client.post("/loki/api/v1/push", content=body, headers={"Content-Type": "application/json"}).raise_for_status()
        # What is wrong in a filter shows only where a stream is looked at.
        faulty = {"streams": [{"stream": {"a": "b"}, "values": [["1795176000000000000", "x"]]}]}
        client.post("/loki/api/v1/push", json=faulty).raise_for_status()
        client.post("/flush").raise_for_status()
        deadline = time.monotonic() + 60
        while not client.get("/loki/api/v1/query_range", params={"query": '{job="num"}', **RANGE}).json()["data"][
            "result"
        ]:
            assert time.monotonic() < deadline, "what was pushed a minute ago is not found"
            time.sleep(1)
        yield client


@pytest.fixture(scope="module")
def memory() -> MemorySource:
    return pushed(FOLDER / "corpus.json")


def _compare(loki: httpx.Client, memory: MemorySource, path: str, params: dict[str, Any]) -> None:
    answer = loki.get(path, params=params)
    status, body = ask(memory, path, params)
    assert status == answer.status_code, answer.text[:500]
    if status == 200:
        wanted = answer.json()
        wanted["data"].pop("stats", None)
        assert same(body, wanted), f"want {json.dumps(wanted)[:2000]}\ngot  {json.dumps(body)[:2000]}"
    elif answer.text.startswith("pipeline error"):
        # Which of the failing series is named is up to chance.
        assert body.partition(" for series")[0] == answer.text.partition(" for series")[0]
    else:
        assert body == answer.text


@pytest.mark.parametrize("direction", ["backward", "forward"])
@pytest.mark.parametrize("limit", [3, 1000])
@pytest.mark.parametrize("query", _lines("log_queries.txt"))
def test_a_log_query_gives_the_same_lines(
    loki: httpx.Client, memory: MemorySource, query: str, limit: int, direction: str
) -> None:
    params = {"query": query, **RANGE, "limit": limit, "direction": direction}
    _compare(loki, memory, "/loki/api/v1/query_range", params)


@pytest.mark.parametrize(("start", "step"), [("2026-11-20T12:00:00Z", "60s"), ("2026-11-20T12:01:03Z", "130s")])
@pytest.mark.parametrize("query", _lines("metric_queries.txt"))
def test_a_metric_query_gives_the_same_series(
    loki: httpx.Client, memory: MemorySource, query: str, start: str, step: str
) -> None:
    params = {"query": query, **RANGE, "start": start, "step": step}
    _compare(loki, memory, "/loki/api/v1/query_range", params)


@pytest.mark.parametrize("query", _lines("metric_queries.txt"))
def test_a_metric_query_gives_the_same_vector(loki: httpx.Client, memory: MemorySource, query: str) -> None:
    params = {"query": query, "time": "2026-11-20T12:05:00Z"}
    answer = loki.get("/loki/api/v1/query", params=params)
    if answer.status_code == 200 and answer.json()["data"]["resultType"] == "scalar":
        # Loki garbles the time of a scalar; its value is right.
        _, body = ask(memory, "/loki/api/v1/query", params)
        assert body["data"]["result"][1] == answer.json()["data"]["result"][1]
        return
    _compare(loki, memory, "/loki/api/v1/query", params)


@pytest.mark.parametrize("query", _lines("format_queries.txt"))
def test_a_query_is_laid_out_the_same(loki: httpx.Client, memory: MemorySource, query: str) -> None:
    answer = loki.get("/loki/api/v1/format_query", params={"query": query})
    assert ask(memory, "/loki/api/v1/format_query", {"query": query}) == (answer.status_code, answer.json())


@pytest.mark.parametrize("query", _lines("faulty_queries.txt"))
def test_a_faulty_query_gets_the_same_words(loki: httpx.Client, query: str) -> None:
    answer = loki.get("/loki/api/v1/query_range", params={"query": query, **RANGE, "step": "300s"})
    error = check(query)
    assert (
        (answer.status_code, None) == (200, None)
        if error is None
        else (error.status, str(error))
        == (
            answer.status_code,
            answer.text,
        )
    )
