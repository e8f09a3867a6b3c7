"""Against a real Grafana: INCIDENTLENS_LIVE_GRAFANA=http://127.0.0.1:3000 with INCIDENTLENS_LIVE_GRAFANA_TOKEN of an
administrator (none where anonymous visitors are administrators). All that is made has names of this run and is removed.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
import uvicorn

from builders import make_incident
from incidentlens.actions.markdown import tame
from incidentlens.config.grafana import GrafanaSettings
from incidentlens.config.loader import Loaded
from incidentlens.model.clock import MINUTE, SECOND, ManualClock
from incidentlens.model.terms import Disposition, Status
from incidentlens.provision import Options, apply, remove
from incidentlens.provision.apply import grafana_version
from incidentlens.provision.catcher import MAX_CONTENT, MAX_TITLE, Catcher
from incidentlens.provision.messages import NAME, templates
from incidentlens.provision.options import load_dashboards, own_dashboards
from incidentlens.provision.resources import DATA_SOURCE, DATA_SOURCE_TYPE
from incidentlens.publish.annotations import Annotator
from incidentlens.publish.grafana_http import GrafanaClient, GrafanaNotFound
from incidentlens.store.memory import MemoryStore

URL = os.environ.get("INCIDENTLENS_LIVE_GRAFANA", "")
TOKEN = os.environ.get("INCIDENTLENS_LIVE_GRAFANA_TOKEN", "")
T0 = 1_763_000_000 * SECOND

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not URL, reason="INCIDENTLENS_LIVE_GRAFANA names no Grafana to ask"),
]


@pytest.fixture
async def grafana() -> AsyncIterator[GrafanaClient]:
    client = GrafanaClient(URL, TOKEN)
    yield client
    await client.close()


@pytest.fixture
def project() -> str:
    return f"live-{secrets.token_hex(4)}"


async def test_a_region_lives_from_onset_to_resolution(grafana: GrafanaClient, project: str) -> None:
    uid = f"il-{project}"
    dashboard = {"uid": uid, "title": f"Live {project}", "panels": [], "schemaVersion": 36}
    await grafana.ask("POST", "/api/dashboards/db", {"dashboard": dashboard, "overwrite": True})
    store, clock = MemoryStore(), ManualClock(T0)
    settings = GrafanaSettings(URL, TOKEN, places=(uid, "no-such-dashboard", ""), public_url="http://il")
    loaded = cast(Loaded, SimpleNamespace(projects={project: SimpleNamespace(name=project, grafana=settings)}))
    annotator = Annotator(store, clock)

    async def put(**changes: Any) -> None:
        values = {"onset": T0, "opened_at": T0, "last_seen": T0, "updated_at": T0, **changes}
        async with store.transaction(project) as tx:
            await tx.save_incident(make_incident(project=project, **values))
        await annotator.run_once(loaded)

    async def regions() -> list[dict[str, Any]]:
        found = await grafana.get("/api/annotations", {"tags": ["incidentlens", f"project:{project}"], "limit": "10"})
        return sorted(found, key=lambda region: region["dashboardId"])

    try:
        await put(disposition=Disposition.ESCALATE)
        organisation, on_dashboard = await regions()
        assert organisation["dashboardId"] == 0 < on_dashboard["dashboardId"]
        assert "disposition:ESCALATE" in organisation["tags"]
        await put(disposition=Disposition.ESCALATE, last_seen=T0 + MINUTE)
        await put(
            disposition=Disposition.ESCALATE, last_seen=T0 + MINUTE, status=Status.RESOLVED, ended_at=T0 + 3 * MINUTE
        )
        ends = [region["timeEnd"] for region in await regions()]
        assert ends == [T0 // 10**6 + 180_000] * 2
        assert [region["id"] for region in await regions()] == [organisation["id"], on_dashboard["id"]]
        await put(status=Status.IGNORED, ended_at=T0 + 4 * MINUTE)
        assert await regions() == []
    finally:
        await annotator.close()
        await grafana.ask("DELETE", f"/api/dashboards/uid/{uid}")


async def test_provisioning_twice_changes_nothing_and_removing_leaves_nothing(grafana: GrafanaClient) -> None:
    try:
        await grafana.get("/api/datasources/uid/incidentlens")
        pytest.skip("this Grafana has IncidentLens already; it is left alone")
    except GrafanaNotFound:
        pass
    before = await grafana.get("/api/v1/provisioning/policies")
    options = Options(
        escalate="http://127.0.0.1:9/a", dev="http://127.0.0.1:9/b", oncall="a@example.com", token="x" * 20,
        dashboards=({"uid": "il-live", "title": "IL live", "panels": [], "schemaVersion": 36, "id": None},),
        version=await grafana_version(grafana),
    )  # fmt: skip
    try:
        assert {item.result for item in await apply(grafana, options) if item.kind != "folder"} == {"made"}
        assert {item.result for item in await apply(grafana, options)} == {"unchanged"}
    finally:
        done = await remove(grafana, options)
    assert {item.result for item in done} == {"removed"}
    after = await grafana.get("/api/v1/provisioning/policies")
    assert after.get("routes") == before.get("routes")
    assert after["receiver"] == before["receiver"]


async def test_hostile_labels_reach_discord_as_text_within_its_limits(grafana: GrafanaClient) -> None:
    """The templates as Grafana itself renders them, for labels as large and as bad as the actor lets them be."""
    hostile = "@everyone **bold** `code` [x](http://evil) # <@&1> ||spoiler|| ~~gone~~ ![i](http://evil/i.png) \\ _u_ "
    summary = "\n".join(tame(hostile * 3, 130) for _ in range(5))
    labels = {
        "alertname": "Open incidents", "incident_id": "inc_0123456789abcdef", "project": "a_b", "severity": "critical",
        "service": "db", "disposition": "ESCALATE", "title": tame(hostile * 2, 120), "runbook": "db_pool",
        "summary": summary, "source": "incidentlens",
    }  # fmt: skip
    template = f"/api/v1/provisioning/templates/{NAME}"
    try:
        before = await grafana.get(template)
    except GrafanaNotFound:
        before = None
    catcher = Catcher()
    server = uvicorn.Server(uvicorn.Config(catcher, port=0, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    await grafana.ask("PUT", template, {"template": templates(True)}, headers={"X-Disable-Provenance": "true"})
    try:
        settings = {
            "url": f"http://127.0.0.1:{port}/api/webhooks/live",
            "title": '{{ template "incidentlens.discord.title" . }}',
            "message": '{{ template "incidentlens.discord.message" . }}',
        }
        receiver = {"name": "live", "type": "discord", "settings": settings}
        body = {
            "alert": {"labels": labels, "annotations": {"incident_url": "https://il.example.com/incidents/inc_1"}},
            "receivers": [{"name": "live", "grafana_managed_receiver_configs": [receiver]}],
        }
        for _ in range(100):  # a changed template is in use only once Grafana has read its configuration again
            await grafana.ask("POST", "/api/alertmanager/grafana/config/api/v1/receivers/test", body)
            (message, *_) = reversed(catcher.messages)
            if "ESCALATE" in "".join(message.get("titles", ())):
                break
            await asyncio.sleep(1)
        assert message["kind"] == "discord", message
        (title,) = message["titles"]
        assert title == f"ESCALATE: {_escaped(labels['title'])}"
        assert _escaped(summary) in message["content"]
        assert len(message["content"]) <= MAX_CONTENT
        assert len(title) <= MAX_TITLE
        assert "[Incident](https://il.example.com/incidents/inc_1)" in message["content"]
        assert "@everyone" not in message["content"] + title
    finally:
        if before is None:
            await grafana.ask("DELETE", template)
        else:  # of somebody who has IncidentLens in this Grafana
            given = {"template": before["template"]}
            await grafana.ask("PUT", template, given, headers={"X-Disable-Provenance": "true"})
        server.should_exit = True
        await serving


BOARDS = {board["uid"]: board for board in load_dashboards(own_dashboards())}


async def _uid(grafana: GrafanaClient, kind: str, wanted: str) -> str:
    """Of the data source that the dashboards ask, or of any of its type; skips where there is none."""
    found = [each for each in await grafana.get("/api/datasources") if each["type"] == kind]
    if not found:
        pytest.skip(f"this Grafana has no data source of type {kind}; run `incidentlens provision --grafana {URL}`")
    return next((each["uid"] for each in found if each["uid"] == wanted), found[0]["uid"])


def _filled(value: Any, chosen: dict[str, str]) -> Any:
    """A query as the front end sends it, its variables filled in."""
    if isinstance(value, str):
        for name, text in chosen.items():
            value = value.replace(name, text)
        return value
    if isinstance(value, list):
        return [_filled(one, chosen) for one in value]
    return {key: _filled(one, chosen) for key, one in value.items()} if isinstance(value, dict) else value


async def _asked(grafana: GrafanaClient, target: dict[str, Any], chosen: dict[str, str]) -> dict[str, Any]:
    """The result of one query by way of Grafana's own API; GrafanaError where it is an error."""
    asked = {**_filled(target, chosen), "intervalMs": 60_000, "maxDataPoints": 500}
    answer = await grafana.ask("POST", "/api/ds/query", {"queries": [asked], "from": "now-6h", "to": "now"})
    return cast(dict[str, Any], answer["results"][target["refId"]])


