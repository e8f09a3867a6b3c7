"""Push bodies: what is read out of them, and what is said of those that cannot be read."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import cramjam
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentlens.localloki.gotext import GoError
from incidentlens.localloki.jsonpush import decode_json_push
from incidentlens.localloki.jsonslow import read_push
from incidentlens.localloki.otlp import decode_otlp
from incidentlens.localloki.protopush import BodyTooLarge, decode_proto_push, decompress, encode_proto_push
from incidentlens.localloki.records import ZERO_TIME, PushEntry, PushStream
from incidentlens.localloki.wire import new_message

text = st.text(max_size=20)
stamps = st.integers(0, 2**63 - 1).map(str)
entry = st.one_of(st.tuples(stamps, text), st.tuples(stamps, text, st.dictionaries(text, text, max_size=3)))
body = st.lists(
    st.fixed_dictionaries({"stream": st.dictionaries(text, text, max_size=3), "values": st.lists(entry, max_size=3)}),
    max_size=3,
)


@settings(deadline=None, max_examples=150)
@given(streams=body, ascii_only=st.booleans(), indent=st.sampled_from([None, 1]))
def test_the_quick_and_the_lenient_reader_read_the_same(streams: Any, ascii_only: bool, indent: int | None) -> None:
    raw = json.dumps({"streams": streams}, ensure_ascii=ascii_only, indent=indent).encode()
    expected = [
        PushStream(one["stream"], [PushEntry(int(v[0]), v[1], v[2] if len(v) > 2 else {}) for v in one["values"]])
        for one in streams
    ]
    assert decode_json_push(raw) == expected
    assert read_push(raw) == expected


@settings(deadline=None, max_examples=300)
@given(streams=body, cuts=st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=4)), max_size=4))
def test_a_body_that_was_tampered_with_is_read_or_refused_with_a_text(streams: Any, cuts: Any) -> None:
    raw = bytearray(json.dumps({"streams": streams}).encode())
    for at, insert in cuts:
        raw[at : at + len(insert) // 2] = insert
    refusal = "-"
    found: list[PushStream] = []
    try:
        found = decode_json_push(bytes(raw))
    except GoError as error:
        refusal = str(error)
    assert refusal
    for stream in found:
        assert all(isinstance(one.line, str) and isinstance(one.ts, int) for one in stream.entries)


@pytest.mark.parametrize(
    ("raw", "near"),
    [
        (b"", "EOF"),
        (b"[]", "readObjectStart: expect { or n, but found [, error found in #1 byte of ...|[]|..."),
        (b"{", 'loghttp.PushRequest.readFieldHash: expect ", but found \x00, error found in #1 byte of ...|{|...'),
        (
            b'{"streams":{}}',
            'decode slice: expect [ or n, but found {, error found in #10 byte of ...|streams":{}}|...',
        ),
        (b'{"streams":[5]}', "unmarshalerDecoder: Value looks like object, but can't find closing '}' symbol"),
        (b'{"streams":[{"values":"x"}]}', "unmarshalerDecoder: Malformed JSON error"),
        (b'{"streams":[{"values":[["1",5]]}]}', "Value is string, but can't find closing '\"' symbol"),
        (b'{"streams":[{"values":[["1.5","x"]]}]}', "Value looks like Number/Boolean/None, but can't find its end"),
        (b'{"streams":[{"values":[["1","x","k"]]}]}', "Value looks like object, but can't find closing '}' symbol"),
        (b'{"streams":[{"values":[["1","x",]]}]}', "Skip: do not know how to skip: 93"),
        (b'{"streams":[{"values":[["1","\\q"]]}]}', "readEscapedChar: invalid escape char after \\"),
        (b'{"streams":[' + b"[" * 100_000, "exceeded max depth"),
    ],
)
def test_json_that_is_no_push_is_refused_as_loki_words_it(raw: bytes, near: str) -> None:
    with pytest.raises(GoError) as refused:
        decode_json_push(raw)
    assert near in str(refused.value)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"null", []),
        (b"{}", []),
        (b'{"streams":null}', []),
        (b'{"streams":[]} trailing', []),
        (b'{"other":1,"STREAMS":[{"stream":{"a":"b"}}]}', [PushStream({"a": "b"}, [])]),
        (b'{"streams":[{"stream":{"a":5,"b":true,"c":null}}]}', [PushStream({"a": "5", "b": "true", "c": "null"}, [])]),
        (b'{"streams":[{"values":null}]}', [PushStream({}, [])]),
        (
            b'{"streams":[{"values":[["7"],null,[]]}]}',
            [PushStream({}, [PushEntry(7, "", {}), PushEntry(ZERO_TIME, "", {})])],
        ),
        (b'{"streams":[{"values":[["-5","x",{"k":"v"},"more"]]}]}', [PushStream({}, [PushEntry(-5, "x", {"k": "v"})])]),
        (
            b'{"streams":[{"values":[["7","a\xff\xe2\x82z"]]}]}',
            [PushStream({}, [PushEntry(7, "a\ufffd\ufffd\ufffdz", {})])],
        ),
        (
            b'{"streams":[{"values":[["7","\\ud83d\\ude00 \\u0000"]]}]}',
            [PushStream({}, [PushEntry(7, "\U0001f600 \0", {})])],
        ),
    ],
)
def test_what_loki_lets_pass_is_let_pass(raw: bytes, expected: list[PushStream]) -> None:
    assert decode_json_push(raw) == expected


@settings(deadline=None, max_examples=50)
@given(lines=st.lists(st.tuples(st.integers(0, 2**62), st.text(max_size=30), st.dictionaries(text, text, max_size=2))))
def test_a_protobuf_push_comes_back_as_it_was_sent(lines: list[tuple[int, str, dict[str, str]]]) -> None:
    sent = [PushEntry(*line) for line in lines]
    raw = encode_proto_push([('{app="x", env="y"}', sent)])
    assert decode_proto_push(raw, 1 << 20) == [PushStream({"app": "x", "env": "y"}, sent)]


def test_protobuf_that_is_none_is_refused() -> None:
    for raw, words in (
        (b"hello", "snappy: corrupt input"),
        (b"", "snappy: corrupt input"),
        (bytes(cramjam.snappy.compress_raw(b"\xff\xff\xff")), "unexpected EOF"),
        (encode_proto_push([("{a=b}", [])]), 'couldn\'t parse labels: 1:4: parse error: unexpected identifier "b"'),
    ):
        with pytest.raises(GoError) as refused:
            decode_proto_push(raw, 1 << 20)
        assert words in str(refused.value)


def test_a_body_that_unpacks_to_too_much_is_refused_before_it_is_unpacked() -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    with pytest.raises(BodyTooLarge):
        decompress(bomb, "gzip", 1 << 20)
    with pytest.raises(BodyTooLarge):
        decompress(bytes(cramjam.zstd.compress(b"\0" * 50_000_000)), "zstd", 1 << 20, otlp=True)
    with pytest.raises(BodyTooLarge):
        decode_proto_push(bytes(cramjam.snappy.compress_raw(b"\0" * 5_000_000)), 1 << 20)


def test_each_encoding_is_undone_and_an_unknown_one_is_named() -> None:
    plain = b"some text " * 50
    deflate = zlib.compressobj(wbits=-15)
    assert decompress(gzip.compress(plain) + gzip.compress(b"!"), "gzip", 10_000) == plain + b"!"
    assert decompress(deflate.compress(plain) + deflate.flush(), "deflate", 10_000) == plain
    assert decompress(bytes(cramjam.zstd.compress(plain)), "zstd", 10_000, otlp=True) == plain
    assert decompress(bytes(cramjam.lz4.compress(plain)), "lz4", 10_000, otlp=True) == plain
    with pytest.raises(GoError, match='Content-Encoding "br" not supported'):
        decompress(plain, "br", 10_000)
    with pytest.raises(GoError, match="only gzip, lz4 and zstd are supported"):
        decompress(plain, "br", 10_000, otlp=True)


def otlp_json() -> dict[str, Any]:
    def attribute(key: str, **value: Any) -> dict[str, Any]:
        return {"key": key, "value": value}

    record = {
        "timeUnixNano": "7",
        "observedTimeUnixNano": "9",
        "severityNumber": 9,
        "flags": 1,
        "traceId": "5b8efff798038103d269b633813fc60c",
        "body": {
            "kvlistValue": {
                "values": [
                    attribute("b", doubleValue=1.5),
                    attribute(
                        "a", arrayValue={"values": [{"intValue": "5"}, {"boolValue": True}, {"stringValue": "<x>"}]}
                    ),
                ]
            }
        },
        "attributes": [
            attribute("m", kvlistValue={"values": [attribute("x.y", doubleValue=1e21)]}),
            attribute("by", bytesValue="AQID"),
        ],
    }
    resource = [
        attribute("app", stringValue="x"),
        attribute("k8s.pod.name", stringValue="p"),
        attribute("container.name", stringValue="cc"),
    ]
    scope = {"scope": {"name": "sc", "version": "1"}, "logRecords": [record]}
    return {"resourceLogs": [{"resource": {"attributes": resource}, "scopeLogs": [scope]}]}


OTLP_STREAM = PushStream(
    {"k8s_pod_name": "p", "container_name": "cc", "service_name": "cc"},
    [
        PushEntry(
            7,
            '{"a":[5,true,"<x>"],"b":1.5}',
            {
                "m_x_y": "1e+21",
                "by": "AQID",
                "observed_timestamp": "9",
                "severity_number": "9",
                "flags": "1",
                "trace_id": "5b8efff798038103d269b633813fc60c",
                "app": "x",
                "scope_name": "sc",
                "scope_version": "1",
            },
        )
    ],
)


def test_otlp_in_json_is_mapped_as_loki_maps_it() -> None:
    assert decode_otlp(orjson.dumps(otlp_json()), "application/json", 0) == [OTLP_STREAM]


def test_otlp_in_protobuf_gives_the_same_as_in_json() -> None:
    request = new_message("ExportLogs")
    logs = request.resource_logs.add()
    for key, value in (("app", b"x"), ("k8s.pod.name", b"p"), ("container.name", b"cc")):
        logs.resource.attributes.add(key=key.encode()).value.string_value = value
    scope = logs.scope_logs.add()
    scope.scope.name, scope.scope.version = b"sc", b"1"
    record = scope.log_records.add(time_unix_nano=7, observed_time_unix_nano=9, severity_number=9, flags=1)
    record.trace_id = bytes.fromhex("5b8efff798038103d269b633813fc60c")
    record.body.kvlist_value.values.add(key=b"b").value.double_value = 1.5
    array = record.body.kvlist_value.values.add(key=b"a").value.array_value
    array.values.add(int_value=5)
    array.values.add(bool_value=True)
    array.values.add(string_value=b"<x>")
    inner = record.attributes.add(key=b"m").value.kvlist_value
    inner.values.add(key=b"x.y").value.double_value = 1e21
    record.attributes.add(key=b"by").value.bytes_value = b"\1\2\3"
    assert decode_otlp(request.SerializeToString(), "application/x-protobuf", 0) == [OTLP_STREAM]


def test_an_otlp_record_without_a_time_gets_the_time_of_its_arrival() -> None:
    document = {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "x"}}]}]}]}
    [stream] = decode_otlp(orjson.dumps(document), "application/json", 42)
    assert stream == PushStream({"service_name": "unknown_service"}, [PushEntry(42, "x", {})])


@settings(deadline=None, max_examples=100)
@given(raw=st.binary(max_size=60), kind=st.sampled_from(["application/json", "application/x-protobuf", "text/plain"]))
def test_any_bytes_as_otlp_are_read_or_refused_with_a_text(raw: bytes, kind: str) -> None:
    refusal = "-"
    try:
        decode_otlp(raw, kind, 0)
    except GoError as error:
        refusal = str(error)
    assert refusal
