"""Groups of records against what groups usually look like, on a workflow with faults that no public set knows."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentlens.detection.groups import Collector, DetectorError, GroupError, detect, grid, judge, subset
from incidentlens.detection.groups.words import adverse
from incidentlens.intake.files import read_records

FAULTS = ("rejected", "stops", "unpaid", "twice")
GROUP_BY = r"order=(o\d+)"


def order(number, dice, fault=None):
    """An order's lines: fixed steps, some that repeat, some that come only now and then."""
    lines = ["order placed", "stock reserved", "card charged"]
    lines += ["page polled"] * dice.choice([0, 1, 1, 2, 3, 5, 8, 13])
    if dice.random() < 0.3:
        lines.append("voucher applied")
    if dice.random() < 0.004:  # seldom, harmless
        lines += ["gift wrapping chosen", "gift wrapped"]
    lines += ["parcel packed"] * 2 + ["parcel handed over"] * 2 + ["order completed"]
    if fault == "rejected":
        lines[2:3] = ["card charge was not accepted by the bank", "card charged"]
    elif fault == "stops":
        lines = lines[:2]
    elif fault == "unpaid":
        lines.remove("card charged")
    elif fault == "twice":
        lines.insert(lines.index("parcel packed"), "stock reserved")
    return [f"{text} order=o{number}" for text in lines]


def orders(count, seed, *, faulty=0.03, first=0):
    """(lines of interleaved orders, the faulty ones' ids)."""
    dice = random.Random(seed)
    bad, timed = {}, []
    for number in range(first, first + count):
        fault = dice.choice(FAULTS) if dice.random() < faulty else None
        if fault:
            bad[f"o{number}"] = fault
        at = number - first
        for line in order(number, dice, fault):
            at += dice.expovariate(0.5)
            timed.append((at, line))
    return [line for _, line in sorted(timed)], bad


def read(tmp_path, collector, lines, name="orders.log"):
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n")
    return collector.take(read_records(path))


def scored(verdicts, bad):
    called = {one.group for one in verdicts if one.anomalous}
    right = len(called & set(bad))
    return 2 * right / (len(called) + len(bad))


def test_faulty_groups_are_found_as_it_reads_without_any_label(tmp_path):
    collector = Collector(GROUP_BY)
    lines, bad = orders(6000, 1)
    part, meaning = collector.final(read(tmp_path, collector, lines))
    verdicts = judge(part, meaning)
    assert len(verdicts) == 6000
    assert scored(verdicts, bad) >= 0.9
    assert all((one.score >= 1) == one.anomalous and bool(one.why) == one.anomalous for one in verdicts)


def test_a_healthy_history_makes_it_surer(tmp_path):
    collector = Collector(GROUP_BY)
    past, _ = orders(6000, 2, faulty=0, first=100_000)
    history = read(tmp_path, collector, past, "past.log")
    lines, bad = orders(3000, 3)
    part, meaning = collector.final(read(tmp_path, collector, lines))
    verdicts = judge(part, meaning, [collector.final(history)[0]], healthy=True)
    assert scored(verdicts, bad) >= 0.95


def test_groups_of_a_healthy_day_are_hardly_ever_called_anomalous(tmp_path):
    collector = Collector(GROUP_BY)
    lines, _ = orders(6000, 4, faulty=0)
    part, meaning = collector.final(read(tmp_path, collector, lines))
    assert sum(one.anomalous for one in judge(part, meaning)) <= 0.01 * 6000


def test_what_a_group_lacks_is_not_held_against_it_while_it_may_still_come(tmp_path):
    collector = Collector(GROUP_BY)
    lines, _ = orders(3000, 5, faulty=0)
    cut = lines[: len(lines) // 2]
    part, meaning = collector.final(read(tmp_path, collector, cut))
    unfinished = {name for name in part.names if f"order completed order={name}" not in set(cut)}
    assert len(unfinished) > 5
    called = {one.group for one in judge(part, meaning) if one.anomalous}
    assert len(called & unfinished) <= len(unfinished) // 3


def test_a_line_may_belong_to_several_groups_and_to_each_once(tmp_path):
    collector = Collector(r"(blk_-?\d+)")
    lines = ["deleting blk_1 blk_-2 blk_1", "nothing here", "served blk_-2"]
    part, _ = collector.final(read(tmp_path, collector, lines))
    assert part.names == ["blk_1", "blk_-2"]
    assert (part.records, part.grouped, part.rows.height) == (3, 2, 3)


def test_with_hardly_any_groups_nothing_is_said_of_them(tmp_path):
    collector = Collector(GROUP_BY)
    lines, _ = orders(5, 6)
    part, meaning = collector.final(read(tmp_path, collector, lines))
    assert not any(one.anomalous for one in judge(part, meaning))


def test_twice_the_lines_take_about_twice_the_time(tmp_path):
    def seconds(count):
        collector = Collector(GROUP_BY)
        part, meaning = collector.final(read(tmp_path, collector, orders(count, 7)[0]))
        began = time.process_time()
        judge(part, meaning)
        return time.process_time() - began

    seconds(500)
    assert seconds(8000) < 20 * max(seconds(2000), 0.02)


@pytest.mark.parametrize("expression", ["(", "[a", "(?P<x"])
def test_an_expression_that_does_not_compile_is_refused_in_one_line(expression):
    with pytest.raises(GroupError, match="no regular expression"):
        Collector(expression)


def test_other_detectors_are_asked_by_name_and_refuse_what_they_do_not_know(tmp_path):
    collector = Collector(GROUP_BY)
    lines, _ = orders(300, 8)
    part, meaning = collector.final(read(tmp_path, collector, lines))
    for name in ("count-vector", "isolation-forest", "local-outlier-factor", "one-class-svm", "pca"):
        found = detect(name, grid(name)[0], part, meaning)
        assert [one.group for one in found] == part.names
    with pytest.raises(DetectorError, match="there is no detector"):
        detect("magic", {}, part, meaning)
    with pytest.raises(DetectorError, match="has no parameter 'trees'"):
        detect("pca", {"trees": 3}, part, meaning)


def test_a_subset_keeps_the_records_of_its_groups(tmp_path):
    collector = Collector(GROUP_BY)
    part, _ = collector.final(read(tmp_path, collector, ["a order=o1", "b order=o2", "c order=o1"]))
    assert subset(part, {"o1", "o9"}).names == ["o1"]
    assert subset(part, {"o1"}).rows.height == 2
    assert subset(part, set()).rows.height == 0


def test_negations_and_failures_are_adverse_and_plain_work_is_not():
    assert adverse("request received for <*> but it does not belong to any file", "info")
    assert adverse("connection reset by peer", "info")
    assert adverse("all is fine", "warn")
    assert not adverse("starting thread to transfer <*> to <*>", "info")
    assert not adverse("0 errors, done", "info")


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abcdef")), max_size=200))
@settings(deadline=None, max_examples=25)
def test_any_lines_give_one_verdict_a_group_in_order(tmp_path_factory, pairs):
    lines = [f"{step} happened order=o{number}" for number, step in pairs]
    collector = Collector(GROUP_BY)
    folder = tmp_path_factory.mktemp("any")
    part, meaning = collector.final(read(folder, collector, lines))
    verdicts = judge(part, meaning)
    assert [one.group for one in verdicts] == list(dict.fromkeys(f"o{number}" for number, _ in pairs))
    assert all(one.score >= 0 for one in verdicts)
