"""The dashboards that come with IncidentLens: generated, valid for the data source, and showing what they name."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from grafana_samples import ask, fill
from incidentlens import logql
from incidentlens.grafana.frames import Frame
from incidentlens.grafana.queries import QUERY_TYPES
from incidentlens.grafana.queries import look as data_look
from incidentlens.grafana.queries.instead import sentences
from incidentlens.provision.options import load_dashboards, own_dashboards
from incidentlens.provision.resources import DATA_SOURCE, DATA_SOURCE_TYPE, INCIDENT_DASHBOARD
from incidentlens.store.postgres import PostgresStore

ROOT = Path(__file__).parents[3]
JSON = ROOT / "dashboards/json"
BOARDS: dict[str, dict[str, Any]] = {path.stem: orjson.loads(path.read_bytes()) for path in sorted(JSON.glob("*.json"))}
PLUGIN = [name for name in BOARDS if name != "overview-without-plugin"]
# What Grafana's front end puts in for a variable before the backend sees a query: nothing chosen is everything.
CHOSEN = {"$incident": "i1", "$service": "$__all", "$severity": "$__all", "$level": "$__all", "$runbook": "$__all"}
# Panels that came after 9.4, or went.
PANELS = {"stat", "table", "timeseries", "logs", "state-timeline", "nodeGraph", "bargauge", "text", "row"}


def panels(name: str) -> Iterator[dict[str, Any]]:
    for panel in BOARDS[name]["panels"]:
        yield panel
        yield from panel.get("panels", ())


def targets(name: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return [(panel, target) for panel in panels(name) for target in panel.get("targets", ())]


def filled_in(value: Any) -> Any:
    """The query with its variables, as the front end sends it."""
    if isinstance(value, str):
        return CHOSEN.get(value, value)
    if isinstance(value, list):
        return [filled_in(one) for one in value]
    if isinstance(value, dict):
        return {key: filled_in(one) for key, one in value.items()}
    return value


def shown_names(frames: list[Frame]) -> set[str]:
    """The names that a panel shows fields under, which is what overrides and transformations go by."""
    return {
        str(field.config.get("displayName") or field.config.get("displayNameFromDS") or field.name)
        for frame in frames
        for field in frame.fields
    }


def named(panel: dict[str, Any]) -> set[str]:
    """The fields that a panel's overrides and transformations name."""
    found: set[str] = set()
    for override in panel["fieldConfig"]["overrides"]:
        if override["matcher"]["id"] == "byName":
            found.add(override["matcher"]["options"])
    for step in panel.get("transformations", ()):
        if step["id"] == "filterFieldsByName":
            found.update(step["options"]["include"]["names"])
        if step["id"] == "organize":
            found.update(step["options"]["indexByName"])
    return found


def test_the_committed_json_is_what_the_code_makes(tmp_path: Path) -> None:
    """`make dashboards` writes it anew."""
    subprocess.run(
        [sys.executable, str(ROOT / "dashboards/generate.py"), str(tmp_path)], check=True, capture_output=True
    )
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert made == {path.name: path.read_bytes() for path in JSON.iterdir()}


@pytest.mark.parametrize("name", PLUGIN)
async def test_every_panel_is_answered_with_the_fields_that_it_names(name: str, postgres_store: PostgresStore) -> None:
    await fill(postgres_store)
    asked = targets(name)
    assert asked
    for panel, target in asked:
        assert target["queryType"] in QUERY_TYPES
        frames = await ask(postgres_store, filled_in({k: v for k, v in target.items() if k != "live"}))
        assert any(len(frame) for frame in frames), f"{panel['title']}: nothing to show"
        missing = named(panel) - shown_names(frames)
        assert not missing, f"{panel['title']}: no field {sorted(missing)}"


@pytest.mark.parametrize("name", PLUGIN)
async def test_no_panel_fails_over_an_empty_store(name: str, postgres_store: PostgresStore) -> None:
    for panel, target in targets(name):
        body = filled_in({k: v for k, v in target.items() if k != "live"})
        frames = await ask(postgres_store, {**body, "incidentId": []} if "incidentId" in body else body)
        assert frames, panel["title"]


async def test_panels_without_words_of_their_own_are_answered_with_what_to_do(postgres_store: PostgresStore) -> None:
    """In 9.4 they would say "No data" or "No graphable fields", whatever the panel is told to say."""
    found: list[str] = []
    for name in PLUGIN:
        for panel, target in targets(name):
            if panel["type"] not in ("logs", "state-timeline", "nodeGraph"):
                continue
            found.append(panel["type"])
            body = filled_in({key: value for key, value in target.items() if key != "live"})
            for chosen in ([], ["gone"]) if "incidentId" in body else (None,):
                frames = await ask(postgres_store, body if chosen is None else {**body, "incidentId": chosen})
                said = {str(value) for frame in frames for field in frame.fields for value in field.values}
                assert set(sentences(target["empty"])) <= said, panel["title"]
            (nothing, *_) = await ask(postgres_store, {**body, "empty": ""})
            assert not len(nothing), panel["title"]
    assert set(found) == {"logs", "state-timeline", "nodeGraph"}


@pytest.mark.parametrize("name", PLUGIN)
async def test_variables_and_annotation_queries_are_answered(name: str, postgres_store: PostgresStore) -> None:
    await fill(postgres_store)
    asked = [each["query"] for each in BOARDS[name]["templating"]["list"] if each["type"] == "query"]
    asked += [each["target"] for each in BOARDS[name]["annotations"]["list"]]
    for query in asked:
        frames = await ask(postgres_store, filled_in(query))
        assert any(len(frame) for frame in frames), query


