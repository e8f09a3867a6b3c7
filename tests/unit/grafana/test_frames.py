"""The one builder of frames."""

from __future__ import annotations

import io
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentlens.grafana.frames import Field, FieldType, Frame, table, to_arrow, to_json, to_rows
from incidentlens.model.terms import Severity

T = 1_750_000_000_123_456_789


def opened(frame: Frame) -> pa.Table:
    return pa.ipc.open_file(io.BytesIO(to_arrow(frame))).read_all()


def one_of_each(**changes: Any) -> Frame:
    fields = [
        Field("time", FieldType.TIME, [T, T + 1]),
        Field("title", FieldType.STRING, ["<b>{{ x }}</b>", None], config={"unit": "short"}),
        Field("value", FieldType.FLOAT, [1, float("nan")], labels={"service": "db"}),
        Field("count", FieldType.INT, [2**62, None]),
        Field("open", FieldType.BOOL, [True, False]),
        Field("labels", FieldType.JSON, [{"a": 1}, None]),
    ]
    return Frame("all", fields, {"type": "table"}, "A")


def test_a_frame_is_an_arrow_file_of_plain_types_that_grafana_decodes() -> None:
    table = opened(one_of_each())
    kinds = [str(kind) for kind in table.schema.types]
    assert kinds == ["timestamp[ns, tz=UTC]", "string", "double", "int64", "bool", "binary"]
    assert [column.nullable for column in table.schema] == [False, True, True, True, True, True]
    assert table.schema.metadata == {b"name": b"all", b"refId": b"A", b"meta": b'{"type":"table"}'}
    assert orjson.loads(table.schema.field("title").metadata[b"config"]) == {"unit": "short"}
    assert orjson.loads(table.schema.field("value").metadata[b"labels"]) == {"service": "db"}
    assert table.column("time").cast(pa.int64()).to_pylist() == [T, T + 1]
    assert table.column("value").to_pylist() == [1.0, None]
    assert table.column("labels").to_pylist() == [b'{"a":1}', None]


def test_a_frame_without_fields_says_no_data_and_is_still_a_file() -> None:
    table = opened(Frame("nothing", ref_id="B"))
    assert table.num_rows == 0
    assert table.num_columns == 0
    assert to_rows(Frame("nothing")) == []


def test_rows_have_times_to_the_nanosecond_and_the_labels_of_their_series() -> None:
    first, second = to_rows(one_of_each())
    assert first == {
        "service": "db", "time": "2025-06-15T15:06:40.123456789Z", "title": "<b>{{ x }}</b>", "value": 1.0,
        "count": 2**62, "open": True, "labels": {"a": 1},
    }  # fmt: skip
    assert second["title"] is None


def test_the_json_form_keeps_the_nanoseconds_beside_the_milliseconds() -> None:
    found = to_json(one_of_each())
    assert found["schema"]["fields"][0] == {"name": "time", "type": "time", "typeInfo": {"frame": "time.Time"}}
    assert found["data"]["values"][0] == [T // 10**6, T // 10**6]
    assert found["data"]["nanos"][0] == [456_789, 456_790]
    assert found["schema"]["refId"] == "A"


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="all must have as many"):
        Frame("x", [Field("a", FieldType.INT, [1]), Field("b", FieldType.INT, [])])


@pytest.mark.parametrize(
    ("kind", "value"),
    [("time", None), ("time", "now"), ("int", 2**63), ("int", 1.5), ("bool", 1), ("string", b"x"), ("float", True)],
)
def test_a_value_that_is_not_of_its_columns_type_is_refused(kind: str, value: Any) -> None:
    with pytest.raises(ValueError, match="column 'a' holds"):
        Field("a", FieldType(kind), [value])


def test_a_notice_is_added_to_those_there_are() -> None:
    frame = Frame("x").with_notice("one").with_notice("two", "warning")
    assert frame.meta["notices"] == [{"severity": "info", "text": "one"}, {"severity": "warning", "text": "two"}]


def test_a_table_takes_its_columns_from_rows_by_name() -> None:
    fields = table(
        [{"a": 1, "b": Severity.HIGH}, {"a": 2}], [Field("a", FieldType.INT, []), Field("b", FieldType.STRING, [])]
    )
    assert [column.values for column in fields] == [[1, 2], ["high", None]]


ANY_JSON = st.recursive(
    st.none() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None, max_examples=60)
@given(st.text(), ANY_JSON)
def test_whatever_text_and_json_come_every_form_can_be_written(text: str, value: Any) -> None:
    hostile = text + "\x00\ud800"
    fields = [
        Field(hostile, FieldType.STRING, [hostile], {"displayName": hostile, "x": value}, {hostile: hostile}),
        Field("j", FieldType.JSON, [value]),
    ]
    frame = Frame(hostile, fields, {"custom": {"x": value, hostile: hostile}}, hostile)
    assert opened(frame).column(0).to_pylist() == [text.replace("\x00", "␀") + "␀�"]
    orjson.dumps(to_json(frame))
    orjson.dumps(to_rows(frame))
