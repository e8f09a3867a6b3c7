"""Provisioning of a running Grafana: made once, changed in place, taken away whole; a user's own is left alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from fake_grafana_admin import FakeGrafanaAdmin
from incidentlens.provision import Conflict, Options, Routing, apply, remove
from incidentlens.provision.apply import grafana_version, has_own_policies

DASHBOARD = {"uid": "incidentlens-incident", "title": "Incident", "panels": [], "id": None}
OPTIONS = Options(
    public_url="https://il.example.com",
    token="t" * 20,
    escalate="https://discord.example.com/api/webhooks/1/x",
    dev="https://discord.example.com/api/webhooks/2/y",
    oncall="oncall@example.com",
    dashboards=(DASHBOARD,),
)
USERS = {"receiver": "users", "object_matchers": [["team", "=", "a"]]}


async def test_everything_is_made_once_and_the_second_time_nothing_changes() -> None:
    grafana = FakeGrafanaAdmin()
    client = grafana.client()
    first = await apply(client, OPTIONS)
    assert Counter(item.result for item in first) == {"made": len(first)}
    assert Counter(item.kind for item in first)["contact point"] == 3
    assert grafana.interval == 10
    grafana.written.clear()
    second = await apply(client, OPTIONS)
    assert {item.result for item in second} == {"unchanged"}
    # The data source's token cannot be read back, so it is sent again.
    assert grafana.written == [("PUT", "/api/datasources/uid/incidentlens")]


async def test_removing_leaves_nothing_of_ours_and_everything_of_the_users() -> None:
    grafana = FakeGrafanaAdmin()
    grafana.policies["routes"] = [USERS]
    grafana.things["contact-points"]["u"] = {"uid": "u", "name": "users", "type": "email", "settings": {}}
    before = grafana.policies
    client = grafana.client()
    await apply(client, OPTIONS)
    assert [route["receiver"] for route in grafana.policies["routes"]] == ["email-oncall", "users"]
    done = await remove(client, OPTIONS)
    assert {item.result for item in done} == {"removed"}
    assert grafana.policies == before
    assert list(grafana.things["contact-points"]) == ["u"]
    assert not grafana.rules
    assert not any(things for kind, things in grafana.things.items() if kind != "contact-points")
    assert await remove(client, OPTIONS) == []


async def test_a_changed_address_changes_only_what_has_it() -> None:
    grafana = FakeGrafanaAdmin()
    client = grafana.client()
    await apply(client, OPTIONS)
    done = await apply(client, replace(OPTIONS, public_url="https://other.example.com", oncall="b@example.com"))
    assert {item.name for item in done if item.result == "changed"} == {"Open incidents", "email-oncall"}


async def test_a_contact_point_of_somebody_elses_stops_it_before_anything_is_written() -> None:
    grafana = FakeGrafanaAdmin()
    grafana.things["contact-points"]["u"] = {"uid": "u", "name": "discord-dev", "type": "discord", "settings": {}}
    with pytest.raises(Conflict, match="give ours a --prefix"):
        await apply(grafana.client(), OPTIONS)
    assert grafana.written == []
    await apply(grafana.client(), replace(OPTIONS, prefix="il-"))
    assert grafana.things["contact-points"]["incidentlens-dev"]["name"] == "il-discord-dev"


async def test_where_rules_name_their_contact_points_the_policy_tree_stays_as_it_is() -> None:
    grafana = FakeGrafanaAdmin("12.4.2")
    grafana.policies["routes"] = [USERS]
    client = grafana.client()
    assert await grafana_version(client) == (12, 4)
    assert await has_own_policies(client)
    await apply(client, replace(OPTIONS, routing=Routing.RULE, version=(12, 4)))
    assert grafana.policies["routes"] == [USERS]
    receivers = {rule["notification_settings"]["receiver"]: rule for rule in grafana.rules.values()}
    assert set(receivers) == {"discord-escalate", "email-oncall", "discord-dev"}
    asked = receivers["discord-escalate"]["data"][0]["model"]
    assert asked["disposition"] == ["ESCALATE"]
    assert {rule["execErrState"] for rule in grafana.rules.values()} == {"KeepLast"}


async def test_changing_the_routing_takes_away_what_the_other_one_made() -> None:
    grafana = FakeGrafanaAdmin("12.4.2")
    client = grafana.client()
    await apply(client, replace(OPTIONS, version=(12, 4)))
    await apply(client, replace(OPTIONS, version=(12, 4), routing=Routing.RULE))
    assert not grafana.policies["routes"]
    assert "incidentlens-open" not in grafana.rules
    assert not grafana.things["mute-timings"]
    await apply(client, replace(OPTIONS, version=(12, 4)))
    assert list(grafana.rules) == ["incidentlens-open"]


async def test_a_data_source_from_files_is_not_fought_with() -> None:
    grafana = FakeGrafanaAdmin()
    there: dict[str, Any] = {"uid": "incidentlens", "type": "incidentlens-datasource", "readOnly": True}
    grafana.things["datasources"]["incidentlens"] = there
    with pytest.raises(Conflict, match="--no-data-source"):
        await apply(grafana.client(), OPTIONS)


async def test_observe_and_no_action_reach_nobody() -> None:
    grafana = FakeGrafanaAdmin()
    await apply(grafana.client(), OPTIONS)
    ours = grafana.policies["routes"][0]
    by_matcher = {route["object_matchers"][0][2]: route for route in ours["routes"]}
    assert {key: route["receiver"] for key, route in by_matcher.items() if "mute_time_intervals" not in route} == {
        "ESCALATE": "discord-escalate",
        "NEEDS_ONCALL": "email-oncall",
        "NEEDS_DEV": "discord-dev",
    }
    assert by_matcher["OBSERVE|NO_ACTION"]["mute_time_intervals"] == ["incidentlens-nobody"]
    assert grafana.things["mute-timings"]["incidentlens-nobody"]["time_intervals"] == [
        {"times": [{"start_time": "00:00", "end_time": "24:00"}]}
    ]
