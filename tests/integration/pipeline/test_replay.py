"""Replay: yesterday's file through today's pipeline, whatever the file is like."""

from __future__ import annotations

import asyncio
import gzip
import subprocess
import sys

import orjson
import pytest

from incidentlens.config.loader import builtin_runbooks
from incidentlens.intake.files import FileError, read_records
from incidentlens.model.clock import SECOND
from incidentlens.pipeline.replay import default_project, replay_frames
from incidentlens.runbooks import load_runbooks
from incidentlens.scenarios.generator import Scenario

START = 1_763_700_000 * SECOND
TELLING = ("ESCALATE", "NEEDS_ONCALL", "NEEDS_DEV")


@pytest.fixture(scope="module")
def project():
    return default_project(load_runbooks([builtin_runbooks()]), service_label="service_name")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """(records of a cascade, records of the half hour before it)."""
    folder = tmp_path_factory.mktemp("records")
    scenario = Scenario("db_cascade", 3, rate=20)
    return (
        written(folder / "failure.jsonl", scenario.lines(START)),
        written(folder / "before.jsonl", scenario.history(START, 900)),
    )


def written(path, lines):
    path.write_bytes(b"".join(orjson.dumps(line.as_record()) + b"\n" for line in lines))
    return path


async def replay(project, path, baseline=None, batch=50_000):
    """The replay's object, and what was said about the file."""
    said: list[str] = []
    frames = read_records(path, "service_name", batch, said.append)
    learned = read_records(baseline, "service_name", batch, said.append) if baseline else ()
    return await replay_frames(frames, learned, project=project), said


@pytest.fixture(scope="module")
def whole(project, files):

    return asyncio.run(replay(project, *files))[0]


def essence(result):
    """What was found, without the sentences: how much history there was is told to the minute."""
    found = []
    for one in result["incidents"]:
        chain = [(step["service"], step["signature"], step["role"]) for step in one["root_cause"]["chain"]]
        same = (
            "id",
            "service",
            "severity",
            "disposition",
            "status",
            "onset",
            "last_seen",
            "count",
            "reopened",
            "runbook",
        )
        found.append(({key: one[key] for key in same}, chain, one["signatures"], one["evidence"]))
    return found, [entry["service"] for entry in result["root_cause_ranking"]]


@pytest.mark.parametrize("batch", [700])
async def test_the_incidents_are_the_same_whatever_the_size_of_the_batches(project, files, whole, batch):
    found, _ = await replay(project, *files, batch=batch)
    assert found.records == whole.records
    assert essence(found.result) == essence(whole.result)


def test_the_object_has_the_keys_that_other_programs_rely_on(whole, files):
    result = whole.result
    assert {"incidents", "root_cause_ranking"} <= result.keys()
    raw = {orjson.loads(line)["line"] for line in files[0].read_bytes().splitlines()}
    assert result["incidents"]
    for incident in result["incidents"]:
        keys = {
            "id",
            "title",
            "service",
            "severity",
            "disposition",
            "confidence",
            "signatures",
            "root_cause",
            "evidence",
        }
        assert keys <= incident.keys()
        assert 0 <= incident["confidence"] <= 1
        assert incident["severity"] in ("critical", "high", "medium", "low")
        assert all({"signature", "template", "count"} <= one.keys() for one in incident["signatures"])
        assert {"service", "signature", "summary"} <= incident["root_cause"].keys()
        for item in incident["evidence"]:
            assert {"id", "service", "ts", "line"} <= item.keys()
            assert all(part in raw for part in item["line"].split("\n"))  # as it stood
    assert all({"service", "score"} <= one.keys() for one in result["root_cause_ranking"])
    weights = [one["disposition"] for one in result["incidents"]]
    order = [*TELLING, "OBSERVE", "NO_ACTION"]
    assert weights == sorted(weights, key=order.index)  # most important first
    assert orjson.loads(orjson.dumps(result)) == result


def test_the_cause_is_found_and_its_end_is_verified(whole):
    incident = whole.result["incidents"][0]
    assert incident["root_cause"]["service"] == "orders"
    assert incident["status"] == "resolved"
    assert incident["verification"]["outcome"] == "resolved"
    assert incident["decision"]["told"]


async def test_a_healthy_input_tells_nobody(project, tmp_path):
    scenario = Scenario("healthy", 9, rate=20)
    before = written(tmp_path / "before.jsonl", scenario.history(START, 900))
    found, _ = await replay(project, written(tmp_path / "now.jsonl", scenario.lines(START)), before)
    assert {one["disposition"] for one in found.result["incidents"]} <= {"OBSERVE", "NO_ACTION"}


PLAIN = """\
2025-11-21 10:00:{second:02d},{i:03d} INFO  [main] shop.Cart - served request {i} in 12 ms
"""
BROKEN = """\
2025-11-21 10:01:{second:02d},{i:03d} ERROR [main] db.Pool - connection pool exhausted: 50 of 50 connections in use
java.sql.SQLTransientConnectionException: pool-1 - Connection is not available
\tat com.zaxxer.hikari.pool.HikariPool.createTimeoutException(HikariPool.java:696)
"""


