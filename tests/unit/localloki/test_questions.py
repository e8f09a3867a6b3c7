"""Times, amounts, fields and patterns."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentlens.localloki import LocalLoki
from incidentlens.localloki.detected import FieldFinder, is_id, type_of
from incidentlens.localloki.gotext import (
    GoError,
    format_go_duration,
    format_prometheus_duration,
    format_rfc3339,
    parse_prometheus_duration,
    parse_timestamp,
    quote,
)
from incidentlens.localloki.httpio import ApiError, Form, parse_form
from incidentlens.localloki.limits import HOUR, MINUTE, SECOND, Limits
from incidentlens.localloki.params import bounds, check_length, range_query
from incidentlens.localloki.patterns import MAX_CLUSTERS, PatternMiner, mine
from incidentlens.localloki.server import split_address
from incidentlens.localloki.store import Store
from incidentlens.localloki.volumes import TooManySeries, VolumeQuery, Volumes, share
from incidentlens.logql.ast import Matcher
from incidentlens.logql.source import Entry
from incidentlens.model.clock import ManualClock

NOW = 1_795_176_000 * SECOND


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1795176000", NOW),
        ("1795176000000000000", NOW),
        ("1795176000.5", NOW + SECOND // 2),
        ("1795176000.1234", NOW + 123_000_000),
        ("2026-11-20T12:00:00Z", NOW),
        ("2026-11-20T13:00:00.25+01:00", NOW + SECOND // 4),
        ("-5", -5 * SECOND),
    ],
)
def test_a_time_may_be_seconds_nanoseconds_or_rfc3339(text: str, ns: int) -> None:
    assert parse_timestamp(text) == ns


@pytest.mark.parametrize("text", ["yesterday", "2026-11-20", "2026-13-20T12:00:00Z", "1e", "", "99999999999999999999"])
def test_a_time_that_is_none_is_refused_as_go_words_it(text: str) -> None:
    with pytest.raises(GoError, match=r"^strconv\.ParseInt: parsing "):
        parse_timestamp(text)


@settings(deadline=None)
@given(st.integers(0, 4 * 10**18))
def test_a_time_reads_back_from_its_text(ns: int) -> None:
    assert parse_timestamp(format_rfc3339(ns, nano=True)) == ns


@settings(deadline=None)
@given(st.integers(1, 10**12))
def test_a_duration_reads_back_from_its_text(millis: int) -> None:
    assert parse_prometheus_duration(format_prometheus_duration(millis * 1_000_000)) == millis * 1_000_000


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0s"),
        (721 * HOUR, "721h0m0s"),
        (1_500_000_000, "1.5s"),
        (20_000_000, "20ms"),
        (90 * SECOND, "1m30s"),
        (3, "3ns"),
    ],
)
def test_durations_are_written_as_go_does(ns: int, text: str) -> None:
    assert format_go_duration(ns) == text


def test_a_text_is_quoted_as_go_does() -> None:
    assert quote('a"\\\n\x01é\u200b\U000e0001') == '"a\\"\\\\\\n\\x01é\\u200b\\U000e0001"'


def form(**values: str) -> Form:
    return Form({name: [value] for name, value in values.items()})


def test_without_bounds_the_last_hour_is_asked_for() -> None:
    assert bounds(form(), NOW) == (NOW - HOUR, NOW)
    assert bounds(form(since="30m"), NOW) == (NOW - 30 * MINUTE, NOW)
    assert bounds(form(end=str(NOW + HOUR), since="30m"), NOW) == (NOW - 30 * MINUTE, NOW + HOUR)
    assert bounds(form(start="5", since="30m"), NOW) == (5 * SECOND, NOW)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (
            {"start": "x", "limit": "x"},
            "could not parse 'start' parameter: strconv.ParseInt: parsing \"x\": invalid syntax",
        ),
        ({"since": "1h30"}, "could not parse 'since' parameter: not a valid duration string: \"1h30\""),
        ({"limit": "0"}, "limit must be a positive value"),
        ({"limit": "x"}, 'strconv.Atoi: parsing "x": invalid syntax'),
        ({"direction": "x"}, "invalid direction 'x'"),
        ({"step": "x"}, 'cannot parse "x" to a valid duration'),
        ({"step": "-1"}, "zero or negative query resolution step widths are not accepted. Try a positive integer"),
        ({"interval": "-1"}, "interval must be >= 0"),
        ({"start": "20", "end": "10"}, "end timestamp must not be before or equal to start time"),
    ],
)
def test_a_bad_parameter_is_refused_in_lokis_words(values: dict[str, str], text: str) -> None:
    with pytest.raises(ApiError) as refused:
        range_query(form(**values), NOW)
    assert (refused.value.status, refused.value.text) == (400, text)


def test_a_query_over_too_long_a_time_is_refused() -> None:
    check_length(721 * HOUR, Limits())
    with pytest.raises(ApiError, match=r"query length: 960h10m2s, limit: 30d1h"):
        check_length(960 * HOUR + 602 * SECOND, Limits())


def test_a_broken_escape_in_an_address_is_refused() -> None:
    read = Form()
    parse_form("a=1&a=2+3&b=%7B%22x%22%7D&c", read)
    assert read == {"a": ["1", "2 3"], "b": ['{"x"}'], "c": [""]}
    with pytest.raises(ApiError, match='invalid URL escape "%zz"'):
        parse_form("query=%zz", read)


@pytest.mark.parametrize(
    ("text", "address"), [("127.0.0.1:80", ("127.0.0.1", 80)), (":1", ("127.0.0.1", 1)), ("[::1]:5", ("::1", 5))]
)
def test_an_address_is_host_and_port(text: str, address: tuple[str, int]) -> None:
    assert split_address(text) == address


@pytest.mark.parametrize("text", ["3100", "host", "host:", "host:x", "host:70000"])
def test_what_is_no_address_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="write HOST:PORT"):
        split_address(text)


# Amounts


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path, ManualClock(NOW))
    for name, count in (("db", 30), ("web", 60)):
        lines = [
            Entry(NOW - 600 * SECOND + index * SECOND, "x" * 100, {"detected_level": "info"}) for index in range(count)
        ]
        opened.push("t", [({"app": name, "env": "prod"}, lines)])
    yield opened
    opened.close()


def query(**fields: object) -> VolumeQuery:
    given = {
        "text": "q",
        "matchers": (Matcher("env", "=", "prod"),),
        "start": NOW - 700 * SECOND,
        "end": NOW,
        "step": 0,
        "limit": 100,
        "targets": (),
        "by_series": True,
    }
    return VolumeQuery(**{**given, **fields})  # type: ignore[arg-type]


SYMBOLS = len("detected_level") + len("info")


def test_volumes_are_named_by_the_labels_of_the_selector(store: Store) -> None:
    volumes = Volumes(store)
    [one] = volumes.volumes("t", query(), NOW)
    assert (one.labels, one.samples) == ({"env": "prod"}, [(NOW, 90 * 108 + 2 * SYMBOLS)])
    both = volumes.volumes("t", query(targets=("app",)), NOW)
    assert [(row.labels, row.samples[0][1]) for row in both] == [
        ({"app": "web"}, 60 * 108 + SYMBOLS),
        ({"app": "db"}, 30 * 108 + SYMBOLS),
    ]
    assert volumes.volumes("t", query(targets=("nope",)), NOW) == []
    assert [row.labels for row in volumes.volumes("t", query(by_series=False), NOW)] == [{"app": ""}, {"env": ""}]
    assert len(volumes.volumes("t", query(targets=("app",), limit=1), NOW)) == 1


def test_volumes_over_a_range_are_shared_out_by_time(store: Store) -> None:
    rows = Volumes(store).volumes("t", query(step=20 * SECOND), NOW)
    [row] = rows
    assert all(moment % (20 * SECOND) == 20 * SECOND - 1_000_000 for moment, _ in row.samples)
    assert 0.9 < sum(amount for _, amount in row.samples) / (90 * 108) < 1.05


def test_older_volumes_are_in_kilobytes_and_new_pushes_change_them(store: Store) -> None:
    volumes = Volumes(store)
    later = NOW + 5 * HOUR
    [one] = volumes.volumes("t", query(), later)
    assert one.samples[0][1] == (round((30 * 108 + SYMBOLS) / 1024) + round((60 * 108 + SYMBOLS) / 1024)) * 1024
    lines = [Entry(NOW - 600 * SECOND + index, "y" * 1000, {}) for index in range(100)]
    store.push("t", [({"app": "new", "env": "prod"}, lines)])
    [more] = volumes.volumes("t", query(), later)
    assert more.samples[0][1] > one.samples[0][1] + 90_000


def test_statistics_know_what_is_sealed(store: Store) -> None:
    volumes = Volumes(store)
    matchers = [Matcher("env", "=", "prod")]
    assert volumes.stats("t", matchers, NOW - HOUR, NOW).streams == 0
    store.seal()
    stats = volumes.stats("t", matchers, NOW - HOUR, NOW)
    assert (stats.streams, stats.chunks, stats.entries) == (2, 2, 90)
    half = volumes.stats("t", [Matcher("app", "=", "web")], NOW - HOUR, NOW - 570 * SECOND)
    assert half.entries == 30


def test_too_many_series_of_volumes_are_refused(tmp_path: Path) -> None:
    store = Store(tmp_path / "many", ManualClock(NOW), Limits(volume_max_series=5))
    store.push(
        "t",
        [
            ({"app": f"a{index}"}, [Entry(NOW - 2 * SECOND, "x", {}), Entry(NOW - SECOND, "x", {})])
            for index in range(9)
        ],
    )
    with pytest.raises(TooManySeries, match=r"limit: 5 series"):
        Volumes(store).volumes("t", query(matchers=(Matcher("app", "=~", ".+"),)), NOW)
    store.close()


@settings(deadline=None)
@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_a_share_is_between_nothing_and_all(start: int, length: int, first: int, span: int) -> None:
    assert 0.0 <= share(start, start + length, first, first + span) <= 1.0
    assert share(0, 200, first, first + span) == 1.0


# Fields


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("5", "int"),
        ("-1.5e3", "float"),
        ("true", "boolean"),
        ("1m30s", "duration"),
        ("12KB", "bytes"),
        ("1.5 MiB", "bytes"),
        ("x", "string"),
        ("", "string"),
    ],
)
def test_a_value_looks_like_what_it_is(value: str, kind: str) -> None:
    assert type_of(value) == kind


def test_numbers_and_uuids_are_ids() -> None:
    assert all(map(is_id, ["5", "-1.5", "5b8efff7-9803-8103-d269-b633813fc60c"]))
    assert not any(map(is_id, ["pod-5", "", "prod"]))


def test_fields_are_found_in_metadata_json_and_logfmt_with_their_paths() -> None:
    finder = FieldFinder(100)
    labels = {"app": "a"}
    finder.take(
        labels, Entry(NOW, '{"level":"info","o":{"id":1,"x y":{"z":"w"}},"app":"b","arr":[1]}', {"pod": "p1"}), {}
    )
    finder.take(labels, Entry(NOW, "level=warn took=5ms", {"pod": "p2"}), {})
    finder.take(labels, Entry(NOW, "no fields in here", {}), {})
    found = {name: field.as_json() for name, field in finder.fields.items()}
    assert found["pod"] == {"label": "pod", "type": "string", "cardinality": 2, "parsers": None}
    assert found["o_id"] == {
        "label": "o_id",
        "type": "int",
        "cardinality": 1,
        "parsers": ["json"],
        "jsonPath": ["o", "id"],
    }
    assert found["o_x_y_z"]["jsonPath"] == ["o", "x y", "z"]
    assert found["app_extracted"]["jsonPath"] == ["app"]
    assert (found["level"]["parsers"], found["level"]["cardinality"]) == (["json", "logfmt"], 2)
    assert found["took"]["type"] == "duration"
    assert "arr" not in found


def test_no_more_fields_are_kept_than_asked_for() -> None:
    finder = FieldFinder(3)
    finder.take({}, Entry(NOW, " ".join(f"k{index}=v" for index in range(50)), {}), {})
    assert len(finder.fields) == 3


# Patterns


def test_lines_that_differ_in_their_variable_words_are_one_pattern() -> None:
    lines = [
        Entry(
            NOW + index * SECOND,
            f"GET /items/{index} status 200 from 10.0.0.{index} in {index * 3}ms",
            {"detected_level": "info"},
        )
        for index in range(40)
    ]
    [(text, level, samples)] = mine(lines, NOW, 10 * SECOND).patterns()
    assert (text, level) == ("GET <_> status 200 from <_> in <_>", "info")
    assert samples == [(NOW // SECOND + 10 * step, 10) for step in range(4)]


def test_lines_of_two_kinds_or_levels_are_patterns_of_their_own() -> None:
    lines = [
        Entry(NOW, "user 5 logged in", {"detected_level": "info"}),
        Entry(NOW, "disk is full now", {"detected_level": "info"}),
    ]
    lines += [Entry(NOW, "user 6 logged in", {"detected_level": "warn"})]
    assert len(mine(lines, NOW, SECOND).patterns()) == 3


def test_a_flood_of_patterns_is_bounded_and_counted() -> None:
    miner = PatternMiner(NOW, SECOND)
    for index in range(5 * MAX_CLUSTERS):
        letters = "".join(chr(97 + int(digit)) for digit in str(index))
        miner.take(Entry(NOW, f"{letters}word something", {}))
    assert len(miner.patterns()) <= MAX_CLUSTERS
    assert miner.forgotten > 0


@settings(deadline=None, max_examples=100)
@given(st.lists(st.text(max_size=40), max_size=20))
def test_every_line_is_counted_in_one_pattern(lines: list[str]) -> None:
    found = mine([Entry(NOW, line, {}) for line in lines], NOW, SECOND).patterns()
    assert sum(count for _, _, samples in found for _, count in samples) == sum(1 for line in lines if line)


async def test_an_embedded_local_loki_leaves_the_programs_signals_alone(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    async with LocalLoki(tmp_path) as loki:
        assert signal.getsignal(signal.SIGINT) is before
        assert loki.url.startswith("http://127.0.0.1:")
        with pytest.raises(OSError, match="in use"):
            await LocalLoki(tmp_path / "other", port=int(loki.url.rpartition(":")[2])).start()
        with pytest.raises(RuntimeError, match="in use by another local Loki"):
            await LocalLoki(tmp_path).start()
    await loki.stop()
