"""The evaluation of signatures, on a few labelled lines made here."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from incidentlens.evals import drain, labelled_logs, registry, signature_checks
from incidentlens.evals.section import Context

LINES = [f"request {n} took {n} ms" for n in range(6)] + [f"user {name} logged in" for name in ("ann", "bob")]
TRUE = ["E1"] * 6 + ["E2"] * 2
TEMPLATES = {"E1": "request <*> took <*> ms", "E2": "user <*> logged in"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for system in ("One", "Two"):
        folder = tmp_path / "loghub2k" / system
        folder.mkdir(parents=True)
        (folder / "content.log").write_text("".join(f"{line}\n" for line in LINES))
        stamped = "".join(f"2026-03-10 20:58:0{n},123 INFO [main] a.B - {line}\n" for n, line in enumerate(LINES))
        (folder / "raw.log").write_text(stamped)
        for name in labelled_logs.LABELS.values():
            with (folder / name).open("w", newline="") as file:
                rows = csv.writer(file)
                rows.writerow(["line", "event_id", "template"])
                rows.writerows([n, event, TEMPLATES[event]] for n, event in enumerate(TRUE, 1))
    return tmp_path


def test_without_the_public_sets_nothing_is_measured_and_the_reason_is_told(tmp_path: Path) -> None:
    for context in (Context(tmp_path), Context(tmp_path, tmp_path)):
        section = registry.evaluate("signatures", context)
        assert section.skipped
        assert not section.figures


def test_figures_are_of_all_systems_with_the_peer_on_the_same_lines_and_the_groups_that_failed(data: Path) -> None:
    section = registry.evaluate("signatures", Context(data, data, quick=True))
    figures = {figure.key: figure for figure in section.figures}
    # Six of eight lines, and one of one true group of two, for three groups found.
    for labels in labelled_logs.LABELS:
        assert figures[f"ga_text_{labels}"].value == figures[f"ga_raw_{labels}"].value == pytest.approx(6 / 8)
        assert figures[f"fga_text_{labels}"].value == pytest.approx(2 * 1 / (3 + 2))
        assert figures[f"ga_text_{labels}"].met is False
    assert figures["raw_gap"].value == pytest.approx(0)
    assert figures["rate"].value > 0
    if drain.available():
        assert figures["ga_drain_text_original"].peer
        assert figures["rate_ratio"].value > 0
    failed = {(failure.case, failure.expected) for failure in section.failures}
    assert ("One, original labels, 2 lines", "user <*> logged in") in failed
    assert all(failure.got.startswith("2 groups: ") for failure in section.failures)
    assert all("user ann logged in" in failure.got for failure in section.failures)
    assert [table.columns[0] for table in section.tables[:2]] == ["system", "system"]


def test_a_mask_that_one_system_alone_needs_is_not_there_when_that_system_is_left_out(data: Path) -> None:
    one, two = labelled_logs.logs_of(data / "loghub2k")
    paths = [f"opened {path}" for path in ("/etc/hosts", "/var/log/messages", "/home/ann", "/home/bob")]
    truth = dict.fromkeys(labelled_logs.LABELS, ["E3"] * len(paths))
    needs_paths = labelled_logs.LabelledLog("Paths", paths, [], truth, {})
    found = {entry.log: entry for entry in signature_checks.leave_one_out([one, two, needs_paths])}
    assert found["Paths"].shipped == 1
    assert found["Paths"].unneeded == ["path"]
    assert found["Paths"].with_masks < 1
    assert found["One"].with_masks == found["One"].shipped  # system Two needs the same masks


def test_memory_is_bounded_by_the_templates_kept_and_the_rest_is_counted() -> None:
    found = signature_checks.memory(templates=2_000, more=20)
    assert found["templates"] <= 2_000 + 10  # the overflow entry, one a level
    assert found["overflowed"] >= 38_000
