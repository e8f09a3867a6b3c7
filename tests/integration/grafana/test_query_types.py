"""Every query type over a filled store: what it answers, whose rows, and what bounds cut off."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest

from builders import T0, make_action, make_decision, make_investigation
from grafana_samples import EXAMPLES, HOSTILE, SINCE, UNTIL, ask, context_of, fill, sample_frames
from incidentlens.grafana.frames import Frame, to_arrow, to_rows
from incidentlens.grafana.queries import QUERY_TYPES, QueryError, answer, read_query
from incidentlens.model.clock import DAY, MINUTE, SECOND
from incidentlens.model.terms import Disposition, Status
from incidentlens.store.postgres import PostgresStore
from incidents_in_store import POOL, put

GOLDEN = Path(__file__).parent / "golden"
FORBIDDEN = ("large_", "dictionary", "list", "struct", "date32", "decimal", "null", "view")


def decoded(data: bytes) -> dict[str, Any]:
    """An Arrow file as Grafana reads it."""
    table = pa.ipc.open_file(io.BytesIO(data)).read_all()
    metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    fields = []
    for column in table.schema:
        extra = {key.decode(): orjson.loads(value) for key, value in (column.metadata or {}).items()}
        values = table.column(column.name)
        if pa.types.is_timestamp(column.type):
            values = values.cast(pa.int64())
        found = [orjson.loads(value) if isinstance(value, bytes) else value for value in values.to_pylist()]
        fields.append(
            {"name": column.name, "type": str(column.type), "nullable": column.nullable, **extra, "values": found}
        )
    if "meta" in metadata:
        metadata["meta"] = orjson.loads(metadata["meta"])
    return {**metadata, "fields": fields}


@pytest.fixture
async def filled(postgres_store: PostgresStore) -> PostgresStore:
    await fill(postgres_store)
    return postgres_store


def by_name(frames: list[Frame]) -> dict[str, Frame]:
    return {frame.name: frame for frame in frames}


def notices(frames: list[Frame]) -> list[str]:
    return [note["text"] for frame in frames for note in frame.meta.get("notices", ())]


async def test_every_frame_is_as_its_golden_file_has_it(filled: PostgresStore) -> None:
    """INCIDENTLENS_UPDATE_GOLDEN=1 writes the files anew: look at what changed."""
    update = os.environ.get("INCIDENTLENS_UPDATE_GOLDEN") == "1"
    differing = []
    for name, frames in (await sample_frames(filled)).items():
        found = orjson.dumps([decoded(to_arrow(frame)) for frame in frames], option=orjson.OPT_INDENT_2) + b"\n"
        path = GOLDEN / f"{name}.json"
        if update:
            GOLDEN.mkdir(exist_ok=True)
            path.write_bytes(found)
        elif not path.exists() or path.read_bytes() != found:
            differing.append(name)
    assert not differing
    assert update or {path.stem for path in GOLDEN.iterdir()} == set(EXAMPLES)


async def test_every_query_type_has_an_example_and_only_plain_columns(filled: PostgresStore) -> None:
    assert {body["queryType"] for body in EXAMPLES.values()} == set(QUERY_TYPES)
    for name, frames in (await sample_frames(filled)).items():
        assert frames, name
        for frame in frames:
            for column in pa.ipc.open_file(io.BytesIO(to_arrow(frame))).schema:
                assert not any(word in str(column.type) for word in FORBIDDEN), (name, column)
            assert frame.ref_id == "A"


@pytest.mark.parametrize("name", EXAMPLES)
async def test_no_query_gives_another_projects_rows(filled: PostgresStore, name: str) -> None:
    of_bank = [row for frame in await ask(filled, EXAMPLES[name], "bank") for row in to_rows(frame)]
    of_shop = [row for frame in await ask(filled, EXAMPLES[name], "shop") for row in to_rows(frame)]
    assert "secret of the bank" not in str(of_shop)
    assert "vault" not in str(of_shop)
    assert not any(f"'{incident}'" in str(of_bank) for incident in ("i1", "i2", "i3", "i4"))
    if "incidentId" in EXAMPLES[name]:
        assert not of_bank
        assert not [
            row for frame in await ask(filled, {**EXAMPLES[name], "incidentId": "b1"}) for row in to_rows(frame)
        ]


async def test_the_alert_frame_is_labels_and_the_value_one_and_nothing_once_it_is_over(filled: PostgresStore) -> None:
    (frame,) = await ask(filled, {"queryType": "open_alerts"})
    names = [field.name for field in frame.fields]
    assert names == [
        "incident_id", "project", "service", "severity", "disposition", "title", "runbook", "summary", "value",
    ]  # fmt: skip
    assert not any(field.nullable for field in frame.fields)
    assert frame.meta["type"] == "numeric-long"
    assert set(frame.column("value")) == {1.0}
    assert set(frame.column("incident_id")) == {"i1", "i3"}
    assert set(frame.column("project")) == {"shop"}
    async with filled.transaction("shop") as tx:
        for incident in ("i1", "i3"):
            found = await tx.incident(incident)
            assert found is not None
            await tx.save_incident(found.model_copy(update={"status": Status.CLOSED, "ended_at": UNTIL}))
    (frame,) = await ask(filled, {"queryType": "open_alerts"})
    assert not frame.fields


async def test_an_alert_whose_incident_was_raised_stays_and_says_who_has_it_now(filled: PostgresStore) -> None:
    """Grafana would tell its people that it is over, were the row to go."""

    async def rise(number: int, disposition: Disposition) -> None:
        decision, at = f"d-risen-{number}", T0 + (5 + number) * MINUTE
        labels = {"incident_id": "i1", "project": "shop", "disposition": disposition.value, "title": "it grew"}
        async with filled.transaction("shop") as tx:
            found = await tx.incident("i1")
            assert found is not None
            await tx.save_incident(found.model_copy(update={"disposition": disposition}))
            await tx.add_decision(make_decision(decision, "i1", at=at, disposition=disposition))
            payload = {"labels": labels}
            await tx.add_action(make_action(decision, "i1", decision_id=decision, at=at, payload=payload))

    async def values(**asked: Any) -> dict[str, float]:
        (frame,) = await ask(filled, {"queryType": "open_alerts", **asked})
        if not frame.fields:
            return {}
        found = zip(frame.column("incident_id"), frame.column("disposition"), frame.column("value"), strict=True)
        return {disposition: value for incident, disposition, value in found if incident == "i1"}

    assert await values() == {"NEEDS_ONCALL": 1.0}
    await rise(1, Disposition.ESCALATE)
    assert await values() == {"ESCALATE": 1.0, "NEEDS_ONCALL": -1.0}
    assert await values(disposition=["NEEDS_ONCALL"]) == {"NEEDS_ONCALL": -1.0}
    async with filled.transaction("shop") as tx:
        found = await tx.incident("i1")
        assert found is not None
        await tx.save_incident(found.model_copy(update={"status": Status.RESOLVED, "ended_at": UNTIL}))
    assert await values() == {}


async def test_hostile_text_stays_text_and_is_escaped_where_grafana_reads_html(filled: PostgresStore) -> None:
    (incidents,) = await ask(filled, {"queryType": "incidents"})
    kept = HOSTILE.replace("\x00", "␀")
    assert kept in incidents.column("title")
    (regions,) = await ask(filled, {"queryType": "annotations"})
    texts = "".join([*regions.column("title"), *regions.column("text")])
    assert "<script>" not in texts
    assert "&lt;script&gt;" in texts
    assert "<br>" in texts
    for key in ("service", "signature", "runbook", "text", "incidentId", "status", "groupBy", "variable", "sort"):
        for query_type in QUERY_TYPES:
            body = {"queryType": query_type, "incidentId": "i1", key: HOSTILE}
            try:
                frames = await ask(filled, body)
            except QueryError:  # of a closed vocabulary
                continue
            assert all(to_arrow(frame) for frame in frames)


async def test_a_regions_text_has_no_secret(filled: PostgresStore) -> None:
    await put(filled, "i5", title="login failed password=hunter2secret for bob@example.org", root_cause=None)
    (regions,) = await ask(filled, {"queryType": "annotations"})
    assert "hunter2secret" not in str(regions.column("title"))
    assert "bob@example.org" not in str(regions.column("title"))


async def test_filters_hold_one_by_one_and_together(filled: PostgresStore) -> None:
    async def ids(**body: Any) -> set[str]:
        (frame,) = await ask(filled, {"queryType": "incidents", **body})
        return set(frame.column("id"))

    def adhoc(*entries: tuple[str, str, str]) -> list[dict[str, str]]:
        return [{"key": key, "operator": operator, "value": value} for key, operator, value in entries]

    assert await ids() == {"i1", "i2", "i3", "i4"}
    assert await ids(severity=["critical"]) == {"i2"}
    assert await ids(severity=["critical", "low"]) == {"i2", "i3"}
    assert await ids(status="OPEN") == {"i1", "i3"}
    assert await ids(service=["db"], disposition="OBSERVE") == {"i4"}
    assert await ids(service=["nobody"]) == set()
    assert await ids(outcome="resolved") == {"i2"}
    assert await ids(text="script alert") == {"i3"}
    assert await ids(runbook="db-pool-exhausted") == {"i1", "i2", "i3"}
    assert await ids(signature=POOL, incidentId=["i1", "b1"]) == {"i1"}
    assert await ids(adhocFilters=adhoc(("severity", "!=", "high"))) == {"i2", "i3"}
    assert await ids(adhocFilters=adhoc(("outcome", "!=", "resolved"))) == {"i1", "i3", "i4"}
    assert await ids(adhocFilters=adhoc(("service", "=~", "pay.*"), ("status", "=~", "open|resolved"))) == {
        "i1", "i2", "i3",
    }  # fmt: skip
    assert await ids(adhocFilters=adhoc(("service", "=", "db"), ("service", "=", "payment"))) == {
        "i1",
        "i2",
        "i3",
        "i4",
    }
    assert await ids(adhocFilters=adhoc(("service", "!~", "pay.*"))) == set()
    assert await ids(adhocFilters=adhoc(("service", "=~", "nothing.*"))) == set()
    assert await ids(adhocFilters=adhoc(("runbook", "!=", "db-pool-exhausted"))) == {"i4"}
    assert await ids(severity="high", adhocFilters=adhoc(("severity", "!=", "high"))) == set()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"queryType": "incidnets"}, "'incidnets' is no query type; there are incidents, "),
        ({}, "no query type is chosen"),
        ({"queryType": "incidents", "severity": "awful"}, "severity: 'awful' is not known; allowed: critical, "),
        ({"queryType": "incidents", "sort": "beauty"}, "sort: 'beauty' is not known"),
        ({"queryType": "incidents", "order": "sideways"}, "order: 'sideways' is not known"),
        ({"queryType": "incident_series", "groupBy": ["mood"]}, "groupBy: 'mood' is not known"),
        ({"queryType": "timeline", "format": "x"}, "format: 'x' is not known"),
        ({"queryType": "variable", "variable": "x"}, "variable: 'x' is not known"),
        (
            {"queryType": "incidents", "adhocFilters": [{"key": "service", "operator": "=~", "value": "("}]},
            "ad hoc filter on service: not a regular expression",
        ),
        ({"queryType": "incidents", "adhocFilters": [{"key": "x", "value": ""}]}, "ad hoc filter: 'x' is not known"),
        (
            {"queryType": "kpis", "adhocFilters": [{"key": "service", "operator": "<", "value": "1"}]},
            "ad hoc filter on service: '<' cannot be used",
        ),
    ],
)
async def test_what_cannot_be_asked_is_one_sentence_with_what_can(
    filled: PostgresStore, body: dict[str, Any], said: str
) -> None:
    with pytest.raises(QueryError) as caught:
        await ask(filled, body)
    assert caught.value.message.startswith(said)
    assert caught.value.source == "downstream"


async def test_series_count_every_incident_once_and_have_zeros_between(filled: PostgresStore) -> None:
    (total,) = await ask(filled, {"queryType": "incident_series"})
    assert total.meta["type"] == "timeseries-multi"
    assert sum(total.column("value")) == 4
    assert len(total) == 7
    for facet in ("service", "severity", "disposition", "status", "signature", "outcome", "runbook"):
        frames = await ask(filled, {"queryType": "incident_series", "groupBy": [facet]})
        assert sum(sum(frame.column("value")) for frame in frames) == 4, facet
        labels = [tuple(frame.fields[1].labels.items()) for frame in frames]
        assert len(set(labels)) == len(labels)
        assert all(frame.column("time") == total.column("time") for frame in frames)


async def test_tallied_series_agree_with_counted_ones(filled: PostgresStore) -> None:
    for facet in ([], ["severity"], ["disposition"], ["status"]):
        body = {"queryType": "incident_series", "groupBy": facet}
        hours = await ask(filled, body, interval_ms=3_600_000)
        counted = await ask(filled, {**body, "service": ["db", "payment"]}, interval_ms=3_600_000)
        assert [to_rows(frame) for frame in hours] == [to_rows(frame) for frame in counted]
        days = await ask(filled, body, interval_ms=86_400_000, since=SINCE - DAY)
        assert sum(sum(frame.column("value")) for frame in days) == 4


async def test_series_beyond_the_limit_are_told_of(filled: PostgresStore) -> None:
    frames = await ask(filled, {"queryType": "incident_series", "groupBy": ["severity", "status"], "limit": 1})
    assert len(frames) == 1
    assert "the 1 largest series are shown, 3 more are not" in notices(frames)


async def test_a_bound_that_cut_something_off_is_told_in_the_panel(filled: PostgresStore) -> None:
    frames = await ask(filled, {"queryType": "incidents", "limit": 2})
    assert "only 2 incidents are shown and there are more: narrow the filters or the time range" in notices(frames)
    frames = await ask(filled, {"queryType": "incidents", "limit": 10**6}, since=0)
    assert notices(frames) == [
        "the time asked for is longer than three years: its last three are shown",
        "1,000,000 rows were asked for; at most 1,000 are given",
    ]
    frames = await ask(filled, {"queryType": "incident_series"}, since=0, interval_ms=1)
    assert len(frames[0]) <= 501
    assert any(note.startswith("one point stands for") for note in notices(frames))


async def test_evidence_links_to_its_own_line_and_a_long_line_is_cut_and_told(filled: PostgresStore) -> None:
    from builders import make_evidence

    line = "ERROR " + "x" * 20_000
    stream = '{"app":"db"}'
    async with filled.transaction("shop") as tx:
        await tx.save_evidence(
            "i2", [make_evidence(9, text=line, data={"stream": stream, "level": "error", "signature": POOL})]
        )
    frames = await ask(filled, {"queryType": "evidence", "incidentId": "i2"})
    row = to_rows(frames[0])[-1]
    assert len(row["body"]) == 16_384
    assert row["severity"] == "error"
    assert row["labels"]["signature"] == POOL
    assert "%7Bapp%3D" in row["loki"]
    assert "3,622 characters of long lines are left out; the link to Loki shows them whole" in notices(frames)
    assert [field.name for field in frames[0].fields][:5] == ["timestamp", "body", "severity", "id", "labels"]


async def test_the_graph_leads_from_the_cause_to_what_followed(filled: PostgresStore) -> None:
    frames = by_name(await ask(filled, {"queryType": "root_cause", "incidentId": "i1"}))
    nodes, edges = to_rows(frames["nodes"]), to_rows(frames["edges"])
    ids = {node["id"] for node in nodes}
    assert all(edge["source"] in ids and edge["target"] in ids for edge in edges)
    assert all(
        sum(node[f"arc__{role}"] for role in ("cause", "link", "symptom", "other")) == pytest.approx(1)
        for node in nodes
    )
    led = next(edge for edge in edges if edge["source"] == "service:db" and edge["target"] == "service:payment")
    assert led["mainstat"] == "+4 s"
    assert led["detail__reason"] == "names db 12 times"
    empty = by_name(await ask(filled, {"queryType": "root_cause"}))
    assert set(empty) == {"nodes", "edges"}
    assert len(empty["nodes"]) == 0
    assert empty["nodes"].fields


async def test_key_figures_can_be_counted_by_hand(filled: PostgresStore) -> None:
    (frame,) = await ask(filled, {"queryType": "kpis"})
    (row,) = to_rows(frame)
    assert row["opened"] == 4
    assert row["open_now"] == 2
    assert row["mttd"] == (10 + 60 + 10 + 60) / 4
    assert row["mtta"] == 5 * 60  # i2: opened at 31 min, a person said something at 36 min
    assert row["mttr"] == 19 * 60  # i2: found at 31 min, over at 50 min
    assert row["runbook_hit_rate"] == 3 / 4
    assert row["resolution_rate"] == 1
    assert row["suppression_rate"] == 1 / 4
    assert row["suppression_precision"] == 0  # somebody was told of i4 before
    (frame,) = await ask(filled, {"queryType": "kpis"}, since=SINCE - 5 * DAY)
    (longer,) = to_rows(frame)
    assert longer == row
    (frame,) = await ask(filled, {"queryType": "kpis", "service": ["nobody"]})
    (nothing,) = to_rows(frame)
    assert nothing["opened"] == 0
    assert nothing["mttd"] is None
    assert nothing["runbook_hit_rate"] is None


async def test_the_cost_of_a_model_is_that_of_every_call_whatever_became_of_it(filled: PostgresStore) -> None:
    async with filled.transaction("shop") as tx:
        for number, (cost, state) in enumerate(((0.25, "done"), (0.5, "failed"))):
            asked = {"cost": cost, "state": state, "why": "why", "updated_at": SINCE + MINUTE}
            await tx.want_investigation(make_investigation(f"inv_a{number}", "i1", **asked))
    (frame,) = await ask(filled, {"queryType": "kpis"})
    assert to_rows(frame)[0]["model_cost"] == 0.75 + 0.0125  # that of `fill`


async def test_a_time_without_incidents_gives_none(filled: PostgresStore) -> None:
    early = {"since": SINCE - 50 * DAY, "until": SINCE - 49 * DAY}
    for query_type in ("incidents", "annotations", "actions", "timeline"):
        frames = await ask(filled, {"queryType": query_type}, **early)
        assert not any(len(frame) for frame in frames), query_type
    (frame,) = await ask(filled, {"queryType": "incident_series"}, **early)
    assert set(frame.column("value")) == {0.0}


async def test_variables_offer_names_and_what_they_stand_for(filled: PostgresStore) -> None:
    async def offered(variable: str, **body: Any) -> list[tuple[str, str]]:
        (frame,) = await ask(filled, {"queryType": "variable", "variable": variable, **body})
        return list(zip(frame.column("text"), frame.column("value"), strict=True))

    assert await offered("services") == [("db", "db"), ("payment", "payment")]
    assert await offered("services", text="PAY") == [("payment", "payment")]
    assert await offered("runbooks") == [("db-pool-exhausted", "db-pool-exhausted")]
    assert (POOL, POOL) in await offered("signatures")
    assert [value for _, value in await offered("severities")] == ["critical", "high", "medium", "low"]
    assert {value for _, value in await offered("incidents", status="resolved")} == {"i2"}
    assert ("service", "service") in await offered("keys")


async def test_a_query_of_a_store_that_is_away_says_so(filled: PostgresStore) -> None:
    from incidentlens.store.base import StoreError

    await filled.close()
    query = read_query({"queryType": "incidents"}, since=SINCE, until=UNTIL)
    with pytest.raises(StoreError, match="store is closed"):
        await answer(query, context_of(filled))


async def test_signatures_are_listed_by_what_is_asked_for(filled: PostgresStore) -> None:
    (frame,) = await ask(filled, {"queryType": "signatures", "service": ["db", "payment"], "level": "error"})
    assert POOL in frame.column("signature")
    assert all(len(spark) == 24 for spark in frame.column("spark"))
    (frame,) = await ask(filled, {"queryType": "signatures", "signature": POOL})
    assert frame.column("signature") == [POOL]
    (frame,) = await ask(filled, {"queryType": "signatures", "sort": "new"}, since=UNTIL - SECOND)
    assert len(frame) == 0
    frames = await ask(filled, {"queryType": "signatures", "format": "sparklines"})
    assert all(len(frame) == 24 and frame.fields[1].labels["signature"] for frame in frames)


async def test_a_state_holds_until_its_next_change_whatever_other_rows_do_meanwhile(filled: PostgresStore) -> None:
    (frame,) = await ask(filled, {"queryType": "timeline"})
    for name, end in (("i2", UNTIL - 70 * MINUTE), ("i1", UNTIL)):
        states = dict(zip(frame.column("time"), frame.column(name), strict=True))
        held = [at for at, state in states.items() if state is not None]
        assert max(held) < end
        assert all(state is None for at, state in states.items() if at >= end)
        assert all(state is not None for at, state in states.items() if held[0] <= at < end)
