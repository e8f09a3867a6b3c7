"""More of a service's records fail than usual; what is expected, and what that does not excuse."""

from __future__ import annotations

import random

import pytest

from incidentlens.detection import DetectionContext, DetectionSettings, Detector
from incidentlens.model.clock import HOUR, MINUTE, SECOND
from incidentlens.model.decisions import Maintenance
from incidentlens.model.terms import ProblemKind

START = 1_700_000_000 * SECOND


def traffic(start, seconds, share, *, wordings=150, seed=1, service="orders"):
    """Five records a second of which `share` fail, each in one of many wordings."""
    dice = random.Random(seed)
    rows = []
    for tenth in range(seconds * 5):
        failing = dice.random() < share
        name = f"rejected {dice.randrange(wordings)}" if failing else "served"
        level = "error" if failing else "info"
        rows.append({"at": start + tenth / 5, "service": service, "level": level, "signature": name})
    return rows


def looked(detector, make_signed, rows, context=None):
    """The problems found in ticks of ten seconds, the last state of each."""
    found = {}
    rows = sorted(rows, key=lambda row: row["at"])
    at = rows[0]["at"] // 10 * 10
    while rows:
        part = [row for row in rows if row["at"] < at + 10]
        rows = rows[len(part) :]
        at += 10
        for problem in detector.observe(make_signed(part), START + int(at * SECOND), context):
            found[problem.id] = problem
    return list(found.values())


@pytest.fixture
def learnt(make_signed):
    detector = Detector(DetectionSettings(), {})
    detector.learn(make_signed(traffic(0, 3600, 0.05)))
    return detector


def test_more_failing_records_in_many_wordings_are_one_problem_of_the_service(learnt, make_signed):
    found = looked(learnt, make_signed, traffic(3600, 300, 0.05, seed=2) + traffic(3900, 300, 0.4, seed=3))
    shares = [problem for problem in found if problem.kind == ProblemKind.ERROR_SHARE]
    assert len(shares) == 1
    (share,) = shares
    assert share.service == "orders"
    assert abs(share.onset - (START + 3900 * SECOND)) < 60 * SECOND
    assert share.parts.spike_ratio > 3
    assert "usual share over" in share.parts.baseline
    assert len({sample.signature for sample in share.samples}) > 3


def test_the_usual_share_is_no_problem_however_much_is_written(learnt, make_signed):
    assert looked(learnt, make_signed, traffic(3600, 900, 0.06, seed=4)) == []


def test_one_signature_that_spikes_is_that_problem_and_no_other(learnt, make_signed):
    rows = traffic(3600, 200, 0.05, seed=5)
    rows += [{"at": 3700 + i / 5, "level": "error", "signature": "pool exhausted"} for i in range(500)]
    assert {problem.kind for problem in looked(learnt, make_signed, rows)} == {ProblemKind.NEW}


def test_the_share_survives_a_restart_between_ticks(learnt, make_signed):
    state = dict(learnt.changed_state())
    kinds = set()
    rows = traffic(3600, 60, 0.05, seed=6) + traffic(3660, 180, 0.4, seed=7)
    for start in range(3600, 3840, 10):
        detector = Detector(DetectionSettings(), state)
        part = [row for row in rows if start <= row["at"] < start + 10]
        kinds |= {problem.kind for problem in detector.observe(make_signed(part), START + (start + 10) * SECOND)}
        state |= detector.changed_state()
    assert ProblemKind.ERROR_SHARE in kinds


@pytest.mark.parametrize("lines", [100, 20_000])
def test_a_new_pattern_that_comes_in_a_flood_in_one_tick_is_news_all_the_more(make_signed, lines):
    detector = Detector(DetectionSettings(), {})
    detector.learn(make_signed({"at": i, "level": "info", "signature": "served"} for i in range(3600)))
    flood = ({"at": 3600 + i / lines, "level": "error", "signature": "disk is gone"} for i in range(lines))
    (problem,) = detector.observe(make_signed(flood), START + 3605 * SECOND)
    assert (problem.kind, problem.count, problem.onset) == (ProblemKind.NEW, lines, START + 3600 * SECOND)
    again = ({"at": 3610 + i / lines, "level": "error", "signature": "disk is gone"} for i in range(lines))
    (still,) = detector.observe(make_signed(again), START + 3615 * SECOND)
    assert (still.id, still.count) == (problem.id, 2 * lines)
    assert still.score >= problem.score > 5


def test_one_record_that_becomes_three_is_no_problem(make_signed):
    detector = Detector(DetectionSettings(), {})
    detector.learn(make_signed({"at": i * 120, "level": "error", "signature": "late"} for i in range(60)))
    rows = [{"at": 7200 + i, "level": "error", "signature": "late"} for i in range(3)]
    assert detector.observe(make_signed(rows), START + 7204 * SECOND) == []


def window(**more):
    return Maintenance(id="m", project="p", starts_at=START, ends_at=START + 10 * MINUTE, reason="upgrade", **more)


@pytest.mark.parametrize(
    ("expected", "suppressed"),
    [
        (window(), True),
        (window(services=("orders",)), True),
        (window(services=("payment",)), False),
        (window(kinds=(ProblemKind.NEW,)), True),
        (window(services=("orders",), kinds=(ProblemKind.SILENCE, ProblemKind.LATENCY)), False),
    ],
)
def test_a_window_hides_only_the_services_and_kinds_it_is_for(make_signed, expected, suppressed):
    context = DetectionContext(maintenance=(expected,))
    frame = make_signed([{"at": 5, "level": "error", "signature": "boom"}])
    (problem,) = Detector(DetectionSettings(), {}).observe(frame, START + 6 * SECOND, context)
    assert (problem.suppressed is not None) == suppressed


def test_what_still_fails_after_the_window_is_no_longer_held_back(make_signed):
    detector = Detector(DetectionSettings(), {})
    rows = [{"at": at, "level": "error", "signature": "boom"} for at in range(0, 900, 5)]
    during = looked(detector, make_signed, rows[:120], DetectionContext(maintenance=(window(),)))
    after = looked(detector, make_signed, rows[120:], DetectionContext())
    assert [problem.suppressed.reason for problem in during] == ["maintenance"]
    assert [(problem.id, problem.suppressed) for problem in after] == [(during[0].id, None)]
    assert HOUR > after[0].last_seen - after[0].onset > 10 * MINUTE
