"""The local Loki over HTTP, against what a real Loki 3.7.6 answered."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from incidentlens.localloki import LocalLoki, create_app
from incidentlens.model.clock import HOUR, MINUTE, SECOND, ManualClock

HERE = Path(__file__).parent / "loki"
RECORDINGS: list[dict[str, Any]] = json.loads((HERE / "recordings.json").read_text())
RECORDED_AT = 1_795_176_000 * SECOND + 12 * HOUR
"""When the answers were recorded: half a day after the corpus."""


def api(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((HERE / "api" / f"{name}.json").read_text())
    return found


def settled(body: Any) -> Any:
    """An answer without the figures of how it came about, and with series in one order."""
    if not isinstance(body, dict) or not isinstance(body.get("data"), dict):
        return body
    data = {key: value for key, value in body["data"].items() if key != "stats"}
    if data.get("resultType") == "streams":
        data["result"] = sorted(data["result"], key=lambda one: json.dumps(one, sort_keys=True))
    return {**body, "data": data}


def content(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return response.text


@pytest.fixture(scope="module")
def corpus_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    app = create_app(tmp_path_factory.mktemp("recorded"), auth=True, clock=ManualClock(RECORDED_AT))
    yield app
    app.service.close()


@pytest.fixture
async def recorded(corpus_app: Any) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=corpus_app)
    async with httpx.AsyncClient(transport=transport, base_url="http://loki") as client:
        if "shop" not in corpus_app.service.store.tenants():
            body = (HERE / "corpus.json").read_bytes()
            headers = {"X-Scope-OrgID": "shop", "Content-Type": "application/json"}
            assert (await client.post("/loki/api/v1/push", content=body, headers=headers)).status_code == 204
        yield client


@pytest.mark.parametrize("recording", RECORDINGS, ids=[one["name"] for one in RECORDINGS])
async def test_a_request_is_answered_as_it_was_recorded(recorded: httpx.AsyncClient, recording: dict[str, Any]) -> None:
    if recording["name"] == "api/index-volume-range":
        # Loki had this out of its cache: it had been asked for the whole just before.
        params = {key: value for key, value in recording["params"].items() if key != "step"}
        await recorded.get("/loki/api/v1/index/volume", params=params, headers={"X-Scope-OrgID": "shop"})
    # Pushes go to a tenant of their own, so that the order of the tests does not count.
    own = "pushes" if recording["name"].startswith("push/") else "shop"
    headers = {"X-Scope-OrgID": recording.get("tenant", own)}
    if recording["name"] == "api/categorize":
        headers["X-Loki-Response-Encoding-Flags"] = recording.get("headers", {}).get(
            "X-Loki-Response-Encoding-Flags", ""
        )
    if recording.get("content_type"):
        headers["Content-Type"] = recording["content_type"]
    response = await recorded.request(
        recording.get("method", "GET"),
        recording["path"],
        params=recording.get("params"),
        content=recording.get("body"),
        headers=headers,
    )
    expected = recording["response"]
    assert response.status_code == expected["status"], response.text
    assert response.headers.get("content-type") == expected["content_type"]
    assert settled(content(response)) == settled(expected["body"])


# The rest of the API was recorded elsewhere, over data that is partly in the recordings themselves.

PROOF_AT = 1_795_220_442_367_642_975


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(PROOF_AT)


@pytest.fixture
async def proof(tmp_path: Path, clock: ManualClock) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(tmp_path / "proof", auth=False, clock=clock)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://loki") as client:
        client.app = app  # type: ignore[attr-defined]
        yield client
    app.service.close()


async def send(client: httpx.AsyncClient, recording: dict[str, Any]) -> httpx.Response:
    request = recording["request"]
    body = request["body"]
    return await client.request(
        request["method"],
        request["url"].removeprefix("http://127.0.0.1:3100"),
        content=json.dumps(body) if isinstance(body, dict) else body,
        headers=request["headers"],
    )


def agrees(response: httpx.Response, recording: dict[str, Any]) -> None:
    expected = recording["response"]
    assert response.status_code == expected["status"], response.text
    assert response.headers.get("content-type") == expected["headers"].get("Content-Type")
    assert settled(content(response) if response.content else "") == settled(expected["body"])
    if "Content-Length" in expected["headers"] and "json" not in expected["headers"].get("Content-Type", ""):
        assert len(response.content) == int(expected["headers"]["Content-Length"])


@pytest.mark.parametrize("name", ["drilldown_limits", "push_otlp_json"])
async def test_a_request_that_needs_no_data_is_answered_as_recorded(proof: httpx.AsyncClient, name: str) -> None:
    recording = api(name)
    agrees(await send(proof, recording), recording)


async def test_a_line_that_is_too_long_is_refused_as_recorded(proof: httpx.AsyncClient) -> None:
    recording = api("push_error_line_too_long")
    # The recording shows the line shortened; the answer says how long it was.
    recording["request"]["body"]["streams"][0]["values"][0][1] = "x" * 300_000
    agrees(await send(proof, recording), recording)


async def test_otlp_attributes_become_labels_and_structured_metadata(proof: httpx.AsyncClient) -> None:
    await send(proof, api("push_otlp_json"))
    response = await proof.get(
        "/loki/api/v1/query_range",
        params={"query": '{service_name="peerproof-otlp"}'},
        headers={"X-Loki-Response-Encoding-Flags": "categorize-labels"},
    )
    [stream] = response.json()["data"]["result"]
    assert stream["stream"] == {"service_name": "peerproof-otlp", "k8s_namespace_name": "shop"}
    assert stream["values"] == [
        [
            "1795220439367642975",
            "otlp line",
            {
                "structuredMetadata": {
                    "detected_level": "error",
                    "http_status_code": "502",
                    "scope_name": "proof",
                    "severity_number": "17",
                    "severity_text": "ERROR",
                    "span_id": "eee19b7ec3c1b174",
                    "trace_id": "5b8efff798038103d269b633813fc60c",
                }
            },
        ]
    ]


async def test_a_gzipped_push_is_taken(proof: httpx.AsyncClient) -> None:
    body = gzip.compress(json.dumps({"streams": [{"stream": {"a": "b"}, "values": [[str(PROOF_AT), "x"]]}]}).encode())
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    response = await proof.post("/loki/api/v1/push", content=body, headers=headers)
    assert response.status_code == api("push_json_gzip")["response"]["status"]
    assert "content-type" not in response.headers
    broken = await proof.post("/loki/api/v1/push", content=body[:20], headers=headers)
    assert (broken.status_code, broken.text) == (400, "unexpected EOF\n")


def pushed_lines(recordings: list[dict[str, Any]]) -> dict[str, Any]:
    """A push of the lines that categorised answers hold."""
    streams = []
    for recording in recordings:
        for stream in recording["response"]["body"]["data"]["result"]:
            values = [[ts, line, extra["structuredMetadata"]] for ts, line, extra in stream["values"]]
            streams.append({"stream": stream["stream"], "values": values})
    return {"streams": streams}


@pytest.mark.parametrize("name", ["query_range_streams_categorized", "query_range_logfmt_error_field"])
async def test_log_queries_over_recorded_lines_are_answered_as_recorded(proof: httpx.AsyncClient, name: str) -> None:
    await proof.post("/loki/api/v1/push", json=pushed_lines([api("query_range_streams_categorized")]))
    if name == "query_range_logfmt_error_field":
        # The recorded line carries no `pod`: it was dropped from the recording along with the parser's error.
        recording = api(name)
        [expected] = recording["response"]["body"]["data"]["result"]
        [stream] = (await send(proof, recording)).json()["data"]["result"]
        assert stream["values"] == expected["values"]
        assert stream["stream"].keys() >= {"id", "detected_level", "service_name"}
        return
    agrees(await send(proof, api(name)), api(name))


async def test_a_metric_query_over_a_line_its_parser_cannot_read_fails_as_recorded(proof: httpx.AsyncClient) -> None:
    labels = {"cluster": "c1", "env": "proof", "service_name": "peerproof-worker"}
    line = '{"user": {"id": 3, "level": "warn'
    await proof.post(
        "/loki/api/v1/push",
        json={"streams": [{"stream": labels, "values": [["1795220420000000000", line, {"detected_level": "warn"}]]}]},
    )
    response = await send(proof, api("query_range_matrix_pipeline_error"))
    expected = api("query_range_matrix_pipeline_error")["response"]
    assert (response.status_code, response.text) == (400, expected["body"])


async def test_volumes_by_label_are_named_by_the_label_alone(proof: httpx.AsyncClient) -> None:
    values = [[str(PROOF_AT - 5 * MINUTE), "a line"], [str(PROOF_AT - 4 * MINUTE), "another"]]
    streams = [{"stream": {"env": "proof", "service_name": name}, "values": values} for name in ("a", "b")]
    await proof.post("/loki/api/v1/push", json={"streams": streams})
    recording = api("index_volume_target_labels")
    response = await send(proof, recording)
    got, expected = response.json(), recording["response"]["body"]
    assert response.headers["content-type"] == recording["response"]["headers"]["Content-Type"]
    assert int(got["data"]["result"][0]["value"].pop()) > 0
    expected["data"]["result"][0]["value"].pop()
    assert settled(got) == expected


async def test_the_rules_api_answers_as_recorded_from_none_to_none(proof: httpx.AsyncClient) -> None:
    agrees(await send(proof, api("rules_list_none")), api("rules_list_none"))
    for name in (
        "rules_post",
        "rules_post_no_rules_accepted",
        "rules_post_error_bad_expr",
        "rules_list",
        "rules_list_namespace",
        "rules_get_group",
        "rules_get_group_missing",
        "rules_delete_group",
        "rules_delete_namespace",
        "rules_list_none",
    ):
        agrees(await send(proof, api(name)), api(name))


class Alertmanager:
    """Takes what is posted to it."""

    def __init__(self) -> None:
        self.posts: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.posts.append(request)
        return httpx.Response(200)


async def test_alerts_are_posted_shown_and_ended_as_recorded(proof: httpx.AsyncClient, clock: ManualClock) -> None:
    from incidentlens.localloki.alerting import AlertSender

    app = proof.app  # type: ignore[attr-defined]
    at = 1_795_220_460_583_430_656
    clock.set(at)
    streams = [
        {
            "stream": {"env": "proof", "service_name": f"peerproof-{name}"},
            "values": [[str(at - index * SECOND), f"error {index}"] for index in range(43)],
        }
        for name in ("checkout", "worker")
    ]
    assert (await proof.post("/loki/api/v1/push", json={"streams": streams})).status_code == 204
    await send(proof, api("rules_post"))
    received = Alertmanager()
    async with httpx.AsyncClient(transport=httpx.MockTransport(received)) as http:
        sender = AlertSender("http://am/", http)

        async def evaluate() -> list[dict[str, Any]]:
            received.posts.clear()
            for tenant, alerts in app.ruler.evaluate_due(clock.now()).items():
                assert await sender.send(tenant, alerts)
            return [alert for post in received.posts for alert in json.loads(post.content)]

        first = await evaluate()
        expected = api("ruler_alertmanager_v2_post")["request"]
        [post] = received.posts
        assert first == expected["body"]
        assert (post.method, post.url.path) == ("POST", expected["path"])
        for header in ("User-Agent", "Content-Type", "X-Scope-Orgid"):
            assert post.headers[header] == expected["headers"][header]

        alerts = (await proof.get("/prometheus/api/v1/alerts")).json()
        assert alerts == api("prometheus_alerts")["response"]["body"] | {"data": alerts["data"]}
        recorded_alerts = api("prometheus_alerts")["response"]["body"]["data"]["alerts"]
        assert [{**one, "activeAt": ""} for one in alerts["data"]["alerts"]] == [
            {**one, "activeAt": ""} for one in recorded_alerts
        ]
        rules = (await proof.get("/prometheus/api/v1/rules")).json()
        assert timeless(rules) == timeless(api("prometheus_rules")["response"]["body"])

        clock.advance(15 * SECOND)
        assert await evaluate() == [], "an active alert is told again only after a while"
        clock.advance(45 * SECOND)
        again = await evaluate()
        assert [one["startsAt"] for one in again] == [one["startsAt"] for one in first]
        assert all(one["endsAt"] > old["endsAt"] for one, old in zip(again, first, strict=True))

        clock.advance(20 * MINUTE)
        ended = await evaluate()
        assert [one["labels"] for one in ended] == [one["labels"] for one in first]
        assert all(one["endsAt"] == "2026-11-21T00:42:00.583Z" for one in ended)
        assert (await proof.get("/prometheus/api/v1/alerts")).json()["data"]["alerts"] == []


def timeless(value: Any) -> Any:
    if isinstance(value, dict):
        left = {key: timeless(inner) for key, inner in value.items()}
        return {key: left[key] for key in left if key not in ("activeAt", "lastEvaluation", "evaluationTime")}
    return [timeless(one) for one in value] if isinstance(value, list) else value


async def test_tail_gives_the_past_first_and_then_what_comes(tmp_path: Path) -> None:
    recording = api("tail_websocket")
    frames = recording["first_text_frames"][0]["streams"]
    async with LocalLoki(tmp_path, clock=ManualClock(PROOF_AT)) as loki, httpx.AsyncClient(base_url=loki.url) as http:
        for stream in frames:
            labels = {key: stream["stream"][key] for key in ("cluster", "env", "service_name")}
            extra = {key: stream["stream"][key] for key in ("detected_level", "pod", "trace_id")}
            values = [[*value, extra] for value in stream["values"]]
            await http.post("/loki/api/v1/push", json={"streams": [{"stream": labels, "values": values}]})
        url = recording["request"]["websocket"].replace("ws://127.0.0.1:3100", loki.url.replace("http", "ws"))
        async with websockets.connect(url) as socket:
            assert json.loads(await asyncio.wait_for(socket.recv(), 5)) == recording["first_text_frames"][0]
            new = {"stream": labels, "values": [[str(PROOF_AT), "level=warn new"]]}
            other = {"stream": {**labels, "service_name": "other"}, "values": [[str(PROOF_AT), "not wanted"]]}
            await http.post("/loki/api/v1/push", json={"streams": [other, new]})
            [stream] = json.loads(await asyncio.wait_for(socket.recv(), 5))["streams"]
            assert stream == {"stream": {**labels, "detected_level": "warn"}, "values": new["values"]}


async def test_what_grafana_asks_when_a_data_source_is_saved_is_answered(proof: httpx.AsyncClient) -> None:
    response = await proof.get("/loki/api/v1/query", params={"query": "vector(1)+vector(1)", "time": "4000000000"})
    assert response.json()["data"]["result"] == [{"metric": {}, "value": [4000000000, "2"]}]
    assert (await proof.get("/loki/api/v1/labels")).json() == {"status": "success"}
    assert (await proof.get("/ready")).text == "ready\n"


async def test_with_tenants_on_a_request_without_one_is_refused(recorded: httpx.AsyncClient) -> None:
    for path in ("labels", "query", "rules", "index/stats", "drilldown-limits", "tail"):
        response = await recorded.get(f"/loki/api/v1/{path}")
        assert (response.status_code, response.text) == (401, "no org id\n"), path
    pushed = await recorded.post("/loki/api/v1/push", json={"streams": []})
    assert (pushed.status_code, pushed.text) == (401, "no org id\n")
    for open_path in ("/ready", "/metrics", "/loki/api/v1/status/buildinfo"):
        assert (await recorded.get(open_path)).status_code == 200


@pytest.mark.parametrize(
    ("tenant", "status", "text"),
    [
        ("shop|other", 500, "multiple org IDs present"),
        ("a/b", 400, "tenant ID 'a/b' contains unsupported character '/'"),
        ("..", 400, "tenant ID is '.' or '..'"),
        ("x" * 151, 400, "tenant ID is too long: max 150 characters"),
    ],
)
async def test_a_tenant_that_cannot_be_is_refused(
    recorded: httpx.AsyncClient, tenant: str, status: int, text: str
) -> None:
    response = await recorded.get("/loki/api/v1/labels", headers={"X-Scope-OrgID": tenant})
    assert (response.status_code, response.text) == (status, text)


async def test_no_answer_of_one_tenant_shows_anything_of_another(recorded: httpx.AsyncClient) -> None:
    span = {"start": "2026-11-20T12:00:00Z", "end": "2026-11-20T12:20:00Z"}
    for path, params in (
        ("query_range", {"query": '{service=~".+"}'}),
        ("query_range", {"query": 'sum(count_over_time({service=~".+"}[5m]))'}),
        ("labels", {}),
        ("label/service/values", {}),
        ("series", {}),
        ("index/volume", {"query": "{}"}),
        ("index/stats", {"query": '{service=~".+"}'}),
        ("detected_labels", {}),
        ("detected_fields", {"query": '{service=~".+"}'}),
        ("patterns", {"query": '{service=~".+"}'}),
    ):
        mine = await recorded.get(
            f"/loki/api/v1/{path}", params={**span, **params}, headers={"X-Scope-OrgID": "stranger"}
        )
        assert mine.status_code == 200, mine.text
        for secret in ("payments", "auth", "prod", "172."):
            assert secret not in mine.text.replace('"stats"', ""), path
    await recorded.post("/loki/api/v1/rules/ns", content="name: g\nrules: []\n", headers={"X-Scope-OrgID": "shop"})
    theirs = await recorded.get("/loki/api/v1/rules", headers={"X-Scope-OrgID": "stranger"})
    assert theirs.status_code == 404


async def test_what_the_local_loki_does_not_do_it_refuses(proof: httpx.AsyncClient) -> None:
    for path in ("/loki/api/v1/delete", "/loki/api/admin/delete", "/nowhere"):
        response = await proof.post(path)
        assert (response.status_code, response.text) == (404, "404 page not found\n")
    assert (await proof.get("/loki/api/v1/push")).status_code == 405
