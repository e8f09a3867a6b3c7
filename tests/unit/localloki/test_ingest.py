"""What a push must be like, and what is added to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentlens.localloki import create_app
from incidentlens.localloki.gotext import GoError
from incidentlens.localloki.labels import format_labels, normalise_name, parse_labels
from incidentlens.localloki.levels import detect_level, level_of_line
from incidentlens.localloki.limits import SECOND, Limits
from incidentlens.model.clock import ManualClock

NOW = 1_795_176_000 * SECOND


@pytest.fixture
def app(tmp_path: Path) -> Iterator[object]:
    made = create_app(tmp_path / "data", clock=ManualClock(NOW))
    yield made
    made.service.close()


@pytest.fixture
def client(app: object) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://loki")  # type: ignore[arg-type]


async def push(client: httpx.AsyncClient, *streams: tuple[dict[str, str], list[list[object]]]) -> tuple[int, str]:
    body = {"streams": [{"stream": labels, "values": values} for labels, values in streams]}
    response = await client.post("/loki/api/v1/push", json=body)
    return response.status_code, response.text


async def all_lines(client: httpx.AsyncClient) -> list[str]:
    response = await client.get("/loki/api/v1/query_range", params={"query": '{service_name=~".+"}', "limit": 5000})
    return sorted(value[1] for stream in response.json()["data"]["result"] for value in stream["values"])


T = str(NOW - SECOND)


@pytest.mark.parametrize(
    ("labels", "values", "status", "text"),
    [
        (
            {"a-b": "c"},
            [[T, "x"]],
            400,
            "couldn't parse labels: 1:3: parse error: unexpected character inside braces: '-'\n",
        ),
        (
            {"1a": "c"},
            [[T, "x"]],
            400,
            "couldn't parse labels: 1:2: parse error: unexpected character inside braces: '1'\n",
        ),
        (
            {"": "c"},
            [[T, "x"]],
            400,
            'couldn\'t parse labels: 1:2: parse error: unexpected "=" in label set, expected identifier or "}"\n',
        ),
        (
            {"é": "c"},
            [[T, "x"]],
            400,
            "couldn't parse labels: 1:2: parse error: unexpected character inside braces: 'é'\n",
        ),
        (
            {"app": "f"},
            [[str(NOW + 3600 * SECOND), "x"]],
            400,
            'entry for stream \'{app="f", service_name="f"}\' has timestamp too new: 2026-11-20T13:00:00Z\n',
        ),
        (
            {"a": "b"},
            [[T, "x", {f"k{index}": "v" for index in range(129)}]],
            400,
            "stream '{a=\"b\", service_name=\"unknown_service\"}' has too many structured metadata labels: '129', "
            "limit: '128'. Please see `limits_config.max_structured_metadata_entries_count` or contact your Loki "
            "administrator to increase it\n",
        ),
        ({"a": "b"}, [[T, "x", {"é": "v"}]], 500, 'normalization for label name "é" resulted in invalid name "_"\n'),
    ],
)
async def test_what_breaks_a_limit_is_refused_in_lokis_words(
    client: httpx.AsyncClient, labels: dict[str, str], values: list[list[object]], status: int, text: str
) -> None:
    assert await push(client, (labels, values)) == (status, text)
    assert await all_lines(client) == []


async def test_labels_have_limits_of_number_and_length(client: httpx.AsyncClient) -> None:
    many = {f"l{index}": "x" for index in range(16)}
    status, text = await push(client, (many, [[T, "x"]]))
    assert (status, text.endswith("has 16 label names; limit 15\n")) == (400, True)
    status, text = await push(client, ({"a" * 1025: "x"}, [[T, "x"]]))
    assert (status, "has label name too long: 'aaa" in text) == (400, True)
    status, text = await push(client, ({"a": "v" * 2049}, [[T, "x"]]))
    assert (status, "has label value too long: 'vvv" in text) == (400, True)


async def test_of_a_push_that_is_partly_bad_the_good_part_is_kept(client: httpx.AsyncClient) -> None:
    status, text = await push(
        client,
        ({"app": "a"}, [[T, "good"], [T, "y" * 300_000], [T, "z" * 300_000], [T, "good too"]]),
        ({"app": "b"}, [[T, "fine"]]),
    )
    assert status == 400
    assert text.startswith("2 errors like: max entry size '262144' bytes exceeded for stream '{app=\"a\"")
    assert await all_lines(client) == ["fine", "good", "good too"]


async def test_a_push_of_nothing_is_422_but_streams_without_lines_are_taken(client: httpx.AsyncClient) -> None:
    assert await push(client) == (422, "error at least one valid stream is required for ingestion\n")
    assert await push(client, ({"a": "b"}, [])) == (204, "")
    assert (await client.get("/loki/api/v1/labels")).json() == {"status": "success"}


async def test_invalid_utf8_and_nul_bytes_do_no_harm(client: httpx.AsyncClient) -> None:
    raw = b'{"streams":[{"stream":{"a":"b"},"values":[["%s","x\xff\xe2\x82y \\u0000 z"]]}]}' % T.encode()
    response = await client.post("/loki/api/v1/push", content=raw, headers={"Content-Type": "application/json"})
    assert response.status_code == 204
    assert await all_lines(client) == ["x\ufffd\ufffd\ufffdy \x00 z"]


async def test_a_line_of_a_megabyte_is_refused_and_one_of_a_quarter_is_kept(client: httpx.AsyncClient) -> None:
    status, text = await push(client, ({"a": "b"}, [[T, "x" * 1_000_000], [T, "y" * 262_144], [T, "é" * 131_073]]))
    assert status == 400
    assert "while adding an entry with length '1000000' bytes" in text
    assert "while adding an entry with length '262146' bytes" in text
    assert await all_lines(client) == ["y" * 262_144]


async def test_a_body_over_the_limit_is_413(tmp_path: Path) -> None:
    app = create_app(tmp_path / "small", clock=ManualClock(NOW), limits=Limits(max_body=1000))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://loki") as client:
        status, text = await push(client, ({"a": "b"}, [[T, "x" * 2000]]))
    assert (status, "request body too large" in text) == (413, True)
    app.service.close()


@pytest.mark.parametrize(
    ("labels", "service"),
    [
        ({"job": "j"}, "j"),
        ({"app": "a", "job": "j"}, "a"),
        ({"service": "s", "app": "a"}, "s"),
        ({"other": "o"}, "unknown_service"),
        ({"app": "", "job": "j"}, "j"),
        ({"service_name": "own", "app": "a"}, "own"),
    ],
)
async def test_a_stream_gets_the_name_of_its_service(
    client: httpx.AsyncClient, labels: dict[str, str], service: str
) -> None:
    await push(client, (labels, [[T, "x"]]))
    [found] = (await client.get("/loki/api/v1/series")).json()["data"]
    assert found == {**{name: value for name, value in labels.items() if value}, "service_name": service}


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ('{"level":"WARN","msg":"error"}', "warn"),
        ('{"a":{"level":"fatal"}}', "fatal"),
        ('{"a":{"b":{"level":"warn"}},"msg":"(error)"}', "warn"),
        ('{"level":"odd","msg":"an error here"}', "error"),
        ('{"level":5}', "unknown"),
        ("level=dbg msg=x", "debug"),
        ('msg="level=error" x=1', "error"),
        ("lvl=wrn severity=err", "error"),
        ("2026 ERROR: it broke", "error"),
        ("[warn] x error", "warn"),
        ("misc:error", "unknown"),
        ("errors occurred", "unknown"),
        ("information", "unknown"),
        ("", "unknown"),
    ],
)
def test_the_level_of_a_line_is_found_where_loki_finds_it(line: str, level: str) -> None:
    assert level_of_line(line) == level


def test_labels_name_the_level_before_metadata_and_these_before_the_line() -> None:
    assert detect_level({"level": "Warning"}, {"severity": "err"}, "level=info") == "warn"
    assert detect_level({}, {"severity": "err"}, "level=info") == "error"
    assert detect_level({}, {"severity_number": "17"}, "level=info") == "error"
    assert detect_level({"level": "custom"}, {}, "") == "custom"


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=60))
def test_any_line_has_a_level(line: str) -> None:
    known = {"trace", "debug", "info", "warn", "error", "critical", "fatal", "unknown"}
    assert level_of_line(line) in known
    assert level_of_line("{" + line + "}") in known
    assert level_of_line("level=" + line) in known


names = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True)


@settings(deadline=None, max_examples=200)
@given(st.dictionaries(names, st.text(min_size=1, max_size=12), max_size=4))
def test_labels_read_back_from_their_text(labels: dict[str, str]) -> None:
    assert parse_labels(format_labels(labels)) == labels


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet="{}=\"`a1_-,\\ né\n'", max_size=20))
def test_any_text_is_labels_or_is_refused_with_its_place(text: str) -> None:
    refusal = ""
    try:
        parse_labels("{" + text)
    except GoError as error:
        refusal = str(error)
    assert not refusal or "parse error: " in refusal


@pytest.mark.parametrize(
    ("name", "normal"),
    [
        ("tr-ace", "tr_ace"),
        ("a..b", "a_b"),
        ("1x", "key_1x"),
        ("__x__", "__x__"),
        ("http.status_code", "http_status_code"),
    ],
)
def test_names_of_metadata_are_made_fit(name: str, normal: str) -> None:
    assert normalise_name(name) == normal
