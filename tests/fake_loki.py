"""A small exact Loki in memory behind httpx: what is pushed can be asked for, and every fault can be switched on.

Queries run through the project's own LogQL, whose order and limits are a real Loki's (see tests/contract). What it
leaves out is everything that is not asked for by intake.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import httpx
import orjson

from incidentlens import logql
from incidentlens.intake.loki import LokiClient, LokiSettings
from incidentlens.localloki.levels import detect_level

Fault = Callable[[httpx.Request], httpx.Response | None]


class FakeLoki(httpx.AsyncBaseTransport):
    """One tenant's Loki. `fault`, where set, may answer in its place; `asked` are the requests it got.

    `levels`: it finds `detected_level` in what is pushed, as Loki does unless told otherwise.
    """

    def __init__(self, max_entries: int = 5000, *, levels: bool = False) -> None:
        self._streams: dict[tuple[tuple[str, str], ...], dict[tuple[int, str], dict[str, str]]] = {}
        self._sorted: dict[tuple[tuple[str, str], ...], list[logql.Entry]] = {}
        self._limits = logql.Limits(max_entries=max_entries)
        self._levels = levels
        self.moved = 0  # bytes answered
        self.fault: Fault | None = None
        self.asked: list[httpx.Request] = []
        self.rewrite: Callable[[bytes], bytes] = lambda body: body

    def client(self, **settings: Any) -> LokiClient:
        return LokiClient(LokiSettings("http://loki", **{"max_attempts": 1, **settings}), self)

    def add(self, labels: dict[str, str], records: Iterable[Sequence[Any]]) -> None:
        """Records (ns, line) or (ns, line, metadata); an exact duplicate is dropped as Loki drops it."""
        key = tuple(sorted(labels.items()))
        self._sorted.pop(key, None)
        stream = self._streams.setdefault(key, {})
        for record in records:
            metadata = dict(record[2]) if len(record) > 2 else {}
            if self._levels:
                metadata["detected_level"] = detect_level(labels, metadata, record[1])
            stream.setdefault((int(record[0]), record[1]), metadata)

    @property
    def size(self) -> int:
        return sum(len(stream) for stream in self._streams.values())

    def streams(self, matchers: Sequence[logql.Matcher], start_ns: int, end_ns: int) -> Iterable[logql.Stream]:
        """The seam `logql.Source`."""
        for key, stream in self._streams.items():
            labels = dict(key)
            if not all(matcher.matches(labels) for matcher in matchers):
                continue
            entries = self._sorted.get(key)
            if entries is None:
                found = [logql.Entry(ts, line, metadata) for (ts, line), metadata in stream.items()]
                entries = self._sorted[key] = sorted(found, key=lambda entry: entry.ts)
            first, last = (bisect_left(entries, at, key=lambda entry: entry.ts) for at in (start_ns, end_ns))
            yield logql.Stream(labels, entries[first:last])

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.fault(request) if self.fault else None
        if answer is None:
            try:
                answer = self._answer(request)
            except logql.LogQLError as error:
                answer = httpx.Response(400, text=str(error))
        answer.request = request
        return answer

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path, params = request.url.path, request.url.params
        if path.endswith("/push"):
            for stream in orjson.loads(request.content)["streams"]:
                self.add(stream["stream"], stream["values"])
            return httpx.Response(204)
        if path.endswith("/ready"):
            return httpx.Response(200, text="ready\n")
        if path.endswith("/series"):
            (matchers,) = logql.matchers_of(params["match[]"])
            start, end = int(params["start"]), int(params["end"])
            found = [stream.labels for stream in self.streams(matchers, start, end) if stream.entries]
            return httpx.Response(200, json={"status": "success", "data": found})
        if path.endswith("/query_range") and logql.is_metric(params["query"]):
            start, end, step = int(params["start"]), int(params["end"]), round(float(params["step"]) * 10**9)
            result: Any = logql.evaluate_range(params["query"], self, start, end, step, limits=self._limits)
        elif path.endswith("/query_range"):
            result = logql.evaluate_logs(
                params["query"],
                self,
                int(params["start"]),
                int(params["end"]),
                int(params["limit"]),
                params["direction"],  # type: ignore[arg-type]
                categorize=True,
                limits=self._limits,
            )
        elif path.endswith("/query"):
            result = logql.evaluate_instant(params["query"], self, int(params["time"]))
        else:
            return httpx.Response(404, text="404 page not found")
        self.moved += len(body := self.rewrite(orjson.dumps(logql.response(result))))
        return httpx.Response(200, content=body, headers={"Content-Type": "application/json"})


def span_of(request: httpx.Request) -> tuple[int, int]:
    """[start, end) of a query_range request, (0, 0) of any other."""
    params = request.url.params
    return (int(params["start"]), int(params["end"])) if request.url.path.endswith("/query_range") else (0, 0)
