"""The query types as JSON rows over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from api_app import BANK_EDITOR, SHOP_VIEWER, Api, load
from grafana_samples import EXAMPLES, HOSTILE, SINCE, UNTIL, fill
from incidentlens.model.clock import SECOND
from incidentlens.store.postgres import PostgresStore

FROM, TO = SINCE // 10**6, UNTIL // 10**6


@pytest.fixture
async def api(tmp_path: Path, postgres_store: PostgresStore) -> Api:
    await fill(postgres_store)
    return Api(load(tmp_path, tokens=True), postgres_store)


async def asked(api: Api, *queries: dict[str, Any], token: str | None = SHOP_VIEWER, **body: Any) -> httpx.Response:
    async with api.client(token) as client:
        return await client.post("/api/query", json={"queries": list(queries), "from": FROM, "to": TO, **body})


async def test_every_query_type_answers_rows_under_its_ref_id(api: Api) -> None:
    for name, body in EXAMPLES.items():
        response = await asked(api, {**body, "refId": name})
        assert response.status_code == 200, name
        (result,) = response.json()["results"].values()
        assert isinstance(result["rows"], list), name
        # Of a process that has not read Loki yet there is nothing to tell.
        assert result["rows"] or name == "nothing" or name.startswith("health_")


async def test_an_error_of_one_query_spoils_none_of_the_others(api: Api) -> None:
    response = await asked(
        api,
        {"refId": "A", "queryType": "incidents"},
        {"refId": "B", "queryType": "nonsense"},
        {"queryType": "kpis"},
        {"refId": "D", "queryType": "incidents", "limit": {"a": 1}},
    )
    results = response.json()["results"]
    assert len(results["A"]["rows"]) == 4
    assert results["B"]["status"] == 400
    assert results["B"]["error"].startswith("'nonsense' is no query type; there are incidents, ")
    assert results["C"]["rows"][0]["opened"] == 4
    assert results["D"]["error"].startswith("limit: ")


async def test_nobody_without_a_token_gets_anything_and_each_token_its_own_project(api: Api) -> None:
    assert (await asked(api, {"queryType": "kpis"}, token=None)).status_code == 401
    assert (await asked(api, {"queryType": "kpis"}, token="wrong")).status_code == 401
    bank = (await asked(api, {"queryType": "incidents"}, token=BANK_EDITOR)).json()["results"]["A"]["rows"]
    assert [row["title"] for row in bank] == ["a secret of the bank"]
    shop = await asked(api, {"queryType": "incidents", "project": "bank", "filters": {"project": ["bank"]}})
    assert "secret of the bank" not in shop.text
    async with api.client(SHOP_VIEWER) as client:
        response = await client.post("/api/query?project=bank", json={"queries": [{"queryType": "kpis"}]})
        assert response.status_code == 403


@pytest.mark.parametrize(
    ("since", "until"),
    [
        (FROM, TO),
        (str(FROM), str(TO)),
        (SINCE, UNTIL),
        ("2025-06-15T14:06:40Z", "2025-06-15T17:06:40Z"),
    ],
)
async def test_times_come_as_grafana_or_a_person_writes_them(api: Api, since: Any, until: Any) -> None:
    response = await asked(api, {"queryType": "incident_series"}, **{"from": since, "to": until})
    rows = response.json()["results"]["A"]["rows"]
    assert sum(row["value"] for row in rows) == 4
    assert rows[0]["time"].startswith("2025-06-15T14:0")


async def test_lengths_of_time_end_now(api: Api) -> None:
    api.clock.set(UNTIL)
    response = await asked(api, {"queryType": "incidents"}, **{"from": "now-3h", "to": "now"})
    assert len(response.json()["results"]["A"]["rows"]) == 4
    response = await asked(api, {"queryType": "incident_series"}, **{"from": "10m", "to": None})
    assert sum(row["value"] for row in response.json()["results"]["A"]["rows"]) == 0


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"queries": []}, 422),
        ({}, 422),
        ({"queries": [1]}, 422),
        ({"queries": [{"queryType": "kpis"}] * 21}, 422),
        ({"queries": [{"queryType": "kpis"}], "from": "whenever"}, 400),
        ({"queries": [{"queryType": "kpis"}], "from": "now-x"}, 400),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused_in_one_sentence(
    api: Api, body: dict[str, Any], status: int
) -> None:
    async with api.client(SHOP_VIEWER) as client:
        response = await client.post("/api/query", json=body)
    assert response.status_code == status
    assert isinstance(response.json()["error"], str)


async def test_bounds_and_hostile_text_are_told_and_harmless(api: Api) -> None:
    response = await asked(
        api, {"queryType": "incidents", "limit": 10**6, "text": HOSTILE}, {"queryType": "incidents", "limit": 10**6},
        **{"from": 1 * SECOND * 10**8, "to": TO},
    )  # fmt: skip
    results = response.json()["results"]
    assert "1,000,000 rows were asked for; at most 1,000 are given" in results["B"]["notices"]
    assert "the time asked for is longer than three years: its last three are shown" in results["B"]["notices"]
    assert HOSTILE.replace("\x00", "␀") in [row["title"] for row in results["B"]["rows"]]


async def test_rows_of_several_frames_name_their_frame(api: Api) -> None:
    response = await asked(api, {"queryType": "root_cause", "incidentId": "i1"})
    rows = response.json()["results"]["A"]["rows"]
    assert {row["frame"] for row in rows} == {"nodes", "edges"}
