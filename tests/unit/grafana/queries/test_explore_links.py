"""Links into Loki's Explore: whatever a line says stays one string of one query."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentlens.grafana.queries.links import explore, line_query, stream_query
from incidentlens.logql import parse

T = 1_750_000_000_123_456_789


def test_a_link_has_the_query_and_the_time_in_a_form_that_every_grafana_takes() -> None:
    url = explore("loki", '{app="db"} |= "x & y"', T, T + 5)
    parts = urlsplit(url)
    left = orjson.loads(parse_qs(parts.query)["left"][0])
    assert parts.path == "/explore"
    assert left["datasource"] == "loki"
    assert left["queries"][0]["expr"] == '{app="db"} |= "x & y"'
    assert left["range"] == {"from": "1750000000123", "to": "1750000000124"}


def test_a_line_is_looked_for_in_its_own_stream_without_labels_that_loki_added() -> None:
    stream = '{"app":"db","detected_level":"error","service_name":"db"}'
    assert line_query(stream, "ERROR: full\n  at x") == '{app="db"} |= "ERROR: full"'
    assert stream_query('{"service_name":"db"}') == '{service_name="db"}'


def test_what_names_no_stream_gives_no_query() -> None:
    for stream in ("", "[]", "nonsense", "{}", '{"a":""}', '{"bad name":"x"}'):
        assert line_query(stream, "x") == ""


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=200), st.text(max_size=700))
def test_no_label_and_no_line_breaks_out_of_its_string(value: str, line: str) -> None:
    query = line_query(orjson.dumps({"app": value}).decode(), line)
    assert not query or parse(query)
    left = parse_qs(urlsplit(explore("loki", query or "{}", 0, 1)).query)["left"][0]
    assert orjson.loads(left)["queries"][0]["expr"] == (query or "{}")
