"""What detection learns besides problems: who calls whom, who goes on as usual, what was steady before it looked."""

from __future__ import annotations

from incidentlens.detection import DetectionSettings, Detector
from incidentlens.model.clock import SECOND
from incidentlens.model.terms import ProblemKind

START = 1_700_000_000 * SECOND


def request(number, at, inner=("reads", "answers"), end=("info", "done")):
    """front calls middle, middle calls inner; `inner` are the steps of the innermost."""
    steps = [("front", "info", "got request"), ("middle", "info", "looks up")]
    steps += [("inner", "info", step) for step in inner]
    steps += [("middle", *end), ("front", "info", "ends")]
    return [
        {"at": at + 0.01 * index, "service": service, "level": level, "message": text, "trace_id": f"trace{number}"}
        for index, (service, level, text) in enumerate(steps)
    ]


def requests(count, start, **how):
    return [row for i in range(count) for row in request(start + i, start + i, **how)]


def test_calls_are_learnt_from_who_writes_inside_whose_time_and_survive_a_restart(make_signed):
    detector = Detector(DetectionSettings(), {})
    detector.learn(make_signed(requests(20, 0)))
    assert dict(detector.calls()) == {"front": ("middle",), "middle": ("inner",)}
    assert dict(Detector(DetectionSettings(), detector.changed_state()).calls()) == dict(detector.calls())


def test_two_traces_are_no_custom(make_signed):
    detector = Detector(DetectionSettings(), {})
    detector.learn(make_signed(requests(2, 0)))
    assert dict(detector.calls()) == {}


def test_an_early_return_is_found_although_its_caller_trips_over_it(make_signed):
    detector = Detector(DetectionSettings(), {})
    detector.learn(make_signed(requests(60, 0)))
    rows = requests(40, 60, inner=("answers",), end=("error", "row is null"))
    found = detector.observe(make_signed(rows), START + 130 * SECOND)
    broken = [problem for problem in found if problem.kind == ProblemKind.SEQUENCE]
    assert [(problem.service, problem.signature, problem.unreached) for problem in broken] == [
        ("inner", "reads", False)
    ]


def test_a_service_that_is_not_called_any_more_is_told_as_not_reached(make_signed):
    detector = Detector(DetectionSettings(), {})
    detector.learn(make_signed(requests(60, 0)))
    found = detector.observe(make_signed(requests(40, 60, inner=())), START + 130 * SECOND)
    assert ("inner", True) in {(problem.service, problem.unreached) for problem in found}


def test_who_writes_less_than_usual_is_seen_and_less_traffic_for_all_is_taken_out(make_signed):
    detector = Detector(DetectionSettings(), {})
    usual = [{"at": at, "service": name, "message": "beat"} for at in range(600) for name in ("a", "b", "c")]
    detector.learn(make_signed(usual))
    fewer = [{"at": 600 + 2 * i, "service": name, "message": "beat"} for i in range(30) for name in ("a", "b")]
    detector.observe(make_signed(fewer), START + 660 * SECOND)
    told = detector.liveliness(START + 600 * SECOND)
    assert told["c"][0] == 0
    assert told["c"][1] > 15
    assert told["a"][0] == 30
    assert told["a"][1] < 40


def test_a_heartbeat_that_was_only_learnt_is_missed_from_the_first_record_on(make_signed):
    detector = Detector(DetectionSettings(), {})
    minutes = [{"at": 60 * i + 10 * k, "service": "ticker", "message": "beat"} for i in range(90) for k in range(6)]
    others = [{"at": 30 * i, "service": "front", "message": "serves"} for i in range(180)]
    detector.learn(make_signed(sorted(minutes + others, key=lambda row: row["at"])))
    day = 86_400
    found = []
    for tick in range(12):
        rows = [{"at": day + 60 * tick + 10 * k, "service": "front", "message": "serves"} for k in range(6)]
        problems = detector.observe(make_signed(rows), START + (day + 60 * tick + 60) * SECOND)
        found += [(tick, problem.service) for problem in problems if problem.kind == ProblemKind.SILENCE]
    assert found
    assert {service for _, service in found} == {"ticker"}
    assert found[0][0] >= 3  # not at once: the learnt time was another day