def test_every_key_of_a_query_is_one_that_the_data_source_reads() -> None:
    """An unknown one would be passed over in silence."""
    front_end = (ROOT / "plugin/src/types.ts").read_text().partition("interface IncidentLensQuery")[2].partition("}")[0]
    known = {*re.findall(r"^  (\w+)\??:", front_end, re.MULTILINE), "refId", "datasource"}
    for name in PLUGIN:
        for panel, target in targets(name):
            assert set(target) <= known, (name, panel["title"])


def test_all_of_a_variable_is_no_condition() -> None:
    """Grafana would fill in every name that it knows: what has none would be left out, and 500 at most are taken."""
    for name, board in BOARDS.items():
        for variable in board["templating"]["list"]:
            if variable.get("includeAll"):
                assert variable["allValue"] in ("*", ".+"), (name, variable["name"])


def test_a_count_of_failures_has_an_axis_of_a_few_where_there_are_none() -> None:
    """Over zeros alone Grafana draws one to 100, which looks like a percentage."""
    (panel,) = [panel for panel in panels("health") if panel["title"] == "Failed looks"]
    defaults = panel["fieldConfig"]["defaults"]
    assert (defaults["min"], defaults["custom"]["axisSoftMax"], defaults["decimals"]) == (0, 5, 0)


def test_what_counts_or_lists_incidents_on_the_overview_follows_every_change() -> None:
    """A list that is ahead of the figures above it would contradict them for up to half a minute."""
    of_incidents = {"kpis", "incident_series", "timeline", "incidents"}
    asked = [(panel["title"], target) for panel, target in targets("overview") if target["queryType"] in of_incidents]
    assert {target["queryType"] for _, target in asked} == of_incidents
    assert [title for title, target in asked if not target.get("live")] == []


@pytest.mark.parametrize("name", BOARDS)
def test_every_panel_says_what_to_do_when_there_is_nothing(name: str) -> None:
    for panel in panels(name):
        if panel["type"] in ("row", "text"):
            continue
        assert panel["description"], panel["title"]
        assert panel["fieldConfig"]["defaults"].get("noValue"), panel["title"]


@pytest.mark.parametrize("name", BOARDS)
def test_a_dashboard_is_one_that_grafana_from_9_4_on_reads(name: str) -> None:
    board = BOARDS[name]
    assert board["id"] is None
    assert board["uid"].startswith("incidentlens-")
    assert len(board["uid"]) <= 40
    assert board["schemaVersion"] == 37  # 9.4's
    assert "__inputs" not in board  # file provisioning does not fill them in
    ids = [panel["id"] for panel in panels(name)]
    assert len(ids) == len(set(ids))
    assert {panel["type"] for panel in panels(name)} <= PANELS
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= 24
        assert place["h"] >= 4 or panel["type"] == "row"
    taken = [(p["gridPos"]["y"], p["gridPos"]["x"], p["gridPos"]["w"], p["gridPos"]["h"]) for p in board["panels"]]
    for at, (y, x, w, h) in enumerate(taken):
        for other_y, other_x, other_w, other_h in taken[at + 1 :]:
            assert y + h <= other_y or other_y + other_h <= y or x + w <= other_x or other_x + other_w <= x


def test_each_asks_the_provisioned_data_source_unless_another_is_chosen() -> None:
    for name, board in BOARDS.items():
        variable = board["templating"]["list"][0]
        wanted = ("loki", "loki") if name == "overview-without-plugin" else (DATA_SOURCE_TYPE, DATA_SOURCE)
        assert (variable["type"], variable["query"], variable["current"]["value"]) == ("datasource", *wanted)
        ids = {panel["id"] for panel in panels(name)}
        for panel, target in targets(name):
            assert panel["datasource"] == target["datasource"]
            if target["datasource"]["uid"] == "-- Dashboard --":  # what another panel was answered
                assert target["panelId"] in ids - {panel["id"]}
                continue
            assert target["datasource"] == {"type": wanted[0], "uid": f"${{{variable['name']}}}"}
    assert BOARDS["incident"]["uid"] == INCIDENT_DASHBOARD


def test_terms_have_one_colour_wherever_a_dashboard_gives_one() -> None:
    """The data source colours its own columns; what comes from Loki is coloured by the dashboard, the same."""
    vocabularies = [*data_look.COLOURS.values(), data_look.KINDS]
    colours = {str(term): colour for terms in vocabularies for term, colour in terms.items()}
    seen = set()
    for name in BOARDS:
        for panel in panels(name):
            for override in panel.get("fieldConfig", {}).get("overrides", ()):
                for found in override["properties"]:
                    if found["id"] == "mappings" and found["value"][0]["type"] == "value":
                        for term, look in found["value"][0]["options"].items():
                            assert look["color"] == colours[term], (name, panel["title"], term)
                            seen.add(term)
                    if found["id"] == "color" and (term := override["matcher"]["options"]) in colours:
                        assert found["value"]["fixedColor"] == colours[term], (name, panel["title"], term)
                        seen.add(term)
    assert {"critical", "ESCALATE", "NO_ACTION"} <= seen


def test_queries_for_loki_are_logql() -> None:
    for panel, target in targets("overview-without-plugin"):
        if "expr" not in target:
            continue
        expression = target["expr"].replace("$__range", "1h").replace("$__interval", "1m").replace("$project", "shop")
        assert logql.parse(expression), panel["title"]


def test_what_is_provisioned_is_what_is_committed() -> None:
    assert own_dashboards() == JSON
    assert {board["uid"] for board in load_dashboards(own_dashboards())} == {board["uid"] for board in BOARDS.values()}
