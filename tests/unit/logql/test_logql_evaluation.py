"""Running queries: windows, order, limits, labels and errors."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentlens.logql import (
    Entry,
    LimitError,
    LogQLError,
    Matcher,
    PipelineError,
    QueryError,
    Scalar,
    Stream,
    Streams,
    Vector,
    evaluate_instant,
    evaluate_logs,
    evaluate_range,
    response,
)
from logql_memory import NOON, SECOND, MemorySource

MINUTE = 60 * SECOND


def source(*lines: tuple[int, str], **labels: str) -> MemorySource:
    """One stream; times are seconds after noon."""
    return MemorySource([({"app": "a", **labels}, [(NOON + at * SECOND, text) for at, text in lines])])


def texts(found: Streams) -> list[str]:
    return [entry.line for stream in found.streams for entry in stream.entries]


def value(found: Vector | Scalar) -> float:
    assert isinstance(found, Vector)
    return found.samples[0].value


def test_a_log_range_takes_its_start_and_leaves_its_end() -> None:
    logs = source((0, "first"), (10, "middle"), (20, "end"))
    found = evaluate_logs('{app="a"}', logs, NOON, NOON + 20 * SECOND, direction="forward")
    assert texts(found) == ["first", "middle"]


@pytest.mark.parametrize("failing", [0, 1])
def test_one_unreadable_line_among_readable_ones_is_an_error_of_absent_over_time_too(failing: int) -> None:
    lines = ['{"a": 1}', '{"a": 2}']
    lines[failing] = "not JSON"
    logs = source(*enumerate(lines))
    with pytest.raises(PipelineError, match="JSONParserErr"):
        evaluate_instant('absent_over_time({app="a"} | json | a != "x" [1m])', logs, NOON + 30 * SECOND)


def test_a_record_at_the_window_edge_is_counted_once() -> None:
    logs = source((0, "x"), (60, "x"), (120, "x"))
    found = evaluate_range('count_over_time({app="a"}[1m])', logs, NOON, NOON + 2 * MINUTE, MINUTE)
    assert [point for series in found.series for point in series.points] == [
        (NOON, 1.0),
        (NOON + MINUTE, 1.0),
        (NOON + 2 * MINUTE, 1.0),
    ]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 600 * SECOND), max_size=60), st.integers(1, 10))
def test_windows_side_by_side_count_every_record_once(times: list[int], width: int) -> None:
    logs = MemorySource([({"app": "a"}, [(NOON + at, "x") for at in times])])
    step = width * MINUTE
    start, end = NOON - NOON % step, NOON + 600 * SECOND
    end += -end % step
    found = evaluate_range(f'sum(count_over_time({{app="a"}}[{width}m]))', logs, start, end, step)
    assert sum(count for series in found.series for _, count in series.points) == len(times)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 20), max_size=40), st.integers(1, 40), st.sampled_from(["backward", "forward"]))
def test_pages_by_time_give_every_line_in_order(times: list[int], limit: int, direction: str) -> None:
    logs = source(*[(at, str(index)) for index, at in enumerate(times)])
    found = evaluate_logs('{app="a"}', logs, NOON, NOON + MINUTE, limit, direction)  # type: ignore[arg-type]
    stamps = [entry.ts for stream in found.streams for entry in stream.entries]
    assert len(stamps) == min(limit, len(times))
    wanted = sorted((NOON + at * SECOND for at in times), reverse=direction == "backward")
    assert stamps == wanted[:limit]


def test_newest_lines_come_first_unless_asked_otherwise_and_streams_go_by_their_labels() -> None:
    logs = MemorySource(
        [
            ({"app": "b"}, [(NOON + 1, "b1"), (NOON + 4, "b4")]),
            ({"app": "a"}, [(NOON + 2, "a2"), (NOON + 3, "a3")]),
        ]
    )
    assert texts(evaluate_logs('{app=~".+"}', logs, NOON, NOON + 9, 3)) == ["a3", "a2", "b4"]


def test_a_source_may_give_a_stream_in_several_parts() -> None:
    class Parts:
        def streams(self, matchers: Sequence[Matcher], start_ns: int, end_ns: int) -> list[Stream]:
            return [Stream({"app": "a"}, [Entry(NOON, "x", {"k": "v"})]) for _ in range(3)]

    assert texts(evaluate_logs('{app="a"}', Parts(), NOON, NOON + 1)) == ["x", "x", "x"]
    assert value(evaluate_instant('sum(count_over_time({app="a"}[1m]))', Parts(), NOON)) == 3


def test_labels_of_stream_metadata_and_parser_are_kept_apart_when_asked() -> None:
    logs = MemorySource([({"app": "a", "level": "stream"}, [(NOON, '{"level":"x","n":1}', {"pod": "p"})])])
    found = evaluate_logs('{app="a"} | json', logs, NOON, NOON + 1, categorize=True)
    assert response(found)["data"] == {
        "resultType": "streams",
        "encodingFlags": ["categorize-labels"],
        "result": [
            {
                "stream": {"app": "a", "level": "stream"},
                "values": [
                    [
                        str(NOON),
                        '{"level":"x","n":1}',
                        {"structuredMetadata": {"pod": "p"}, "parsed": {"level_extracted": "x", "n": "1"}},
                    ]
                ],
            }
        ],
    }


def test_metadata_that_clashes_with_a_stream_label_gets_the_suffix() -> None:
    logs = MemorySource([({"app": "a"}, [(NOON, "x", {"app": "other"})])])
    found = evaluate_logs('{app="a"}', logs, NOON, NOON + 1)
    assert found.streams[0].labels == (("app", "a"), ("app_extracted", "other"))


def test_a_line_that_is_not_json_is_marked_in_a_log_query_and_fails_a_metric_query() -> None:
    logs = source((1, "plain"))
    found = evaluate_logs('{app="a"} | json', logs, NOON, NOON + MINUTE)
    assert dict(found.streams[0].labels)["__error__"] == "JSONParserErr"
    with pytest.raises(PipelineError, match=r"^pipeline error: 'JSONParserErr'") as caught:
        evaluate_instant('sum by (x) (count_over_time({app="a"} | json [5m]))', logs, NOON + MINUTE)
    assert caught.value.status == 400
    quiet = 'sum by (x) (count_over_time({app="a"} | json | __error__="" [5m]))'
    assert evaluate_instant(quiet, logs, NOON + MINUTE) == Vector(NOON + MINUTE, [])


def test_a_parser_does_not_run_where_no_label_of_it_is_wanted() -> None:
    logs = source((1, "plain"))
    assert value(evaluate_instant('sum(count_over_time({app="a"} | json [5m]))', logs, NOON + MINUTE)) == 1


def test_more_series_than_allowed_are_refused() -> None:
    logs = MemorySource([({"app": "a"}, [(NOON + index, "x", {"id": str(index)}) for index in range(501)])])
    with pytest.raises(LimitError, match=r"maximum number of series \(500\) reached"):
        evaluate_instant('count_over_time({app="a"}[5m])', logs, NOON + MINUTE)
    with pytest.raises(LimitError):
        evaluate_instant('topk(1, count_over_time({app="a"}[5m]))', logs, NOON + MINUTE)
    assert value(evaluate_instant('count(count_over_time({app="a"}[5m]))', logs, NOON + MINUTE)) == 501


def test_a_step_that_is_too_small_or_none_is_refused() -> None:
    with pytest.raises(QueryError, match="11,000 points"):
        evaluate_range('rate({app="a"}[1m])', source(), NOON, NOON + 12_000 * SECOND, SECOND)
    with pytest.raises(QueryError, match="zero or negative"):
        evaluate_range('rate({app="a"}[1m])', source(), NOON, NOON + MINUTE, 0)


def test_a_query_that_would_take_minutes_is_refused() -> None:
    lines = [(NOON + index * 1_000_000, "v=1") for index in range(15_000)]
    query = 'sum_over_time({app="a"} | logfmt | unwrap v [1h])'
    with pytest.raises(LimitError, match="too heavy"):
        evaluate_range(query, MemorySource([({"app": "a"}, lines)]), NOON, NOON + 10_000 * SECOND, SECOND)


def test_too_long_a_range_is_refused_with_its_length() -> None:
    with pytest.raises(QueryError, match=r"\(query length: 8760h0m0s, limit: 30d1h\)"):
        evaluate_logs('{app="a"}', source(), NOON - 365 * 24 * 3600 * SECOND, NOON)


def test_a_log_query_at_one_instant_is_refused() -> None:
    with pytest.raises(QueryError, match="not supported as an instant query type"):
        evaluate_instant('{app="a"}', source(), NOON)


def test_steps_are_brought_to_whole_multiples() -> None:
    found = evaluate_range("vector(1)", source(), NOON + 13 * SECOND, NOON + 61 * SECOND, MINUTE)
    assert [at for at, _ in found.series[0].points] == [NOON, NOON + MINUTE, NOON + 2 * MINUTE]


def test_two_sides_that_fit_more_than_once_are_an_error_of_status_500() -> None:
    logs = MemorySource([({"app": "a", "n": str(index)}, [(NOON, "x")]) for index in range(2)])
    counts = 'sum by (app, n) (count_over_time({app="a"}[1m]))'
    with pytest.raises(LogQLError, match="many-to-one matching must be explicit") as caught:
        evaluate_instant(f'{counts} / on (app) sum by (app) (count_over_time({{app="a"}}[1m]))', logs, NOON)
    assert caught.value.status == 500


def test_an_offset_looks_back() -> None:
    logs = source((0, "x"), (2, "x"), (100, "x"))
    assert value(evaluate_instant('sum(count_over_time({app="a"}[1m] offset 1m))', logs, NOON + 61 * SECOND)) == 1.0
    assert value(evaluate_instant('sum(count_over_time({app="a"}[1m] offset 1m))', logs, NOON + 110 * SECOND)) == 2.0


@pytest.mark.parametrize(
    ("number", "shown"),
    [(1.0, "1"), (0.1, "0.1"), (1e21, "1000000000000000000000"), (1e-7, "0.0000001"), (float("inf"), "+Inf")],
)
def test_a_value_is_written_as_go_writes_it(number: float, shown: str) -> None:
    assert response(Scalar(NOON, number))["data"]["result"] == [NOON // SECOND, shown]


def test_a_line_filter_over_a_hundred_thousand_lines_is_quick() -> None:
    lines = [
        (NOON + index * 1000, f"request {index} took {index % 97} ms path=/api/{index % 10}")
        for index in range(100_000)
    ]
    logs = MemorySource([({"app": "a"}, lines)])
    evaluate_logs('{app="a"}', logs, NOON, NOON + 1)
    began = time.perf_counter()
    found = evaluate_logs('{app="a"} |= "request 5 took"', logs, NOON, NOON + MINUTE)
    assert time.perf_counter() - began < 1.0
    assert texts(found) == ["request 5 took 5 ms path=/api/5"]
