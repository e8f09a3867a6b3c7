from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import httpx

from api_app import BANK_EDITOR, NOW, Api, load
from incidentlens.model.clock import MINUTE
from incidentlens.model.decisions import Alert
from incidentlens.pipeline.metrics import ALERTS
from incidentlens.store.postgres import PostgresStore

RECORDED = Path(__file__).parents[2] / "contract/loki/api/ruler_alertmanager_v2_post.json"


def alert(name: str = "Errors", **labels: str) -> dict[str, Any]:
    return {
        "labels": {"alertname": name, **labels},
        "startsAt": "2025-06-15T15:00:00Z",
        "endsAt": "2025-06-15T16:00:00Z",
        "annotations": {"summary": "41 errors"},
        "generatorURL": "/explore",
    }


async def stored(api: Api, project: str) -> list[Alert]:
    async with api.store.transaction(project) as tx:
        return await tx.active_alerts(api.clock.now())


def count(project: str, result: str) -> float:
    return float(ALERTS.labels(project, result)._value.get())


async def test_what_lokis_ruler_sends_is_kept_and_starts_a_run_at_once(
    tmp_path: Path, postgres_store: PostgresStore
) -> None:
    """Loki without authentication names its only tenant `fake`: that is the project without a tenant."""
    api = Api(load(tmp_path, tokens=False, shop_tenant="null"), postgres_store)
    api.clock.set(NOW - 3 * MINUTE)
    sent = json.loads(RECORDED.read_text())["request"]
    body = json.dumps(sent["body"]).replace("2026-11-21T00:2", "2025-06-15T15:1")
    headers = {"X-Scope-Orgid": sent["headers"]["X-Scope-Orgid"], "Content-Type": "application/json"}
    async with api.client() as ruler:
        answer = await ruler.post("/api/v2/alerts", content=body, headers=headers)
        assert (answer.status_code, answer.json()) == (200, {"accepted": 2, "changed": 2, "refused": 0})
        await asyncio.wait_for(api.sidecar.ran.wait(), 2)
        assert api.sidecar.poked == ["shop"]
        assert {one.labels["service_name"] for one in await stored(api, "shop")} == {
            "peerproof-checkout",
            "peerproof-worker",
        }
        again = await ruler.post("/api/v2/alerts", content=body, headers=headers)
        assert again.json()["changed"] == 0
        await asyncio.sleep(0)
        assert api.sidecar.poked == ["shop"]


async def test_the_webhook_form_is_taken_too(api: Api, editor: httpx.AsyncClient) -> None:
    answer = await editor.post("/alerts", json={"status": "firing", "alerts": [alert()]})
    assert answer.json()["changed"] == 1
    assert (await stored(api, "shop"))[0].name == "Errors"


async def test_the_token_decides_the_project_whatever_a_label_says(api: Api) -> None:
    async with api.client(BANK_EDITOR) as bank:
        assert (await bank.post("/alerts", json=[alert(project="shop")])).status_code == 200
        foreign = await bank.post("/alerts", json=[alert()], headers={"X-Scope-OrgID": "t-shop"})
        assert foreign.status_code == 404
    assert len(await stored(api, "bank")) == 1
    assert await stored(api, "shop") == []


async def test_without_tokens_the_tenant_or_the_label_decides(open_api: Api, local: httpx.AsyncClient) -> None:
    refused = count("", "refused")
    assert (await local.post("/alerts", json=[alert("a")], headers={"X-Scope-OrgID": "t-bank"})).status_code == 200
    assert (await local.post("/alerts", json=[alert("b", project="bank")])).status_code == 200
    assert (await local.post("/alerts?project=bank", json=[alert("c")])).status_code == 200
    assert len(await stored(open_api, "bank")) == 3
    for path, headers, body in (
        ("/alerts", {"X-Scope-OrgID": "t-other"}, [alert()]),
        ("/alerts", {}, [alert(project="other")]),
        ("/alerts", {}, [alert()]),
    ):
        answer = await local.post(path, json=body, headers=headers)
        assert answer.status_code == 404
        assert "project" in answer.json()["error"]
    assert (await local.post("/alerts?project=other", json=[alert()])).status_code == 404
    assert count("", "refused") == refused + 3


