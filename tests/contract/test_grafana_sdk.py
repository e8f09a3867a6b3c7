"""The data source as Grafana meets it: started and asked through go-plugin, its frames decoded by Grafana's own SDK.

`grafana-sdk/` is the program that asks; it needs Go, and its modules once.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from api_app import BANK_EDITOR, CONFIG, NOW, SHOP_VIEWER, load
from grafana_asking import UID, Plugin, context, query
from incidentlens.grafana import frames as builder
from incidentlens.grafana.data import bare
from incidentlens.grafana.pb import pluginv2_pb2 as v2
from incidentlens.grafana.queries import QUERY_TYPES, QueryContext, answer, read_query
from incidentlens.store.postgres import PostgresStore
from incidents_in_store import put

HERE = Path(__file__).parent
LAUNCHER = HERE.parents[1] / "plugin/launcher/gpx_incidentlens"


@pytest.fixture(scope="module")
def asker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program that asks, built; Go keeps what it built before."""
    if shutil.which("go") is None:
        pytest.skip("Go is not here; it builds the program that asks through Grafana's SDK")
    fetched = subprocess.run(["go", "mod", "download"], cwd=HERE / "grafana-sdk", capture_output=True, text=True)
    if fetched.returncode != 0:
        pytest.skip(f"Go cannot fetch Grafana's SDK: {fetched.stderr.strip()[-300:]}")
    program = tmp_path_factory.mktemp("asker") / "asker"
    subprocess.run(["go", "build", "-o", str(program), "."], cwd=HERE / "grafana-sdk", check=True)
    return program


class Host:
    """The program, running: one question at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        read = await asyncio.wait_for(self._process.stdout.readline(), 30)
        return orjson.loads(read)

    async def ask(self, op: str, asked: Message | None = None, **more: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        request = {} if asked is None else {"request": MessageToDict(asked)}
        self._process.stdin.write(orjson.dumps({"op": op, **request, **more}) + b"\n")
        return await self.line()

    async def query(self, *queries: v2.DataQuery, of: v2.PluginContext | None = None) -> dict[str, Any]:
        asked = v2.QueryDataRequest(pluginContext=context() if of is None else of, queries=queries)
        return await self.ask("query", asked)

    async def end(self) -> dict[str, Any]:
        """Stop the plugin as Grafana does."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return await self.line()


@asynccontextmanager
async def hosted(asker: Path, folder: Path, **environment: str) -> AsyncIterator[Host]:
    """Grafana, with the plugin in `folder`."""
    launcher = folder / "gpx_incidentlens_linux_amd64"
    shutil.copy(LAUNCHER, launcher)
    launcher.chmod(0o755)
    process = await asyncio.create_subprocess_exec(
        str(asker), str(launcher), *(f"{name}={value}" for name, value in environment.items()),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=64 << 20,
    )  # fmt: skip
    try:
        host = Host(process)
        begun = await host.line()
        assert "error" not in begun, begun
        yield host
    finally:
        with contextlib.suppress(ProcessLookupError):
            if process.returncode is None:
                assert process.stdin is not None
                process.stdin.close()
                await asyncio.wait_for(process.wait(), 10)


@pytest.fixture
async def plugin(tmp_path: Path, postgres_store: PostgresStore) -> AsyncIterator[Plugin]:
    async with Plugin(load(tmp_path, tokens=True), postgres_store).running() as running:
        await put(postgres_store)
        yield running


@pytest.fixture
async def host(asker: Path, plugin: Plugin, tmp_path: Path) -> AsyncIterator[Host]:
    async with hosted(asker, tmp_path, GF_PLUGIN_ADDRESS=f"127.0.0.1:{plugin.port}") as started:
        yield started


async def test_our_protocol_is_grafanas(host: Host) -> None:
    """Every name, number and type of ours is in Grafana's own description of its protocol."""
    theirs = (await host.ask("protocol"))["message"]
    ours: dict[str, str] = {}
    kinds = {3: "int64", 5: "int32", 8: "bool", 9: "string", 12: "bytes"}

    def message(of: Any) -> None:
        for field in of.fields:
            kind = field.message_type or field.enum_type
            named = kind.full_name if kind else kinds[field.type]
            ours[field.full_name] = f"{field.number} {named} {'repeated' if field.is_repeated else 'optional'}"
        for nested in of.nested_types:
            message(nested)
        for one in of.enum_types:
            ours.update({f"{one.full_name}.{value.name}": str(value.number) for value in one.values})

    file = v2.DESCRIPTOR
    for each in file.message_types_by_name.values():
        message(each)
    for enum in file.enum_types_by_name.values():
        ours.update({f"{enum.full_name}.{value.name}": str(value.number) for value in enum.values})
    for service in file.services_by_name.values():
        for method in service.methods:
            streams = ("true" if method.client_streaming else "false", "true" if method.server_streaming else "false")
            ours[method.full_name] = (
                f"{method.input_type.full_name} {streams[0]} {method.output_type.full_name} {streams[1]}"
            )
    assert len(ours) > 80
    assert {name: theirs.get(name) for name in ours} == ours


