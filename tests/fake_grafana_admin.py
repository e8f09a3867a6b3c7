"""The part of Grafana's HTTP API that provisioning uses, in memory, answering as 9.4 was seen to answer.

Seen of it: GET of a rule that is not there is 500; a rule's group begins at a minute; lists are `null` when empty; a
contact point in use cannot be removed; what it adds of its own (`id`, `provenance`, …) comes back.
"""

from __future__ import annotations

from typing import Any

import httpx
import orjson

from incidentlens.publish.grafana_http import GrafanaClient

_API = "/api/v1/provisioning"


class FakeGrafanaAdmin(httpx.AsyncBaseTransport):
    """`written` are the changes it was asked for, as (method, path)."""

    def __init__(self, version: str = "9.4.0") -> None:
        self.version = version
        self.policies: dict[str, Any] = {"receiver": "grafana-default-email", "group_by": ["grafana_folder"]}
        self.things: dict[str, dict[str, dict[str, Any]]] = {
            name: {} for name in ("datasources", "folders", "dashboards", "contact-points", "templates", "mute-timings")
        }
        self.rules: dict[str, dict[str, Any]] = {}
        self.interval = 60
        self.written: list[tuple[str, str]] = []

    def client(self) -> GrafanaClient:
        return GrafanaClient("http://grafana", "admin", transport=self)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        content = await request.aread()
        body = orjson.loads(content) if content else None
        if request.method != "GET":
            self.written.append((request.method, request.url.path))
        status, answer = self._answer(request.method, request.url.path, body)
        return httpx.Response(status, json=answer, request=request)

    def _answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        if path == "/api/health":
            return 200, {"version": self.version}
        if path == f"{_API}/policies":
            if method == "PUT":
                self.policies = body
                return 202, {"message": "policies updated"}
            return 200, {**self.policies, "provenance": "api"}
        if path.startswith(f"{_API}/alert-rules") or "/rule-groups/" in path:
            return self._rules(method, path, body)
        if path == "/api/search":
            return 200, list(self.things["dashboards"].values())
        if path.startswith("/api/ruler/"):
            return 200, {"IncidentLens": [{}]} if self.rules else {}
        if path == "/api/dashboards/db":
            self.things["dashboards"][body["dashboard"]["uid"]] = {**body["dashboard"], "version": 1}
            return 200, {"status": "success"}
        parts = path.removeprefix(_API).removeprefix("/api").strip("/").replace("/uid/", "/").split("/")
        return self._thing(method, parts[0], parts[1] if len(parts) > 1 else None, body)

    def _thing(self, method: str, kind: str, key: str | None, body: Any) -> tuple[int, Any]:
        things = self.things[kind]
        if method == "POST":
            key = str(body.get("uid") or body.get("name"))
            things[key] = {**body, "id": len(things) + 1, "provenance": "api"}
            return 200, things[key]
        if key is None:
            return 200, list(things.values()) or None
        if method == "PUT":
            things[key] = {"name": key, **body, "id": 1}
            return 202, {"message": "updated"}
        if key not in things:
            return 404, {"message": "not found"}
        if method == "DELETE":
            if kind == "contact-points" and things[key]["name"] in orjson.dumps(self.policies).decode():
                return 400, {"message": "contact point is used by a notification policy"}
            del things[key]
            return 204, None
        shown = {name: value for name, value in things[key].items() if name != "secureJsonData"}
        return 200, {"dashboard": shown, "meta": {}} if kind == "dashboards" else shown

    def _rules(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        if "/rule-groups/" in path:
            if method == "PUT":
                self.interval = body["interval"]
            return 200, {"title": "incidentlens", "interval": self.interval, "rules": list(self.rules.values())}
        uid = path.rpartition("/")[2]
        if uid == "alert-rules":
            if method == "POST":
                self.rules[body["uid"]] = {**body, "id": 1, "for": "0s"}
                return 201, body
            return 200, list(self.rules.values()) or None
        if uid not in self.rules:
            return 500, {"message": "could not find alert rule"}
        if method == "PUT":
            self.rules[uid] = body
        if method == "DELETE":
            del self.rules[uid]
            return 204, None
        return 200, self.rules.get(uid)
