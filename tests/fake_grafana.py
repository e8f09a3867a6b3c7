"""A small exact Grafana in memory behind httpx: annotations, dashboards, alert state, receivers. Every fault can be
switched on. Its answers are a real Grafana's (see tests/contract/test_fake_grafana.py); like it, it checks neither that
an end is after its beginning nor that a dashboard is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import orjson

from incidentlens.publish.grafana_http import GrafanaClient

Fault = Callable[[httpx.Request], httpx.Response | None]


class FakeGrafana(httpx.AsyncBaseTransport):
    """`asked` are the requests as (method, path, body); `lose_answers`: it does what it is asked and then hangs up."""

    def __init__(self, token: str = "editor", dashboards: tuple[str, ...] = ()) -> None:
        self.token = token
        self.dashboards = {uid: number for number, uid in enumerate(dashboards, 1)}
        self.annotations: dict[int, dict[str, Any]] = {}
        self.rules: list[dict[str, Any]] = []
        self.alerts: list[dict[str, Any]] = []
        self.receivers: list[dict[str, Any]] = []
        self.version = "9.4.0"
        self.fault: Fault | None = None
        self.lose_answers = False
        self.asked: list[tuple[str, str, Any]] = []
        self._next = 1

    def client(self, token: str = "editor") -> GrafanaClient:
        return GrafanaClient("http://grafana", token, transport=self)

    def count(self, method: str, prefix: str = "/api/annotations") -> int:
        return sum(asked == method and path.startswith(prefix) for asked, path, _ in self.asked)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        content = await request.aread()
        path = request.url.path
        self.asked.append((request.method, path, content))
        answer = self.fault(request) if self.fault else None
        if answer is None:
            status, body = self._answer(request, path, content)
            answer = httpx.Response(status, json=body, request=request)
        if self.lose_answers and request.method != "GET":
            raise httpx.ReadTimeout("timed out", request=request)
        return answer

    def _answer(self, request: httpx.Request, path: str, content: bytes) -> tuple[int, Any]:
        if path == "/api/health":
            return 200, {"commit": "0d70eb18ac2d", "database": "ok", "version": self.version}
        given = request.headers.get("Authorization")
        if given is None:
            return 401, {"message": "Unauthorized"}
        if given not in (f"Bearer {self.token}", "Bearer viewer"):
            return 401, {"message": "invalid API key", "traceID": ""}
        try:
            body = orjson.loads(content) if content else None
        except orjson.JSONDecodeError:
            return 400, {"message": "bad request data", "traceID": ""}
        if path.startswith("/api/annotations"):
            if given == "Bearer viewer" and request.method != "GET":
                return 403, {"message": "Access denied to this dashboard"}
            return self._annotations(request, path, body)
        if path.startswith("/api/dashboards/uid/"):
            uid = path.rpartition("/")[2]
            if uid in self.dashboards:
                return 200, {"meta": {}, "dashboard": {"uid": uid}}
            return 404, {"message": "Dashboard not found"}
        if path == "/api/prometheus/grafana/api/v1/rules":
            return 200, {"status": "success", "data": {"groups": self.rules}}
        if path == "/api/alertmanager/grafana/api/v2/alerts":
            return 200, self.alerts
        if path == "/api/alertmanager/grafana/config/api/v1/receivers":
            return 200, self.receivers
        return 404, {"message": "Not found"}

    def _annotations(self, request: httpx.Request, path: str, body: Any) -> tuple[int, Any]:
        last = path.rpartition("/")[2]
        if last == "annotations":
            if request.method == "POST":
                return self._create(body)
            return 200, self._found(request.url.params)
        number = int(last)
        known = self.annotations.get(number)
        if known is None:
            return 404, {"message": "Annotation not found"}
        if request.method == "DELETE":
            del self.annotations[number]
            return 200, {"message": "Annotation deleted"}
        if request.method in ("PATCH", "PUT"):
            known |= {key: value for key, value in body.items() if key in ("time", "timeEnd", "text", "tags")}
            return 200, {"message": "Annotation patched" if request.method == "PATCH" else "Annotation updated"}
        return 200, self._shown(number)

    def _create(self, body: Any) -> tuple[int, Any]:
        if not body.get("text"):
            return 400, {"message": "Failed to save annotation", "traceID": ""}
        number, self._next = self._next, self._next + 1
        self.annotations[number] = {"tags": [], "timeEnd": body.get("time"), **body}
        return 200, {"id": number, "message": "Annotation added"}

    def _found(self, params: httpx.QueryParams) -> list[dict[str, Any]]:
        wanted, uid = set(params.get_list("tags")), params.get("dashboardUID")
        return [
            self._shown(number)
            for number, kept in self.annotations.items()
            if wanted <= set(kept["tags"]) and (uid is None or kept.get("dashboardUID") == uid)
        ][: int(params.get("limit", 100))]

    def _shown(self, number: int) -> dict[str, Any]:
        kept = self.annotations[number]
        dashboard = self.dashboards.get(kept.get("dashboardUID"), 0)
        return {
            "id": number, "alertId": 0, "alertName": "", "dashboardId": dashboard,
            "dashboardUID": None, "panelId": kept.get("panelId", 0), "userId": 0, "newState": "", "prevState": "",
            "created": 0, "updated": 0, "time": kept["time"], "timeEnd": kept["timeEnd"], "text": kept["text"],
            "tags": kept["tags"], "login": "sa-il-editor", "email": "sa-il-editor",
            "avatarUrl": "/public/img/user_profile.png", "data": {},
        }  # fmt: skip