async def test_health_and_metrics(host: Host) -> None:
    assert "error" not in await host.ask("ping")
    said = (await host.ask("health", v2.CheckHealthRequest(pluginContext=context())))["message"]
    assert said["status"] == "OK"
    assert said["message"].startswith("Project shop: 1 open incident.")
    assert "Project shop" in orjson.loads(base64.b64decode(said["jsonDetails"]))["message"]
    said = (await host.ask("health", v2.CheckHealthRequest(pluginContext=context("wrong-token-of-nobody"))))["message"]
    assert said["status"] == "ERROR"
    asked = v2.CollectMetricsRequest(pluginContext=v2.PluginContext(pluginId="incidentlens-datasource"))
    metrics = base64.b64decode((await host.ask("metrics", asked))["message"]["metrics"]["prometheus"])
    assert b"incidentlens_grafana_calls_total" in metrics


# Beside each query type as it is: what changes the shape of its answer.
SHAPES: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in QUERY_TYPES),
    *((name, {"incidentId": "i1"}) for name in QUERY_TYPES),
    *((name, {"incidentId": "nobody"}) for name in QUERY_TYPES),
    *(("incident_series", {"groupBy": by}) for by in ("service", "severity", "disposition", "status")),
    *(("incident_series", {"groupBy": by}) for by in ("signature", "outcome")),
    *(("signatures", {"sort": sort}) for sort in ("top", "new", "growing")),
    *((name, {"limit": 1}) for name in QUERY_TYPES),
    *((name, {"severity": "low", "service": "nothing-at-all"}) for name in QUERY_TYPES),
    *(("variable", {"variable": of}) for of in ("services", "incidents", "signatures", "severity", "status")),
]  # fmt: skip


async def test_grafanas_sdk_decodes_every_frame_to_what_we_meant(host: Host, plugin: Plugin) -> None:
    answered: set[str] = set()
    for number, (query_type, body) in enumerate(SHAPES):
        asked = query(query_type, f"Q{number}", **body)
        given = await host.query(asked)
        assert "error" not in given, (query_type, body, given)
        response = given["message"]["responses"][asked.refId]
        if response["status"] != 200:
            assert (response["status"], response["errorSource"]) in ((400, "downstream"), (404, "downstream"))
            assert response["error"]
            continue
        decoded = given["frames"][asked.refId]
        assert decoded, (query_type, body)
        meant = await answer(
            read_query(
                {"refId": asked.refId, **body}, since=asked.timeRange.fromEpochMS * 10**6,
                until=asked.timeRange.toEpochMS * 10**6, query_type=query_type, interval_ms=asked.intervalMS,
                max_data_points=asked.maxDataPoints,
            ),
            QueryContext(
                "shop", plugin.store.queries, NOW, source_uid=UID, loki_queries=("all",),
                reading=plugin.sidecar.runners["shop"].health,
            ),
        )  # fmt: skip
        assert len(decoded) == len(meant)
        for theirs, ours in zip(decoded, meant, strict=True):
            decoded_frame, meant_frame = _plain(theirs), _plain(builder.to_json(bare(ours)))
            for part in meant_frame:
                assert decoded_frame[part] == meant_frame[part], (query_type, body, part)
        answered.add(query_type)
    assert answered == set(QUERY_TYPES)


def _plain(frame: dict[str, Any]) -> dict[str, Any]:
    """The frame's parts, without what Grafana's SDK leaves out."""
    schema = frame["schema"]
    meta = {key: value for key, value in schema.get("meta", {}).items() if value != [0, 0]}
    return {
        "name": schema.get("name", ""),
        "refId": schema.get("refId", ""),
        "meta": _filled(meta),
        "fields": [_filled(field) for field in schema["fields"]],
        "values": frame["data"]["values"],
        "nanos": frame["data"].get("nanos") or [None for _ in schema["fields"]],
    }


def _filled(value: Any) -> Any:
    """Without anything empty or zero, however deep."""
    if isinstance(value, dict):
        return {key: kept for key, each in value.items() if (kept := _filled(each)) not in ({}, [], "", None, False)}
    if isinstance(value, list):
        return [_filled(each) for each in value]
    return value


async def test_an_error_of_one_query_reaches_its_panel_and_no_other(host: Host) -> None:
    given = await host.query(query("incidents", "A"), query("nonsense", "B"))
    responses = given["message"]["responses"]
    assert (responses["A"]["status"], len(given["frames"]["A"])) == (200, 1)
    assert (responses["B"]["status"], responses["B"]["errorSource"]) == (400, "downstream")
    assert "is no query type" in responses["B"]["error"]
    refused = (await host.query(query("incidents"), of=context(None)))["message"]["responses"]["A"]
    assert (refused["status"], "token" in refused["error"]) == (401, True)
    other = await host.query(query("incidents"), of=context(BANK_EDITOR))
    assert not any(other["frames"]["A"][0]["data"]["values"])


