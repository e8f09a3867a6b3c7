"""The Grafana of the tests answers as the recorded one did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from fake_grafana import FakeGrafana

RECORDED = Path(__file__).parents[2] / "../shared/grafana/http.json"
CHANGING = {"id", "created", "updated", "dashboardId"}


def _same(value: Any) -> Any:
    if isinstance(value, list):
        return [_same(item) for item in value]
    if isinstance(value, dict):
        return {key: _same(item) for key, item in value.items() if key not in CHANGING}
    return value


@pytest.mark.skipif(not RECORDED.exists(), reason=f"the recordings are not here: {RECORDED}")
async def test_the_fake_answers_as_grafana_was_recorded() -> None:
    """Annotations in the order they were recorded in; ids and times of creation are each Grafana's own."""
    grafana = FakeGrafana(dashboards=("il-overview", "second"))
    grafana.dashboards["il-overview"] = 2
    grafana._next = 6
    checked = 0
    async with httpx.AsyncClient(base_url="http://grafana", transport=grafana) as client:
        for recorded in json.loads(RECORDED.read_text()):
            if not (recorded["name"].startswith("annotation-") or recorded["name"] == "health"):
                continue
            token = {"annotation-viewer-forbidden": "viewer", "annotation-bad-token": "nobody"}.get(
                recorded["name"], "editor"
            )
            headers = {"Authorization": f"Bearer {token}"} if recorded["auth"] else {}
            body = recorded["body"]
            content = body if isinstance(body, str) else json.dumps(body) if body is not None else None
            answer = await client.request(recorded["method"], recorded["path"], content=content, headers=headers)
            assert answer.status_code == recorded["status"], recorded["name"]
            expected, got = recorded["response"], answer.json()
            if recorded["name"] == "health":
                got["version"] = expected["version"]
            assert _same(got) == _same(expected), recorded["name"]
            checked += 1
    assert checked == 18
