"""Fitting the confidence: towards what was right, not far from what is in force, and in bounded time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from incidentlens.evals import calibrate
from incidentlens.evals.calibrate import Sample, cross_validated, fit, gather, losses
from incidentlens.incidents.calibration import COEFFICIENTS, INTERCEPT, Support

PLAIN = Support(0.9, alone=False, rivals=False, silent=False, lively=False, symptom=False)


def samples(support, right, count, of="g"):
    return [Sample(f"{of}{number}", support, right) for number in range(count)]


def number(fitted, name):
    return float(fitted[list(COEFFICIENTS).index(name)])


def test_without_news_the_numbers_in_force_stay():
    assert fit(samples(PLAIN, True, 1))[-1] == pytest.approx(INTERCEPT, abs=0.1)


def test_what_is_wrong_more_often_than_said_loses_weight_and_the_more_samples_the_more():
    rivals = replace(PLAIN, rivals=True)
    few = number(fit(samples(rivals, False, 5)), "rivals")
    many = number(fit(samples(rivals, False, 50)), "rivals")
    assert many < few < COEFFICIENTS["rivals"]


def test_a_sample_is_judged_by_a_fit_that_saw_none_of_its_group():
    odd = replace(PLAIN, blames=True)
    everything = [*samples(PLAIN, True, 40), *(Sample("one", odd, False) for _ in range(30))]
    chances = cross_validated(everything)
    alone = fit(samples(PLAIN, True, 40))
    assert number(alone, "blames") == pytest.approx(COEFFICIENTS["blames"], abs=0.01)
    assert chances[-1] > 1 / (1 + np.exp(-(np.array([*odd.features().values(), 1.0]) @ fit(everything))))


def test_losses_are_none_for_the_truth_and_grow_with_the_error():
    right = np.array([True, False])
    assert losses(np.array([1.0, 0.0]), right) == (0.0, 0.0)
    assert losses(np.array([0.6, 0.4]), right) < losses(np.array([0.4, 0.6]), right)


def test_playing_ends_when_its_time_is_over_and_says_how_far_it_came(monkeypatch, capsys):
    clock = iter(range(0, 10_000, 30))
    monkeypatch.setattr(calibrate.time, "monotonic", lambda: float(next(clock)))
    found = gather([lambda: Sample("a", PLAIN, True)] * 100, minutes=1)
    assert 1 < len(found) < 5
    assert "of 100 cases" in capsys.readouterr().err