async def test_open_alerts_are_one_row_an_alert_with_its_labels_as_columns(host: Host) -> None:
    frame = (await host.query(query("open_alerts"), of=context(role=None)))["frames"]["A"][0]
    assert frame["schema"]["meta"]["type"] == "numeric-long"
    assert frame["schema"]["meta"]["typeVersion"] == [0, 1]
    kinds = [field["type"] for field in frame["schema"]["fields"]]
    assert sorted(set(kinds)) == ["number", "string"]
    assert kinds.count("number") == 1


async def test_resource_calls_read_and_change(host: Host) -> None:
    asked = v2.CallResourceRequest(pluginContext=context(), path="incidents", method="GET", url="incidents?limit=5")
    said = (await host.ask("resource", asked))["message"]
    assert said["code"] == 200
    assert [one["id"] for one in orjson.loads(base64.b64decode(said["body"]))["items"]] == ["i1"]
    close = v2.CallResourceRequest(
        pluginContext=context(SHOP_VIEWER), path="incidents/i1/close", method="POST", url="incidents/i1/close",
        headers={"Content-Type": v2.StringList(values=["application/json"])}, body=b'{"text": "fixed"}',
    )  # fmt: skip
    assert (await host.ask("resource", close))["message"]["code"] == 403
    close.pluginContext.CopyFrom(context())
    said = (await host.ask("resource", close))["message"]
    assert (said["code"], orjson.loads(base64.b64decode(said["body"]))["status"]) == (200, "closed")


async def test_the_stream_pushes_frames_that_grafana_reads(host: Host, plugin: Plugin) -> None:
    asked = v2.SubscribeStreamRequest(pluginContext=context(), path="incidents")
    assert (await host.ask("subscribe", asked))["message"]["status"] == "OK"

    async def change() -> None:
        await asyncio.sleep(1.5)
        await put(plugin.store, "i2")

    changing = asyncio.create_task(change())
    asked_run = v2.RunStreamRequest(pluginContext=context(), path="incidents")
    given = await host.ask("run", asked_run, packets=2, timeout_ms=15_000)
    await changing
    assert "error" not in given, given
    names = [field["name"] for field in given["packets"][-1]["schema"]["fields"]]
    assert given["packets"][-1]["data"]["values"][names.index("id")] == ["i2"]
    assert given["packets"][0]["data"]["values"][names.index("id")] == []
    refused = v2.RunStreamRequest(pluginContext=context(None), path="incidents")
    assert (await host.ask("run", refused, packets=1))["code"] == "Unauthenticated"


async def test_a_grafana_that_stops_leaves_the_sidecar_alive(asker: Path, plugin: Plugin, tmp_path: Path) -> None:
    for _ in range(2):
        async with hosted(asker, tmp_path, GF_PLUGIN_ADDRESS=f"127.0.0.1:{plugin.port}") as host:
            assert (await host.ask("ping"))["exited"] is False
            ended = await host.end()
            assert ended["exited"] is True
            assert ended["took_ms"] < 6_000
    assert (await plugin.health(context())).status == v2.CheckHealthResponse.OK


async def test_a_sidecar_that_is_started_again_is_found_again(
    asker: Path, tmp_path: Path, postgres_store: PostgresStore
) -> None:
    """Also one that comes up only after Grafana."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    asked = v2.CheckHealthRequest(pluginContext=context())
    async with hosted(asker, tmp_path, GF_PLUGIN_ADDRESS=f"127.0.0.1:{port}") as host:
        assert (await host.ask("health", asked, timeout_ms=2_000))["code"] in ("Unavailable", "DeadlineExceeded")
        for _ in range(2):
            one = Plugin(load(tmp_path, tokens=True), postgres_store)
            await one.server.start(f"127.0.0.1:{port}")
            async with asyncio.timeout(15):
                while "error" in (given := await host.ask("health", asked, timeout_ms=2_000)):
                    await asyncio.sleep(0.2)
            assert given["message"]["status"] == "OK"
            assert given["exited"] is False
            await one.server.stop()


async def test_in_exec_mode_grafana_starts_and_stops_the_backend_itself(
    asker: Path, tmp_path: Path, postgres_store: PostgresStore, database_url: str
) -> None:
    await put(postgres_store)
    config = tmp_path / "incidentlens.yaml"
    text = CONFIG.format(tokens="true", shop_tenant="t-shop", bank_tenant="t-bank")
    config.write_text(text.replace("postgresql://nowhere/none", database_url))
    program = Path(sys.executable).parent / "incidentlens"
    async with hosted(asker, tmp_path, GF_PLUGIN_EXEC=str(program), GF_PLUGIN_CONFIG=str(config)) as host:
        said = (await host.ask("health", v2.CheckHealthRequest(pluginContext=context())))["message"]
        assert said["message"] == "Project shop: 1 open incident."
        assert (await host.query(query("incidents")))["frames"]["A"][0]["data"]["values"]
        ended = await host.end()
    assert ended["exited"] is True
    assert ended["took_ms"] < 3_000
