"""The span a query reads next."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from incidentlens.intake.windows import next_span

S = 10**9


def test_a_span_ends_before_the_newest_seconds_and_begins_before_the_cursor():
    span = next_span(100 * S, 110 * S, delay=2 * S, overlap=30 * S, step=300 * S)
    assert span is not None
    assert (span.start, span.end, span.cursor) == (70 * S, 108 * S, 108 * S)
    assert not span.catching_up


def test_an_hour_of_standstill_is_caught_up_in_bounded_steps_without_a_gap():
    cursor, now, spans = 0, 3600 * S, []
    while span := next_span(cursor, now, delay=2 * S, overlap=0, step=300 * S):
        spans.append(span)
        cursor = span.cursor
    assert len(spans) == 12
    assert all(later.start == earlier.end for earlier, later in itertools.pairwise(spans))
    assert spans[-1].end == now - 2 * S
    assert [span.catching_up for span in spans] == [True] * 11 + [False]


def test_a_clock_that_steps_back_reads_nothing_until_it_has_passed_the_cursor_again():
    assert next_span(100 * S, 90 * S, delay=2 * S, overlap=30 * S, step=300 * S) is None
    assert next_span(100 * S, 102 * S, delay=2 * S, overlap=30 * S, step=300 * S) is None
    assert next_span(100 * S, 103 * S, delay=2 * S, overlap=30 * S, step=300 * S) is not None


@given(
    cursor=st.integers(0, 10**12),
    nows=st.lists(st.integers(0, 10**12), min_size=1, max_size=20),
    delay=st.integers(0, 10**9),
    overlap=st.integers(0, 10**10),
    step=st.integers(10**9, 10**11),
)
def test_whatever_the_clock_does_every_moment_is_read_and_the_cursor_never_goes_back(
    cursor, nows, delay, overlap, step
):
    for now in nows:
        span = next_span(cursor, now, delay=delay, overlap=overlap, step=step)
        if span is None:
            continue
        assert span.start <= cursor < span.end
        assert span.cursor == span.end <= now - delay
        cursor = span.cursor
