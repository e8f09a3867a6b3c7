"""QueryData: every refId gets its own answer or its own error."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import pyarrow as pa
import pytest

from api_app import BANK_EDITOR
from grafana_asking import Plugin, context, query
from incidentlens.grafana import data
from incidentlens.grafana.frames import Field, FieldType, Frame
from incidentlens.grafana.pb import pluginv2_pb2 as v2
from incidentlens.grafana.queries import QUERY_TYPES
from incidents_in_store import put


def rows(response: v2.DataResponse) -> list[dict[str, Any]]:
    table = pa.ipc.open_file(io.BytesIO(response.frames[0])).read_all()
    return table.to_pylist()


async def test_one_query_that_cannot_be_answered_spoils_no_other(plugin: Plugin) -> None:
    await put(plugin.store)
    broken = query("incidents", "C")
    broken.json = b"{"
    listed = query("incidents", "D")
    listed.json = b"[1]"
    answers = (
        await plugin.query(context(), query("incidents", "A"), query("nonsense", "B"), broken, listed, query("", "E"))
    ).responses
    assert [(ref, answers[ref].status, answers[ref].errorSource) for ref in sorted(answers)] == [
        ("A", 200, ""),
        ("B", 400, "downstream"),
        ("C", 400, "downstream"),
        ("D", 400, "downstream"),
        ("E", 400, "downstream"),
    ]
    assert len(rows(answers["A"])) == 1
    assert "'nonsense' is no query type; there are incidents" in answers["B"].error
    assert "no JSON" in answers["C"].error


@pytest.mark.parametrize("query_type", QUERY_TYPES)
async def test_without_a_known_token_no_query_type_tells_anything(plugin: Plugin, query_type: str) -> None:
    await put(plugin.store)
    for token, status in ((None, 401), ("wrong-token-of-nobody", 401)):
        answers = (await plugin.query(context(token), query(query_type, incidentId="i1"))).responses
        assert (answers["A"].status, list(answers["A"].frames)) == (status, [])
        assert "token" in answers["A"].error


@pytest.mark.parametrize("query_type", QUERY_TYPES)
async def test_no_query_type_shows_another_projects_incidents(plugin: Plugin, query_type: str) -> None:
    await put(plugin.store)
    body = {"incidentId": "i1", "project": "shop", "variable": "incidents"}
    answers = (await plugin.query(context(BANK_EDITOR), query(query_type, **body))).responses
    assert answers["A"].status in (200, 400, 404)
    assert b"pool" not in b"".join(answers["A"].frames) + answers["A"].error.encode()
    refused = (await plugin.query(context(BANK_EDITOR, project="shop"), query(query_type, **body))).responses["A"]
    assert (refused.status, list(refused.frames)) == (403, [])


async def test_queries_of_alert_rules_come_without_a_person(plugin: Plugin) -> None:
    await put(plugin.store)
    assert (await plugin.query(context(role=None), query("open_alerts"))).responses["A"].status == 200


async def test_frames_are_arrow_files_also_where_json_was_wished_for(plugin: Plugin) -> None:
    await put(plugin.store)
    asked = v2.QueryDataRequest(pluginContext=context(), queries=[query("incidents")], format=v2.JSON)
    response = (await plugin.ask("/pluginv2.Data/QueryData", asked)).responses["A"]
    assert response.format == v2.ARROW
    assert rows(response)


async def test_more_queries_than_a_request_may_have_are_refused_one_by_one(
    plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "MAX_QUERIES", 3)
    answers = (await plugin.query(context(), *(query("kpis", f"Q{n}") for n in range(5)))).responses
    assert [answers[f"Q{n}"].status for n in range(5)] == [200, 200, 200, 400, 400]


async def test_a_query_too_large_and_an_answer_too_large_are_refused(
    plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(plugin.store)
    large = query("incidents", text="x" * data.MAX_QUERY)
    assert (await plugin.query(context(), large)).responses["A"].status == 413
    monkeypatch.setattr(data, "MAX_ANSWER", 10)
    assert (await plugin.query(context(), query("incidents"))).responses["A"].status == 413


async def test_a_defect_in_one_query_type_is_ours_and_keeps_its_details_to_the_log(
    plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(panel: Any, _context: Any) -> list[Frame]:
        if panel.ref_id == "B":
            raise RuntimeError("secret inside")
        return [Frame("fine", [Field("n", FieldType.INT, [1])])]

    monkeypatch.setattr(data, "answer", broken)
    answers = (await plugin.query(context(), query("x", "A"), query("x", "B"))).responses
    assert rows(answers["A"]) == [{"n": 1}]
    assert (answers["B"].status, answers["B"].errorSource) == (500, "plugin")
    assert "secret" not in answers["B"].error


async def test_a_query_that_takes_too_long_is_given_up(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    async def slow(*_: Any) -> list[Frame]:
        await asyncio.sleep(60)
        return []

    monkeypatch.setattr(data, "answer", slow)
    monkeypatch.setattr(data, "TIMEOUT_S", 0.05)
    response = (await plugin.query(context(), query("x"))).responses["A"]
    assert (response.status, response.errorSource) == (504, "downstream")


async def test_a_store_that_is_away_is_told_as_such(plugin: Plugin) -> None:
    await plugin.store.close()
    response = (await plugin.query(context(), query("incidents"))).responses["A"]
    assert (response.status, response.errorSource) == (503, "downstream")


async def test_an_answer_without_frames_says_no_data(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: Any) -> list[Frame]:
        return []

    monkeypatch.setattr(data, "answer", nothing)
    response = (await plugin.query(context(), query("x"))).responses["A"]
    assert len(response.frames) == 1
    assert rows(response) == []


@pytest.mark.parametrize(("since", "until"), [(0, 2**63 - 1), (-(2**63), 2**63 - 1), (5, 1), (0, 0)])
async def test_any_time_range_gets_an_answer_or_an_error(plugin: Plugin, since: int, until: int) -> None:
    await put(plugin.store)
    for query_type in QUERY_TYPES:
        asked = query(query_type)
        asked.timeRange.CopyFrom(v2.TimeRange(fromEpochMS=since, toEpochMS=until))
        response = (await plugin.query(context(), asked)).responses["A"]
        assert response.status in (200, 400), (query_type, response.error)


async def test_a_grafana_that_hangs_up_ends_what_it_asked_for(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def slow(*_: Any) -> list[Frame]:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return []

    monkeypatch.setattr(data, "answer", slow)
    asking = asyncio.create_task(plugin.query(context(), query("x")))
    await asyncio.wait_for(begun.wait(), 5)
    asking.cancel()
    await asyncio.wait_for(ended.wait(), 5)
