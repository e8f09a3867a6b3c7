"""One evaluation that raises is named, and the others still run."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from incidentlens.cli import evals
from incidentlens.evals import registry
from incidentlens.evals.registry import attempt
from incidentlens.evals.section import Context, Section


@pytest.fixture
def app():
    main = typer.Typer()
    evals.register(main)
    return main


@pytest.fixture
def one_raises(monkeypatch):
    def evaluate(name, context):
        if name == "clustering":
            raise ValueError("no such case")
        return Section(name, name.capitalize(), skipped="a test")

    monkeypatch.setattr(registry, "evaluate", evaluate)


def test_what_an_evaluation_raises_is_its_section_with_the_place(one_raises, tmp_path):
    section = attempt("clustering", Context(tmp_path))
    assert section.failed.startswith("ValueError: no such case (")
    assert "test_running_evaluations.py:" in section.failed
    assert not attempt("latency", Context(tmp_path)).failed


def test_the_command_runs_the_others_says_how_far_it_is_and_ends_with_one(one_raises, app, tmp_path):
    report = tmp_path / "REPORT.md"
    result = CliRunner().invoke(app, ["eval", "all", "--report", str(report), "--cases", str(tmp_path)])
    assert result.exit_code == 1
    lines = [line for line in result.stderr.splitlines() if " of " in line]
    assert len(lines) == len(registry.EVALUATIONS)
    assert any("clustering: 0 s, failed: ValueError: no such case" in line for line in lines)
    page = report.read_text("utf-8")
    assert "## Evaluations that failed" in page
    assert "**Failed**: ValueError: no such case" in page
    assert "Not measured: a test" in page


def test_an_evaluation_that_does_not_raise_ends_well(one_raises, app, tmp_path):
    assert CliRunner().invoke(app, ["eval", "latency", "--cases", str(tmp_path)]).exit_code == 0
