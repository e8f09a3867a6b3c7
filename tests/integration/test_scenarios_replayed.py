"""The four cascades through the whole pipeline, on a clock that the records drive: cause, chain, disposition, end."""

import asyncio

import polars as pl
import pytest

from incidentlens.config.loader import builtin_runbooks
from incidentlens.model.records import LINES, stream_key
from incidentlens.pipeline.replay import default_project, replay_frames
from incidentlens.runbooks import load_runbooks
from incidentlens.scenarios.generator import Scenario

START = 1_763_700_000 * 10**9
CHAINS = {
    "db_cascade": ["orders", "payment", "checkout", "web-gateway"],
    "auth_cascade": ["session", "auth", "web-gateway"],
    "deployment_gone_wrong": ["inventory", "orders", "checkout"],
    "memory_leak": ["catalogue", "platform", "web-gateway"],
}
CAUSES = {
    "db_cascade": "connection pool exhausted",
    "auth_cascade": "session store unavailable",
    "deployment_gone_wrong": "configuration changed",
    "memory_leak": "memory pressure",
}


def frame(lines):
    rows = [
        {
            "ts": line.ts,
            "service": line.labels["service_name"],
            "stream": stream_key(line.labels),
            "metadata": stream_key(line.metadata) if line.metadata else None,
            "line": line.text,
        }
        for line in lines
    ]
    return pl.DataFrame(rows, schema=LINES)


@pytest.fixture(scope="module")
def project():
    return default_project(load_runbooks([builtin_runbooks()]))


@pytest.fixture(scope="module")
def history():
    return frame(Scenario("healthy", 1).history(START, 1200))


@pytest.fixture
def replayed(project, history):
    return lambda name, seed: replay(name, seed, project, history)


def replay(name, seed, project, history):
    scenario = Scenario(name, seed)
    records = frame(scenario.lines(START))
    found = asyncio.run(replay_frames([records], [history], project=project))
    told = [one for one in found.result["incidents"] if one["disposition"] in ("ESCALATE", "NEEDS_ONCALL", "NEEDS_DEV")]
    return scenario.truth(START), told, found.result


@pytest.mark.parametrize("seed", [1, 2, 7])
@pytest.mark.parametrize("name", sorted(CHAINS))
def test_a_cascade_is_one_incident_with_its_cause_its_chain_and_a_verified_end(replayed, name, seed):
    truth, told, result = replayed(name, seed)
    assert len(told) == 1
    (incident,) = told
    root = incident["root_cause"]
    assert root["service"] == truth["cause"]["service"]
    assert CAUSES[name] in root["summary"]
    assert not root["undetermined"]
    assert list(dict.fromkeys(step["service"] for step in root["chain"])) == CHAINS[name]
    assert root["chain"][0]["role"] == "cause"
    assert incident["disposition"] in truth["dispositions"]
    assert incident["verification"]["outcome"] == "resolved"
    assert 0 <= incident["onset"] - truth["fault"]["start"] < 3 * 10**9
    assert incident["opened_at"] - truth["fault"]["start"] <= 15 * 10**9
    assert result["root_cause_ranking"][0]["service"] == truth["cause"]["service"]


@pytest.mark.parametrize("name", sorted(CHAINS))
def test_every_step_of_a_chain_cites_records_of_the_input_as_they_stood(replayed, name):
    _, (incident,), _ = replayed(name, 1)
    lines = {line.text for line in Scenario(name, 1).lines(START)}
    known = {item["id"] for item in incident["evidence"]}
    for step in incident["root_cause"]["chain"]:
        assert step["evidence"]
        assert set(step["evidence"]) <= known
    for item in incident["evidence"]:
        assert all(part in lines for part in item["line"].split("\n"))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_healthy_shop_with_a_fifth_of_its_lines_errors_tells_nobody(replayed, seed):
    _, told, _ = replayed("healthy", seed)
    assert told == []
