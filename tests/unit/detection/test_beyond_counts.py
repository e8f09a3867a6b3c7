"""Problems that no count of failing lines shows: missing steps, slowness, silence."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from incidentlens.detection import DetectionSettings, Detector, Names, strength
from incidentlens.detection.own_clock import own_time
from incidentlens.detection.statistics import count_tail, negative_binomial_tail, share_tail
from incidentlens.model.clock import HOUR, SECOND
from incidentlens.model.terms import ProblemKind

START = 1_700_000_000 * SECOND


def request(number, at, *, stock=True, wording="all in stock"):
    """A request through two services under one trace: the shop asks, the stock answers, the shop ends."""
    trace = f"trace{number}"
    rows = [{"at": at, "service": "shop", "signature": "asks", "message": "asking stock", "trace_id": trace}]
    if stock:
        rows.append({"at": at + 0.1, "service": "stock", "signature": wording, "message": wording, "trace_id": trace})
    rows.append({"at": at + 0.2, "service": "shop", "signature": "ends", "message": "done", "trace_id": trace})
    return rows


def requests(count, start, **how):
    return [row for i in range(count) for row in request(start + i, start + i, **how)]


def test_a_called_service_that_no_longer_writes_its_step_is_a_problem_of_that_service(make_signed):
    detector = Detector(DetectionSettings(), {})
    detector.learn(make_signed(requests(60, 0)))
    found = detector.observe(make_signed(requests(30, 60) + requests(30, 90, stock=False)), START + 140 * SECOND)
    (problem,) = found
    assert (problem.kind, problem.service, problem.signature) == (ProblemKind.SEQUENCE, "stock", "all in stock")
    assert problem.onset == START + 90 * SECOND
    assert {sample.service for sample in problem.samples} == {"shop"}
    assert "was called in 60 of 60 traces" in problem.why or "of 6" in problem.why


def test_a_fault_within_a_young_history_is_seen_by_what_came_right_before_it(make_signed):
    detector = Detector(DetectionSettings(), {})
    detector.learn(make_signed(requests(5, 0)))
    assert detector.observe(make_signed(requests(40, 5)), START + 45 * SECOND) == []
    found = detector.observe(make_signed(requests(12, 50, stock=False)), START + 62 * SECOND)
    assert [(problem.kind, problem.service) for problem in found] == [(ProblemKind.SEQUENCE, "stock")]


def test_steps_follow_one_another_by_the_clock_of_their_writer_where_the_source_s_stamps_waver(make_signed):
    def wavering(count, start, seed, **how):
        dice = Random(seed)
        rows = []
        for row in requests(count, start, **how):
            own = START + int(row["at"] * SECOND) + 7 * HOUR + 137_000_000  # another zone
            rows.append({**row, "at": row["at"] + dice.uniform(0, 0.3), "event_ts": own})
        return sorted(rows, key=lambda row: row["at"])

    detector = Detector(DetectionSettings(), {})
    detector.learn(make_signed(wavering(60, 0, 1)))
    assert detector.observe(make_signed(wavering(40, 60, 2)), START + 100 * SECOND) == []
    found = detector.observe(make_signed(wavering(30, 100, 3, stock=False)), START + 140 * SECOND)
    assert [(problem.kind, problem.service) for problem in found] == [(ProblemKind.SEQUENCE, "stock")]
    assert "in 60 of 60 traces" in found[0].why


def test_a_stated_time_of_whole_seconds_or_of_another_day_orders_nothing(make_signed):
    rows = [{"at": 0.5, "signature": "a"}, {"at": 0.7, "signature": "b"}]
    coarse = [{**row, "event_ts": START} for row in rows]
    assert make_signed(coarse).select(own_time())["own"].to_list() == make_signed(rows)["ts"].to_list()
    odd = [{**row, "event_ts": START + 5_000_001} for row in rows]
    odd.append({"at": 1, "signature": "c", "event_ts": START - 40 * HOUR + 1})
    assert make_signed(odd).select(own_time())["own"].to_list()[2] == START + SECOND


def test_another_wording_of_a_step_is_the_step(make_signed):
    detector = Detector(DetectionSettings(), {})
    detector.learn(make_signed(requests(60, 0, wording="checked stock of house lyon")))
    later = make_signed(requests(30, 60, wording="checked stock of house paris"))
    assert detector.observe(later, START + 100 * SECOND) == []


def test_missing_steps_survive_a_restart_between_ticks(make_signed):
    detector = Detector(DetectionSettings(), {})
    detector.learn(make_signed(requests(60, 0)))
    state = dict(detector.changed_state())
    found = {}
    for start in range(60, 120, 5):
        detector = Detector(DetectionSettings(), state)
        part = make_signed(requests(5, start, stock=False))
        found |= {problem.id: problem for problem in detector.observe(part, START + (start + 5) * SECOND)}
        state |= detector.changed_state()
    (problem,) = found.values()
    assert problem.count > 20


def test_work_that_takes_longer_than_usual_is_a_problem(make_signed):
    def lines(count, start, ms):
        return [{"at": start + i, "signature": "served", "message": f"request served in {ms + i % 7}ms"}
                for i in range(count)]  # fmt: skip

    detector = Detector(DetectionSettings(), {})
    detector.learn(make_signed(lines(120, 0, 100)))
    assert detector.observe(make_signed(lines(60, 120, 120)), START + 180 * SECOND) == []
    found = detector.observe(make_signed(lines(120, 180, 900)), START + 300 * SECOND)
    assert [problem.kind for problem in found] == [ProblemKind.LATENCY]
    assert "where" in found[0].why


def test_slow_work_without_any_history_is_reported_only_where_it_is_slow_by_any_measure(make_signed):
    slow = [{"at": i, "signature": "page", "message": f"Page rendered in {4 + i / 10} seconds."} for i in range(5)]
    quick = [{"at": i, "signature": "call", "message": f"took {i + 1}ms"} for i in range(5)]
    found = Detector(DetectionSettings(), {}).observe(make_signed(slow + quick), START + 6 * SECOND)
    assert [(problem.kind, problem.signature) for problem in found] == [(ProblemKind.LATENCY, "page")]


def test_a_heartbeat_that_stops_is_a_problem_and_one_that_never_was_steady_is_not(make_signed):
    beats = [{"at": i * 10, "signature": "beat", "service": "cron"} for i in range(720)]
    bursts = [{"at": (i // 50) * 3600 + i % 50, "signature": "burst", "service": "cron"} for i in range(100)]
    other = [{"at": i * 15, "signature": "other", "service": "web"} for i in range(480)]
    detector = Detector(DetectionSettings(), {})
    detector.learn(make_signed(sorted(beats + bursts + other, key=lambda row: row["at"])))
    found = {}
    for start in range(7200, 8400, 5):
        rows = [{"at": start, "signature": "other", "service": "web"}] if start % 15 == 0 else []
        if start < 7500 and start % 10 == 0:
            rows.append({"at": start, "signature": "beat", "service": "cron"})
        for problem in detector.observe(make_signed(rows), START + (start + 5) * SECOND):
            found[problem.id] = problem
    (problem,) = found.values()
    assert (problem.kind, problem.service, problem.signature) == (ProblemKind.SILENCE, "cron", "beat")
    assert problem.onset == START + 7490 * SECOND
    assert problem.samples


def test_names_are_recognised_as_people_write_them():
    names = Names(["payment-service", "orders", "ts-basic-service", "ts-seat-service", "ts-user-service", "catalogue"])
    assert names.find("call to PaymentService failed") == ["payment-service"]
    assert names.find("POST http://orders:8080/x refused") == ["orders"]
    assert names.find("no order for payment; orders are late") == []
    assert names.find("orders did not answer within 5000 ms") == ["orders"]
    assert names.find("No instances available for basic-service") == ["ts-basic-service"]
    assert names.find("Killed process 7 in pod shop/catalogue-7f9c4d") == ["catalogue"]
    assert names.find("dial tcp redis-master:6379: refused") == ["redis-master:6379"]
    assert names.find("payment-service timed out", itself="payment-service") == []


def test_words_weigh_more_than_levels_only_where_they_leave_no_doubt():
    assert strength("worker died: OutOfMemoryError", "info") >= 2
    assert strength("0 errors, all is well", "unknown") == 0
    assert strength("connection refused", "unknown") == 2
    assert strength("connection refused", "info") == 0
    assert strength("memory pressure resolved", "unknown") == 0


@given(st.integers(0, 400), st.floats(0.01, 300), st.floats(0, 3000))
@settings(deadline=None, max_examples=100)
def test_tails_are_probabilities_and_fall_with_the_count(count, mean, extra):
    here = negative_binomial_tail(count, mean, mean + extra)
    assert 0 <= here <= 1
    assert negative_binomial_tail(count + 1, mean, mean + extra) <= here + 1e-9


def test_a_short_history_makes_every_count_less_surprising():
    assert count_tail(10, 2, 2, 2) > count_tail(10, 20, 20, 2) > count_tail(10, 200, 200, 2)
    assert count_tail(10, 0, 0, 2) == 1.0
    assert share_tail(0, 4, 6, 6) > 1e-4 > share_tail(0, 4, 30, 30)


@given(st.text(max_size=300), st.text(max_size=40))
@settings(deadline=None, max_examples=200)
def test_any_text_is_searched_for_names_and_words_without_error(text, service):
    Names([service, "a-b", "shop"]).find(text)
    strength(text, "unknown")
