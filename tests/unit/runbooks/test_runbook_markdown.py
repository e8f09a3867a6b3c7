"""Runbooks in Markdown: read, linted, matched by text, rendered."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import make_incident, make_problem, make_sample
from incidentlens.analysis import AnalysisContext, Analyst
from incidentlens.api.pages.markdown import rendered
from incidentlens.model.analysis import Bundle, RunbookVotes
from incidentlens.model.terms import Disposition, Severity
from incidentlens.model.yamlfile import YamlError
from incidentlens.runbooks import Matcher, lint, load_runbook, load_runbooks, minilm

DISK = """\
# VolumeFillingUp

## Meaning

The volume of a stateful workload will soon have no space left for writing.

## Impact

Writes fail.

## Diagnosis

- Look at `df -h` in the pod.
- Find the largest files.

## Mitigation

Extend the volume, or delete old snapshots.
"""
POOL = """\
---
title: Pool
weight: 20
severity: high
disposition: NEEDS_ONCALL
patterns: [pool exhausted]
---
## Meaning
Every database connection is taken.
## Steps
1. Count the idle sessions first.
"""


def written(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.md").write_text(text, "utf-8")
    return folder


def incident_saying(text: str, service: str = "ledger"):
    sample = make_sample(message=text, line=text, service=service)
    signature = f"{service}:ERROR:failure#1"
    return make_incident(
        problems=(make_problem(service=service, signature=signature, template=text, samples=(sample,)),)
    )


def test_sections_give_name_description_and_steps(tmp_path: Path) -> None:
    book = load_runbook(written(tmp_path, VolumeFillingUp=DISK) / "VolumeFillingUp.md")
    assert (book.id, book.name) == ("volume-filling-up", "VolumeFillingUp")
    assert book.description.startswith("The volume of a stateful workload")
    assert book.steps == (
        "Look at df -h in the pod.", "Find the largest files.", "Extend the volume, or delete old snapshots.",
    )  # fmt: skip
    assert not book.decides


def test_front_matter_gives_what_decides_and_foreign_keys_are_the_teams_own(tmp_path: Path) -> None:
    book = load_runbook(written(tmp_path, pool=POOL) / "pool.md")
    assert (book.default_severity, book.disposition, book.decides) == (Severity.HIGH, Disposition.NEEDS_ONCALL, True)
    assert book.patterns == ("pool exhausted",)


def test_folders_may_mix_formats_and_readmes_are_none(tmp_path: Path) -> None:
    written(tmp_path, VolumeFillingUp=DISK, README="# read me", _index="# list", pool=POOL)
    assert [book.id for book in load_runbooks([tmp_path])] == ["pool", "volume-filling-up"]


@pytest.mark.parametrize(
    ("front", "line", "key"),
    [
        ("severity: awful", 2, "severity"),
        ("title: x\npatterns: ['(']", 3, "patterns[0]"),
        ("id: Not An Id", 2, "id"),
        ("a: [", 0, ""),
    ],
)
def test_a_fault_in_front_matter_is_named_with_its_line(tmp_path: Path, front: str, line: int, key: str) -> None:
    with pytest.raises(YamlError) as refused:
        load_runbook(written(tmp_path, x=f"---\n{front}\n---\n# X\n") / "x.md")
    assert refused.value.key == key
    assert not line or refused.value.line == line


def test_lint_says_what_keeps_one_from_being_found_or_used(tmp_path: Path) -> None:
    written(
        tmp_path, bare="# Bare\ntext", odd="---\npatterns: [quota spent]\n---\n## Meaning\nx\n## Steps\nLook there."
    )
    assert sorted(issue.code for issue in lint([tmp_path])) == ["decides-nothing", "no-meaning", "no-steps"]


def test_text_finds_it_says_why_and_decides_nothing(tmp_path: Path) -> None:
    matcher = Matcher(load_runbooks([written(tmp_path, VolumeFillingUp=DISK, pool=POOL)]), use_semantic=False)
    incident = incident_saying("volume is filling up, no space left for writing")
    (match,) = matcher.match(incident)
    assert (match.runbook_id, match.by) == ("volume-filling-up", "text")
    assert 0.5 <= match.score <= 0.95
    assert "volum" in match.reasons[0]
    analysis = Analyst(matcher).analyse(Bundle(incident=incident, items=()), AnalysisContext(now=1))
    assert (analysis.source, analysis.runbooks[0].runbook_id) == ("rules", "volume-filling-up")


def test_one_with_patterns_severity_and_disposition_decides(tmp_path: Path) -> None:
    matcher = Matcher(load_runbooks([written(tmp_path, VolumeFillingUp=DISK, pool=POOL)]), use_semantic=False)
    incident = incident_saying("connection pool exhausted for orders")
    analysis = Analyst(matcher).analyse(Bundle(incident=incident, items=()), AnalysisContext(now=1))
    assert (analysis.source, analysis.runbooks[0].by) == ("runbook", "patterns")


@pytest.mark.parametrize("text", ["GET /health 200 in 3 ms", "volume", "user 17 logged in", "", "\x00\ud800 <*>"])
def test_a_stray_word_or_a_healthy_line_finds_none(tmp_path: Path, text: str) -> None:
    matcher = Matcher(load_runbooks([written(tmp_path, VolumeFillingUp=DISK, pool=POOL)]), use_semantic=False)
    assert matcher.match(incident_saying(text)) == []


def test_votes_change_the_order_and_say_so_but_make_nothing_decide(tmp_path: Path) -> None:
    matcher = Matcher(load_runbooks([written(tmp_path, VolumeFillingUp=DISK)]), use_semantic=False)
    incident = incident_saying("volume is filling up, no space left for writing")
    (plain,) = matcher.match(incident)
    votes = {"volume-filling-up": RunbookVotes(net=3, why="ranked up: people said so 3 times (ann)")}
    (voted,) = matcher.match(incident, votes)
    assert voted.score == pytest.approx(min(plain.score + 0.06, 1.0 if plain.score >= 0.7 else 0.699))
    assert voted.reasons[-1] == "ranked up: people said so 3 times (ann)"


@pytest.mark.parametrize(
    ("body", "never"),
    [
        ("<script>alert(1)</script>", "<script"),
        ("![x](https://evil.example/p.png)", "<img"),
        ("[x](javascript:alert(1))", "<a "),
        ("[x](//evil.example)", "<a "),
        ("[x](data:text/html,hi)", "<a "),
        ("<img src=x onerror=alert(1)>", "<img"),
        ("`<b>`", "<b>"),
    ],
)
def test_what_markdown_could_smuggle_in_is_text(body: str, never: str) -> None:
    assert never not in rendered(body)


def test_headings_lists_tables_and_links_to_the_web_are_shown() -> None:
    html = rendered(
        "# A\n\n- b\n\n|c|\n|-|\n|d|\n\n[e](https://example.com)\n\n<details>\n<summary>f</summary>\n</details>"
    )
    assert "<h3>A</h3>" in html
    assert "<td>d</td>" in html
    assert '<a href="https://example.com" rel="noreferrer noopener nofollow">e</a>' in html
    assert "details" not in html


@given(st.text(max_size=400))
def test_no_text_becomes_a_script_or_an_image_or_stops_the_page(body: str) -> None:
    html = rendered(body).lower()
    assert "<script" not in html
    assert "<img" not in html


@given(st.text(max_size=300))
def test_any_markdown_is_a_runbook_or_refused_in_words(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.md"
    path.write_text(text, "utf-8", errors="replace")
    with contextlib.suppress(YamlError):
        assert load_runbook(path).id


@pytest.mark.skipif(bool(minilm.missing()), reason="the semantic extra is not installed")
def test_embeddings_are_unit_vectors_that_know_likeness() -> None:
    model = minilm.MiniLM.load()
    crash, again, weather = model.encode(["the pod crashes at start", "container keeps restarting", "sunny with wind"])
    assert abs(float(crash @ crash) - 1) < 1e-5
    assert crash @ again > crash @ weather + 0.2
