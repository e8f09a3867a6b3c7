from __future__ import annotations

import random

import polars as pl
import pytest

from incidentlens.detection import DetectionContext, DetectionSettings, Detector
from incidentlens.model.clock import HOUR, MINUTE, SECOND
from incidentlens.model.decisions import Alert, Deploy, Maintenance
from incidentlens.model.incidents import Problem
from incidentlens.model.records import SIGNED, empty
from incidentlens.model.terms import ProblemKind

START = 1_700_000_000 * SECOND


def background(seconds, *, types=33, rate=10.0, seed=1, start=0, services=("orders", "payment", "auth")):
    """70 % info, 20 % error of `types` types, 10 % warnings, Poisson in time."""
    rng = random.Random(seed)
    at = float(start)
    rows = []
    while at < start + seconds:
        at += rng.expovariate(rate)
        kind = rng.random()
        service = rng.choice(services)
        if kind < 0.7:
            rows.append({"at": at, "service": service, "level": "info", "signature": f"{service} ok"})
        elif kind < 0.9:
            name = f"{service} error {rng.randrange(types)}"
            rows.append({"at": at, "service": service, "level": "error", "signature": name})
        else:
            rows.append({"at": at, "service": service, "level": "warn", "signature": f"{service} warn"})
    return rows


def ticks(detector, frame, context=None, step=5 * SECOND, until=None):
    """Feed a frame in live ticks; the last state of each problem."""
    found: dict[str, Problem] = {}
    if frame.height == 0:
        return found
    now = frame["ts"].min()
    end = until or frame["ts"].max() + step
    while now < end:
        part = frame.filter((pl.col("ts") >= now) & (pl.col("ts") < now + step))
        now += step
        for problem in detector.observe(part, now, context or DetectionContext()):
            found[problem.id] = problem
    return found


def test_every_failing_line_is_a_problem_where_there_is_no_history(make_signed):
    frame = make_signed(
        [
            {"at": 0, "level": "error", "signature": "a"},
            {"at": 1, "level": "fatal", "signature": "b"},
            {"at": 2, "level": "info", "signature": "c"},
        ]
    )
    problems = Detector(DetectionSettings(), {}).observe(frame, START + 3 * SECOND, DetectionContext())
    assert {problem.signature for problem in problems} == {"a", "b"}
    assert all(problem.samples and problem.kind == ProblemKind.NEW for problem in problems)


def test_an_exception_in_a_line_of_level_info_is_a_problem(make_signed):
    frame = make_signed([{"message": "worker died: OutOfMemoryError: heap"}, {"message": "all is well, 0 errors"}])
    problems = Detector(DetectionSettings(), {}).observe(frame, START, DetectionContext())
    assert [problem.template for problem in problems] == ["worker died: OutOfMemoryError: heap"]


@pytest.mark.parametrize("seed", range(5))
def test_routine_errors_that_were_learned_are_no_problem(make_signed, seed):
    detector = Detector(DetectionSettings(), {})
    detector.learn(make_signed(background(600, seed=seed)))
    later = make_signed(background(1800, seed=seed + 100, start=600))
    assert ticks(detector, later) == {}


def test_a_short_look_back_is_enough_to_hold_its_peace_over_rare_types(make_signed):
    detector = Detector(DetectionSettings(), {})
    detector.learn(make_signed(background(30, seed=3)))
    later = make_signed(background(300, seed=4, start=30))
    assert len(ticks(detector, later)) <= 1


def test_a_new_failing_signature_amid_learned_routine_is_found_at_once(make_signed):
    detector = Detector(DetectionSettings(), {})
    detector.learn(make_signed(background(600)))
    rows = background(60, seed=2, start=600)
    rows += [{"at": 630 + i, "level": "error", "signature": "pool exhausted"} for i in range(20)]
    found = ticks(detector, make_signed(sorted(rows, key=lambda row: row["at"])))
    (problem,) = found.values()
    assert problem.signature == "pool exhausted"
    assert problem.onset == START + 630 * SECOND
    assert problem.count == 20
    assert "never before" in problem.why


def test_a_known_signature_at_many_times_its_rate_is_a_spike(make_signed):
    detector = Detector(DetectionSettings(), {})
    detector.learn(make_signed(background(600)))
    rows = [{"at": 600 + i / 10, "level": "error", "signature": "orders error 3"} for i in range(300)]
    (problem,) = ticks(detector, make_signed(rows)).values()
    assert problem.kind == ProblemKind.SPIKE
    assert problem.rate_per_minute > 10 * problem.baseline_per_minute
    assert problem.score > 5