@pytest.mark.parametrize("packed", [False, True])
async def test_a_plain_log_file_gives_sensible_incidents(project, tmp_path, packed):
    text = "".join(PLAIN.format(second=i // 5, i=i) for i in range(300))
    text += "".join(BROKEN.format(second=i, i=i) for i in range(40))
    path = tmp_path / "checkout.log"
    path.write_bytes(text.encode())
    if packed:
        path = tmp_path / "checkout.log.gz"
        path.write_bytes(gzip.compress(text.encode()))
    found, said = await replay(project, path)
    assert said == []
    assert found.records == 340
    (incident,) = found.result["incidents"]
    assert incident["service"] == "checkout"
    assert incident["count"] == 40
    assert incident["disposition"] in TELLING
    assert incident["evidence"][0]["line"].count("\n") == 2


@pytest.mark.parametrize("content", [b"", b"\n\n\n", b"   \n"])
async def test_an_empty_file_is_no_incident_and_no_error(project, tmp_path, content):
    path = tmp_path / "empty.log"
    path.write_bytes(content)
    found, _ = await replay(project, path)
    assert found.result["incidents"] == []
    assert found.result["root_cause_ranking"] == []


async def test_broken_records_are_left_out_counted_and_told(project, files, tmp_path, whole):
    lines = files[0].read_bytes().splitlines()
    for place, broken in (
        (50, b"{broken"),
        (120, b'{"ts": "soon", "line": "x"}'),
        (333, b'{"ts": 1}'),
        (400, b"\xff\xfe"),
    ):
        lines.insert(place, broken)
    path = tmp_path / "broken.jsonl"
    path.write_bytes(b"\n".join(lines))
    found, said = await replay(project, path, files[1])
    assert found.records == whole.records
    assert len(said) == 1
    assert "4 of" in said[0]
    assert "line 51 is no JSON" in said[0]
    assert [one["id"] for one in found.result["incidents"]] == [one["id"] for one in whole.result["incidents"]]


async def test_a_damaged_or_missing_file_says_which_and_why(project, tmp_path):
    with pytest.raises(FileError, match=r"nowhere\.log"):
        await replay(project, tmp_path / "nowhere.log")
    path = tmp_path / "cut.log.gz"
    path.write_bytes(gzip.compress(PLAIN.encode() * 1000)[:-20])
    with pytest.raises(FileError, match=r"cut\.log\.gz"):
        await replay(project, path)


async def test_records_out_of_order_and_a_year_off_are_counted_and_replayed(project, tmp_path):
    lines = list(Scenario("healthy", 2, rate=20).lines(START))
    lines = [*lines[500:700], *lines[:500], *lines[700:]]
    path = written(tmp_path / "mixed.jsonl", lines)
    off = [{"ts": START - 365 * 86400 * SECOND, "labels": {"service_name": "old"}, "line": "an old line"}]
    off += [{"ts": START + 365 * 86400 * SECOND, "labels": {"service_name": "new"}, "line": "a line ahead"}]
    with path.open("ab") as file:
        file.writelines(orjson.dumps(record) + b"\n" for record in off)
    found, _ = await replay(project, path)
    plain, _ = await replay(project, written(tmp_path / "ordered.jsonl", sorted(lines, key=lambda line: line.ts)))
    assert found.records == plain.records + 2
    assert found.first == START - 365 * 86400 * SECOND


MEASURE = """
import asyncio, sys
import polars as pl
from incidentlens.bench.measure import peak_mb
from incidentlens.config.loader import builtin_runbooks
from incidentlens.model.records import LINES
from incidentlens.pipeline.replay import default_project, replay_frames
from incidentlens.runbooks import load_runbooks

BATCH, START = 10_000, 1_763_700_000 * 10**9

def frames(total):
    for first in range(0, total, BATCH):
        numbers = range(first, min(first + BATCH, total))
        failing = [n % 50_000 > 49_000 for n in numbers]
        yield pl.DataFrame(
            {
                "ts": [START + n * 10_000_000 for n in numbers],
                "service": [f"s{n % 7}" for n in numbers],
                "stream": [f'{{"app":"s{n % 7}"}}' for n in numbers],
                "metadata": [None for n in numbers],
                "line": [
                    f"level=error msg=\\"no lease for writer {n} on shard {n * 7919}\\"" if bad else
                    f"level=info msg=\\"served {n} in {n % 97} ms\\" trace_id={n * 2654435761 % 2**64:016x}"
                    for n, bad in zip(numbers, failing)
                ],
            },
            schema=LINES,
        )

project = default_project(load_runbooks([builtin_runbooks()]))
found = asyncio.run(replay_frames(frames(int(sys.argv[1])), project=project))
assert found.records == int(sys.argv[1])
print(peak_mb())
"""


@pytest.mark.slow
def test_five_times_the_records_need_hardly_more_memory():
    peaks = []
    for total in (50_000, 250_000):
        done = subprocess.run([sys.executable, "-c", MEASURE, str(total)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        peaks.append(float(done.stdout))
    assert peaks[1] < 1.25 * peaks[0] + 20, f"{peaks} MB"
    assert peaks[1] < 400
