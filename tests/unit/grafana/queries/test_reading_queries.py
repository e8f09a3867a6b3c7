"""What a query's JSON may say, and what is said of one that cannot be read."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentlens.grafana.queries import PanelQuery, QueryError, read_query
from incidentlens.grafana.queries.buckets import Buckets
from incidentlens.grafana.queries.query import MAX_POINTS, MAX_RANGE
from incidentlens.model.clock import DAY, HOUR, MINUTE, SECOND

T = 1_750_000_000 * SECOND


def read(body: dict[str, Any], **changes: Any) -> PanelQuery:
    return read_query(body, **{"since": T - HOUR, "until": T, **changes})


def test_what_grafana_adds_to_a_query_is_passed_over() -> None:
    query = read(
        {
            "refId": "B", "queryType": "incidents", "datasource": {"type": "x", "uid": "y"}, "datasourceId": 1,
            "intervalMs": 500, "maxDataPoints": 680, "hide": False, "key": "Q-1", "expr": None, "limit": None,
        }
    )  # fmt: skip
    assert (query.ref_id, query.query_type, query.max_data_points, query.limit) == ("B", "incidents", 680, None)
    assert query.interval == 500_000_000


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("db", ("db",)),
        (["db", "payment", "db"], ("db", "payment")),
        ("{db,payment}", ("db", "payment")),
        ("", ()),
        (None, ()),
        ("$__all", ()),
        (["$__all"], ()),
        ("a,b", ("a,b",)),
        (7, None),
    ],
)
def test_a_variable_gives_one_value_several_or_all(value: Any, names: tuple[str, ...] | None) -> None:
    if names is None:
        with pytest.raises(QueryError, match="service: a text or a list of texts is wanted"):
            read({"service": value})
    else:
        assert read({"service": value}).service == names


def test_filters_may_stand_in_an_object_of_their_own_or_be_ad_hoc() -> None:
    query = read({"filters": {"service": ["db"], "severity": "high,low"}})
    assert (query.service, query.severity) == (("db",), ("high", "low"))
    query = read({"filters": [{"key": "service", "operator": "!=", "value": "db", "condition": ""}]})
    assert [(entry.key, entry.operator, entry.value) for entry in query.adhoc_filters] == [("service", "!=", "db")]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"limit": "many"}, "limit: "),
        ({"limit": {}}, "limit: "),
        ({"queryType": 7}, "queryType: a text is wanted"),
        ({"groupBy": {"a": 1}}, "groupBy: a text or a list"),
        ({"filters": 3}, "filters: an object of lists"),
        ({"adhocFilters": [{"operator": "="}]}, "adhocFilters.0.key: "),
        ({"timezone": "Mars/Base"}, "timezone: not a time zone"),
        ({"timezone": "../../etc/passwd"}, "timezone: not a time zone"),
        ({"intervalMs": "soon"}, "intervalMs: a number is wanted"),
        ({"service": ["x"] * 501}, "service: at most 500 values"),
    ],
)
def test_a_wrong_type_is_one_sentence_that_names_the_key(body: dict[str, Any], said: str) -> None:
    with pytest.raises(QueryError) as caught:
        read(body)
    assert caught.value.message.startswith(said)
    assert caught.value.source == "downstream"
    assert caught.value.status == 400


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(QueryError, match="ends before it begins"):
        read({}, since=T, until=T - 1)


def test_ten_years_are_cut_to_the_last_three_and_that_is_known() -> None:
    query = read({}, since=T - 3650 * DAY, until=T)
    assert query.cut_range
    assert query.until - query.since == MAX_RANGE


def test_a_million_rows_are_cut_to_the_most_that_is_given() -> None:
    query = read({"limit": 1_000_000})
    assert query.rows(100) == 1_000
    assert query.cut_limit() == "1,000,000 rows were asked for; at most 1,000 are given"
    assert read({"limit": -5}).rows(100) == 100


@settings(deadline=None, max_examples=150)
@given(
    st.dictionaries(
        st.sampled_from(
            ["refId", "queryType", "incidentId", "filters", "adhocFilters", "limit", "groupBy", "timezone", "since",
             "intervalMs", "maxDataPoints", "service", "sort", "order", "text", "kind", "cutRange", "x"]
        ),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
            max_leaves=5,
        ),
    ),
    st.integers(-(2**70), 2**70),
    st.integers(-(2**70), 2**70),
)  # fmt: skip
def test_any_json_is_read_or_refused_in_one_sentence(body: dict[str, Any], since: int, until: int) -> None:
    try:
        query = read_query(body, since=since, until=until)
    except QueryError:
        return
    assert 0 <= query.since < query.until < 2**62 + 2
    assert query.until - query.since <= MAX_RANGE or query.since == query.until - 1
    assert 1 <= query.max_data_points <= MAX_POINTS


def test_buckets_follow_the_interval_in_step_with_the_clock() -> None:
    buckets = Buckets(read({"intervalMs": 300_000}))
    assert buckets.step == 5 * MINUTE
    assert all(start % (5 * MINUTE) == 0 for start in buckets.starts)
    assert buckets.starts[0] <= T - HOUR < buckets.starts[1]
    assert buckets.until >= T > buckets.starts[-1]
    assert buckets.note() is None


def test_buckets_grow_until_the_points_are_no_more_than_asked_for() -> None:
    buckets = Buckets(read({"intervalMs": 1_000, "maxDataPoints": 100}, since=T - 90 * DAY))
    assert buckets.step == DAY
    assert len(buckets.starts) <= 101
    assert buckets.note() == "one point stands for 1 d: shorter ones would be too many"


def test_days_begin_at_midnight_in_the_panels_zone_also_when_the_clocks_change() -> None:
    zone = ZoneInfo("Europe/Berlin")
    since = int(datetime(2025, 3, 28, 9, tzinfo=zone).timestamp()) * SECOND
    body = {"intervalMs": 86_400_000, "timezone": "Europe/Berlin"}
    buckets = Buckets(read(body, since=since, until=since + 4 * DAY))
    days = [datetime.fromtimestamp(start // SECOND, zone) for start in [*buckets.starts, buckets.until]]
    assert [(day.day, day.hour) for day in days] == [(28, 0), (29, 0), (30, 0), (31, 0), (1, 0), (2, 0)]
    assert buckets.starts[3] - buckets.starts[2] == 23 * HOUR


def test_weeks_begin_on_mondays() -> None:
    for zone in ("", "Asia/Kolkata"):
        body = {"intervalMs": 7 * 86_400_000, "timezone": zone}
        buckets = Buckets(read(body, since=T - 30 * DAY))
        for start in buckets.starts:
            moment = datetime.fromtimestamp(start // SECOND, ZoneInfo(zone or "UTC"))
            assert (moment.isoweekday(), moment.hour, moment.minute) == (1, 0, 0)