def bursts(starts, records=60, seconds=90):
    """`records` errors of one signature spread over `seconds` from each start on."""
    return [
        {"at": start + index * seconds / records, "level": "error", "signature": "pool exhausted"}
        for start in starts
        for index in range(records)
    ]


@pytest.mark.parametrize("frames", [1, 30])
def test_an_outage_in_what_was_learned_is_not_taken_for_usual(make_signed, frames):
    detector = Detector(DetectionSettings(), {})
    learned = make_signed(sorted(background(900) + bursts([300]), key=lambda row: row["at"]))
    for index in range(frames):
        detector.learn(learned[index * learned.height // frames : (index + 1) * learned.height // frames])
    again = make_signed(sorted(background(300, seed=2, start=900) + bursts([1000]), key=lambda row: row["at"]))
    (problem,) = ticks(detector, again).values()
    assert problem.signature == "pool exhausted"
    assert problem.onset == START + 1000 * SECOND


def test_errors_that_came_in_three_bursts_of_what_was_learned_are_a_habit(make_signed):
    detector = Detector(DetectionSettings(), {})
    rows = background(3600) + bursts([600, 1500, 2400, 3300])
    detector.learn(make_signed(sorted(rows, key=lambda row: row["at"])))
    again = make_signed(sorted(background(600, seed=2, start=3600) + bursts([4100]), key=lambda row: row["at"]))
    assert ticks(detector, again) == {}


def test_of_a_history_of_a_few_minutes_everything_is_usual(make_signed):
    detector = Detector(DetectionSettings(), {})
    detector.learn(make_signed(sorted(background(180) + bursts([30]), key=lambda row: row["at"])))
    again = make_signed(sorted(background(120, seed=2, start=180) + bursts([190]), key=lambda row: row["at"]))
    assert "pool exhausted" not in {problem.signature for problem in ticks(detector, again).values()}


def test_a_failure_that_had_begun_before_what_was_learned_ended_is_still_a_problem(make_signed):
    detector = Detector(DetectionSettings(), {})
    rows = background(900) + bursts([700], records=200, seconds=200)
    detector.learn(make_signed(sorted(rows, key=lambda row: row["at"])))
    on = make_signed(bursts([900], records=120, seconds=120))
    assert [problem.signature for problem in ticks(detector, on).values()] == ["pool exhausted"]


def test_ticks_and_one_frame_find_the_same(make_signed):
    rows = background(300, seed=9, start=600)
    rows += [{"at": 700 + i, "level": "error", "signature": "boom"} for i in range(50)]
    frame = make_signed(sorted(rows, key=lambda row: row["at"]))
    results = []
    for live in (True, False):
        detector = Detector(DetectionSettings(), {})
        detector.learn(make_signed(background(600)))
        if live:
            results.append({p.id: (p.onset, p.count) for p in ticks(detector, frame).values()})
        else:
            results.append({p.id: (p.onset, p.count) for p in detector.observe(frame, START + 900 * SECOND)})
    assert results[0] == results[1]


def test_a_restart_between_any_two_ticks_changes_nothing(make_signed):
    rows = background(120, seed=9, start=600)
    rows += [{"at": 650 + i, "level": "error", "signature": "boom"} for i in range(50)]
    frame = make_signed(sorted(rows, key=lambda row: row["at"]))
    whole = Detector(DetectionSettings(), {})
    whole.learn(make_signed(background(600)))
    state = dict(whole.changed_state())
    expected = ticks(whole, frame)
    found: dict[str, Problem] = {}
    now = int(frame["ts"].min())
    while now < frame["ts"].max() + 5 * SECOND:
        part = frame.filter((pl.col("ts") >= now) & (pl.col("ts") < now + 5 * SECOND))
        now += 5 * SECOND
        detector = Detector(DetectionSettings(), state)
        found |= {problem.id: problem for problem in detector.observe(part, now)}
        state |= detector.changed_state()
    assert found == expected


def test_maintenance_deploys_noise_and_learning_suppress_with_a_reason(make_signed):
    frame = make_signed([{"level": "error", "signature": "a", "service": "orders"}])
    planned = Deploy(id="d", project="p", service="orders", at=START - MINUTE, planned_until=START + MINUTE)
    window = Maintenance(id="m", project="p", starts_at=START - HOUR, ends_at=START + HOUR, reason="upgrade")
    for reason, context in {
        "maintenance": DetectionContext(maintenance=(window,)),
        "deploy": DetectionContext(deploys=(planned,)),
        "noise": DetectionContext(noise=frozenset({"a"})),
        "learning": DetectionContext(learning=True),
    }.items():
        (problem,) = Detector(DetectionSettings(), {}).observe(frame, START, context)
        assert problem.suppressed is not None
        assert problem.suppressed.reason == reason


def test_a_service_that_is_new_in_an_old_project_has_a_grace_period_but_not_for_fatal_lines(make_signed):
    detector = Detector(DetectionSettings(), {})
    detector.learn(make_signed({"at": i * 10, "level": "info"} for i in range(720)))
    frame = make_signed(
        [
            {"at": 7200, "service": "fresh", "level": "error", "signature": "a"},
            {"at": 7201, "service": "fresh", "level": "fatal", "signature": "b"},
        ]
    )
    context = DetectionContext(service_first_seen={"fresh": START + 7200 * SECOND})
    problems = {problem.signature: problem for problem in detector.observe(frame, START + 7202 * SECOND, context)}
    assert problems["a"].suppressed is not None
    assert problems["a"].suppressed.reason == "grace"
    assert problems["b"].suppressed is None


def test_a_firing_alert_is_a_problem_and_lowers_the_bar_for_its_service(make_signed):
    detector = Detector(DetectionSettings(), {})
    detector.learn(make_signed({"at": i * 10, "level": "error", "signature": "slow"} for i in range(60)))
    frame = make_signed([{"at": 605 + i, "level": "error", "signature": "slow"} for i in range(12)])
    alert = Alert(
        fingerprint="f1", project="p", name="TooManyErrors", starts_at=START, ends_at=None, labels={"service": "orders"}
    )
    plain = Detector(DetectionSettings(), dict(detector.changed_state())).observe(frame, START + 620 * SECOND)
    assert plain == []
    found = detector.observe(frame, START + 620 * SECOND, DetectionContext(alerts=(alert,)))
    assert {problem.kind for problem in found} == {ProblemKind.ALERT, ProblemKind.SPIKE}


def test_a_problem_names_the_services_and_hosts_of_its_lines_and_keeps_diverse_samples(make_signed):
    rows = [
        {"at": i, "service": "web", "level": "error", "signature": "up", "trace_id": f"t{i}",
         "message": f"call {i} to payment-service failed: http://billing.internal:8080/x refused by redis-master:6379"}
        for i in range(40)
    ]  # fmt: skip
    rows.append({"at": 50, "service": "payment-service", "level": "info", "signature": "ok"})
    (problem,) = Detector(DetectionSettings(), {}).observe(make_signed(rows), START + 60 * SECOND)
    assert set(problem.mentions) == {"payment-service", "billing.internal:8080", "redis-master:6379"}
    assert len(problem.samples) == 10
    assert problem.samples[0].ts == problem.onset
    assert len(problem.trace_ids) == 40


def test_counts_are_those_of_the_last_call_only(make_signed):
    detector = Detector(DetectionSettings(), {})
    detector.observe(make_signed([{"at": 0}, {"at": 1}, {"at": 61}]), START + 62 * SECOND)
    assert sorted(count.count for count in detector.counts()) == [1, 2]
    detector.observe(empty(SIGNED), START + 63 * SECOND)
    assert detector.counts() == []


def test_keys_are_bounded_and_what_was_forgotten_is_counted(make_signed):
    detector = Detector(DetectionSettings(max_keys=100), {})
    frame = make_signed({"at": i / 100, "level": "info", "signature": f"s{i}"} for i in range(1000))
    detector.observe(frame, START + 10 * SECOND)
    state = detector.changed_state()
    assert sum(1 for name, value in state.items() if name.startswith("k:") and value) <= 110
    assert detector.dropped >= 890


def test_records_that_come_hours_late_are_counted_and_disturb_nothing(make_signed):
    detector = Detector(DetectionSettings(), {})
    detector.observe(make_signed([{"at": 7200}]), START + 7200 * SECOND)
    assert detector.observe(make_signed([{"at": 0, "level": "error", "signature": "x"}]), START + 7205 * SECOND) == []
    assert detector.counts()[0].count == 1