@pytest.mark.parametrize("uid", BOARDS)
async def test_every_query_of_every_dashboard_is_answered_through_grafana(grafana: GrafanaClient, uid: str) -> None:
    of_loki = uid == "incidentlens-overview-loki"
    source = await _uid(grafana, *(("loki", "loki") if of_loki else (DATA_SOURCE_TYPE, DATA_SOURCE)))
    chosen = {
        "${datasource}": source, "${loki}": source, "$project": ".+", "$__range": "6h", "$__interval": "1m",
        "$service": "$__all", "$severity": "$__all", "$level": "$__all", "$runbook": "$__all", "$incident": "none",
    }  # fmt: skip
    if not of_loki:
        names = {"refId": "A", "datasource": {"type": DATA_SOURCE_TYPE, "uid": source}, "queryType": "variable"}
        offered = await _asked(grafana, {**names, "variable": "incident"}, chosen)
        incidents = offered["frames"][0]["data"]["values"]
        chosen["$incident"] = incidents[1][0] if incidents and incidents[1] else "none"
    board = BOARDS[uid]
    # What a panel takes over from another is the front end's to fetch.
    asked = [target for panel in board["panels"] for target in panel.get("targets", ()) if "panelId" not in target]
    asked += [each["target"] for each in board["annotations"]["list"]]
    assert asked
    for target in asked:
        result = await _asked(grafana, {key: value for key, value in target.items() if key != "live"}, chosen)
        assert "error" not in result, (target, result["error"])
        assert of_loki or result["frames"], target


async def test_the_dashboards_are_read_and_kept_as_they_are(grafana: GrafanaClient) -> None:
    """Made under uids of this run, so that those that are there stay as they are."""
    for number, board in enumerate(BOARDS.values()):
        uid = f"il-live-{secrets.token_hex(4)}-{number}"
        try:
            body = {"dashboard": {**board, "uid": uid, "title": f"{board['title']} {uid}"}, "overwrite": False}
            await grafana.ask("POST", "/api/dashboards/db", body)
            kept = await grafana.get(f"/api/dashboards/uid/{uid}")
            assert [panel["type"] for panel in kept["dashboard"]["panels"]] == [p["type"] for p in board["panels"]]
        finally:
            await grafana.ask("DELETE", f"/api/dashboards/uid/{uid}")


def _escaped(text: str) -> str:
    """What the template does: the characters of Markdown, nothing else."""
    for char in "\\`*_[]<>#|~!":
        text = text.replace(char, "\\" + char)
    return text
