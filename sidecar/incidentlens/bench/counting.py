"""A Loki in memory for the scale bench: it holds the lines that may be fetched and only counts the rest.

At a thousand times the volume the harmless lines cannot all be made; push-down never fetches one of them, so it is
enough that they are counted. Their counts are added to those of the lines that are held, and nothing else is simulated.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from incidentlens import logql
from incidentlens.localloki.levels import detect_level
from incidentlens.logql import ast
from incidentlens.model.clock import SECOND
from incidentlens.scenarios.lines import Line

_LEVEL = "detected_level"


@dataclass(frozen=True, slots=True)
class Counted:
    """Lines that are only counted: of these labels, so many a second."""

    labels: Mapping[str, str]
    per_second: float


class CountingLoki(httpx.AsyncBaseTransport):
    """Answers query_range and query. `moved`: bytes answered; `cpu`: seconds of CPU spent answering."""

    def __init__(self, lines: Iterable[Line], counted: Sequence[Counted] = ()) -> None:
        streams: dict[tuple[tuple[str, str], ...], list[logql.Entry]] = {}
        for line in lines:
            metadata = {**line.metadata, _LEVEL: detect_level(line.labels, line.metadata, line.text)}
            streams.setdefault(tuple(sorted(line.labels.items())), []).append(logql.Entry(line.ts, line.text, metadata))
        for entries in streams.values():
            entries.sort(key=lambda entry: entry.ts)
        self._streams = streams
        self._counted = tuple(counted)
        self.moved = 0
        self.cpu = 0.0

    def streams(self, matchers: Sequence[logql.Matcher], start_ns: int, end_ns: int) -> Iterable[logql.Stream]:
        """The seam `logql.Source`."""
        for key, entries in self._streams.items():
            labels = dict(key)
            if all(matcher.matches(labels) for matcher in matchers):
                first, last = (bisect_left(entries, at, key=lambda entry: entry.ts) for at in (start_ns, end_ns))
                yield logql.Stream(labels, entries[first:last])

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        began = time.process_time()
        try:
            params = request.url.params
            if request.url.path.endswith("/query"):
                result: Any = logql.evaluate_instant(params["query"], self, int(params["time"]))
            elif request.url.path.endswith("/query_range"):
                result = self._range(params)
            else:
                return httpx.Response(404, text="404 page not found", request=request)
            answer = self._with_counted(params["query"], logql.response(result))
            body = orjson.dumps(answer)
        finally:
            self.cpu += time.process_time() - began
        self.moved += len(body)
        return httpx.Response(200, content=body, headers={"Content-Type": "application/json"}, request=request)

    def _range(self, params: httpx.QueryParams) -> Any:
        query, start, end = params["query"], int(params["start"]), int(params["end"])
        if logql.is_metric(query):
            return logql.evaluate_range(query, self, start, end, round(float(params["step"]) * SECOND))
        limit = int(params["limit"])
        return logql.evaluate_logs(query, self, start, end, limit, "forward", categorize=True)

    def _with_counted(self, query: str, answer: dict[str, Any]) -> dict[str, Any]:
        """Add the lines that are only counted where all lines are counted by level."""
        tree = logql.parse(query)
        if not self._counted or not isinstance(tree, ast.VectorAggregation) or tree.grouping is None:
            return answer
        if _LEVEL not in tree.grouping.labels or not isinstance(tree.inner, ast.RangeAggregation):
            return answer
        seconds = tree.inner.range.range_ns / SECOND
        series = answer["data"]["result"]
        for hidden in self._counted:
            metric = {name: value for name, value in hidden.labels.items() if name in tree.grouping.labels}
            number = round(hidden.per_second * seconds)
            found = next((one for one in series if one["metric"] == metric), None)
            if found is None:
                stamps = [one["values"] for one in series if "values" in one]
                if stamps:
                    longest = max(stamps, key=len)
                    series.append({"metric": metric, "values": [[at, str(number)] for at, _ in longest]})
                elif series:
                    series.append({"metric": metric, "value": [series[0]["value"][0], str(number)]})
            elif "values" in found:
                found["values"] = [[at, str(int(value) + number)] for at, value in found["values"]]
            else:
                found["value"] = [found["value"][0], str(int(found["value"][1]) + number)]
        return answer