async def test_an_alert_of_a_rule_we_wrote_belongs_to_the_project_it_was_written_for(
    api: Api, open_api: Api, local: httpx.AsyncClient
) -> None:
    """Another sidecar may have written rules for a project of its own into the same tenant."""
    refused = count("", "refused")
    ours = alert("a", managed_by="incidentlens", project="shop")
    theirs = alert("b", managed_by="incidentlens", project="theirs")
    answer = await local.post("/api/v2/alerts", json=[ours, theirs], headers={"X-Scope-OrgID": "t-shop"})
    assert answer.json() == {"accepted": 1, "changed": 1, "refused": 1}
    assert [one.name for one in await stored(open_api, "shop")] == ["a"]
    async with api.client(BANK_EDITOR) as bank:
        answer = await bank.post("/api/v2/alerts", json=[ours])
    assert answer.status_code == 404
    assert "written for project 'shop', not for bank" in answer.json()["error"]
    assert count("", "refused") == refused + 2


async def test_of_a_mixed_request_ours_is_taken_and_the_rest_counted(open_api: Api, local: httpx.AsyncClient) -> None:
    answer = await local.post("/alerts", json=[alert("a", project="shop"), alert("b", project="other")])
    assert answer.json() == {"accepted": 1, "changed": 1, "refused": 1}


async def test_a_storm_of_alerts_asks_for_few_runs(open_api: Api, local: httpx.AsyncClient) -> None:
    gate = asyncio.Event()

    async def slow(project: str) -> None:
        open_api.sidecar.poked.append(project)
        await gate.wait()

    open_api.sidecar.poke = slow  # type: ignore[method-assign]
    for number in range(10):
        await local.post("/alerts?project=shop", json=[alert(f"a{number}")])
    gate.set()
    for _ in range(20):
        await asyncio.sleep(0)
    assert open_api.sidecar.poked == ["shop", "shop"]


async def test_a_body_that_is_no_alerts_is_refused_with_what_is_expected(local: httpx.AsyncClient) -> None:
    for body in (b"<html>", b"{}", b"[1]", b'{"alerts": 3}', b"\xff", b""):
        answer = await local.post("/api/v2/alerts?project=shop", content=body)
        assert answer.status_code == 400, body
        assert set(answer.json()) == {"error"}


async def test_a_body_that_is_too_large_is_413(local: httpx.AsyncClient) -> None:
    assert (await local.post("/alerts", content=b" " * (17 * 1024 * 1024))).status_code == 413

    async def endless() -> Any:
        for _ in range(30):
            yield b" " * 1024 * 1024

    chunked = await local.post("/alerts", content=endless())
    assert chunked.status_code == 413
    assert "16 MB" in chunked.json()["error"]
    assert (await local.post("/api/deploys", content=b"x" * (2 * 1024 * 1024))).status_code == 413


RECORD = '{{"ts": {ts}, "labels": {{"service": "db"}}, "line": "ERROR connection pool exhausted, waited {n} ms"}}\n'


def log_file(lines: int = 200) -> bytes:
    return "".join(RECORD.format(ts=1_750_000_000_000_000_000 + n * 10**8, n=n) for n in range(lines)).encode()


async def test_a_log_file_is_replayed(editor: httpx.AsyncClient, api: Api) -> None:
    for sent in (
        {"content": log_file()},
        {"content": gzip.compress(log_file())},
        {"files": {"file": ("errors.jsonl", log_file())}},
    ):
        answer = await editor.post("/api/replay", **sent, timeout=60)  # type: ignore[arg-type]
        assert answer.status_code == 200, answer.text
        assert set(answer.json()) >= {"incidents", "root_cause_ranking"}
        assert answer.json()["incidents"][0]["service"] == "db"
    assert (await api.store.queries.list_incidents("shop")).items == ()


async def test_a_replay_of_nothing_usable_is_400(editor: httpx.AsyncClient) -> None:
    assert (await editor.post("/api/replay", content=b"")).status_code == 400
    assert (await editor.post("/api/replay", files={"wrong": ("x", b"x")})).status_code == 400
    assert (await editor.post("/api/replay", content=b"\x1f\x8bnonsense")).status_code == 400
    form = {"Content-Type": "multipart/form-data"}
    assert (await editor.post("/api/replay", content=b"x", headers=form)).status_code == 400
